"""Training with a stack's layers held joined, on the CPU: the losses of layers apart, whichever of them are trained."""

import pytest
import torch
from small_run import MODEL, TRAIN, CopyFeed

from t5core.devices import open_device
from t5core.devices.layered import split_layers
from t5core.model import T5
from t5core.model.scanned import loop
from t5core.training.step import TrainStep

CONFIG = TRAIN.replace(steps=6, unfreezing_episodes=2)
ADAPTED = MODEL.replace(adapter_size=8)


def run(model: T5, config) -> tuple[list[float], dict, dict]:
    step = TrainStep(model, config, open_device("cpu"))
    losses = [step(CopyFeed(config).batch(i), i).item() for i in range(config.steps)]
    return losses, split_layers(model.state_dict()), split_layers(step.optimizer.moments)


@pytest.mark.parametrize("trainable", ["all", "adapters_and_norms", "adapters", "gradual"])
def test_joined_layers_train_as_layers_apart_do(trainable):
    config = CONFIG.replace(trainable=trainable)
    first = T5(ADAPTED).initialise(config.seed)
    losses, weights, moments = run(T5(ADAPTED).initialise(config.seed), config)
    joined = run(T5(ADAPTED).initialise(config.seed).scanned(loop), config)
    assert joined[0] == pytest.approx(losses, abs=1e-5)
    for found, expected in ((joined[1], weights), (joined[2], moments)):
        assert found.keys() == expected.keys()
        for name, x in expected.items():
            torch.testing.assert_close(found[name], x, rtol=1e-4, atol=1e-5, msg=name)
    moved = {name for name, x in weights.items() if not torch.equal(x, first.state_dict()[name])}
    kept = {name for name, x in joined[1].items() if torch.equal(x, first.state_dict()[name])}
    assert moved == weights.keys() - kept
    assert bool(kept) == (trainable not in ("all", "gradual"))


def test_lower_layers_wait_for_their_episode():
    config = CONFIG.replace(trainable="gradual", steps=10)  # 2 episodes of 5 steps, 2 layers
    model = T5(MODEL).initialise(0).scanned(loop)
    first = {name: x.clone() for name, x in split_layers(model.state_dict()).items()}
    step = TrainStep(model, config, open_device("cpu"))
    moved = []
    for i in (0, 5):
        step(CopyFeed(config).batch(i), i)
        now = split_layers(model.state_dict())
        moved.append({name for name in now if not torch.equal(now[name], first[name])})
    lower = {name for name in first if ".blocks.0." in name or "position_bias" in name}
    assert moved[0] == first.keys() - lower
    assert moved[1] == set(first)
