"""How fast a run is and what it takes: the columns of ``metrics.jsonl`` that tell of the machine.

    tokens_per_s         input and target tokens that are not padding, of whole batches
    flops_per_s          operations of the model's products at the batch's static shapes, padding included, forward and
                         backward; what is computed twice to save memory counts once (``t5core.model.flops``)
    mfu                  the share of that in the peak rate of the devices together, where it is known ("model FLOPs
                         utilisation")
    peak_memory_bytes    on a GPU what PyTorch held at most since the run's start, on a CPU what the process did

Each is of the steps since the row before, from one fetched loss to the next, checkpoints left out and the averaging of
weights not; a run's first row
holds what is compiled at its start. They differ whenever a run is done again; everything else in a row is the same.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from t5core.config import ModelConfig
from t5core.devices import Device
from t5core.feeds.batch import Batch
from t5core.model import train_flops

MEASURED = ("tokens_per_s", "flops_per_s", "mfu", "peak_memory_bytes")
"""Columns that are another in every run."""


def repeatable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row of ``metrics.jsonl`` without what another run of the same measures otherwise."""
    return {name: value for name, value in row.items() if name not in MEASURED}


class Measures:
    """Counts the work of steps and the time that they take.

    Args:
        model: what is trained.
        device: where.
        clock: seconds.
    """

    def __init__(self, model: ModelConfig, device: Device, clock: Callable[[], float] = time.monotonic) -> None:
        self._model = model
        self._device = device
        self._clock = clock
        self._flops: dict[tuple[int, ...], int] = {}
        device.reset_peak_memory()
        self.begin()

    def begin(self) -> None:
        """Counts from now on: what was before belongs to no row."""
        self._since_s = self._clock()
        self._tokens = self._operations = 0

    def add(self, batch: Batch) -> None:
        """Counts a step's batch."""
        self._tokens += int(np.count_nonzero(batch.inputs)) + int(np.count_nonzero(batch.targets))
        shape = (*batch.inputs.shape, batch.targets.shape[1])
        if shape not in self._flops:
            rows, inputs_length, targets_length = shape
            self._flops[shape] = rows * train_flops(self._model, inputs_length, targets_length)
        self._operations += self._flops[shape]

    def row(self) -> dict[str, float]:
        """Returns the columns of the steps that were counted, which are done, and begins again."""
        seconds = max(self._clock() - self._since_s, 1e-9)
        rate = self._operations / seconds
        out: dict[str, float] = {"tokens_per_s": self._tokens / seconds, "flops_per_s": rate}
        peak = self._device.peak_flops_per_s()
        if peak is not None:
            out["mfu"] = rate / peak
        memory = self._device.peak_memory_bytes()
        if memory is not None:
            out["peak_memory_bytes"] = memory
        self.begin()
        return out
