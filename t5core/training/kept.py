"""The weights behind some of a run's last steps, kept beside those that it ends with.

    keep_last=4, keep_every=50 of 700 steps:      kept/step-00000550, -00000600, -00000650, and final/

What is judged at several of them is known better than at the last one alone, and how far they lie apart is a part of
its noise. Each is a checkpoint without moments: nothing is gone on with from there. Training never sees any of it.

A run that was killed goes on from a checkpoint only if whatever it had to keep up to there is still whole; if not it
begins anew, and ends in the same bits.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from t5core.config import TrainConfig
from t5core.devices import Device
from t5core.errors import CheckpointError
from t5core.model import T5
from t5core.training import checkpoint

KEPT = "kept"
"""The folder, in a run's own, of the weights that are kept beside ``final/``."""


def kept_folder(run: Path, step: int) -> Path:
    """Returns where the weights behind a step lie in a run's folder."""
    return checkpoint.step_folder(run / KEPT, step)


class Kept:
    """The weights that a run keeps on its way; none where the config asks for none.

    Args:
        config: of the run.
        device: where it trains.
        run: its folder.
    """

    def __init__(self, config: TrainConfig, device: Device, run: Path) -> None:
        self._device = device
        self._run = run
        self._steps = config.kept_steps

    def whole(self, done: int) -> bool:
        """Whether all that are to be kept up to step ``done`` are there."""
        try:
            for step in self._steps:
                if step <= done:
                    checkpoint.load(kept_folder(self._run, step))
        except CheckpointError:
            return False
        return True

    def take(self, done: int, model: T5, extra: Mapping[str, Any]) -> None:
        """Keeps the weights behind step ``done``, if they are among those asked for; every process calls it.

        Args:
            done: steps so far.
            model: that is trained.
            extra: what a checkpoint's state says besides.
        """
        if done not in self._steps:
            return
        weights = self._device.gathered(model.state_dict())
        if self._device.rank == 0:
            checkpoint.save(kept_folder(self._run, done), done, model.config, weights, None, extra)
