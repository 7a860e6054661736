"""Rows that MLflow has already are seen in its file, without importing it; nothing less is taken for them."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.store import Store
from orchestrator.tracking.writer import RowStatus, Tracker
from orchestrator.tracking.written import holds_all

EXPERIMENT = "t5grid/objectives/tiny"


@pytest.fixture
def plan(store: Store) -> Plan:
    """Two rows that are nothing but a corpus, which is there."""
    corpus = Stage.of("corpus", "embedded", corpus={"source": "embedded"})
    work = store.work(corpus)
    (work / "text").write_text("text")
    store.commit(corpus, work, {})
    return Plan.of(
        "objectives", "tiny", [(PlannedRow(name=name), {"corpus": corpus}) for name in ("baseline", "span-3")]
    )


def write(tracker: Tracker, row: PlannedRow, plan: Plan, store: Store, status: RowStatus = "finished") -> None:
    tracker.row_started(row)
    for stage in plan.by_role(row).values():
        manifest = store.finished(stage)
        assert manifest is not None
        tracker.stage_finished(row, stage, manifest)
    tracker.row_finished(row, status, {})


@pytest.fixture
def written(uri: str, plan: Plan, store: Store) -> str:
    """The address of a file in which MLflow has the first row finished and the second one failed."""
    tracker = Tracker.open(uri, "objectives", "tiny", store)
    write(tracker, plan.rows[0], plan, store)
    write(tracker, plan.rows[1], plan, store, "failed")
    assert tracker.close(timeout_s=60) == 0
    return uri


def test_rows_are_there_when_they_are_finished_as_they_are_now(written: str, plan: Plan, tmp_path: Path) -> None:
    done, failed = plan.rows
    assert holds_all(written, EXPERIMENT, "objectives", [done])
    assert holds_all(written.replace("sqlite:", "sqlite+pysqlite:") + "?timeout=5", EXPERIMENT, "objectives", [done])
    for other in (
        failed,
        replace(done, seed=1),
        replace(done, name="bert"),
        replace(done, stages={"corpus": "0" * 16}),
    ):
        assert not holds_all(written, EXPERIMENT, "objectives", [done, other])
    assert not holds_all(written, "t5grid/objectives/mini", "objectives", [done])
    assert not holds_all(written, EXPERIMENT, "mixing", [done])
    assert not holds_all("http://127.0.0.1:9", EXPERIMENT, "objectives", [done])
    assert not holds_all(f"sqlite:///{tmp_path}/none.db", EXPERIMENT, "objectives", [done])
    assert not (tmp_path / "none.db").exists()


def test_what_was_deleted_left_or_laid_out_anew_is_not_there(written: str, plan: Plan, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    for change in (
        "UPDATE runs SET lifecycle_stage = 'deleted'",
        "UPDATE runs SET status = 'RUNNING'",
        "UPDATE experiments SET lifecycle_stage = 'deleted'",
        "UPDATE tags SET value = 'no' WHERE key = 't5grid.complete'",
        "ALTER TABLE tags RENAME TO labels",
    ):
        shutil.copy(written.removeprefix("sqlite:///"), copy)
        assert holds_all(f"sqlite:///{copy}", EXPERIMENT, "objectives", plan.rows[:1])
        with contextlib.closing(sqlite3.connect(copy)) as database, database:
            database.execute(change)
        assert not holds_all(f"sqlite:///{copy}", EXPERIMENT, "objectives", plan.rows[:1]), change


def test_mlflow_is_not_imported_for_rows_that_it_has(written: str, plan: Plan, store: Store, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(plan.to_json())
    code = f"""
import sys
from pathlib import Path
from orchestrator.plan.plan import Plan
from orchestrator.store import open_store
from orchestrator.tracking.writer import RowStatus, Tracker
plan = Plan.from_json(Path({str(tmp_path / "plan.json")!r}).read_text())
store = open_store({store.uri!r})
row, stage = plan.rows[0], *plan.stages.values()
with Tracker.open({written!r}, "objectives", "tiny", store, [row]) as tracker:
    tracker.row_started(row)
    tracker.stage_finished(row, stage, store.finished(stage))
    tracker.row_finished(row, "finished", {{}})
print("mlflow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_rows_that_it_has_in_part_are_completed(written: str, plan: Plan, store: Store) -> None:
    with Tracker.open(written, "objectives", "tiny", store, plan.rows) as tracker:
        for row in plan.rows:
            write(tracker, row, plan, store)
    assert holds_all(written, EXPERIMENT, "objectives", plan.rows)
