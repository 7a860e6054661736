"""A study in float32 and in bfloat16: other numbers, the same conclusions."""

import micro_study
import pytest

from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Finished
from orchestrator.plan.study import Scale, plan_of
from orchestrator.results.rows import comparison_of
from orchestrator.store import open_store
from t5core.corpora import identify


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("precision")
    micro = micro_study.experiment(micro_study.write_documents(folder / "text.jsonl"))
    baseline = micro.replace(corpus=identify(micro.corpus))
    store = open_store(folder / "store")
    found = {}
    for precision in (None, "bfloat16"):
        scale = Scale(name="micro", purpose="a test", baseline=baseline.replace(precision=precision))
        plan = plan_of(micro_study.study(), scale, 2)  # with one seed there would be no conclusions
        outcomes = run_locally(plan, store)
        assert outcomes.ok
        found[precision] = plan, outcomes, comparison_of(plan, outcomes, store)
    return found


def manifest(studies, precision, role):
    plan, outcomes, _ = studies[precision]
    outcome = outcomes[plan.rows[0].stages[role]]
    assert isinstance(outcome, Finished)
    return outcome.manifest


def test_both_share_their_text_and_train_apart(studies):
    keys = {precision: set(plan.stages) for precision, (plan, _, _) in studies.items()}
    shared = {studies[None][0].stages[key].kind for key in keys[None] & keys["bfloat16"]}
    assert shared == {"corpus", "vocabulary", "tasks", "tokens"}
    for role in ("pretrain", "finetune", "evaluate", "likelihood"):
        assert manifest(studies, None, role).made_with["precision"] == "float32"
        assert manifest(studies, "bfloat16", role).made_with["precision"] == "bfloat16"


def test_losses_are_near_each_other_and_not_the_same(studies):
    exact, rounded = (manifest(studies, p, "pretrain").result["validation_loss"] for p in (None, "bfloat16"))
    assert rounded == pytest.approx(exact, rel=0.02) and rounded != exact


def test_bits_are_near_each_other_and_not_the_same(studies):
    exact, rounded = (manifest(studies, p, "likelihood").result["bits_per_byte"] for p in (None, "bfloat16"))
    assert rounded == pytest.approx(exact, rel=0.05) and rounded != exact


def test_the_conclusions_are_the_same(studies):
    exact, rounded = (
        {row.name: (row.rank_shared, {task: cell.mark for task, cell in row.cells.items()}) for row in comparison.rows}
        for _, _, comparison in (studies[None], studies["bfloat16"])
    )
    assert exact == rounded
    assert "?" not in {mark for _, marks in exact.values() for mark in marks.values()}
