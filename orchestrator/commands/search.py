"""From a command line to a search: what ``python studies/mixing_search.py`` does.

    flags ──► experiment, fixed mixtures ──► Optuna study ──► trials on Ray ──► table of trials, MLflow

Exit codes as for studies. A search that was stopped goes on with the same command.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import optuna
from rich.console import Console

from orchestrator.commands.addresses import default_storage_url
from orchestrator.commands.console import exit_code, plain_console, say
from orchestrator.commands.flags import Options
from orchestrator.commands.init import said_of_init
from orchestrator.commands.plan_shown import show_plan
from orchestrator.commands.progress import Progress
from orchestrator.commands.study import FREE_BYTES_WANTED, say_where_traces_are
from orchestrator.engine.events import Event
from orchestrator.engine.inline import run_locally
from orchestrator.engine.on_ray.run import run_plan
from orchestrator.plan.cost import bytes_left
from orchestrator.plan.expand import stages_of
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.plan import LIKELIHOOD, Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import Scale, Study
from orchestrator.results.rows import rejected_input
from orchestrator.search.search import (
    STUDY,
    Ended,
    Listener,
    Running,
    Search,
    average,
    open_study,
    search_name,
)
from orchestrator.search.shown import render_trials, trials_json
from orchestrator.search.space import SPACES, Fixed, Space
from orchestrator.store import StageBusy, Store, open_store
from orchestrator.store.plans import write_plan
from orchestrator.store.runs import running
from orchestrator.tracking.writer import Tracker
from t5core.arguments import OneLineParser
from t5core.errors import ConfigError
from t5core.readable import duration
from t5core.uris import masked

LANES_AT_MOST = 4
"""Trials side by side, unless ``--lanes`` says otherwise: the more of them, the less each knows of the others."""

FixedMixtures = Callable[[Experiment], Sequence[Fixed]]


def main(
    study: Study,
    fixed: FixedMixtures,
    scales: Mapping[str, Scale],
    argv: Sequence[str] | None = None,
    *,
    unsupervised: float,
) -> int:
    """Searches from the command line; returns the exit code.

    Args:
        study: whose experiment is varied.
        fixed: the mixtures that are tried first, for an experiment.
        scales: by name.
        argv: None for the process's own.
        unsupervised: artificial size of the unlabeled text.
    """

    def run() -> int:
        options = Options.parse(f"{study.title}: search", list(scales), argv, _flags, rows=False)
        return _search(study, fixed, scales, options, unsupervised)

    return exit_code(run)


def _flags(parser: OneLineParser) -> None:
    add = parser.add_argument
    add("--trials", type=int, default=12, metavar="N", help="in all, those of earlier runs counted (default: 12)")
    add("--space", default=SPACES[0], help=f"what is varied: one of {', '.join(SPACES)} (default: %(default)s)")
    storage = "Optuna's database, sqlite:///FILE or postgresql://... (default: %(default)s)"
    add("--storage", default=default_storage_url(), metavar="URL", help=storage)
    add("--sampler-seed", type=int, default=0, metavar="N", help="of the sampler (default: 0)")


def _search(
    study: Study, fixed: FixedMixtures, scales: Mapping[str, Scale], options: Options, unsupervised: float
) -> int:
    started_s = time.monotonic()
    console = plain_console(to_stderr=options.json)
    more = options.more
    for name, least in (("trials", 1), ("sampler_seed", 0)):
        if more[name] < least:
            raise ConfigError(name, more[name], f"give a whole number from {least} up")
    scale = options.scale_of(scales, study)
    experiment = study.baseline_of(scale)
    mixtures = tuple(fixed(experiment))
    store = open_store(options.store)
    space = Space(name=more["space"], fixed=mixtures, unsupervised=unsupervised)
    starts = _starts(experiment, [start for start, _ in space.starts()] or mixtures, scale.name)
    if options.plan:
        return show_plan(starts, store, console, as_json=options.json)
    name = search_name(STUDY, scale.name, space.name, experiment, store.uri)
    store.check_writable(FREE_BYTES_WANTED)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_held(store, name))
        if space.name == "rates":
            space = _with_sizes(space, experiment, store, options)
        trials = open_study(more["storage"], name, more["sampler_seed"])
        tracker = stack.enter_context(Tracker.open(options.tracking_uri, STUDY, scale.name, store))
        at_once = options.lanes or min(LANES_AT_MOST, os.cpu_count() or 1)
        stack.enter_context(_database_errors(more["storage"]))
        search = Search(
            trials,
            space,
            experiment,
            store,
            total=more["trials"],
            at_once=at_once,
            listener=_told(tracker, store, {"search": name, "space": space.name}),
            scale=scale.name,
        )
        stack.callback(_stop_trials, search, tracker)
        left = max(0, more["trials"] - search.done())
        store.check_writable(FREE_BYTES_WANTED + left * bytes_left(starts, ()) // len(starts.rows))
        search.replay()
        _say(console, name, scale, space, search, options, tracker, at_once)
        refused = _driven(name, search, tracker, store, options, console)
        if refused is not None:
            print(f"error: {refused}", file=sys.stderr)
            return 2
        if options.json:
            print(json.dumps(trials_json(name, trials), ensure_ascii=False), flush=True)
        else:
            render_trials(trials, experiment, console)
            console.print(f"{duration(time.monotonic() - started_s)} in all", highlight=False)
        if search.failed or search.open:
            why = search.error or search.last_error or "no lane was left to run it"
            again = "the same command tries fixed mixtures again"
            print(f"{search.failed} trial(s) failed: {why}; {again}", file=sys.stderr)
            return 1
        return 0


@contextlib.contextmanager
def _database_errors(storage: str) -> Iterator[None]:
    """Says in one line when Optuna's database fails."""
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        reason = masked(" ".join(str(error).split())[:200])
        way_out = f"the database failed ({reason}); what is finished is kept, the same command goes on from there"
        raise ConfigError("storage", masked(storage), way_out) from error


def _stop_trials(search: Search, tracker: Tracker) -> None:
    """Ends the runs of trials that have not ended: the driver stops."""
    for trial in search.running():
        tracker.row_finished(trial.row, "stopped", {})


def _driven(
    name: str, search: Search, tracker: Tracker, store: Store, options: Options, console: Console
) -> str | None:
    """Runs trials until there are enough; returns why preparation refused its input, if it did."""
    plan = search.begin()
    if plan is None:
        return None
    write_plan(store, plan, name)
    before = {manifest.key for manifest in store.manifests()} if options.profile else set()
    with running(store, name) as run, Progress(plan, console=console) as progress:

        def stopped() -> None:
            run.ends("stopped")
            _stop_trials(search, tracker)

        steered = _Steered(search, progress, store, name, plan)
        outcomes = run_plan(
            plan,
            store,
            accelerator=options.accelerator,
            num_lanes=options.lanes,
            parallel=options.parallel,
            mesh=options.lane_mesh,
            events=progress,
            steering=steered,
            stopped=stopped,
        )
        refused = rejected_input(outcomes)
        run.ends("refused" if refused is not None else "finished" if outcomes.ok else "failed")
    if options.profile:
        say_where_traces_are(steered.plan, before, store, console)
    return refused


class _Steered:
    """The search, whose new rows the display shows and the store's plan holds as well."""

    def __init__(self, search: Search, progress: Progress, store: Store, name: str, plan: Plan) -> None:
        self._search = search
        self._progress = progress
        self._store = store
        self._name = name
        self.plan = plan

    @property
    def open(self) -> bool:
        return self._search.open

    def after(self, event: Event) -> Plan | None:
        more = self._search.after(event)
        if more is not None:
            self._progress.extend(more)
            self.plan = self.plan.extended(more)
            write_plan(self._store, self.plan, self._name)
        return more


def _told(tracker: Tracker, store: Store, common: Mapping[str, object]) -> Listener:
    """Makes an MLflow run of every trial, with what all trials of the search have in common."""

    def started(running: Running) -> None:
        fixed = {"fixed": running.label} if running.fixed else {}
        tracker.row_started(replace(running.row, axes={**common, **running.row.axes, **fixed}))

    def ended(running: Running, how: Ended, scores: Mapping[str, float]) -> None:
        for stage in running.needed().values():
            manifest = store.finished(stage)
            if manifest is not None:
                tracker.stage_finished(running.row, stage, manifest)
        final = dict(scores)
        if scores:
            final["average"] = average(scores)
        tracker.row_finished(running.row, how, final)

    return Listener(started=started, ended=ended)


def _starts(experiment: Experiment, fixed: Sequence[Fixed], scale: str) -> Plan:
    rows = []
    for mixture in fixed:
        stages = stages_of(experiment.replace(multitask=mixture.mixture), mixture.name)
        del stages[LIKELIHOOD]  # trials are compared by their scores
        rows.append((PlannedRow(name=mixture.name, label=mixture.label), stages))
    return Plan.of(STUDY, scale, rows)


def _with_sizes(space: Space, experiment: Experiment, store: Store, options: Options) -> Space:
    """Prepares the tasks, whose sizes the fixed mixtures' rates follow from."""
    starts = _starts(experiment, space.fixed[:1], options.scale)
    stages = {role: starts.stages[key] for role, key in starts.rows[0].stages.items()}
    wanted = {role: stage for role, stage in stages.items() if role in ("corpus", "tasks")}
    # in this process: one Ray after another in a driver has been seen to crash in Ray itself, now and then
    outcomes = run_locally(Plan.of(STUDY, options.scale, [(PlannedRow(name="tasks"), wanted)]), store)
    refused = rejected_input(outcomes)
    manifest = store.finished(stages["tasks"])
    if manifest is None:
        raise ConfigError("tasks", ",".join(experiment.tasks.names), refused or "their examples could not be prepared")
    ending = ".train"
    sizes = {k.removesuffix(ending): float(v) for k, v in manifest.result.items() if k.endswith(ending)}
    return Space(
        name=space.name, fixed=space.fixed, unsupervised=space.unsupervised, tasks=tuple(sorted(sizes)), sizes=sizes
    )


@contextlib.contextmanager
def _held(store: Store, name: str) -> Iterator[None]:
    """Holds the search against other drivers."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(store.lease(Stage(kind="search", name=name, config={"search": name}, settings={})))
        except StageBusy as busy:
            raise ConfigError("search", name, f"another driver is at it ({busy}); wait for it, or stop it") from busy
        yield


def _say(
    console: Console,
    name: str,
    scale: Scale,
    space: Space,
    search: Search,
    options: Options,
    tracker: Tracker,
    at_once: int,
) -> None:
    done, total = search.done(), options.more["trials"]
    say(
        console,
        search=f"{name}: {total} trials, {done} of them are there; {at_once} at a time",
        scale=f"{scale.name}: {scale.purpose}",
        space=f"{space.name}; first the paper's {len(space.starts())} fixed mixtures, which are never pruned",
        **said_of_init(scale.baseline),
        **options.said_of_lanes(),
        storage=f"{masked(options.more['storage'])} (optuna-dashboard opens it)",
        tracking=f"{tracker.uri}, experiment {tracker.experiment}",
    )
