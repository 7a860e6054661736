"""The mean of a run's last weights: late weights circle around a better place than any one of them is at.

    average_last=4, average_every=50 of 700 steps:      the weights behind the steps 550, 600, 650 and 700

The mean is taken as the run passes these steps, and it is what the run leaves: ``final/`` has the mean of the weights
beside the moments of the last step. Training itself never sees it. While it is being taken it is part of every
checkpoint, so a run that was killed ends in the same bits as one that was not.

Memory: the process that writes checkpoints holds one more float32 copy of the weights, 4 bytes a parameter, on the
host, from the first of these steps on, and a second one while it adds the next. A checkpoint on the way takes as much
more on disk; ``final/`` does not. A device holds nothing more.
"""

from pathlib import Path

import torch
from torch import Tensor

from t5core.config import TrainConfig
from t5core.devices import Device
from t5core.errors import CheckpointError
from t5core.model import T5
from t5core.training import checkpoint

AVERAGED = "averaged_steps"
"""In a checkpoint's state: the steps whose weights are in its mean so far."""


class Average:
    """The mean of the weights behind some steps of a run; of none where the config asks for none.

    Args:
        config: of the run.
        device: where it trains.
        earlier: the checkpoint that the run goes on with; None: it begins.

    Raises:
        CheckpointError: when the checkpoint lacks steps that it has passed: it is of a run with other settings.
    """

    def __init__(self, config: TrainConfig, device: Device, earlier: checkpoint.Checkpoint | None) -> None:
        self._device = device
        self._steps = averaged_steps(config)
        self._mean: dict[str, Tensor] = {}
        self._taken: list[int] = []
        self._ended = earlier is not None and earlier.step == config.steps  # so its weights are the mean
        if earlier is None:
            return
        passed = [step for step in self._steps if step <= earlier.step]
        if earlier.state.get(AVERAGED, []) != passed:
            has = earlier.state.get(AVERAGED, [])
            way_out = f"it has the mean of the weights behind the steps {has}, not {passed}: start in a fresh folder"
            raise CheckpointError("checkpoint", str(earlier.folder), way_out)
        self._taken = passed
        if passed and device.rank == 0 and not self._ended:
            self._mean = earlier.average()

    def take(self, done: int, model: T5) -> None:
        """Adds the weights behind step ``done``, if they are among those asked for; every process calls it."""
        if done not in self._steps:
            return
        weights = self._device.gathered(model.state_dict())
        self._taken.append(done)
        if self._device.rank == 0:
            _add(self._mean, weights, len(self._taken))

    @property
    def complete(self) -> bool:
        """Whether all weights asked for are in the mean, which the run has yet to leave."""
        return bool(self._steps) and tuple(self._taken) == self._steps and not self._ended

    @property
    def mean(self) -> dict[str, Tensor]:
        """The mean so far, float32 on the CPU, in the process that writes; empty in others and before the first."""
        return self._mean

    @property
    def state(self) -> dict[str, list[int]]:
        """What a checkpoint's state has to say of it."""
        return {AVERAGED: list(self._taken)} if self._taken else {}

    def settle(self, model: T5, final: Path) -> None:
        """Puts the mean, which lies in ``final`` by now, into the model, for what is done with it after training."""
        if self.complete:
            weights = model.state_dict()
            placed = self._device.scattered(checkpoint.load(final).model().state_dict(), weights)
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.copy_(placed[name])
            self._device.end_step()


def averaged_steps(config: TrainConfig) -> tuple[int, ...]:
    """Returns the steps behind which the weights are averaged, counted from 1, the run's last one among them."""
    if config.average_last is None or config.average_every is None:
        return ()
    return tuple(config.steps - back * config.average_every for back in reversed(range(config.average_last)))


def _add(mean: dict[str, Tensor], weights: dict[str, Tensor], count: int) -> None:
    """Turns a mean of ``count - 1`` weights into one of ``count``, in place; what never changes stays as it is."""
    if count == 1:
        mean.update({name: weight.clone() for name, weight in weights.items()})
        return
    for name, weight in weights.items():
        mean[name] += (weight - mean[name]) / count
