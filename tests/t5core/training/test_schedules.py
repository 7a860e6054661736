"""Learning rates against the released code's (``conformance/data/schedules.jsonl``), which computes in float32."""

import json
from pathlib import Path

import pytest

from t5core.config import ScheduleConfig
from t5core.training import constant, inverse_sqrt, triangular
from t5core.training.schedules import schedule_of

DATA = Path(__file__).parents[2] / "conformance" / "data" / "schedules.jsonl"
CASES = [json.loads(line) for line in DATA.read_text().split("\n") if line]


def schedule(case):
    params = {name: value for name, value in case["params"].items() if name != "start_step"}
    assert case["params"].get("start_step", 0) == 0
    if case["schedule"] == "triangular":
        return triangular(case["total_train_steps"], **params)
    return {"inverse_sqrt": inverse_sqrt, "constant": constant}[case["schedule"]](**params)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_rates_are_the_released_codes(case):
    rates = [schedule(case)(step) for step in case["steps"]]
    assert rates == pytest.approx(case["expected"], rel=1e-5 if case["schedule"] == "triangular" else 1e-6)


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
