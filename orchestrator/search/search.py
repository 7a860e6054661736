"""A search over mixtures: Optuna proposes, the plan's stages answer.

    ask ──► mixture ──► part 1 ──► scores ──► go on? ──► part 2 ──► scores ──► ... ──► tell
                                      └──► weak: pruned

Every trial is a row of a plan, its parts and evaluations are stages like all others, and so they are shared: a trial
that has the mixture of a study's row, or of a trial before it, is answered from the store at once. ``Search`` steers
a run (see engine/steering.py): some trials run side by side, and when one ends the next is asked for.

The first trials are the paper's fixed mixtures. They are never pruned, so the best trial is at least as good as the
best of them.

Optuna's storage is the record of the trials, the store that of their results. A driver that was killed leaves its
running trials behind: the next one closes them and asks for the same mixtures again. Only one driver
at a time may hold a search; a lease in the store sees to that.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from orchestrator.engine.events import Event, StageFailed, StageFinished, StageSkipped
from orchestrator.plan.expand import evaluation, stages_of
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.search.space import Space
from orchestrator.store import Manifest, Store
from t5core.config import MixtureConfig
from t5core.errors import ConfigError
from t5core.mixing import UNSUPERVISED
from t5core.tasks import judged, tasks_of
from t5core.uris import check_user_info, local_path, masked_address

STUDY = "mixing_search"
"""What a search's trials are rows of: the name of its plan and of its experiment in MLflow."""

MAX_FAILURES = 3
"""So many failed trials in a row end the search: the next would fail as well."""

INSTEAD_OF, ORIGIN, FIXED, LABEL = "instead_of", "origin", "fixed", "label"
"""Attributes of a trial in Optuna's storage."""
MIXTURE, RATES, SCORES = "mixture", "rates", "scores"

Ended = Literal["finished", "pruned", "failed"]


@dataclass(kw_only=True)
class Running:
    """A trial that runs.

    Attributes:
        row: with all its stages, those of later parts too.
        parts: the stages of each part: what trains, what evaluates it.
        part: which of them is being done, from 0.
    """

    trial: optuna.Trial | FrozenTrial
    label: str
    fixed: bool
    row: PlannedRow
    common: Mapping[str, Stage]
    parts: tuple[tuple[Stage, Stage], ...]
    part: int = 0

    def needed(self) -> dict[str, Stage]:
        """Returns the stages up to the present part by role, each after what it reads."""
        return _by_role(self.common, self.parts[: self.part + 1])

    @property
    def evaluated(self) -> Stage:
        """The stage whose scores are waited for."""
        return self.parts[self.part][1]


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Whom a search tells of its trials; nobody by default."""

    started: Callable[[Running], None] = field(default=lambda _: None)
    ended: Callable[[Running, Ended, Mapping[str, float]], None] = field(default=lambda *_: None)


class Search:
    """Some trials of one Optuna study, run by steering a plan.

    Args:
        study: maximises the average score; its storage is this driver's alone.
        space: what is varied.
        experiment: of every trial but for its mixture; its ``parts`` are where a trial may be pruned.
        store: where results are.
        total: trials in all, those of earlier runs counted, failed ones too.
        at_once: trials side by side.
        listener: is told of every trial.
        scale: name of the experiment's scale, for the plan.

    Attributes:
        error: why it ended early; "" as long as it did not.
        failed: trials of this run that failed.
        last_error: why the last of them did.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        experiment: Experiment,
        store: Store,
        *,
        total: int,
        at_once: int,
        listener: Listener | None = None,
        scale: str = "",
    ) -> None:
        if total < 1:
            raise ConfigError("trials", total, "give 1 or more")
        if experiment.ensemble is not None:
            raise ConfigError("ensemble", experiment.ensemble.kind, "a search tries single models: leave it out")
        self.study = study
        self._space = space
        self._experiment = experiment
        self._store = store
        self._total = total
        self._at_once = at_once
        self._listener = listener or Listener()
        self._scale = scale
        self._tasks = judged(tasks_of(experiment.tasks))
        self._running: dict[int, Running] = {}
        self._failures = 0
        self.error = ""
        self.failed = 0
        self.last_error = ""
        self._take_up()

    def replay(self) -> None:
        """Tells the listener of every trial that ended before, in case an earlier driver was killed before it could."""
        for trial in self.study.get_trials(deepcopy=False):
            scores, parts = trial.user_attrs.get(SCORES), len(trial.intermediate_values)
            if not trial.state.is_finished() or not scores or not parts:
                continue
            mixture = MixtureConfig.from_json(trial.user_attrs[MIXTURE])
            running = self._prepared(trial, mixture, FIXED in trial.user_attrs)
            running.part = parts - 1
            self._listener.started(running)
            self._listener.ended(running, "finished" if trial.state is TrialState.COMPLETE else "pruned", scores)

    def running(self) -> list[Running]:
        """Returns the trials that run."""
        return list(self._running.values())

    @property
    def open(self) -> bool:
        """Whether a trial runs, and so more stages may come."""
        return bool(self._running)

    def begin(self) -> Plan | None:
        """Asks for the first trials; returns what they need, None when there is nothing left to run."""
        return self._filled([])

    def after(self, event: Event) -> Plan | None:
        """Takes the scores of a finished evaluation, or a failure; returns what is needed next."""
        rows: list[Running] = []
        match event:
            case StageFinished():
                for running in [r for r in self._running.values() if r.evaluated.key == event.key]:
                    rows += self._advanced(running)
            case StageFailed(final=True) | StageSkipped():
                why = event.error if isinstance(event, StageFailed) else "a stage that it reads failed"
                for running in [r for r in self._running.values() if event.key in _keys(r)]:
                    self._end(running, "failed", {}, why)
            case _:
                return None
        return self._filled(rows)

    def done(self) -> int:
        """Returns how many trials have ended, those of earlier runs counted, those that were left behind not."""
        replaced = {
            t.user_attrs[INSTEAD_OF] for t in self.study.get_trials(deepcopy=False) if INSTEAD_OF in t.user_attrs
        }
        ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return sum(t.state in ended and t.number not in replaced for t in self.study.get_trials(deepcopy=False))

    def _take_up(self) -> None:
        """Queues what is to be tried first, and what an earlier driver left running or could not finish.

        A fixed mixture is queued unless it waits or has a score; one that failed is tried again. First all is queued,
        then closed: a driver that is killed in between forgets none, and what is asked for twice the store answers.
        """
        trials = self.study.get_trials(deepcopy=False)
        left = [t for t in trials if t.state is TrialState.RUNNING]
        replaced = {t.user_attrs[INSTEAD_OF] for t in trials if INSTEAD_OF in t.user_attrs}
        for trial in left:
            if trial.number not in replaced:
                attrs = {name: value for name, value in trial.user_attrs.items() if name in (FIXED, LABEL, MIXTURE)}
                point = trial.params or trial.system_attrs.get("fixed_params", {})
                self.study.enqueue_trial(point, user_attrs={**attrs, **_in_place_of(trial)})
        there = {t.user_attrs.get(FIXED) for t in trials if t.state is not TrialState.FAIL}
        failed = {t.user_attrs.get(FIXED): t for t in trials if t.state is TrialState.FAIL}
        for fixed, point in self._space.starts():
            if fixed.name not in there:
                attrs = {FIXED: fixed.name, LABEL: fixed.label, MIXTURE: fixed.mixture.to_json()}
                again = _in_place_of(failed[fixed.name]) if fixed.name in failed else {}
                self.study.enqueue_trial(point, user_attrs={**attrs, **again})
        for trial in left:
            self.study.tell(trial.number, state=TrialState.FAIL)

    def _filled(self, rows: list[Running]) -> Plan | None:
        """Asks for trials until so many run as may; returns the plan of those in ``rows`` and the new ones."""
        while len(self._running) < self._at_once and not self.error:
            if self.done() + len(self._running) >= self._total:
                break
            rows = [*rows, *self._advanced(self._asked())]
        plan = [(r.row, r.needed()) for r in rows if r.trial.number in self._running]
        return Plan.of(STUDY, self._scale, plan) if plan else None

    def _asked(self) -> Running:
        trial = self.study.ask()
        fixed = trial.user_attrs.get(FIXED)
        suggested = self._space.suggest(trial)
        mixture = suggested if fixed is None else MixtureConfig.from_json(trial.user_attrs[MIXTURE])
        trial.set_user_attr(MIXTURE, mixture.to_json())
        running = self._prepared(trial, mixture, fixed is not None)
        self._running[trial.number] = running
        self._listener.started(running)
        return running

    def _prepared(self, trial: optuna.Trial | FrozenTrial, mixture: MixtureConfig, fixed: bool) -> Running:
        name = row_name(trial)
        experiment = self._experiment.replace(multitask=mixture)
        stages = stages_of(experiment, name)
        training = [stage for stage in stages.values() if stage.kind == "multitask"]
        parts = []
        for number, stage in enumerate(training, start=1):
            label = name if number == len(training) else f"{name}-part{number}"
            parts.append((stage, evaluation(experiment, stages, [stage], label)))
        common = {role: stage for role, stage in stages.items() if not stage.accelerated}
        label = title(trial)
        keys = {role: stage.key for role, stage in _by_role(common, parts).items()}
        return Running(
            trial=trial,
            label=label,
            fixed=fixed,
            row=PlannedRow(name=name, stages=keys, label=label, axes=dict(trial.params), tasks=tuple(self._tasks)),
            common=common,
            parts=tuple(parts),
        )

    def _advanced(self, running: Running) -> list[Running]:
        """Takes all scores that are there; returns the trial if it has work left, and nothing when it ended."""
        while (manifest := self._store.finished(running.evaluated)) is not None:
            scores = self._scores(manifest)
            running.trial.report(average(scores), running.part + 1)
            if running.part + 1 == len(running.parts):
                self._end(running, "finished", scores)
                return []
            if not running.fixed and running.trial.should_prune():
                self._end(running, "pruned", scores)
                return []
            running.part += 1
        return [running]

    def _scores(self, manifest: Manifest) -> dict[str, float]:
        scores = manifest.result["scores"]
        return {name: task.main_score(scores[name]) for name, task in self._tasks.items()}

    def _end(self, running: Running, how: Ended, scores: Mapping[str, float], why: str = "") -> None:
        trial = running.trial
        trial.set_user_attr(SCORES, dict(scores))
        trained = self._store.finished(running.parts[0][0])
        if trained is not None:
            trial.set_user_attr(RATES, trained.result["rates"])
        if how == "finished":
            self.study.tell(trial.number, average(scores))
        else:
            self.study.tell(trial.number, state=TrialState.PRUNED if how == "pruned" else TrialState.FAIL)
        del self._running[trial.number]
        self._failures = self._failures + 1 if how == "failed" else 0
        self.failed += how == "failed"
        self.last_error = why or self.last_error
        if self._failures >= MAX_FAILURES:
            self.error = f"{self._failures} trials in a row failed, the last one: {why}"
        self._listener.ended(running, how, scores)


def _in_place_of(trial: FrozenTrial) -> dict[str, int]:
    return {INSTEAD_OF: trial.number, ORIGIN: trial.user_attrs.get(ORIGIN, trial.number)}


def row_name(trial: optuna.Trial | FrozenTrial) -> str:
    """Returns a trial's row, and the name of its MLflow run: that of the trial it goes on with, if there is one."""
    return f"trial-{trial.user_attrs.get(ORIGIN, trial.number):03d}"


def _keys(running: Running) -> set[str]:
    return {stage.key for stage in running.needed().values()}


def _by_role(common: Mapping[str, Stage], parts: Sequence[tuple[Stage, Stage]]) -> dict[str, Stage]:
    stages = dict(common)
    for number, (training, evaluated) in enumerate(parts, start=1):
        stages[f"multitask{number}"] = training
        stages[f"evaluate{number}"] = evaluated
    return stages


def title(trial: optuna.Trial | FrozenTrial) -> str:
    """Returns what a trial tries, for people: a fixed mixture's label, or the sampler's numbers."""
    if LABEL in trial.user_attrs:
        return str(trial.user_attrs[LABEL])
    names = {"maximum_between": "K at", "temperature": "T"}
    return ", ".join(f"{names.get(k, k.removeprefix('weight.'))} {v:.2g}" for k, v in trial.params.items())


def average(scores: Mapping[str, float]) -> float:
    """Returns what is maximised: the mean of the tasks' main scores."""
    return sum(scores.values()) / len(scores)


def open_study(storage: str, name: str, seed: int) -> optuna.Study:
    """Opens a study in a database, or makes it.

    Args:
        storage: a URL: ``sqlite:///search.db``, ``postgresql://host/database``.
        name: of the study.
        seed: of the sampler.

    Raises:
        ConfigError: no such kind of database, or it cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    check_user_info(storage, "storage")
    try:
        database = optuna.storages.RDBStorage(url=_with_home(storage))
        study = optuna.create_study(
            storage=database,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
        )
        # the sampler's own randomness is not in the database: a search that goes on must not draw the same again
        drawn = seed + len(study.get_trials(deepcopy=False))
        study.sampler = optuna.samplers.TPESampler(seed=drawn, multivariate=True, constant_liar=True)
        return study
    except ConfigError:
        raise
    except Exception as error:  # SQLAlchemy and the drivers each raise their own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        way_out = f"this database cannot be used ({reason}); give a URL like sqlite:///search.db"
        if isinstance(error, ImportError) or "import" in reason:
            way_out = f"a package for it is missing ({reason}); for postgresql:// install psycopg2-binary"
        raise ConfigError("storage", masked_address(storage), way_out) from error


def _with_home(storage: str) -> str:
    """A URL whose sqlite file has a folder, and its ``~`` replaced; others as they are."""
    scheme, _, name = storage.partition(":///")
    if scheme.partition("+")[0].lower() != "sqlite" or name in ("", ":memory:"):
        return storage
    prefix = "file:" if name.startswith("file:") else ""
    file, question, query = name.removeprefix(prefix).partition("?")
    path = local_path(file, "storage")
    if path.is_dir():
        raise ConfigError("storage", storage, f"this is a folder: name a file in it, {scheme}:///{path}/search.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"{scheme.lower()}:///{prefix}{path}{question}{query}"


def search_name(study: str, scale: str, space: str, experiment: Experiment, store_uri: str) -> str:
    """Returns the name under which Optuna keeps a search: another experiment or another store is another search.

    The store is in it because its lease guards the search, and because the trials' results lie there.
    """
    place = hashlib.sha256(store_uri.encode()).hexdigest()[:4]
    stages = stages_of(experiment.replace(multitask=MixtureConfig(kind="equal", unsupervised=1.0)), "any")
    return f"{study}-{scale}-{space}-{stages['evaluate'].key[:8]}-{place}"


def rates_table(trial: Any) -> dict[str, float]:
    """Returns a trial's rates by task, the unlabeled text last; empty if it never trained."""
    rates: dict[str, float] = dict(trial.user_attrs.get(RATES, {}))
    text = rates.pop(UNSUPERVISED, None)
    return rates if text is None else {**rates, UNSUPERVISED: text}
