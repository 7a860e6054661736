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
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from orchestrator.commands.console import exit_code, plain_console, say
from orchestrator.commands.finished import LEFT_TO_DO
from orchestrator.commands.flags import Options
from orchestrator.commands.init import said_of_init
from orchestrator.commands.plan_shown import show_plan
from orchestrator.commands.progress import Progress
from orchestrator.commands.seeds import Seeds, outcome, still_open
from orchestrator.commands.tables import Tables
from orchestrator.engine.events import Event
from orchestrator.engine.on_ray.run import run_plan
from orchestrator.engine.outcomes import Accounting, Outcomes
from orchestrator.engine.steering import held
from orchestrator.plan.checkpoints import said_of_checkpoints
from orchestrator.plan.cost import bytes_left
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Scale, Study, plan_of
from orchestrator.results.compare import Comparison, to_dict
from orchestrator.store import Store, open_store
from orchestrator.store.plans import write_plan
from orchestrator.store.runs import RunFile, running
from orchestrator.tracking.live import LiveRows
from orchestrator.tracking.writer import Tracker
from t5core.arguments import OneLineParser
from t5core.errors import ConfigError
from t5core.readable import duration

FREE_BYTES_WANTED = 200_000_000
"""Beside the plan's checkpoints: corpus, tokens, logs."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a run came to.

    Attributes:
        code: of the command.
        comparisons: by study; without those that were refused what they were given.
        as_json: the tables, with where the time went.
    """

    code: int
    comparisons: Mapping[str, Comparison]
    as_json: str


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
    if options.further:
        study = study.with_checkpoint_as_it_is()
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
        ran = run_together((study,), scale, plan, finished, store, options, console, started_s)
        comparison = ran.comparisons.get(study.name)
        if comparison is None or seeds.most is None:
            break
        ended = _why_no_more(ran.code, looks_left, seeds, options, started_s)
        decision = still_open(comparison, seeds)
        next_more = more if ended else seeds.next_more(more, decision)
        added = [row for row in next_more if next_more[row] > more.get(row, 0)]
        say(console, order=outcome(decision, added, ended or f"{seeds.most} seeds of each row concerned"))
        if not added:
            if options.json:
                print(ran.as_json, flush=True)
            break
        more = next_more
    return ran.code


def _why_no_more(code: int, looks_left: int, seeds: Seeds, options: Options, started_s: float) -> str:
    """Why no further round of seeds is begun; "" where one may be."""
    if code:
        return "a row failed"
    if options.hours is not None and time.monotonic() - started_s > 3600 * options.hours:
        return "the hours are over"
    return "" if looks_left else f"{seeds.looks} tables were looked at, as many as share the level"


def run_together(
    studies: Sequence[Study],
    scale: Scale,
    plan: Plan,
    finished: Collection[str],
    store: Store,
    options: Options,
    console: Console,
    started_s: float,
) -> Ran:
    """Runs a plan and shows the tables of its studies, as JSON only if it is the last run.

    Args:
        studies: of the plan.
        scale: with the flags of the command line.
        plan: of all studies.
        finished: keys of the stages that the store holds.
        store: of the run.
        options: the command line.
        console: where people read.
        started_s: when the command began, by ``time.monotonic``.
    """
    with contextlib.ExitStack() as stack:
        names = tuple(study.name for study in studies)
        tracker = stack.enter_context(Tracker.open(options.tracking_uri, names, scale.name, store, plan.rows))
        for one in (plan, *(plan.of_study(name) for name in names if len(names) > 1)):
            write_plan(store, one)
        _say_what_was_decided(studies, scale, plan, finished, store, tracker, options, console)
        run = stack.enter_context(running(store, plan.name))
        rows = stack.enter_context(LiveRows(plan, store, tracker))
        tables = Tables(plan, store, None if options.json else console, looks=options.number_of_seeds.looks)
        outcomes = _outcomes(plan, store, run, rows, tables, options, console)
        rejected = tables.rest(outcomes)
        if rejected:
            run.ends("refused")
            print(f"error: {rejected}", file=sys.stderr)
            return Ran(code=2, comparisons={}, as_json="")
        run.ends("finished" if outcomes.ok else "failed")
        as_json = _tables_json(tables.comparisons, outcomes.accounting)
        if not options.json:
            _say_where_time_went(outcomes, time.monotonic() - started_s, console)
        elif options.number_of_seeds.most is None:
            print(as_json, flush=True)
        if options.profile:
            say_where_traces_are(plan, finished, store, console)
        # what MLflow has not taken yet it is given now: the table does not wait for it
        return Ran(code=0 if outcomes.ok else 1, comparisons=tables.comparisons, as_json=as_json)


def _outcomes(
    plan: Plan, store: Store, run: RunFile, rows: LiveRows, tables: Tables, options: Options, console: Console
) -> Outcomes:
    """Runs the plan, with the display, MLflow and the tables told of it."""
    listeners: list[Callable[[Event], None]] = [rows, tables]

    def told(event: Event) -> None:
        progress(event)
        for listener in listeners:
            listener(event)

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


def _tables_json(comparisons: Mapping[str, Comparison], accounting: Accounting) -> str:
    """One table with the accounting in it; of several studies, the tables under ``studies``, by name."""
    tables = {name: to_dict(comparison) for name, comparison in comparisons.items()}
    values: dict[str, Any] = next(iter(tables.values())) if len(tables) == 1 else {"studies": tables}
    return json.dumps({**values, "accounting": _accounting(accounting)}, ensure_ascii=False)


def _say_what_was_decided(
    studies: Sequence[Study],
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
    if len(studies) == 1:
        which, own = {"study": studies[0].title}, studies[0].own_seeds(scale, seeds.each)
    else:
        which = {"studies": f"{len(studies)}, {', '.join(study.name for study in studies)}"}
        own = {f"{s.name}/{row}": n for s in studies for row, n in s.own_seeds(scale, seeds.each).items()}
    rows = seeds.said(sum(len(study.rows) for study in studies), own)
    more = f"{options.learning_rates.said()}{said_of_checkpoints(scale.baseline.finetune)}"
    say(
        console,
        **{name: f"{said}: {rows}{more}" for name, said in which.items()},
        scale=f"{scale.name}: {scale.purpose}",
        stages=places,
        precision=f"{precision.value} ({precision.why})",
        **said_of_init(scale.baseline),
        **options.said_of_lanes(),
        store=store.shown_uri,
        tracking=f"{tracker.uri}, experiment {tracker.experiment}",
    )


def say_where_traces_are(plan: Plan, before: Collection[str], store: Store, console: Console) -> None:
    """Says where the traces of a profiled run lie, and that what was finished ``before`` has got none."""
    from t5core.training.profiling import TRACE_FILE  # imports PyTorch, for which a plan need not wait

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
