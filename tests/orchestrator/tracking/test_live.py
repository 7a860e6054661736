"""Rows in MLflow while a plan runs: each ends with its own last stage, and none stays open behind its driver."""

import json
from pathlib import Path

import pytest

from orchestrator.engine.events import StageFailed, StageFinished, StageSkipped, StageStarted
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.store import Store, open_store
from orchestrator.tracking.live import LiveRows, all_likelihoods
from orchestrator.tracking.writer import Tracker


class Told(Tracker):
    """Writes down what it is told, in order, and starts no thread."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def row_started(self, row: PlannedRow) -> None:
        self.lines.append(f"{row.name} started")

    def stage_finished(self, rows: object, stage: Stage, manifest: object) -> None:
        assert isinstance(rows, tuple)
        self.lines.append(f"{stage.kind} of {'+'.join(row.name for row in rows)}")

    def row_finished(self, row: PlannedRow, status: str, scores: object) -> None:
        self.lines.append(f"{row.name} {status} {json.dumps(scores)}")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def planned() -> Plan:
    """Two rows that share a corpus; each is evaluated by itself."""
    corpus = Stage.of("corpus", "text", corpus={"source": "text"})
    rows = []
    for name in "ab":
        evaluate = Stage.of("evaluate", name, inputs={"corpus": corpus}, row=name)
        rows.append((PlannedRow(name=name), {"corpus": corpus, "evaluate": evaluate}))
    return Plan.of("trial", "tiny", rows)


def finished(store: Store, plan: Plan, key: str) -> StageFinished:
    stage = plan.stages[key]
    work = store.work(stage)
    (work / "x").write_text("x")
    store.commit(stage, work, {"scores": {"doc_qa": {"em": 12.5}}})
    return StageFinished(key=key, lane="lane-1", seconds=1.0, cached=False)


def test_a_row_ends_when_its_evaluation_does_whatever_the_others_do(store: Store) -> None:
    plan, told = planned(), Told()
    a, b = plan.rows
    with LiveRows(plan, store, told) as rows:
        rows(finished(store, plan, a.stages["corpus"]))
        rows(StageStarted(key=a.stages["evaluate"], lane="lane-1", attempt=1))
        rows(finished(store, plan, a.stages["evaluate"]))
        assert told.lines[2:] == ["corpus of a+b", "evaluate of a", 'a finished {"doc_qa/em": 12.5}']
        rows(StageFailed(key=b.stages["evaluate"], error="no", attempt=1, final=False))
        assert len(told.lines) == 5
        rows(StageFailed(key=b.stages["evaluate"], error="no", attempt=2, final=True))
        assert told.lines[5:] == ["b failed {}"]
    assert len(told.lines) == 6


def test_a_row_ends_with_the_last_of_its_evaluations_and_has_bits_beside_scores(store: Store) -> None:
    corpus = Stage.of("corpus", "text", corpus={"source": "text"})
    stages = {role: Stage.of(role, "a", inputs={"corpus": corpus}) for role in ("evaluate", "likelihood")}
    plan, told = Plan.of("trial", "tiny", [(PlannedRow(name="a"), {"corpus": corpus, **stages})]), Told()
    results = {
        "likelihood": {
            "bits_per_byte": {"doc_qa": 1.5, "super_glue_wsc": None},
            "label_nats": {"doc_pair": 0.5},
            "label_auc": {"doc_pair": 75.0},
        },
        "evaluate": {"scores": {"doc_qa": {"em": 12.5}}},
    }
    with LiveRows(plan, store, told) as rows:
        rows(finished(store, plan, corpus.key))
        for role, result in results.items():
            (store.work(stages[role]) / "x").write_text("x")
            store.commit(stages[role], store.work(stages[role]), result)
            assert told.lines[-1].startswith("a ") is False
            rows(StageFinished(key=stages[role].key, lane="lane-1", seconds=1.0, cached=False))
    assert told.lines[-2] == "evaluate of a"
    assert json.loads(told.lines[-1].removeprefix("a finished ")) == {
        "bits/doc_qa": 1.5,
        "label_nats/doc_pair": 0.5,
        "label_auc/doc_pair": 75.0,
        "doc_qa/em": 12.5,
    }


def test_likelihoods_of_before_labels_were_told_are_bits_alone(store: Store) -> None:
    stage = Stage.of("likelihood", "a", row="a")
    (store.work(stage) / "x").write_text("x")
    assert all_likelihoods(store.commit(stage, store.work(stage), {"bits_per_byte": {"doc_qa": 1.5}})) == {
        "bits/doc_qa": 1.5
    }


def test_a_row_of_which_a_shared_stage_failed_has_failed_once(store: Store) -> None:
    plan, told = planned(), Told()
    corpus = plan.rows[0].stages["corpus"]
    with LiveRows(plan, store, told) as rows:
        rows(StageFailed(key=corpus, error="no", attempt=1, final=True))
        for row in plan.rows:
            rows(StageSkipped(key=row.stages["evaluate"], because=corpus))
    assert told.lines[2:] == ["a failed {}", "b failed {}"]


def test_what_has_not_ended_when_the_run_does_was_stopped(store: Store) -> None:
    plan, told = planned(), Told()
    with pytest.raises(KeyboardInterrupt), LiveRows(plan, store, told) as rows:
        for key in plan.rows[0].stages.values():
            rows(finished(store, plan, key))
        raise KeyboardInterrupt
    assert told.lines[-2:] == ['a finished {"doc_qa/em": 12.5}', "b stopped {}"]
