"""The scaling study: the paper's rows, what each changes, and what they share."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from orchestrator.commands.flags import Options
from orchestrator.plan.ensembles import trained_of
from orchestrator.plan.parts import roles
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import plan_of
from studies import data_size, objectives
from studies.paper import paper_table
from studies.scales import SCALES
from studies.scaling import larger, study
from t5core.config import ModelConfig
from t5core.model import num_parameters

ROWS = (
    "baseline",
    "4x-steps",
    "4x-batch",
    "2x-size-2x-steps",
    "4x-size",
    "4x-ensembled",
    "4x-ensembled-finetuned",
)


def stages_by_row(plan: Plan, seed: int = 0) -> dict[str, dict[str, Stage]]:
    return {row.name: plan.by_role(row) for row in plan.rows if row.seed == seed}


def keys(stages: Mapping[str, Stage], role: str) -> list[str]:
    return [stages[name].key for name in roles(role, stages)]


def beside_embeddings(model: Mapping[str, object]) -> int:
    config = ModelConfig.from_dict(dict(model))
    return num_parameters(config) - config.vocab_size * config.d_model


def test_the_rows_are_those_of_the_table_with_its_numbers() -> None:
    assert tuple(row.name for row in study().rows) == ROWS
    assert [row.paper_cell for row in study().rows] == [f"Table 13, {row.name}" for row in paper_table(13).rows]
    assert [row.paper["GLUE"] for row in study().rows] == [83.28, 85.33, 84.6, 86.18, 85.91, 84.77, 84.05]
    assert [row.label for row in study().rows] == [row.name for row in paper_table(13).rows]


def test_at_the_papers_scale_each_row_is_what_the_table_says_was_run() -> None:
    by_row = stages_by_row(plan_of(study(), SCALES["paper"]))
    for row, paper in zip(ROWS, paper_table(13).rows, strict=True):
        says, stages = paper.config, by_row[row]
        pretrain, finetune = stages["pretrain"].config, stages[roles("finetune", stages)[0]].config
        step_factor, batch = says.get("step_factor", 1), says.get("batch_sequences", 128)
        assert (pretrain["train"]["steps"], pretrain["train"]["batch_size"]) == (step_factor * 2**19, batch)
        assert (finetune["train"]["steps"], finetune["train"]["batch_size"]) == (step_factor * 2**18, batch)
        assert says.get("pretrain_steps", 2**19 * step_factor) == pretrain["train"]["steps"]
        model = ModelConfig.from_dict(dict(pretrain["model"]))
        if "d_model" in says:
            sizes = ("d_model", "d_ff", "d_kv")
            assert [getattr(model, name) for name in sizes] == [says[name] for name in sizes]
            layers = (model.num_encoder_layers, model.num_decoder_layers)
            assert layers == (says["encoder_layers"], says["decoder_layers"])
            assert num_parameters(model) / 1e6 == pytest.approx(says["params_millions_computed"], abs=0.01)
        else:
            assert model == SCALES["paper"].baseline.model
        assert len(trained_of(stages[roles("evaluate", stages)[0]].inputs)) == says.get("ensemble", 1)


@pytest.mark.parametrize("scale", ["tiny", "mini"])
def test_at_other_scales_larger_models_have_two_and_four_times_the_parameters(scale: str) -> None:
    model = SCALES[scale].baseline.model
    own = beside_embeddings(model.to_dict())
    per_stack = 2 * (model.d_model + model.relative_attention_num_buckets * model.num_heads)  # final norms and biases
    for factor in (2, 4):
        found = beside_embeddings(larger(model, factor).to_dict())
        assert found - per_stack == factor * (own - per_stack)
    assert larger(model, 4).attention_init == model.attention_init


@pytest.mark.parametrize("scale", SCALES)
def test_ensembles_are_of_the_baselines_of_four_seeds_however_many_seeds_there_are(scale: str) -> None:
    one, three = plan_of(study(), SCALES[scale]), plan_of(study(), SCALES[scale], 3)
    four = plan_of(study().select("baseline"), SCALES[scale], 4)
    singles = [four.by_role(row) for row in four.rows]
    for plan in (one, three):
        ensemble = stages_by_row(plan)["4x-ensembled"]
        assert keys(ensemble, "pretrain") == [stages["pretrain"].key for stages in singles]
        assert keys(ensemble, "finetune") == [key for stages in singles for key in keys(stages, "finetune")]
        tuned = stages_by_row(plan)["4x-ensembled-finetuned"]
        assert keys(tuned, "pretrain") == [singles[0]["pretrain"].key]
        own = keys(singles[0], "finetune")
        assert keys(tuned, "finetune")[: len(own)] == own and len(set(keys(tuned, "finetune"))) == 4 * len(own)
    # seeds 0 to 5 of the baseline, three of the four other pre-trainings, three more fine-tunings of three
    assert count(three.stages.values(), "pretrain") == 6 + 3 * 4
    assert count(three.stages.values(), "finetune") == (6 + 3 * 3 + 3 * 4) * len(own)
    assert (count(one.stages.values(), "pretrain"), count(one.stages.values(), "finetune")) == (8, 11 * len(own))


def count(stages: Iterable[Stage], kind: str) -> int:
    return sum(stage.kind == kind for stage in stages)


@pytest.mark.parametrize("other", [objectives, data_size])
def test_at_the_papers_scale_the_baseline_is_that_of_the_other_studies(other: Any) -> None:
    theirs = other.study()
    ours, plan = plan_of(study(), SCALES["paper"]), plan_of(theirs, SCALES["paper"])
    baselines = [dict(row_of(p, name).stages) for p, name in ((ours, "baseline"), (plan, theirs.baseline))]
    assert baselines[0] == baselines[1]


def row_of(plan: Plan, name: str) -> PlannedRow:
    return next(row for row in plan.rows if row.name == name)


def test_at_tiny_four_times_the_steps_are_the_scales() -> None:
    tiny = SCALES["tiny"]
    ours = stages_by_row(plan_of(study(), study().adapted(tiny)))
    trained = [ours["baseline"][phase].config["train"] for phase in ("pretrain", "finetune")]
    assert [train["steps"] for train in trained] == [325, 200]
    theirs = stages_by_row(plan_of(objectives.study(), tiny))["replace-spans"]
    assert {role: stage.key for role, stage in ours["4x-steps"].items()} == {
        role: stage.key for role, stage in theirs.items()
    }


def test_a_flag_has_the_last_word_on_the_steps() -> None:
    options = Options.parse("", list(SCALES), ["--scale", "tiny", "--pretrain-steps", "40", "--accelerator", "cpu"])
    rows = stages_by_row(plan_of(study(), options.scale_of(SCALES, study())))
    assert rows["baseline"]["pretrain"].config["train"]["steps"] == 40
    assert rows["4x-steps"]["pretrain"].config["train"]["steps"] == 160
    assert rows["2x-size-2x-steps"]["finetune"].config["train"]["steps"] == 400


def test_only_tiny_stands_on_fewer_steps() -> None:
    assert study().adapted(SCALES["mini"]) == SCALES["mini"]
    assert study().adapted(SCALES["paper"]) == SCALES["paper"]
