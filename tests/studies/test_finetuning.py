"""The fine-tuning study: Table 10's rows, the paper's widths and episodes, one pre-training for all."""

import pytest

from orchestrator.plan.plan import Plan
from orchestrator.plan.study import plan_of
from studies import architectures, objectives
from studies.baseline import study as baseline_study
from studies.finetuning import study
from studies.paper import baseline_standard_deviation, paper_table
from studies.scales import SCALES
from t5core.config import ModelConfig
from t5core.model import num_parameters

NAMES = ["all", "adapters-32", "adapters-128", "adapters-512", "adapters-2048", "gradual"]


def test_the_rows_are_those_of_the_table() -> None:
    rows = study().rows
    assert [row.paper_cell for row in rows] == [f"Table 10, {row.name}" for row in paper_table(10).rows]
    assert [row.paper for row in rows] == [row.scores for row in paper_table(10).rows]
    assert [row.name for row in rows] == NAMES and study().baseline == "all"
    assert [row.label for row in rows[:2]] == ["All parameters", "Adapter layers, d=32 of 768"]
    assert study().baseline_sd == baseline_standard_deviation()
    # Table 10 prints the scores of d = 128 for d = 2,048 again; Table 16 has others
    assert rows[4].paper["GLUE"] == 82.62 and rows[2].paper["GLUE"] == 81.51


def test_at_the_papers_scale_the_rows_train_what_the_papers_did() -> None:
    plan = plan_of(study(), SCALES["paper"])
    published = [row.config for row in paper_table(10).rows]
    trained = [plan.by_role(row)["finetune:glue"].config for row in plan.rows]
    assert [config["model"]["adapter_size"] for config in trained] == [
        config.get("adapter_inner_dim") for config in published
    ]
    adapters = "adapters_and_norms"
    assert [config["train"]["trainable"] for config in trained] == ["all", *[adapters] * 4, "gradual"]
    assert all(config["trainable"] == "adapters and layer norms" for config in published[1:5])
    assert trained[-1]["train"]["unfreezing_episodes"] == published[-1]["episodes"] == 12
    assert {config["train"]["steps"] for config in trained} == {2**18}
    assert {config["train"]["schedule"]["learning_rate"] for config in trained} == {0.001}


@pytest.mark.parametrize(
    ("scale", "widths", "episodes"),
    [("tiny", [3, 11, 43, 171], 2), ("mini", [16, 64, 256, 1024], 4), ("paper", [32, 128, 512, 2048], 12)],
)
def test_widths_are_the_same_fractions_of_the_models_and_an_episode_is_a_layer(
    scale: str, widths: list[int], episodes: int
) -> None:
    plan = plan_of(study(), SCALES[scale])
    assert [row.facts["d"] for row in plan.rows] == [None, *widths, None]
    tunings = [plan.stages[key].config["train"] for key in plan.rows[-1].of_role("finetune")]
    assert {train["unfreezing_episodes"] for train in tunings} == {episodes}


def test_what_a_task_costs_to_keep_is_what_its_fine_tuning_has_changed_by_its_end() -> None:
    plan = plan_of(study(), SCALES["paper"])
    # 24 adapters of two matrices and a norm each, and 62 norms: two in a block of the encoder, three in one of the
    # decoder, and one at each end
    adapters = [24 * (2 * 768 * d + 768) + 62 * 768 for d in (32, 128, 512, 2048)]
    everything = num_parameters(ModelConfig())
    assert everything == 222_903_552
    assert [row.facts["trained_parameters"] for row in plan.rows] == [everything, *adapters, everything]
    assert [row.facts["bytes_per_task"] for row in plan.rows] == [4 * n for n in (everything, *adapters, everything)]
    assert Plan.from_json(plan.to_json()).rows == plan.rows


@pytest.mark.parametrize("scale", SCALES)
def test_all_rows_start_from_one_pre_training(scale: str) -> None:
    plan = plan_of(study(), SCALES[scale])
    for role, count in {"tokens": 1, "tasks": 1, "pretrain": 1, "finetune": 6, "evaluate": 6, "likelihood": 6}.items():
        assert len({row.of_role(role) for row in plan.rows}) == count


@pytest.mark.parametrize("scale", SCALES)
def test_the_baseline_is_that_of_the_other_studies_and_at_tiny_that_with_two_layers(scale: str) -> None:
    ours = plan_of(study(), SCALES[scale]).rows[0].stages
    two_layers = plan_of(architectures.study(), SCALES[scale]).rows[0].stages
    others = [plan_of(other, SCALES[scale]).rows[0].stages for other in (objectives.study(), baseline_study())]
    assert ours == two_layers
    assert [ours == other for other in others] == [scale != "tiny"] * 2
