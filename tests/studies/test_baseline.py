"""The baseline study: Table 1's rows, its ten runs, shared with all other studies' baselines."""

import pytest

from orchestrator.plan.parts import kind_of_role
from orchestrator.plan.study import Study, plan_of
from studies import architectures, data_size, mixing, objectives
from studies.baseline import study
from studies.paper import paper_table
from studies.scales import SCALES


def test_the_rows_are_those_of_the_table_but_for_the_deviation_which_is_under_it() -> None:
    rows = {row.name: row for row in paper_table(1).rows}
    deviation = rows.pop("Baseline standard deviation")
    assert [row.paper_cell for row in study().rows] == [f"Table 1, {name}" for name in rows]
    assert [row.paper for row in study().rows] == [row.scores for row in rows.values()]
    assert study().baseline_sd == deviation.scores and study().baseline_sd["GLUE"] == 0.235
    assert [row.label for row in study().rows] == ["Baseline", "No pre-training"]


@pytest.mark.parametrize(("scale", "runs"), [("tiny", 3), ("mini", 10), ("paper", 10)])
def test_the_baseline_is_trained_as_often_as_the_paper_did_and_the_other_row_once(scale: str, runs: int) -> None:
    plan = plan_of(study(), SCALES[scale])
    assert [row.seed for row in plan.rows if row.name == "baseline"] == list(range(runs))
    assert [row.seed for row in plan.rows if row.name == "no-pretraining"] == [0]
    published = {row.name: row.config for row in paper_table(1).rows}
    assert published["Baseline average"]["runs"] == 10
    assert len({row.of_role("finetune") for row in plan.rows}) == runs + 1
    assert all(("pretrain" in row.stages) == (row.name == "baseline") for row in plan.rows)


def test_without_pre_training_the_papers_steps_are_those_of_fine_tuning() -> None:
    plan = plan_of(study(), SCALES["paper"])
    (without,) = [plan.by_role(row) for row in plan.rows if row.name == "no-pretraining"]
    config = paper_table(1).row("No pre-training").config
    tunings = [stage.config["train"] for role, stage in without.items() if kind_of_role(role) == "finetune"]
    assert len(tunings) == 7 and all(train["steps"] == config["finetune_steps"] == 2**18 for train in tunings)
    schedules = [train["schedule"] for train in tunings]
    assert {(s["kind"], s["learning_rate"]) for s in schedules} == {("constant", 0.001)}
    pretrain = plan.by_role(plan.rows[0])["pretrain"].config["train"]
    assert (pretrain["steps"], pretrain["batch_size"], pretrain["inputs_length"]) == (2**19, 128, 512)


@pytest.mark.parametrize(
    ("other", "scale"),
    [
        *((study_of(), scale) for study_of in (objectives.study, data_size.study) for scale in SCALES),
        *((architectures.study(), scale) for scale in ("mini", "paper")),  # at tiny it takes two layers
        (mixing.study(), "paper"),  # at the others it takes more examples
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_its_runs_are_the_same_stages_as_the_baselines_of_other_studies(other: Study, scale: str) -> None:
    ours = {row.run: row.stages for row in plan_of(study(), SCALES[scale]).rows}
    theirs = [row for row in plan_of(other, other.adapted(SCALES[scale]), 2).rows if row.name == other.baseline]
    assert [row.stages for row in theirs] == [ours["baseline seed 0"], ours["baseline seed 1"]]


@pytest.mark.parametrize("scale", SCALES)
def test_the_row_without_pre_training_is_that_of_the_objectives(scale: str) -> None:
    ours = next(row for row in plan_of(study(), SCALES[scale]).rows if row.name == "no-pretraining")
    theirs = next(row for row in plan_of(objectives.study(), SCALES[scale]).rows if row.name == "no-pretraining")
    assert ours.stages == theirs.stages
