"""Trials of a scale's settings, one command each: rows of a study with some fields of the baseline changed, on CPUs.

    python -m tests.benchmarks.signal_trials --seeds 0,1,2 --rows no-pretraining
    python -m tests.benchmarks.signal_trials --seeds 0,1,2 --rows no-pretraining --changes \\
        '{"model.attention_init": "guided", "finetune.schedule.kind": "linear", "finetune.fresh_moments": true}'

``--changes`` is an object of JSON from fields of ``Experiment``, by dots, to their values. The study's rows change that
baseline in turn, and its own baseline row is always among them. All other flags are a study's: ``--pretrain-steps``,
``--tasks``, ``--validation-examples`` and so on.

There is no Ray: each of ``--processes`` goes through the same plan with one thread, and whatever another one works on
or has finished in the store is left to it. So trials share what they have in common, among themselves and with
studies on CPUs that keep their results in the same store, and a trial that was killed goes on.

Prints a line per row and seed: loss on held-out text, each task's main score x100 and, where the plan measures
likelihoods, its bits per byte; then each row's mean and standard deviation over the seeds. With ``--json``, one object
a line instead. Leaves with exit code 1 where a row failed, 2 for what cannot be tried.
"""

import argparse
import importlib
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.commands.addresses import home
from orchestrator.commands.flags import Options
from orchestrator.engine.events import Event, StageFailed, StageFinished
from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Finished, Outcomes
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Scale, Study, plan_of
from orchestrator.results.rows import row_result
from orchestrator.store import Store, open_store
from studies.scales import SCALES
from t5core.arguments import OneLineParser, whole_number
from t5core.errors import ConfigError, did_you_mean

MOST_PROCESSES = 64


def changed(baseline: Experiment, changes: Mapping[str, Any]) -> Experiment:
    """Returns a baseline with fields replaced; raises ConfigError for a field that is not there."""
    values = baseline.to_dict()
    for path, value in changes.items():
        *outer, last = path.split(".")
        inside: Any = values
        for name in outer:
            inside = inside.get(name) if isinstance(inside, dict) else None
        if not isinstance(inside, dict) or last not in inside:
            known = [*values, *(f"{field}.{name}" for field, x in values.items() if isinstance(x, dict) for name in x)]
            raise ConfigError("changes", path, "no such field of the baseline" + did_you_mean(path, known))
        inside[last] = value
    return Experiment.from_dict(values)


def plan_of_trial(study: Study, scale: Scale, changes: Mapping[str, Any], seeds: Sequence[int]) -> Plan:
    """Returns the plan of a study's rows on a changed baseline, with these seeds alone."""
    whole = plan_of(study, replace(scale, baseline=changed(scale.baseline, changes)), max(seeds) + 1)
    rows = tuple(row for row in whole.rows if row.seed in seeds)
    needed = {key for row in rows for key in row.stages.values()}
    return replace(whole, rows=rows, stages={key: stage for key, stage in whole.stages.items() if key in needed})


def run(plan: Plan, store: Store, processes: int) -> Outcomes:
    """Runs a plan in this process and some more, one thread each, and returns how its stages ended."""
    context = multiprocessing.get_context("spawn")  # a fork of a process that has started torch's threads may hang
    others = [context.Process(target=_work_through, args=(plan, store), daemon=True) for _ in range(processes - 1)]
    for other in others:
        other.start()
    outcomes = _work_through(plan, store)
    for other in others:
        other.join()
    return outcomes


def _work_through(plan: Plan, store: Store) -> Outcomes:
    started = time.monotonic()

    def tell(event: Event) -> None:
        if isinstance(event, StageFailed):
            say = f"failed: {event.error}"
        elif isinstance(event, StageFinished) and not event.cached:
            say = f"done in {event.seconds:.0f} s"
        else:
            return
        print(
            f"{time.monotonic() - started:6.0f} s  {plan.stages[event.key].folder}: {say}", file=sys.stderr, flush=True
        )

    return run_locally(plan, store, events=tell)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What one row came to with one seed: figures by name, in the order of the columns."""

    row: str
    seed: int
    figures: Mapping[str, float]
    reason: str = ""


def trials_of(plan: Plan, outcomes: Outcomes, store: Store) -> list[Trial]:
    """Returns the figures of every row; none, and a reason, of one that failed."""
    out = []
    for row in plan.rows:
        ended = row_result(plan, row, outcomes, store)
        figures: dict[str, float] = {}
        if ended.status == "done":
            pretrained = _result(outcomes, row.stages.get("pretrain", ""))
            figures |= {"loss": pretrained["validation_loss"]} if "validation_loss" in pretrained else {}
            figures |= {f"{task} score": score for task, score in ended.scores.items()}
            parts = [_result(outcomes, key) for key in row.of_role("likelihood")]
            bits = {task: value for part in parts for task, value in part.get("bits_per_byte", {}).items()}
            figures |= {f"{task} bits": value for task, value in bits.items() if value is not None}
        failed = ended.reason if ended.status != "done" else ""
        out.append(Trial(row=row.name, seed=row.seed, figures=figures, reason=failed))
    return out


def _result(outcomes: Outcomes, key: str) -> Mapping[str, Any]:
    outcome = outcomes[key] if key else None
    return outcome.manifest.result if isinstance(outcome, Finished) else {}


def table(trials: Sequence[Trial]) -> list[str]:
    """Returns a line per trial, and each row's mean and standard deviation where it has several seeds."""
    columns = list(dict.fromkeys(name for trial in trials for name in trial.figures))
    heads = [name.removeprefix("doc_") for name in columns]
    rows = list(dict.fromkeys(trial.row for trial in trials))
    wide = max([len("row"), *map(len, rows)])

    def line(row: str, seed: str, figures: Mapping[str, float], reason: str = "") -> str:
        cells = [f"{figures[n]:.3f}" if n in figures else "-" for n in columns]
        aligned = "  ".join(cell.rjust(len(head)) for cell, head in zip(cells, heads, strict=True))
        return f"{row:<{wide}}  {seed:>4}  {aligned}  {reason}".rstrip()

    out = [f"{'row':<{wide}}  seed  {'  '.join(heads)}"]
    out += [line(trial.row, str(trial.seed), trial.figures, trial.reason) for trial in trials]
    for row in rows:
        found = {n: [t.figures[n] for t in trials if t.row == row and n in t.figures] for n in columns}
        several = {n: values for n, values in found.items() if len(values) > 1}
        if several:
            out.append(line(row, "mean", {n: statistics.mean(values) for n, values in several.items()}))
            out.append(line(row, "sd", {n: statistics.stdev(values) for n, values in several.items()}))
    return out


def parsed(argv: Sequence[str] | None) -> tuple[argparse.Namespace, Options]:
    """Reads the command line; raises ConfigError for one that cannot be read."""
    parser = OneLineParser(prog="signal_trials", description="Trials of a scale's settings.", allow_abbrev=False)
    parser.add_argument("--study", default="objectives", help="a module of studies (default: %(default)s)")
    parser.add_argument("--scale", default="tiny", help="(default: %(default)s)")
    parser.add_argument("--rows", default="*", metavar="GLOB", help="only rows that match, and the baseline")
    parser.add_argument("--seeds", default="0", metavar="0,1,2", help="these seeds (default: %(default)s)")
    parser.add_argument("--changes", default="{}", metavar="JSON", help="fields of the baseline, and their values")
    parser.add_argument("--store", default=str(home() / "trials"), metavar="FOLDER", help="(default: %(default)s)")
    parser.add_argument("--processes", default="2", metavar="N", help="stages at a time (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one object a line")
    mine, others = parser.parse_known_args(argv)
    mine.seeds = [whole_number("seeds", text.strip(), most=10_000) for text in mine.seeds.split(",")]
    mine.processes = whole_number("processes", mine.processes, least=1, most=MOST_PROCESSES)
    try:
        changes = json.loads(mine.changes)
    except ValueError as error:
        raise ConfigError("changes", mine.changes, f"not JSON: {error}") from None
    if not isinstance(changes, dict):
        raise ConfigError("changes", mine.changes, 'give an object, like {"model.attention_init": "guided"}')
    mine.changes = changes
    # on the CPU whatever there is, as a study with --accelerator cpu: its stages are the same ones
    options = Options.parse("trials", list(SCALES), ["--scale", mine.scale, "--accelerator", "cpu", *others])
    for name in ("rates", "hours", "first_seed", "finished_only"):
        if getattr(options, name):
            raise ConfigError(name, getattr(options, name), "a study has this flag, a trial has not: leave it out")
    return mine, options


def prepared(mine: argparse.Namespace, options: Options, seeds: Sequence[int]) -> tuple[Study, Plan, Store]:
    """Returns the rows, their plan and where it is kept; raises ConfigError for what cannot be tried."""
    try:
        study: Study = importlib.import_module(f"studies.{mine.study}").study().select(mine.rows)
    except (ImportError, AttributeError):
        raise ConfigError("study", mine.study, "no study of this name in studies/") from None
    plan = plan_of_trial(study, options.scale_of(SCALES, study), mine.changes, seeds)
    store = open_store(mine.store)
    store.check_writable()
    return study, plan, store


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a trial; returns the exit code."""
    try:
        mine, options = parsed(argv)
        _, plan, store = prepared(mine, options, mine.seeds)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    outcomes = run(plan, store, mine.processes)
    trials = trials_of(plan, outcomes, store)
    if mine.json:
        for trial in trials:
            says = {"row": trial.row, "seed": trial.seed, "changes": mine.changes, **trial.figures}
            print(json.dumps({**says, **({"failed": trial.reason} if trial.reason else {})}))
    else:
        print("\n".join([f"changes: {json.dumps(mine.changes)}", *table(trials)]))
    return 0 if outcomes.ok else 1


if __name__ == "__main__":
    sys.exit(main())
