"""The beginning and the end of a run: what is kept of failures that no worker could tell of."""

from pathlib import Path

import small_stages

from orchestrator.engine.ending import keep_failure
from orchestrator.engine.events import StageFailed, StageStarted
from orchestrator.store import open_store
from orchestrator.store.failures import read_failure, write_failure


def test_the_driver_writes_down_that_a_process_died_and_leaves_what_a_worker_wrote(tmp_path: Path) -> None:
    plan, store = small_stages.rows("a", "b"), open_store(tmp_path)
    a, b = (stage for stage in plan.stages.values() if stage.kind == "pretrain")
    write_failure(store, a, "ValueError: it went wrong", 1, "Traceback ...")
    for stage in (a, b):
        keep_failure(StageFailed(key=stage.key, error="the process died", attempt=1, final=False), plan, store)
    keep_failure(StageStarted(key=a.key, lane="lane-1", attempt=2), plan, store)
    kept = [read_failure(store, stage.key) for stage in (a, b)]
    assert [failure and (failure.error, failure.log) for failure in kept] == [
        ("ValueError: it went wrong", "Traceback ..."),
        ("the process died", ""),
    ]
    keep_failure(StageFailed(key=a.key, error="the process died", attempt=2, final=True), plan, store)
    again = read_failure(store, a.key)
    assert again is not None and (again.error, again.attempts) == ("the process died", 2)


def test_what_is_heard_of_late_leaves_what_a_worker_wrote_of_a_later_attempt(tmp_path: Path) -> None:
    plan, store = small_stages.rows("a"), open_store(tmp_path)
    stage = next(stage for stage in plan.stages.values() if stage.kind == "pretrain")
    write_failure(store, stage, "ValueError: it went wrong", 2, "Traceback ...")
    for attempt in (1, 2):
        for log in ("", "failure.log"):
            event = StageFailed(key=stage.key, error="it died", attempt=attempt, final=attempt == 2, log=log)
            keep_failure(event, plan, store)
    kept = read_failure(store, stage.key)
    assert kept is not None and (kept.error, kept.log) == ("ValueError: it went wrong", "Traceback ...")


def test_a_failure_heard_of_after_the_next_attempt_was_done_is_not_kept(tmp_path: Path) -> None:
    plan, store = small_stages.rows("a"), open_store(tmp_path)
    stage = next(stage for stage in plan.stages.values() if stage.kind == "pretrain")
    work = store.work(stage)
    (work / "x").write_text("x")
    store.commit(stage, work, {})
    keep_failure(StageFailed(key=stage.key, error="the process died", attempt=1, final=False), plan, store)
    assert read_failure(store, stage.key) is None
