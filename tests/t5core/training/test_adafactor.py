"""AdaFactor against numbers of two other implementations (``conformance/data/adafactor.json``)."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from t5core.config import OptimizerConfig
from t5core.training import AdaFactor

DATA = json.loads((Path(__file__).parents[2] / "conformance" / "data" / "adafactor.json").read_text())
DEFAULTS = OptimizerConfig()


def parameters_of(values):
    return {name: nn.Parameter(torch.tensor(value)) for name, value in values.items()}


def test_the_settings_are_the_released_codes():
    assert DATA["hyperparameters"]["momentum"] is None
    for name in ("decay_exponent", "clipping_threshold", "multiply_by_parameter_scale", "epsilon1", "epsilon2"):
        assert getattr(DEFAULTS, name) == DATA["hyperparameters"][name]


@pytest.mark.parametrize(
    ("expected", "limit"), [("expected_factored", 0), ("expected_factored", 1), ("expected_unfactored", 128)]
)
@pytest.mark.parametrize("case", DATA["cases"], ids=lambda case: case["name"])
def test_parameters_after_every_step_are_the_references(case, expected, limit):
    parameters = parameters_of(case["params"])
    optimizer = AdaFactor(parameters.items(), OptimizerConfig(min_dim_size_to_factor=limit))
    for i, (rate, grads) in enumerate(zip(case["lr_per_step"], case["grads"], strict=True)):
        for name, p in parameters.items():
            p.grad = torch.tensor(grads[name])
        optimizer.step(torch.tensor(rate), torch.tensor(optimizer.decay(i)))
        for name, p in parameters.items():
            reference = torch.tensor(case[expected][i][name])
            torch.testing.assert_close(p.detach(), reference, rtol=0, atol=2e-6, msg=f"{name} after step {i}")


def test_only_matrices_with_two_large_sides_are_factored():
    shapes = {"large": (128, 130), "narrow": (127, 500), "vector": (300,)}
    optimizer = AdaFactor((name, nn.Parameter(torch.ones(shape))) for name, shape in shapes.items())
    assert {name: tuple(m.shape) for name, m in optimizer.state().items()} == {
        "large/rows": (128,),
        "large/columns": (130,),
        "narrow/full": (127, 500),
        "vector/full": (300,),
    }


def test_the_decay_starts_at_0_and_grows_with_the_step():
    optimizer = AdaFactor([])
    assert optimizer.decay(0) == 0.0
    assert optimizer.decay(1) == pytest.approx(1 - 2**-0.8)
    assert optimizer.decay(524_287) == pytest.approx(1 - 2.0 ** (-19 * 0.8))


def test_a_first_update_has_the_size_of_the_rate_times_the_parameters_own():
    p = nn.Parameter(torch.full((50,), 2.0))
    p.grad = torch.full((50,), 1e-5)
    AdaFactor([("p", p)]).step(torch.tensor(0.01), torch.tensor(0.0))
    torch.testing.assert_close(p.detach(), torch.full((50,), 2.0 - 0.01 * 2.0))


def test_a_parameter_of_zeros_can_leave_zero():
    p = nn.Parameter(torch.zeros(50))
    p.grad = torch.ones(50)
    AdaFactor([("p", p)]).step(torch.tensor(1.0), torch.tensor(0.0))
    torch.testing.assert_close(p.detach(), torch.full((50,), -1e-3))


def test_without_parameter_scale_the_rate_is_absolute():
    p = nn.Parameter(torch.full((50,), 2.0))
    p.grad = torch.ones(50)
    config = OptimizerConfig(multiply_by_parameter_scale=False)
    AdaFactor([("p", p)], config).step(torch.tensor(0.5), torch.tensor(0.0))
    torch.testing.assert_close(p.detach(), torch.full((50,), 1.5))


def test_parameters_without_a_gradient_stay_and_gradients_are_dropped():
    used, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    used.grad = torch.ones(3)
    AdaFactor([("used", used), ("unused", unused)]).step(torch.tensor(0.1), torch.tensor(0.0))
    assert torch.equal(unused.detach(), torch.ones(3))
    assert not torch.equal(used.detach(), torch.ones(3))
    assert used.grad is None


def test_a_state_taken_over_goes_on_in_the_same_bits_and_a_gap_in_it_is_noticed():
    torch.manual_seed(0)
    config = OptimizerConfig(min_dim_size_to_factor=2)
    start = {"matrix": torch.randn(4, 6), "vector": torch.randn(5)}
    grads = [{name: torch.randn_like(value) for name, value in start.items()} for _ in range(6)]

    def advance(parameters, optimizer, steps):
        for i in steps:
            for name, p in parameters.items():
                p.grad = grads[i][name].clone()
            optimizer.step(torch.tensor(0.01), torch.tensor(optimizer.decay(i)))

    straight = {name: nn.Parameter(value.clone()) for name, value in start.items()}
    first = AdaFactor(straight.items(), config)
    advance(straight, first, range(3))
    resumed = {name: nn.Parameter(p.detach().clone()) for name, p in straight.items()}
    second = AdaFactor(resumed.items(), config)
    second.load_state({name: moment.clone() for name, moment in first.state().items()})
    advance(straight, first, range(3, 6))
    advance(resumed, second, range(3, 6))
    assert all(torch.equal(straight[name], resumed[name]) for name in start)
    with pytest.raises(KeyError, match="vector/full"):
        second.load_state({"matrix/rows": torch.zeros(4), "matrix/columns": torch.zeros(6)})
