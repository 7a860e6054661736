"""Learning rates and AdaFactor against numbers of the reference implementations.

``schedules.jsonl``: Mesh TensorFlow in float32. ``adafactor.json``: transformers with every matrix factored, Mesh
TensorFlow with its default limit of 128, below which nothing is.
"""

import json

import numpy as np
import pytest
import torch
from reference_cases import DATA, cases
from torch import nn

from t5core.config import OptimizerConfig
from t5core.training import AdaFactor, constant, inverse_sqrt, triangular

ADAFACTOR = json.loads((DATA / "adafactor.json").read_text())


def schedule(case):
    if case["schedule"] == "triangular":
        return triangular(case["total_train_steps"], **case["params"])
    return {"inverse_sqrt": inverse_sqrt, "constant": constant}[case["schedule"]](**case["params"])


@pytest.mark.parametrize("case", cases("schedules.jsonl"))
def test_rates_are_the_released_codes(case):
    rel = 1e-5 if case["schedule"] == "triangular" else 1e-6
    rate = schedule(case)
    assert [rate(step) for step in case["steps"]] == pytest.approx(case["expected"], rel=rel)
    assert rate(np.array(case["steps"])) == pytest.approx(case["expected"], rel=rel)


def test_the_optimizers_settings_are_the_released_codes():
    assert ADAFACTOR["hyperparameters"]["momentum"] is None
    for name in ("decay_exponent", "clipping_threshold", "multiply_by_parameter_scale", "epsilon1", "epsilon2"):
        assert getattr(OptimizerConfig(), name) == ADAFACTOR["hyperparameters"][name]


@pytest.mark.parametrize(
    ("expected", "limit"), [("expected_factored", 0), ("expected_factored", 1), ("expected_unfactored", 128)]
)
@pytest.mark.parametrize("case", ADAFACTOR["cases"], ids=lambda case: case["name"])
def test_parameters_after_every_step_are_the_references(case, expected, limit):
    parameters = {name: nn.Parameter(torch.tensor(value)) for name, value in case["params"].items()}
    optimizer = AdaFactor(parameters.items(), OptimizerConfig(min_dim_size_to_factor=limit))
    for i, (rate, grads) in enumerate(zip(case["lr_per_step"], case["grads"], strict=True)):
        for name, p in parameters.items():
            p.grad = torch.tensor(grads[name])
        optimizer.step(rate)
        for name, p in parameters.items():
            reference = torch.tensor(case[expected][i][name])
            torch.testing.assert_close(p.detach(), reference, rtol=0, atol=1e-6, msg=f"{name} after step {i}")
