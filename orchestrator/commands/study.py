"""From a command line to a table: what ``python studies/objectives.py`` does.

    flags ──► plan ──► checks ──► stages on Ray ──► table, reports/STUDY-SCALE-KEY.json, MLflow

Exit codes: 0 all rows have their scores; 1 some row failed (a second run does only what is missing); 2 something was
asked for that cannot be, said in one line before any device was taken; 3 with ``--finished-only``: something is not.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from rich.console import Console

from orchestrator.commands.console import exit_code, plain_console, say
from orchestrator.commands.finished import LEFT_TO_DO
from orchestrator.commands.flags import Options
from orchestrator.commands.plan_shown import show_plan
from orchestrator.commands.progress import Progress
from orchestrator.commands.seeds import Seeds, outcome, still_open
from orchestrator.engine.events import Event
from orchestrator.engine.on_ray.run import run_plan
from orchestrator.engine.outcomes import Accounting, Outcomes
from orchestrator.engine.steering import held
from orchestrator.plan.checkpoints import said_of_checkpoints
from orchestrator.plan.cost import bytes_left
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Scale, Study, plan_of
from orchestrator.results.compare import Comparison, to_dict
from orchestrator.results.rows import comparison_of, rejected_input
from orchestrator.results.table import render
from orchestrator.store import Store, open_store
from orchestrator.store.plans import write_plan
from orchestrator.store.reports import write_report
from orchestrator.store.runs import RunFile, running
from orchestrator.tracking.live import LiveRows
from orchestrator.tracking.writer import Tracker
from t5core.arguments import OneLineParser
from t5core.errors import ConfigError
from t5core.readable import duration
from t5core.training.profiling import TRACE_FILE

FREE_BYTES_WANTED = 200_000_000
"""Beside the plan's checkpoints: corpus, tokens, logs."""


def main(
    study: Study | Callable[[Options], Study],
    scales: Mapping[str, Scale],
    argv: Sequence[str] | None = None,
    *,
    title: str = "",
    flags: Callable[[OneLineParser], None] | None = None,
) -> int:
    """Runs a study from the command line; returns the exit code.

    Args:
        study: what to run; a function of the command line for one that has flags of its own.
        scales: by name.
        argv: None for the process's own.
        title: what the command is about; "" for the study's own, which a function cannot say beforehand.
        flags: adds the study's own flags to the parser; their values are in ``options.more``.
    """

    def run() -> int:
        options = Options.parse(study.title if isinstance(study, Study) else title, list(scales), argv, flags)
        chosen = study if isinstance(study, Study) else study(options)
        return run_study(chosen.select(options.rows), scales, options)

    return exit_code(run)


def run_study(study: Study, scales: Mapping[str, Scale], options: Options) -> int:
    """Plans, checks, runs and compares; raises ConfigError for what cannot be run."""
    started_s = time.monotonic()
    scale = options.scale_of(scales, study)
    seeds, rates = options.number_of_seeds, options.learning_rates
    if seeds.most is not None and len(study.rows) < 2:
        raise ConfigError("seeds", options.seeds, "there is one row, so no order to be told: give a number")
    store = open_store(options.store)
    console = plain_console(to_stderr=options.json)
    more = seeds.first_more(study.baseline, study.own_seeds(scale, seeds.each))
    for looks_left in reversed(range(seeds.looks)):
        plan = plan_of(study, scale, seeds.each, first_seed=options.first_seed, more_seeds=more, rates=rates)
        finished = held(plan, store)
        # what auto comes to is not known without a look at the table
        if options.finished_only and (seeds.most is not None or len(finished) < len(plan.stages)):
            return LEFT_TO_DO
        if options.plan:
            return show_plan(plan, store, console, as_json=options.json)
        if len(finished) < len(plan.stages):
            store.check_writable(FREE_BYTES_WANTED + bytes_left(plan, finished))
        code, comparison, as_json = _run(study, scale, plan, finished, store, options, console, started_s)
        if comparison is None or seeds.most is None:
            break
        ended = _why_no_more(code, looks_left, seeds, options, started_s)
        decision = still_open(comparison, seeds)
        next_more = more if ended else seeds.next_more(more, decision)
        added = [row for row in next_more if next_more[row] > more.get(row, 0)]
        say(console, order=outcome(decision, added, ended or f"{seeds.most} seeds of each row concerned"))
        if not added:
            if options.json:
                print(as_json, flush=True)
            break
        more = next_more
    return code


def _why_no_more(code: int, looks_left: int, seeds: Seeds, options: Options, started_s: float) -> str:
    """Why no further round of seeds is begun; "" where one may be."""
    if code:
        return "a row failed"
    if options.hours is not None and time.monotonic() - started_s > 3600 * options.hours:
        return "the hours are over"
    return "" if looks_left else f"{seeds.looks} tables were looked at, as many as share the level"


def _run(
    study: Study,
    scale: Scale,
    plan: Plan,
    finished: Collection[str],
    store: Store,
    options: Options,
    console: Console,
    started_s: float,
) -> tuple[int, Comparison | None, str]:
    """Runs a plan and shows its table, as JSON only if it is the last one.

    Returns:
        The exit code, and the table where there is one, also as JSON.
    """
    with contextlib.ExitStack() as stack:
        tracker = stack.enter_context(Tracker.open(options.tracking_uri, study.name, scale.name, store, plan.rows))
        write_plan(store, plan)
        _say_what_was_decided(study, scale, plan, finished, store, tracker, options, console)
        run = stack.enter_context(running(store, plan.name))
        rows = stack.enter_context(LiveRows(plan, store, tracker))
        outcomes = _outcomes(plan, store, run, rows, options, console)
        rejected = rejected_input(outcomes)
        if rejected is not None:
            run.ends("refused")
            print(f"error: {rejected}", file=sys.stderr)
            return 2, None, ""
        run.ends("finished" if outcomes.ok else "failed")
        comparison = comparison_of(plan, outcomes, store, looks=options.number_of_seeds.looks)
        write_report(store, plan, to_dict(comparison))
        accounting = _accounting(outcomes.accounting)
        as_json = json.dumps({**to_dict(comparison), "accounting": accounting}, ensure_ascii=False)
        if not options.json:
            render(comparison, console)
            _say_where_time_went(outcomes, time.monotonic() - started_s, console)
        elif options.number_of_seeds.most is None:
            print(as_json, flush=True)
        if options.profile:
            say_where_traces_are(plan, finished, store, console)
        # what MLflow has not taken yet it is given now: the table does not wait for it
        return (0 if outcomes.ok else 1), comparison, as_json


def _outcomes(plan: Plan, store: Store, run: RunFile, rows: LiveRows, options: Options, console: Console) -> Outcomes:
    """Runs the plan, with the display and MLflow told of it."""

    def told(event: Event) -> None:
        progress(event)
        rows(event)

    def stopped() -> None:
        run.ends("stopped")
        rows.stop()

    try:
        with Progress(plan, console=console) as progress:
            return run_plan(
                plan,
                store,
                accelerator=options.accelerator,
                num_lanes=options.lanes,
                parallel=options.parallel,
                mesh=options.lane_mesh,
                events=told,
                stopped=stopped,
            )
    except ConfigError:
        run.ends("refused")
        raise


def _say_what_was_decided(
    study: Study,
    scale: Scale,
    plan: Plan,
    finished: Collection[str],
    store: Store,
    tracker: Tracker,
    options: Options,
    console: Console,
) -> None:
    precision = options.precision_at(scale)
    seeds = options.number_of_seeds
    named, distinct = plan.shared()
    places = f"{distinct} for {named} places in the rows (shared ones run once); {len(finished)} are finished already"
    say(
        console,
        study=f"{study.title}: {seeds.said(len(study.rows), study.own_seeds(scale, seeds.each))}"
        f"{options.learning_rates.said()}"
        f"{said_of_checkpoints(scale.baseline.finetune)}",
        scale=f"{scale.name}: {scale.purpose}",
        stages=places,
        precision=f"{precision.value} ({precision.why})",
        **options.said_of_lanes(),
        store=store.shown_uri,
        tracking=f"{tracker.uri}, experiment {tracker.experiment}",
    )


def say_where_traces_are(plan: Plan, before: Collection[str], store: Store, console: Console) -> None:
    """Says where the traces of a profiled run lie, and that what was finished ``before`` has got none."""
    trace = TRACE_FILE.as_posix()
    trained = [stage for key, stage in plan.stages.items() if stage.trains and key not in before]
    for stage in trained:
        manifest = store.finished(stage)
        if manifest is not None and trace in manifest.files:
            say(console, profile=f"{store.shown_uri}/{stage.folder}/{trace}")
    if not trained:
        say(console, profile="none: every training was in the store already; take another --store for traces of it")


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
