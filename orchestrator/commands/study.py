"""From a command line to a table: what ``python studies/objectives.py`` does.

    flags ──► plan ──► checks ──► stages on Ray ──► table, reports/STUDY-SCALE.json, MLflow

Exit codes: 0 all rows have their scores; 1 some row failed (a second run does only what is missing); 2 something was
asked for that cannot be, said in one line before any device was taken.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import fsspec
from rich.console import Console

from orchestrator.commands.console import exit_code, plain_console
from orchestrator.commands.flags import Options
from orchestrator.commands.plan_shown import plan_json, render_plan
from orchestrator.commands.progress import Progress
from orchestrator.engine.events import Event, StageFinished
from orchestrator.engine.on_ray.run import run_plan
from orchestrator.engine.outcomes import Accounting, Outcomes
from orchestrator.plan.cost import plan_cost
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Scale, Study, plan_of
from orchestrator.results.compare import compare, to_dict, to_json
from orchestrator.results.notes import cut_examples, short_sources, unreadable_outputs
from orchestrator.results.rows import all_scores, columns_of, majorities, rejected_input, row_result
from orchestrator.results.table import render
from orchestrator.store import Store, open_store
from orchestrator.tracking.writer import Tracker
from t5core.config import Config
from t5core.errors import ConfigError
from t5core.readable import duration

TRACKER_WAIT_S = 60.0
"""How long the end of a run waits for MLflow to take what is still in the queue."""

FREE_BYTES_WANTED = 200_000_000
"""Beside the plan's checkpoints: corpus, tokens, logs."""


def main(study: Study, scales: Mapping[str, Scale], argv: Sequence[str] | None = None) -> int:
    """Runs a study from the command line; returns the exit code."""

    def run() -> int:
        options = Options.parse(study.title, list(scales), argv)
        return run_study(study.select(options.rows), scales, options)

    return exit_code(run)


def run_study(study: Study, scales: Mapping[str, Scale], options: Options) -> int:
    """Plans, checks, runs and compares; raises ConfigError for what cannot be run."""
    started_s = time.monotonic()
    scale = options.scale_of(scales)
    plan = plan_of(study, scale, options.seeds)
    store = open_store(options.store)
    console = plain_console(to_stderr=options.json)
    if options.plan:
        if options.json:
            print(json.dumps(plan_json(plan, store), indent=1))
        else:
            render_plan(plan, store, console)
        return 0
    if any(store.finished(stage) is None for stage in plan.stages.values()):
        store.check_writable(FREE_BYTES_WANTED + plan_cost(plan).checkpoint_bytes)
    tracker = Tracker.open(options.tracking_uri, study.name, scale.name, store)
    _say_what_was_decided(study, scale, plan, store, tracker, options, console)
    try:
        with Progress(plan, console=console) as progress:
            live = _Live(study, scale, plan, store, tracker, progress)
            outcomes = run_plan(plan, store, accelerator=options.accelerator, num_lanes=options.lanes, events=live)
        results = [row_result(study, scale, plan, row, outcomes, store) for row in plan.rows]
        for row, result in zip(plan.rows, results, strict=True):
            tracker.row_finished(row, "finished" if result.status == "done" else "failed", all_scores(row, outcomes))
    except KeyboardInterrupt:
        for row in plan.rows:
            tracker.row_finished(row, "stopped", {})
        raise
    finally:
        tracker.close(TRACKER_WAIT_S)
    rejected = rejected_input(outcomes)
    if rejected is not None:
        print(f"error: {rejected}", file=sys.stderr)
        return 2
    columns = columns_of(scale.baseline.tasks, majorities(plan, outcomes))
    title = f"{study.title}, scale {scale.name}"
    comparison = compare(
        results,
        columns,
        baseline=study.baseline,
        title=title,
        paper_sd=study.baseline_sd,
        notes=(*short_sources(plan, outcomes), *cut_examples(plan, outcomes), *unreadable_outputs(plan, outcomes)),
    )
    if options.json:
        print(json.dumps({**to_dict(comparison), "accounting": _accounting(outcomes.accounting)}, ensure_ascii=False))
    else:
        render(comparison, console)
        _say_where_time_went(outcomes, time.monotonic() - started_s, console)
    report = f"{store.uri.rstrip('/')}/reports/{study.name}-{scale.name}.json"
    try:
        with fsspec.open(report, "w", auto_mkdir=True, encoding="utf-8") as file:
            file.write(to_json(comparison))
    except OSError as error:
        raise ConfigError("store", store.shown_uri, f"the table could not be kept there ({error})") from error
    return 0 if outcomes.ok else 1


def _axis(value: object) -> object:
    return json.dumps(value.fingerprint()) if isinstance(value, Config) else value  # no paths are told


class _Live:
    """Passes events on to the display, and finished stages to the tracker."""

    def __init__(
        self, study: Study, scale: Scale, plan: Plan, store: Store, tracker: Tracker, progress: Progress
    ) -> None:
        self._plan = plan
        self._store = store
        self._tracker = tracker
        self._progress = progress
        for row in plan.rows:
            described = next(r for r in study.rows if r.name == row.name)
            tracker.row_started(
                row,
                {
                    "paper_cell": described.paper_cell,
                    **{
                        name: _axis(value) for name, value in described.changed_fields(study.baseline_of(scale)).items()
                    },
                },
            )

    def __call__(self, event: Event) -> None:
        self._progress(event)
        if isinstance(event, StageFinished):
            stage = self._plan.stages[event.key]
            manifest = self._store.finished(stage)
            if manifest is not None:
                self._tracker.stage_finished(self._plan.rows_of(event.key), stage, manifest)


def _say_what_was_decided(
    study: Study, scale: Scale, plan: Plan, store: Store, tracker: Tracker, options: Options, console: Console
) -> None:
    named, distinct = plan.shared()
    done = sum(store.finished(stage) is not None for stage in plan.stages.values())
    why = "asked for" if options.accelerator != "auto" else "TPUs if Ray has some, else GPUs, else CPUs"
    for name, value in (
        ("study", f"{study.title}: {len(study.rows)} rows, {options.seeds} seed(s) each"),
        ("scale", f"{scale.name}: {scale.purpose}"),
        ("stages", f"{distinct} for {named} places in the rows (shared ones run once); {done} are finished already"),
        ("accelerator", f"{options.accelerator} ({why})"),
        ("store", store.shown_uri),
        ("tracking", f"{tracker.uri}, experiment {tracker.experiment}"),
    ):
        console.print(f"{name:12} {value}", markup=False, highlight=False, soft_wrap=True)


def _say_where_time_went(outcomes: Outcomes, wall_s: float, console: Console) -> None:
    a = outcomes.accounting
    if not a.lanes:
        console.print(f"{duration(wall_s)} in all; every stage was finished already, none ran", highlight=False)
        return
    console.print(
        f"{duration(wall_s)} in all; {a.lanes} lane(s) were inside training, evaluation and preparation for "
        f"{duration(a.lane_s)} + {duration(a.prepared_s)} of {duration(a.lanes * a.wall_s)}: "
        f"orchestration took {a.orchestration_share:.1%}",
        highlight=False,
        soft_wrap=True,
    )


def _accounting(a: Accounting) -> dict[str, Any]:
    return {
        "wall_s": a.wall_s,
        "lanes": a.lanes,
        "lane_s": a.lane_s,
        "prepared_s": a.prepared_s,
        "orchestration_share": a.orchestration_share,
    }
