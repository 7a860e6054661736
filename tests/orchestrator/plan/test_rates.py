"""Rows at several learning rates: what is multiplied, what is shared, and that 1x is what a study is by itself."""

from dataclasses import replace
from pathlib import Path

import micro_study
import pytest

from orchestrator.plan.cost import plan_cost
from orchestrator.plan.plan import Plan
from orchestrator.plan.rates import OWN_RATE, Rates, at_rate, shown
from orchestrator.plan.study import Row, Study, plan_of
from t5core.config import MixtureConfig, ObjectiveConfig
from t5core.errors import ConfigError

THREE = Rates(multiples=(0.5, 1.0, 2.0))


@pytest.mark.parametrize(
    ("text", "multiples"),
    [
        ("0.5x,1x,2x", (0.5, 1.0, 2.0)),
        ("2x, 1x", (1.0, 2.0)),  # in whatever order
        ("1.0x,0.25x", (0.25, 1.0)),
    ],
)
def test_multiples_are_read_with_the_rows_own_among_them(text: str, multiples: tuple[float, ...]) -> None:
    assert Rates.parse(text).multiples == multiples
    assert Rates.parse(text).several and not OWN_RATE.several


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rates='': give multiples of the row's own rate, like 0.5x,1x,2x"),
        ("x", "rates='x': give multiples"),
        ("-1x,1x", "rates='-1x': give multiples"),
        ("0x,1x", "rates='0x': give multiples"),
        ("1x,nanx", "rates='nanx': give multiples"),
        ("1x,", "rates='': give multiples"),
        ("0.5,1,2", "rates='0.5': give multiples"),  # a rate itself could be meant
        ("²x,1x", "rates='²x': give multiples"),
        (f"1x,{'9' * 400}x", "rates='9{400}x': give multiples"),
        ("0.5x,0.5x,1x", "rates='0.5x': it is there twice: name each rate once"),
        ("1x,1.0x", "rates='1.0x': it is there twice"),
        ("1x,1.00000000000001x", "rates='1.00000000000001x': it is there twice"),
        ("0.5x,2x", "rates='0.5x,2x': give 1x, the row's own rate, among them"),
        ("1x", "rates='1x': one rate is what a study has by itself: give others too, like 0.5x,1x,2x"),
    ],
)
def test_anything_else_is_refused_with_a_way_out(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        Rates.parse(text)


def test_the_rate_of_the_training_from_random_weights_is_multiplied(tmp_path: Path) -> None:
    plain = micro_study.experiment(tmp_path / "text.jsonl")
    pretrained = plain.replace(objective=ObjectiveConfig())
    at_once = pretrained.replace(multitask=MixtureConfig(unsupervised=2.0**40))

    def rates(multiple: float) -> list[tuple[float, float]]:
        experiments = [at_rate(e, multiple) for e in (pretrained, plain, at_once)]
        return [(e.pretrain.schedule.learning_rate, e.finetune.schedule.learning_rate) for e in experiments]

    assert rates(2.0) == [(0.02, 0.01), (0.01, 0.02), (0.02, 0.01)]
    assert at_rate(at_once, 2.0).multitask_train.schedule.learning_rate == 0.02
    assert rates(1.1)[0] == (0.011, 0.01)  # where the product is 0.011000000000000001
    assert [at_rate(e, 1.0) is e for e in (pretrained, plain)] == [True, True]


@pytest.mark.parametrize("multiple", [1e-323, 1e308 * 10])
def test_a_multiple_that_leaves_no_rate_is_refused(multiple: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^rates='.*x': times 0.01 it is no learning rate: give multiples"):
        at_rate(micro_study.experiment(tmp_path / "text.jsonl"), multiple)


def test_a_plan_at_several_rates_holds_the_plan_without_them_to_the_keys(tmp_path: Path) -> None:
    scale = micro_study.scale(tmp_path / "text.jsonl")
    alone = plan_of(micro_study.study(), scale, 2)
    several = plan_of(micro_study.study(), scale, 2, rates=THREE)
    assert several.rates == (0.5, 1.0, 2.0) and alone.rates == (1.0,)
    assert several.at(1.0) == alone and several.at(1.0).key == alone.key
    # corpus, vocabulary, tasks and tokens once; for each seed and rate 4 stages with and 3 without pre-training
    assert (len(alone.stages), len(several.stages)) == (4 + 2 * 7, 4 + 3 * 2 * 7)
    assert plan_cost(several).flops == pytest.approx(3 * plan_cost(alone).flops)


def test_runs_at_other_rates_are_told_apart_by_name(tmp_path: Path) -> None:
    plan = plan_of(micro_study.study(), micro_study.scale(tmp_path / "text.jsonl"), rates=THREE)
    assert [row.run for row in plan.rows] == [
        "spans at 0.5x seed 0",
        "spans seed 0",
        "spans at 2x seed 0",
        "none at 0.5x seed 0",
        "none seed 0",
        "none at 2x seed 0",
    ]
    assert len({row.identity for row in plan.rows}) == 6
    assert {stage.name for stage in plan.stages.values() if stage.kind == "pretrain"} == {
        "spans-0.5x-seed0",
        "spans-seed0",
        "spans-2x-seed0",
    }
    assert shown(0.125) == "0.125x"


def test_the_rate_comes_back_with_a_stored_plan_and_older_plans_are_at_1x(tmp_path: Path) -> None:
    plan = plan_of(micro_study.study(), micro_study.scale(tmp_path / "text.jsonl"), rates=THREE)
    assert Plan.from_json(plan.to_json()) == plan
    before = plan.at(1.0).to_json().replace('"rate": 1.0,', "")
    assert '"rate"' not in before and Plan.from_json(before) == plan.at(1.0)


def test_a_row_with_a_rate_of_its_own_is_tried_around_that(tmp_path: Path) -> None:
    scale = micro_study.scale(tmp_path / "text.jsonl")
    slow = scale.baseline.pretrain.replace(schedule=scale.baseline.pretrain.schedule.replace(learning_rate=0.003))
    rows = (Row(name="base", label="Base"), Row(name="slow", label="Slow", changes={"pretrain": slow}))
    study = Study(name="own", title="", baseline="base", rows=rows, changes={"objective": ObjectiveConfig()})
    plan = plan_of(study, scale, rates=replace(THREE, multiples=(1.0, 2.0)))
    rates = [plan.by_role(row)["pretrain"].config["train"]["schedule"]["learning_rate"] for row in plan.rows]
    assert rates == [0.01, 0.02, 0.003, 0.006]
