"""What the marks of a table say when the truth is known: the figures of docs/significance.md.

    python -m tests.benchmarks.bench_noise                  # the rule as it is, and with other weights of pooled noise
    python -m tests.benchmarks.bench_noise --studies 50     # sooner, and rougher

Studies are drawn as in ``tests/orchestrator/results/test_simulated.py``, through the code that makes the tables. The
mark is that of the table itself: where all rows have the same noise, at most 5 of 100 tables of equal rows have an
arrow. Leaves with exit code 1 above it.
"""

import argparse
import sys
from statistics import mean, median
from unittest.mock import patch

import numpy as np

from orchestrator.results import noise
from orchestrator.results.agreement import agreement, agreement_of_two, kendall_tau
from orchestrator.results.multiple import all_pairs
from orchestrator.results.significance import LEVEL
from t5core.tables import Column, print_table
from tests.orchestrator.results.test_simulated import (
    ROWS,
    TASKS,
    columns_of,
    marks_of,
    noisy_baseline,
    normal,
    plateau,
    uneven,
)

KINDS = {
    "the same in all rows, normal": normal,
    "one run of three stays on a plateau": plateau,
    "heavy tails (t with 3 degrees)": lambda rng, seeds: rng.standard_t(3, size=(ROWS, TASKS, seeds)) / np.sqrt(3),
    "rows differ (inverse gamma, 4 degrees)": uneven,
    "rows differ 25-fold in deviation": lambda rng, seeds: (
        rng.normal(size=(ROWS, TASKS, seeds)) * np.geomspace(0.2, 5.0, ROWS)[rng.permutation(ROWS)][:, None, None]
    ),
    "the baseline alone is five times as noisy": noisy_baseline,
}
WEIGHTS = {"pooled": 1e9, "4": 4.0, "3": noise.PRIOR_DEGREES, "2": 2.0}
APART = 6.0
"""In deviations between the seeds of a study: the difference that is to be seen."""


def false_and_seen(kind, seeds, studies):
    """Returns the share of tables of equal rows with an arrow, and of differences of APART that get theirs."""
    rng = np.random.default_rng(11)
    false = [bool(np.any(marks_of(kind(rng, seeds)))) for _ in range(studies)]
    seen = []
    for _ in range(max(1, studies // 5)):
        numbers = kind(rng, seeds)
        numbers[1 : ROWS // 2] += APART * np.sqrt(np.mean(np.var(numbers, axis=2, ddof=1)))
        seen.append(np.mean(marks_of(numbers)[: ROWS // 2 - 1] == 1))
    return mean(false), float(mean(seen))


def smallest(rows, seeds, tasks, studies):
    """Returns the difference of a row to the baseline that a table of so many rows says it sees, in deviations."""
    rng = np.random.default_rng(4)
    level = LEVEL / ((rows - 1) * tasks)
    columns = [columns_of(rng.normal(size=(rows, 1, seeds)))[0] for _ in range(studies)]
    return median(column.difference(str(row), "0").smallest(level) for column in columns for row in range(1, rows))


def covered(rows, apart, studies):
    """Returns how often tau's interval holds the true tau; ``apart``: the true means' deviation over their noise."""
    rng = np.random.default_rng(8)
    held = []
    for _ in range(studies):
        paper = rng.normal(size=rows)
        true = 0.6 * paper + 0.8 * rng.normal(size=rows)
        numbers = true[:, None, None] + np.sqrt(2) / apart * rng.normal(size=(rows, 1, 2))
        low, high = agreement(columns_of(numbers)[0], {str(r): paper[r] for r in range(rows)}, draws=300).interval
        held.append(low - 1e-9 <= kendall_tau(true.tolist(), paper.tolist()) <= high + 1e-9)
    return mean(held)


def covered_of_two(rows, apart, studies):
    """The same for two orders of ours, each with noise of its own."""
    rng = np.random.default_rng(8)
    held = []
    for _ in range(studies):
        one = rng.normal(size=rows)
        true = [one, 0.6 * one + 0.8 * rng.normal(size=rows)]
        noisy = [t[:, None, None] + np.sqrt(2) / apart * rng.normal(size=(rows, 1, 2)) for t in true]
        columns = [columns_of(numbers)[0] for numbers in noisy]
        low, high = agreement_of_two(columns[0], columns[1], list(columns[0].samples), draws=300).interval
        held.append(low - 1e-9 <= kendall_tau(true[0].tolist(), true[1].tolist()) <= high + 1e-9)
    return mean(held)


def ever_told(rows, looks, studies):
    """Returns how many studies of equal rows tell any two apart in any of so many looks, each with one seed more."""
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(studies):
        runs = rng.normal(size=(rows, 1, looks + 1))
        seen = (columns_of(runs[..., :seeds])[0] for seeds in range(2, looks + 2))
        pairs = (all_pairs(list(column.samples), column.difference, LEVEL / looks) for column in seen)
        wrong += any(difference.told for of_look in pairs for difference in of_look.values())
    return wrong / studies


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, metavar="N", help="of each kind (default: %(default)s)")
    studies = parser.parse_args().studies
    print(
        f"false tables of 100 (differences of {APART:g} deviations seen); {ROWS} rows, {TASKS} tasks, {studies} studies"
    )
    rows, worst = [], 0.0
    for name, kind in KINDS.items():
        cells = []
        for weight in WEIGHTS.values():
            with patch.object(noise, "PRIOR_DEGREES", weight):
                false, seen = false_and_seen(kind, 2, studies)
            cells.append(f"{100 * false:.0f} ({100 * seen:.0f} %)")
            if weight == noise.PRIOR_DEGREES and kind is normal:
                worst = false
        with_three = false_and_seen(kind, 3, studies)
        rows.append((name, *cells, f"{100 * with_three[0]:.0f} ({100 * with_three[1]:.0f} %)"))
    heads = [*(f"2 seeds, {name}" for name in WEIGHTS), "3 seeds"]
    print_table([Column(head="noise", kind="text"), *(Column(head=head) for head in heads)], rows)
    print("the smallest difference that a table sees in four of five cases, in deviations between seeds, six tasks")
    counts = (2, 3, 5, 10)
    sizes = [(str(r), *(f"{smallest(r, seeds, TASKS, 60):.1f}" for seeds in counts)) for r in (14, 8, 5, 4, 2)]
    print_table([Column(head="rows", kind="text"), *(Column(head=f"{n} seeds") for n in counts)], sizes)
    print(
        "the interval of tau holds the true tau in so many of 100, by the deviation of the true means over their noise"
    )
    apart = (0.5, 1.0, 2.0, 5.0)
    kinds = {"ours against the paper's": covered, "two of ours": covered_of_two}
    taus = [
        (f"{r}, {name}", *(f"{100 * kind(r, a, studies):.0f}" for a in apart))
        for name, kind in kinds.items()
        for r in (14, 6)
    ]
    print_table([Column(head="rows", kind="text"), *(Column(head=f"{a:g}") for a in apart)], taus)
    print(f"six equal rows, four looks: {100 * ever_told(6, 4, studies):.0f} of 100 studies tell two apart")
    if worst > LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / studies):
        print(f"noise: {worst:.3f} of tables are false, above {LEVEL}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
