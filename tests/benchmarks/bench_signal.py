"""What a scale can tell: two disjoint sets of seeds of the same rows, and whether they say the same.

    python -m tests.benchmarks.bench_signal                       # objectives at tiny, seeds 0 1 and 2 3
    python -m tests.benchmarks.bench_signal --changes '{"model.attention_init": "guided"}'

Flags are those of ``tests.benchmarks.signal_trials``, ``--seeds`` and ``--json`` apart. The marks:

    orders of the two sets               Kendall's tau of what the table ranks by, at least 0.85
    pairs that both sets call different  some, and none of them reversed
    baseline against no pre-training     on every task that takes part at least 3 deviations between seeds better in
                                         bits per byte, and never told to be worse in score
    tasks that take part                 at least five, each with a signal-to-noise of at least 3

The agreement with the paper is printed with its interval, and is no mark: nothing may be fitted to it. Leaves with exit
code 1 below a mark.
"""

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from orchestrator.results.agreement import kendall_tau
from orchestrator.results.compare import STANDING, Comparison, RowResult, TaskColumn, compare
from orchestrator.results.multiple import all_pairs
from orchestrator.results.noise import RESAMPLES, Measured
from orchestrator.results.rows import columns_of, row_results
from orchestrator.results.samples import by_name, columns_of_numbers
from orchestrator.results.signal import SIGNAL_WANTED
from t5core.devices.precision import processor_name
from t5core.errors import ConfigError
from tests.benchmarks.signal_trials import parsed, prepared, run

SETS = ((0, 1), (2, 3))
TAU = 0.85
BETTER_SD = 3.0
TASKS = 5
NONE = "no-pretraining"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One line of the verdict."""

    what: str
    found: str
    wanted: str
    met: bool

    def __str__(self) -> str:
        return f"{self.what}: {self.found}, wanted {self.wanted}: {'met' if self.met else 'missed'}"


def between_seeds(column: Measured) -> float:
    """Returns the standard deviation between seeds of a row, pooled over the rows."""
    variances = [np.var(list(s.runs.values()), ddof=1) for s in column.samples.values() if len(s.runs) > 1]
    return math.sqrt(float(np.mean(variances))) if variances else math.nan


def same_order(one: Comparison, other: Comparison) -> float | None:
    """Returns Kendall's tau between the orders of two tables, over the rows that both rank."""
    rows = [row for row in one.standing.samples if row in other.standing]
    values = [[table.standing.samples[row].value for row in rows] for table in (one, other)]
    return kendall_tau(values[0], values[1])


def reversed_pairs(one: Comparison, other: Comparison) -> tuple[int, int]:
    """Returns how many pairs of rows both tables tell apart, and how many of these the other way round."""
    rows = [row for row in one.standing.samples if row in other.standing]
    told = [all_pairs(rows, table.standing.difference) for table in (one, other)]
    both = [
        (told[0][pair], told[1][pair]) for pair in combinations(rows, 2) if told[0][pair].told and told[1][pair].told
    ]
    return len(both), sum(a.value * b.value < 0 for a, b in both)


def verdict(results: Sequence[RowResult], tasks: Sequence[TaskColumn], baseline: str) -> list[Mark]:
    """Returns the marks for the results of all seeds."""
    whole = compare(results, tasks, baseline=baseline)
    sets = [compare([r for r in results if r.seed in seeds], tasks, baseline=baseline) for seeds in SETS]
    tau = same_order(sets[0], sets[1])
    both, wrong = reversed_pairs(sets[0], sets[1])
    part = [task for task, signal in whole.signals.items() if signal.takes_part]
    weak = [task for task in part if (whole.signals[task].ratio or 0) < SIGNAL_WANTED]
    marks = [
        Mark(
            what="tau of the two orders",
            found="not known" if tau is None else f"{tau:.2f}",
            wanted=f"{TAU}",
            met=tau is not None and tau >= TAU,
        ),
        Mark(
            what="pairs told by both, reversed", found=f"{wrong} of {both}", wanted="0 of some", met=both > wrong == 0
        ),
        Mark(
            what="tasks that take part",
            found=f"{len(part)} ({', '.join(part)}), {len(weak)} of them below {SIGNAL_WANTED:g}",
            wanted=f"{TASKS}, none below",
            met=len(part) >= TASKS and not weak,
        ),
    ]
    if any(row.name == NONE for row in results):
        columns = columns_of_numbers(by_name(results), tasks, RESAMPLES, 0)[0]
        rows = {row.name: row for row in whole.rows}
        for task in part:
            bits = columns[task].get("bits")
            if bits is None or NONE not in bits or baseline not in bits:
                missing = "no bits of both rows"
                marks.append(Mark(what=f"pre-training on {task}", found=missing, wanted=f"{BETTER_SD:g}", met=False))
                continue
            by = (bits.samples[NONE].value - bits.samples[baseline].value) / between_seeds(bits)
            worse = rows[NONE].cells[task].mark == "▲"
            found = f"{by:+.1f} deviations in bits" + (", worse in score" if worse else "")
            wanted = f"{BETTER_SD:g}, not worse"
            marks.append(
                Mark(what=f"pre-training on {task}", found=found, wanted=wanted, met=by >= BETTER_SD and not worse)
            )
    return marks


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what is missing in the store and judges; returns the exit code."""
    started = time.monotonic()
    seeds = [seed for of_set in SETS for seed in of_set]
    try:
        mine, options = parsed(argv)
        if mine.json or mine.seeds != [0]:
            raise ConfigError(
                "seeds", ",".join(map(str, mine.seeds)), f"they are {SETS}, and lines are what is printed"
            )
        study, plan, store = prepared(mine, options, seeds)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    outcomes = run(plan, store, mine.processes)
    results, tasks = row_results(plan, outcomes, store), columns_of(plan, outcomes)
    for failed in (r for r in results if r.status != "done"):
        print(f"{failed.name}, seed {failed.seed}: {failed.reason}")
    whole = compare(results, tasks, baseline=study.baseline)
    print(f"{study.name} at {mine.scale}, {len(study.rows)} rows, seeds {SETS}, changes {json.dumps(mine.changes)}")
    print(f"{processor_name()}, {mine.processes} processes, {time.monotonic() - started:.0f} s for what was missing")
    for task, signal in whole.signals.items():
        ratios = ", ".join(f"{name} {ratio:.1f}" for name, ratio in signal.ratios.items() if ratio is not None)
        print(f"signal-to-noise {task}: {ratios}{'' if signal.takes_part else '; takes no part'}")
    print("order: " + ", ".join(f"{row.name} {row.standing.value:+.2f}" for row in whole.rows if row.standing))
    ours = whole.agreement.get(STANDING)
    if ours is not None and ours.tau is not None:
        interval = "not known" if ours.interval is None else f"{ours.interval[0]:+.2f} to {ours.interval[1]:+.2f}"
        print(f"tau with the paper {ours.tau:+.2f}, interval {interval}")
    marks = verdict(results, tasks, study.baseline)
    for mark in marks:
        print(mark)
    return int(not all(mark.met for mark in marks))


if __name__ == "__main__":
    sys.exit(main())
