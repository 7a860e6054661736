"""Why a stage is in a store or not: its state, and its nearest neighbour field by field."""

from pathlib import Path

import pytest

from orchestrator.plan.fields import Difference
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.results.explained import Explanations, rows_with, stages_by_prefix
from orchestrator.store import Store, open_store
from orchestrator.store.failures import write_failure


def chain(steps: int, min_chars: int = 200, seed: int = 0) -> dict[str, Stage]:
    """A corpus and a training that reads it, by role."""
    corpus = Stage.of("corpus", "text", corpus={"source": "text", "min_chars": min_chars})
    train = {"steps": steps, "seed": seed, "rate": 0.1}
    trained = Stage.of("pretrain", f"spans-seed{seed}", inputs={"corpus": corpus}, train=train)
    return {"corpus": corpus, "pretrain": trained}


def keyed(*chains: dict[str, Stage]) -> dict[str, Stage]:
    return {stage.key: stage for of in chains for stage in of.values()}


def keep(store: Store, *stages: Stage) -> None:
    for stage in stages:
        work = store.work(stage)
        (work / "x").write_text("x" * 1500)
        store.commit(stage, work, {}, started_at=1_700_000_000.0, seconds=65.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def test_a_stored_stage_is_told_with_when_and_how_long(store: Store) -> None:
    asked = chain(20)
    keep(store, *asked.values())
    found = Explanations(store, keyed(asked)).of(asked["pretrain"].key)
    assert (found.state, found.folder, found.neighbour) == ("stored", asked["pretrain"].folder, None)
    assert " in 1:05, 1.5 kB" in found.said


def test_the_nearest_neighbour_is_the_one_with_the_most_fields_alike(store: Store) -> None:
    asked, near, far = chain(20), chain(30), chain(40, seed=1)
    keep(store, *far.values(), near["pretrain"])
    found = Explanations(store, keyed(asked)).of(asked["pretrain"].key)
    assert (found.state, found.said) == ("missing", "no run has begun it")
    assert found.neighbour is not None
    assert found.neighbour.folder == near["pretrain"].folder
    assert found.neighbour.differences == (Difference(field="train.steps", here=20, there=30),)
    # three of training, the code's version and revisions, and what is read
    assert (found.neighbour.equal, found.neighbour.fields, found.neighbour.by_reading) == (5, 6, False)


def test_a_stage_that_differs_by_what_it_reads_names_the_field_there(store: Store) -> None:
    asked, other = chain(20), chain(20, min_chars=100)
    keep(store, *other.values())
    found = Explanations(store, keyed(asked)).of(asked["pretrain"].key)
    assert found.said == "no run has begun it; what it reads is not there either: corpus"
    assert found.neighbour is not None and found.neighbour.by_reading
    assert found.neighbour.differences == (Difference(field="corpus > corpus.min_chars", here=200, there=100),)


def test_a_stage_that_was_begun_says_how_that_went(store: Store) -> None:
    asked = chain(20)
    stage, all_stages = asked["pretrain"], keyed(asked)
    keep(store, asked["corpus"])
    assert Explanations(store, all_stages).of(stage.key).neighbour is None  # there is no other of its kind
    (store.work(stage) / "checkpoint").write_text("half")
    assert Explanations(store, all_stages).of(stage.key).state == "interrupted"
    write_failure(store, stage, "loss=nan at step 2", 2, "Traceback ...")
    failed = Explanations(store, all_stages).of(stage.key)
    assert (failed.state, failed.said) == ("failed", "loss=nan at step 2 (attempt 2)")
    with store.lease(stage):
        assert Explanations(store, all_stages).of(stage.key).state == "running"


def test_stages_are_found_by_the_beginning_of_key_name_and_folder_in_plans_and_store(store: Store) -> None:
    asked, other = chain(20), chain(30)
    keep(store, other["pretrain"])
    plan = Plan.of("trial", "tiny", [(PlannedRow(name="spans"), asked)])
    pretrain = asked["pretrain"]

    def found(text: str) -> set[str]:
        return set(stages_by_prefix(text, [plan], store)[0])

    assert found(pretrain.key[:6]) == found(pretrain.key) == found(pretrain.folder) == {pretrain.key}
    assert found("pretrain/spans") == found("spans-seed0") == {pretrain.key, other["pretrain"].key}
    assert found("nothing") == set()
    assert [row.address for row in rows_with(pretrain.key, [plan, plan])] == ["trial/spans"]
