"""A search over mixtures on the micro experiment: real stages, a real Optuna database, without Ray."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import micro_study
import pytest
from optuna.trial import TrialState

from orchestrator.engine.events import Event, StageFinished, StageStarted
from orchestrator.engine.inline import run_locally
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.search.search import Ended, Listener, Running, Search, open_study, search_name
from orchestrator.search.space import Fixed, Space
from orchestrator.stages import run_stage
from orchestrator.store import open_store
from t5core.config import MixtureConfig, ObjectiveConfig
from t5core.corpora import identify
from t5core.errors import ConfigError

SIZE = 2.0**40
EQUAL = Fixed(name="equal", label="Equal", mixture=MixtureConfig(kind="equal", unsupervised=SIZE), place=0.0)
LIMITED = Fixed(name="limit", label="K", mixture=MixtureConfig(maximum_between=0.5, unsupervised=SIZE), place=0.5)
HOT = Fixed(
    name="T-2",
    label="T",
    mixture=MixtureConfig(maximum_between=0.5, temperature=2.0, unsupervised=SIZE),
    place=0.5,
)
FIXED = (EQUAL, LIMITED, HOT)
MIXTURES = Space(name="mixture", fixed=FIXED, unsupervised=SIZE)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    corpus = micro_study.write_documents(tmp_path_factory.mktemp("search") / "text.jsonl")
    e = micro_study.experiment(corpus)
    return e.replace(
        corpus=identify(e.corpus),
        objective=ObjectiveConfig(),
        parts=2,
        pretrain=e.pretrain.replace(steps=4),
        finetune=e.finetune.replace(steps=2),
        tasks=e.tasks.replace(names=("doc_acceptability", "doc_cloze"), train_examples=40),
    )


@dataclass
class Log:
    """What a search told its listener, and which stages ran."""

    started: list[str] = field(default_factory=list)
    ended: list[tuple[str, Ended]] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)

    def listener(self) -> Listener:
        return Listener(
            started=lambda running: self.started.append(running.label),
            ended=lambda running, how, _: self.ended.append((running.label, how)),
        )

    def event(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self.ran.append(event.key)


def searched(
    experiment: Experiment, folder: Path, total: int, *, space: Space = MIXTURES, at_once: int = 2, **options: Any
) -> tuple[Search, Log]:
    """Runs a search to its end."""
    log = Log()
    store = open_store(folder / "store")
    study = open_study(f"sqlite:///{folder}/search.db", "s", 0)
    search = Search(study, space, experiment, store, total=total, at_once=at_once, listener=log.listener())
    plan = search.begin()
    if plan is not None:
        run_locally(plan, store, events=log.event, steering=search, **options)
    return search, log


@pytest.fixture(scope="module")
def done(experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Search, Log]:
    folder = tmp_path_factory.mktemp("done")
    return folder, *searched(experiment, folder, 5)


def test_the_fixed_mixtures_come_first_and_all_of_them_are_trained_to_the_end(done: tuple[Path, Search, Log]) -> None:
    _, search, log = done
    assert log.started[:3] == ["Equal", "K", "T"]
    states = {t.number: t.state for t in search.study.get_trials()}
    assert len(states) == 5 and [states[n] for n in range(3)] == [TrialState.COMPLETE] * 3
    best_fixed = max(t.value for t in search.study.get_trials()[:3])
    assert search.study.best_value >= best_fixed
    assert not search.open and search.done() == 5


def test_a_trial_reports_after_each_part_and_keeps_scores_and_rates(done: tuple[Path, Search, Log]) -> None:
    _, search, _ = done
    for trial in search.study.get_trials()[:3]:
        assert list(trial.intermediate_values) == [1, 2]
        scores = trial.user_attrs["scores"]
        assert set(scores) == {"doc_acceptability", "doc_cloze"}
        assert trial.value == pytest.approx(sum(scores.values()) / 2) == trial.intermediate_values[2]
        assert sum(trial.user_attrs["rates"].values()) == pytest.approx(1.0)
    equal = search.study.get_trials()[0].user_attrs["rates"]
    assert equal == pytest.approx(dict.fromkeys(("doc_acceptability", "doc_cloze", "unsupervised"), 1 / 3))


def test_a_search_that_is_over_starts_nothing_and_one_with_more_trials_goes_on(
    done: tuple[Path, Search, Log], experiment: Experiment
) -> None:
    folder, _, _ = done
    _, log = searched(experiment, folder, 5)
    assert log.started == log.ran == []
    more, log = searched(experiment, folder, 6)
    assert len(log.started) == 1 and more.done() == 6
    params = [tuple(t.params.values()) for t in more.study.get_trials()]
    assert len(set(params)) == len(params), "a search that goes on draws other mixtures"


def test_the_same_mixture_is_answered_from_the_store(done: tuple[Path, Search, Log], experiment: Experiment) -> None:
    folder, _, _ = done
    study = open_study(f"sqlite:///{folder}/search.db", "another", 0)
    log = Log()
    store = open_store(folder / "store")
    search = Search(study, MIXTURES, experiment, store, total=3, at_once=2, listener=log.listener())
    assert search.begin() is None, "nothing has to run"
    assert log.ended == [("Equal", "finished"), ("K", "finished"), ("T", "finished")]


class Killed(Exception):
    """Stands for the end of a driver."""


def test_what_a_killed_driver_left_running_is_asked_for_again_and_counts_once(
    experiment: Experiment, tmp_path: Path
) -> None:
    evaluated = 0

    def dies(event: Event) -> None:
        nonlocal evaluated
        evaluated += isinstance(event, StageStarted) and event.key in evaluations
        if evaluated == 4:
            raise Killed

    store = open_store(tmp_path / "store")
    study = open_study(f"sqlite:///{tmp_path}/search.db", "s", 0)
    evaluations: set[str] = set()
    search = Search(study, MIXTURES, experiment, store, total=4, at_once=2)
    original = search.after

    def after(event: Event) -> Plan | None:
        more = original(event)
        evaluations.update(k for k, s in (more.stages if more else {}).items() if s.kind == "evaluate")
        return more

    search.after = after  # type: ignore[method-assign]
    plan = search.begin()
    assert plan is not None
    evaluations.update(k for k, s in plan.stages.items() if s.kind == "evaluate")
    with pytest.raises(Killed):
        run_locally(plan, store, events=dies, steering=search)
    left = [t.number for t in study.get_trials() if t.state is TrialState.RUNNING]
    assert left

    again, log = searched(experiment, tmp_path, 4)
    trials = again.study.get_trials()
    assert again.done() == 4
    assert [t.state for t in trials if t.number in left] == [TrialState.FAIL] * len(left)
    replacing = {t.user_attrs["instead_of"]: t for t in trials if "instead_of" in t.user_attrs}
    assert set(replacing) == set(left)
    for number, trial in replacing.items():
        assert trial.params == trials[number].params and trial.state.is_finished()
        assert trial.user_attrs.get("fixed") == trials[number].user_attrs.get("fixed")
    assert {t.user_attrs.get("fixed") for t in trials if t.state is TrialState.COMPLETE} >= {"equal", "limit", "T-2"}
    assert len(log.ran) == len(set(log.ran)), "no stage runs twice"


def test_weak_trials_are_pruned_but_no_fixed_one(experiment: Experiment, tmp_path: Path) -> None:
    scores = iter([50.0, 51.0, 52.0, 50.0, 51.0, 52.0, 50.0, 51.0, 1.0, 1.0, 1.0, 1.0])
    fixed = tuple(Fixed(name=f"f{i}", label=f"f{i}", mixture=m.mixture, place=m.place) for i, m in enumerate(FIXED))
    more = Fixed(name="f3", label="f3", mixture=MixtureConfig(maximum_between=0.9, unsupervised=SIZE), place=0.9)

    def scored(stage: Stage, inputs: Any, work: Path, device: Any, report: Any) -> dict[str, Any]:
        if stage.kind == "evaluate":
            score = next(scores)
            return {"scores": {name: {"matthews": score, "em": score} for name in experiment.tasks.names}}
        return run_stage(stage, inputs, work, device, report)

    space = Space(name="mixture", fixed=(*fixed, more), unsupervised=SIZE)
    search, log = searched(experiment, tmp_path, 6, space=space, at_once=1, run_stage=scored)
    assert [how for _, how in log.ended] == ["finished"] * 4 + ["pruned"] * 2
    pruned = [t for t in search.study.get_trials() if t.state is TrialState.PRUNED]
    assert [list(t.intermediate_values) for t in pruned] == [[1], [1]]


def test_trials_that_keep_failing_end_the_search(experiment: Experiment, tmp_path: Path) -> None:
    def broken(stage: Stage, inputs: Any, work: Path, device: Any, report: Any) -> dict[str, Any]:
        if stage.kind == "multitask":
            raise ValueError("no memory")
        return run_stage(stage, inputs, work, device, report)

    search, log = searched(experiment, tmp_path, 9, at_once=1, run_stage=broken, max_attempts=1)
    assert [how for _, how in log.ended] == ["failed"] * 3
    assert search.error == "3 trials in a row failed, the last one: ValueError: no memory"


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("mixture", [(0.0, 1.0), (0.5, 1.0), (0.5, 2.0)]),
        ("maximum", [(0.0,), (0.5,)]),
        ("temperature", [(1.0,), (2.0,)]),
    ],
)
def test_fixed_mixtures_are_points_of_the_space(name: str, points: list[tuple[float, ...]]) -> None:
    space = Space(name=name, fixed=FIXED, unsupervised=SIZE)
    assert [tuple(point.values()) for _, point in space.starts()] == points


def test_single_rates_are_varied_for_every_task_and_the_text() -> None:
    sizes = {"a": 100.0, "b": 400.0}
    space = Space(name="rates", fixed=FIXED, unsupervised=SIZE, tasks=("a", "b"), sizes=sizes)
    points = [point for _, point in space.starts()]
    assert points[0] == {"weight.a": 1.0, "weight.b": 1.0, "weight.unsupervised": 1.0}
    assert points[1] == {"weight.a": 0.5, "weight.b": 1.0, "weight.unsupervised": 1.0}
    study = open_study("sqlite://", "s", 0)
    mixture = space.suggest(study.ask())
    assert mixture.kind == "weights" and [w.name for w in mixture.weights] == ["a", "b", "unsupervised"]
    assert sum(w.weight for w in mixture.weights) == pytest.approx(1.0)


def test_another_experiment_is_another_search(experiment: Experiment) -> None:
    names = {
        search_name("mixing", "tiny", "mixture", e, "store")
        for e in (experiment, experiment.replace(parts=1), experiment.replace(seed=1))
    }
    assert len(names) == 3
    assert search_name("mixing", "tiny", "mixture", experiment, "store") in names


@pytest.mark.parametrize(
    ("make", "start"),
    [
        (lambda: Space(name="rate", fixed=(), unsupervised=1.0), "space='rate': choose one of mixture, maximum,"),
        (lambda: open_study("sqlit:///x", "s", 0), "storage='sqlit:///x': this database cannot be used ("),
        (lambda: open_study("postgresql://ann:secret@127.0.0.1:9/x", "s", 0), "storage='postgresql://***@127"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(make: Any, start: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value).startswith(start)
    assert "secret" not in str(caught.value)


def test_the_listener_is_told_the_row_with_all_its_stages(experiment: Experiment, tmp_path: Path) -> None:
    rows: list[Running] = []
    study = open_study(f"sqlite:///{tmp_path}/search.db", "s", 0)
    store = open_store(tmp_path / "store")
    search = Search(study, MIXTURES, experiment, store, total=1, at_once=1, listener=Listener(started=rows.append))
    plan = search.begin()
    assert plan is not None
    assert set(rows[0].row.stages) == {
        *("corpus", "vocabulary", "tasks", "tokens"),
        *("multitask1", "evaluate1", "multitask2", "evaluate2"),
    }
    assert {stage.kind for stage in plan.stages.values()} >= {"multitask", "evaluate"}
    assert len([s for s in plan.stages.values() if s.kind == "multitask"]) == 1, "only what the first part needs"
    assert search.after(StageFinished(key="another", lane="", seconds=0.0, cached=False)) is None


def test_a_fixed_mixture_that_failed_is_tried_again_by_the_next_run(experiment: Experiment, tmp_path: Path) -> None:
    def broken(stage: Stage, inputs: Any, work: Path, device: Any, report: Any) -> dict[str, Any]:
        if stage.kind == "multitask" and stage.config["mixture"]["temperature"] == 2.0:
            raise ValueError("no memory")
        return run_stage(stage, inputs, work, device, report)

    search, log = searched(experiment, tmp_path, 3, at_once=1, run_stage=broken, max_attempts=1)
    assert dict(log.ended) == {"Equal": "finished", "K": "finished", "T": "failed"}
    assert (search.failed, search.last_error, search.done()) == (1, "ValueError: no memory", 3)
    again, log = searched(experiment, tmp_path, 3)
    assert log.ended == [("T", "finished")] and again.done() == 3
    assert {t.user_attrs["fixed"] for t in again.study.get_trials() if t.state is TrialState.COMPLETE} == {
        *("equal", "limit", "T-2")
    }


def test_trials_that_ended_before_can_be_told_again(done: tuple[Path, Search, Log], experiment: Experiment) -> None:
    folder, _, before = done
    told: list[tuple[str, str, Ended, int]] = []
    listener = Listener(ended=lambda r, how, scores: told.append((r.row.name, r.label, how, len(r.needed()))))
    study = open_study(f"sqlite:///{folder}/search.db", "s", 0)
    search = Search(study, MIXTURES, experiment, open_store(folder / "store"), total=5, at_once=1, listener=listener)
    search.replay()
    assert [(name, label) for name, label, *_ in told[:3]] == [
        ("trial-000", "Equal"),
        ("trial-001", "K"),
        ("trial-002", "T"),
    ]
    assert dict(before.ended).items() <= {label: how for _, label, how, _ in told}.items()
    assert {how: needed for _, _, how, needed in told}["finished"] == 4 + 2 * experiment.parts


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_a_database_in_the_home_folder_is_not_in_one_called_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    open_study(f"{scheme}:///~/searches/x.db", "search", 0)
    assert (tmp_path / "home/searches/x.db").is_file()
    assert list((tmp_path / "here").iterdir()) == []


def test_a_password_in_the_databases_address_is_never_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        open_study("postgresql://ann:se/cr@t@127.0.0.1:1/db", "search", 0)
    assert str(refused.value) == (
        "storage='postgresql://***@127.0.0.1:1/db': in a user or password, write '@' as %40, '/' as %2F"
    )
