"""Rows are chosen by name, the baseline stays, seeds multiply."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro_study
import pytest

from orchestrator.plan.experiment import Experiment
from orchestrator.plan.study import Row, Study, plan_of
from studies.objectives import study as objectives
from t5core.config import ModelConfig, ObjectiveConfig, ScheduleConfig
from t5core.errors import ConfigError
from t5core.training.schedules import schedule_of


def chosen(pattern: str) -> list[str]:
    """Returns the names of the rows of the objectives study that a pattern leaves."""
    return [row.name for row in objectives().select(pattern).rows]


def test_globs_choose_rows_in_the_studys_order_and_the_baseline_stays() -> None:
    assert chosen("span*") == ["replace-spans", "span-2", "span-3", "span-5", "span-10"]
    assert chosen("no-pretraining, bert") == ["replace-spans", "bert", "no-pretraining"]
    assert chosen("rate-[12]?") == ["replace-spans", "rate-10", "rate-25"]
    assert chosen("replace-spans") == ["replace-spans"]
    assert chosen("*") == [row.name for row in objectives().rows]
    assert chosen("bert,nothing-like-it") == ["replace-spans", "bert"]


def test_choosing_rows_keeps_what_the_study_is() -> None:
    whole, part = objectives(), objectives().select("mass")
    assert (part.name, part.title, part.baseline) == (whole.name, whole.title, whole.baseline)
    assert part.baseline_sd == whole.baseline_sd
    assert part.rows[1] == next(row for row in whole.rows if row.name == "mass")


@pytest.mark.parametrize("pattern", ["spam-3", "SPAN*", "", " , "])
def test_a_pattern_that_matches_nothing_is_refused_with_the_names(pattern: str) -> None:
    with pytest.raises(ConfigError) as caught:
        objectives().select(pattern)
    message = str(caught.value)
    assert message.startswith(f"rows={pattern!r}: matches none of replace-spans, prefix-lm, ")
    assert "\n" not in message
    assert ("did you mean 'span-3'?" in message) == (pattern == "spam-3")


def test_every_seed_trains_every_row_and_shares_the_text(tmp_path: Path) -> None:
    scale = micro_study.scale(tmp_path / "text.jsonl")
    one, three = (plan_of(micro_study.study(), scale, seeds) for seeds in (1, 3))
    assert [(row.name, row.seed) for row in three.rows] == [
        ("spans", 0),
        ("none", 0),
        ("spans", 1),
        ("none", 1),
        ("spans", 2),
        ("none", 2),
    ]
    assert one.rows == three.rows[:2]
    # 4 of text and tasks, and per seed 4 for the row with and 3 for the row without pre-training
    assert (len(one.stages), len(three.stages)) == (4 + 7, 4 + 21)
    assert {stage.name for stage in three.stages.values() if stage.kind == "finetune"} == {
        f"{row}-seed{seed}" for row in ("spans", "none") for seed in range(3)
    }
    assert (one.study, one.scale) == ("trial", "micro")


def test_the_scale_settles_the_warm_up_of_all_rows_so_longer_runs_begin_as_shorter_ones(tmp_path: Path) -> None:
    scale = micro_study.scale(tmp_path / "text.jsonl")
    falling = ScheduleConfig(learning_rate=0.02, warmup_steps=5)
    pretrain = scale.baseline.pretrain.replace(schedule=falling)
    scale = replace(scale, baseline=scale.baseline.replace(pretrain=pretrain))
    rows = [Row(name=f"{n}x", label="", changes=_times(n)) for n in (1, 2, 4)]
    study = Study(name="steps", title="Steps", baseline="1x", rows=tuple(rows))
    trained = [study.experiment(scale, row, 0).pretrain for row in rows]
    curves = [[schedule_of(train.schedule, train.steps)(i) for i in range(train.steps)] for train in trained]
    assert [len(curve) for curve in curves] == [20, 40, 80]
    assert curves[0] == curves[1][:20] and curves[1] == curves[2][:40]
    assert curves[2][19] == pytest.approx(0.02 * (5 / 19) ** 0.5)  # it falls within the shortest run


def _times(factor: int) -> Callable[[Experiment], dict[str, Any]]:
    return lambda e: {
        "objective": ObjectiveConfig(),
        "pretrain": e.pretrain.replace(steps=factor * e.pretrain.steps),
    }


@pytest.mark.parametrize("seeds", [0, -1])
def test_no_seeds_are_refused(seeds: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^seeds={seeds}: give 1 or more$"):
        plan_of(micro_study.study(), micro_study.scale(tmp_path / "text.jsonl"), seeds)


def test_the_row_without_pre_training_needs_no_tokens_and_no_pre_training(tmp_path: Path) -> None:
    with_it, without = plan_of(micro_study.study(), micro_study.scale(tmp_path / "text.jsonl")).rows
    assert set(with_it.stages) == micro_study.STAGE_KINDS
    assert set(without.stages) == micro_study.STAGE_KINDS - {"tokens", "pretrain"}
    assert {role for role in without.stages if without.stages[role] == with_it.stages[role]} == {
        "corpus",
        "vocabulary",
        "tasks",
    }


def test_a_row_may_change_any_part_of_the_baseline(tmp_path: Path) -> None:
    rows = (
        Row(name="base", label="Base", changes={"objective": ObjectiveConfig()}),
        Row(name="wide", label="Wide", changes={"objective": ObjectiveConfig(), "model": ModelConfig(d_ff=128)}),
    )
    study = Study(name="widths", title="Widths", baseline="base", rows=rows)
    base, wide = plan_of(study, micro_study.scale(tmp_path / "text.jsonl")).rows
    assert base.stages["tokens"] == wide.stages["tokens"] and base.stages["pretrain"] != wide.stages["pretrain"]
