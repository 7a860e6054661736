"""AdaFactor on joined layers: each layer as if it were a parameter of its own."""

import pytest
import torch
from torch import nn

from t5core.config import OptimizerConfig
from t5core.devices.layered import join_layers, split_layers
from t5core.training.adafactor import AdaFactor

CONFIG = OptimizerConfig(min_dim_size_to_factor=4)
SHAPES = {"wi.weight": (6, 4), "wo.weight": (4, 3), "norm.weight": (5,)}
LAYERS = 3


def apart() -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    scales = (0.1, 1.0, 30.0)  # so that no layer's clipping or scale would do for another
    return {
        f"decoder.blocks.{i}.{name}": nn.Parameter(torch.randn(shape, generator=generator) * scales[i])
        for i in range(LAYERS)
        for name, shape in SHAPES.items()
    }


def gradients(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return {
        name: torch.randn(p.shape, generator=generator) * 10.0 ** (step - i % 3)
        for i, (name, p) in enumerate(apart().items())
    }


def joined() -> dict[str, nn.Parameter]:
    return {name: nn.Parameter(p) for name, p in join_layers({n: p.detach() for n, p in apart().items()}).items()}


def step(optimizer: AdaFactor, values: dict[str, torch.Tensor]) -> None:
    for name, p in optimizer.parameters.items():
        p.grad = values[name].clone()
    optimizer.step(0.01)


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, x in expected.items():
        torch.testing.assert_close(found[name], x.detach(), rtol=1e-6, atol=1e-7, msg=name)


@pytest.mark.parametrize("by_scale", [True, False])
def test_joined_layers_are_updated_as_layers_apart_are(by_scale):
    config = CONFIG.replace(multiply_by_parameter_scale=by_scale)
    one, other = AdaFactor(apart(), config), AdaFactor(joined(), config)
    assert {name.rpartition("/")[2] for name in other.moments} == {"rows", "columns", "full"}
    for i in range(3):
        step(one, gradients(i))
        step(other, join_layers(gradients(i)))
    assert_equal(split_layers({n: p.detach() for n, p in other.parameters.items()}), dict(one.parameters))
    assert_equal(split_layers(other.moments), one.moments)


def test_layers_that_are_not_trained_keep_their_weights_and_moments():
    one, other = AdaFactor(apart(), CONFIG), AdaFactor(joined(), CONFIG)
    trained = [[False, False, True], [False, True, True], [True, True, True]]
    for i, layers in enumerate(trained):
        values = gradients(i)
        for name, p in one.parameters.items():
            p.grad = values[name] if layers[int(name.split(".")[2])] else None
        one.step(0.01)
        other.trained_layers = {name: torch.tensor(layers) for name in other.parameters}
        step(other, join_layers(gradients(i)))
        assert_equal(split_layers({n: p.detach() for n, p in other.parameters.items()}), dict(one.parameters))
        assert_equal(split_layers(other.moments), one.moments)
