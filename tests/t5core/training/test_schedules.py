import numpy as np
import pytest
import torch
from small_run import MODEL, TRAIN

from t5core.config import ScheduleConfig
from t5core.devices import open_device
from t5core.model import T5
from t5core.training import constant, inverse_sqrt, linear, triangular
from t5core.training.schedules import schedule_of
from t5core.training.step import TrainStep


def test_configs_give_the_papers_schedules():
    paper = schedule_of(ScheduleConfig(), 524_288)
    assert (paper(0), paper(10_000), paper(40_000)) == pytest.approx((0.01, 0.01, 0.005))
    fine_tuning = schedule_of(ScheduleConfig(kind="constant", learning_rate=0.001), 262_144)
    assert (fine_tuning(0), fine_tuning(10**6)) == (0.001, 0.001)
    slanted = schedule_of(ScheduleConfig(kind="triangular", learning_rate=0.02), 1000)
    assert slanted(100) == pytest.approx(0.02)
    assert slanted(0) == pytest.approx(0.02 / 32)
    assert slanted(1000) == pytest.approx(0.02 / 32)


def test_the_rate_during_warm_up_is_the_one_asked_for():
    rate = schedule_of(ScheduleConfig(learning_rate=0.3, warmup_steps=16), 100)
    assert [rate(step) for step in (0, 16, 64)] == pytest.approx([0.3, 0.3, 0.15])


@pytest.mark.parametrize("rate", [inverse_sqrt(16), constant(0.5), triangular(100), linear(100)])
def test_a_schedule_takes_one_step_or_many_in_any_kind_of_number(rate):
    steps = [0, 1, 9, 10, 11, 50, 99, 100]
    one_by_one = [rate(step) for step in steps]
    assert all(type(value) is float for value in one_by_one)
    assert type(rate(np.int64(3))) is float and rate(torch.tensor(9)) == rate(9)
    assert rate(np.array(steps)).tolist() == one_by_one == rate(torch.tensor(steps)).tolist()


def test_the_triangle_starts_where_it_is_told_to():
    assert triangular(100, start_step=1000)(1040) == triangular(100)(40)


def test_the_triangle_never_gives_a_negative_rate():
    rate = triangular(1000)
    assert rate(1001) == pytest.approx(0.01 / 32, rel=0.05)
    assert rate(10_000) == 0.0 and triangular(1000, start_step=500)(0) == 0.0


def test_a_triangle_may_rise_to_its_end_and_be_shorter_than_its_cut():
    assert triangular(10, cut_fraction=1.0)(10) == 0.01
    assert triangular(5)(1) == 0.01


def test_the_line_falls_from_the_rate_to_nothing_over_the_runs_steps():
    rate = schedule_of(ScheduleConfig(kind="linear", learning_rate=0.04), 8)
    assert [rate(step) for step in range(10)] == [0.04, 0.035, 0.03, 0.025, 0.02, 0.015, 0.01, 0.005, 0.0, 0.0]
    assert linear(8, 0.04, start_step=1000)(1006) == 0.01 and linear(8, start_step=1000)(0) == 0.01


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("linear", [0.5, 0.25]), ("triangular", [0.015625, 0.5]), ("constant", [0.5, 0.5]), ("inverse_sqrt", [0.25, 0.1])],
)
def test_behind_another_run_a_line_begins_anew_and_the_inverse_root_goes_on(kind, expected):
    """The counter of a fine-tuning starts at its pre-training's steps: here at 4, and at 24."""
    config = TRAIN.replace(steps=2, schedule=ScheduleConfig(kind=kind, learning_rate=0.5, warmup_steps=1))
    model, device = T5(MODEL), open_device("cpu")
    runs = [TrainStep(model, config, device, first_step=first) for first in (4, 24)]
    assert [run.learning_rate(i) for i, run in enumerate(runs)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("schedule", "begin", "steps", "kept_up"),
    [
        (ScheduleConfig(kind="constant"), 0, 700, True),
        (ScheduleConfig(kind="linear"), 0, 700, False),
        (ScheduleConfig(kind="triangular"), 0, 700, False),
        (ScheduleConfig(), 0, 10_000, True),  # warming up
        (ScheduleConfig(), 0, 40_000, True),  # ends at half
        (ScheduleConfig(), 0, 40_001, False),
        (ScheduleConfig(), 2**19, 2**18, True),  # behind the paper's pre-training
    ],
)
def test_a_rate_is_kept_up_that_ends_at_half_of_what_it_began_with(schedule, begin, steps, kept_up):
    assert schedule.kept_up(begin, steps) is kept_up
