"""Tables 14 and 15 as a study."""

import pytest

from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import plan_of
from studies.limits import BATCH_SIZE, STEPS, UNLABELED_SIZES, study
from studies.paper import paper_table
from studies.scales import SCALES
from t5core.arithmetic import num_parameters
from t5core.config import ModelConfig


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan_of(study(), study().adapted(SCALES["paper"]))


def stages(plan: Plan, row: str) -> dict[str, Stage]:
    (found,) = [r for r in plan.rows if r.name == row]
    return {role: plan.stages[key] for role, key in found.stages.items()}


def test_rows_have_the_published_scores() -> None:
    rows = {row.name: row for row in study().rows}
    assert list(rows) == ["baseline", "baseline-1t", "small", "base", "large", "3B", "11B"]
    assert rows["base"].paper == paper_table(15).row("T5-Base").scores
    large = paper_table(14).row("T5-11B").scores
    assert rows["11B"].paper["GLUE"] == large["GLUE avg"] == 90.3
    assert rows["11B"].paper["CNNDM"] == large["CNNDM ROUGE-2"]


def test_at_the_papers_scale_the_recipe_is_the_papers(paper: Plan) -> None:
    row = stages(paper, "11B")
    trained = row["multitask"]
    train, mixture = trained.settings["train"], trained.settings["mixture"]
    assert (train["steps"], train["batch_size"]) == (STEPS, BATCH_SIZE)
    assert trained.settings["objective"]["mean_noise_span_length"] == 3.0
    weights = {weight["name"]: weight["weight"] for weight in mixture["weights"]}
    assert weights["unsupervised"] == 133e6
    assert weights["wmt_en_de"] == weights["wmt_en_fr"] == 1e6 and weights["wmt_en_ro"] == 610_320
    assert weights["glue_rte"] == weights["super_glue_rte"] == 1_245
    assert "finetune:glue_cola" in row and "finetune:super_glue_wsc" in row
    assert {role.partition(":")[2]: row[role].settings["train"]["batch_size"] for role in row if "finetune" in role}[
        "glue_cola"
    ] == 8
    assert row["finetune:squad"].settings["train"]["batch_size"] == 128
    beams = {role.partition(":")[2]: row[role].settings["decode"]["num_beams"] for role in row if "evaluate" in role}
    assert {name for name, n in beams.items() if n == 4} == {"cnn_dailymail", "wmt_en_de", "wmt_en_fr", "wmt_en_ro"}
    assert set(beams.values()) == {1, 4}
    assert len(row["evaluate:squad"].settings["also_at"]) == 9


def test_the_text_counts_for_more_the_larger_the_model(paper: Plan) -> None:
    for size, unlabeled in UNLABELED_SIZES.items():
        assert stages(paper, size)["multitask"].settings["mixture"]["unsupervised"] == unlabeled


def test_the_baseline_is_that_of_the_other_studies(paper: Plan) -> None:
    from studies import multitask

    other = plan_of(multitask.study(), multitask.study().adapted(SCALES["paper"]))
    assert paper.rows[0].stages == other.rows[0].stages
    longer = stages(paper, "baseline-1t")["pretrain"].settings["train"]
    assert (longer["steps"], longer["batch_size"]) == (STEPS, BATCH_SIZE)


@pytest.mark.parametrize("scale", ["tiny", "desk", "mini", "paper"])
def test_at_every_scale_each_size_is_larger_than_the_one_before(scale: str) -> None:
    plan = plan_of(study(), study().adapted(SCALES[scale]))
    sizes = [
        num_parameters(ModelConfig.from_dict(dict(stages(plan, name)["multitask"].settings["model"])))
        for name in UNLABELED_SIZES
    ]
    assert sizes == sorted(set(sizes))
