"""The one seam between science and hardware: what training and decoding ask of a device.

Nothing outside this package asks which device it runs on. A device places arrays, marks where a step ends,
seeds its random numbers and says what it decided; the rest of t5core is written once.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One thing that was decided at start, and why: printed before a run and kept with its result."""

    what: str
    value: str
    why: str


class Device(Protocol):
    """A place where tensors live and steps run."""

    name: str
    torch_device: torch.device
    loss_chunk_bytes: int
    """How much of the logits the loss handles at a time: a cache's worth, or what a compiled program likes."""

    def put(self, array: np.ndarray) -> Tensor:
        """Returns the array as a tensor on the device; integer arrays become int64."""

    def scalar(self, value: float) -> Tensor:
        """Returns a float32 tensor of no dimensions whose value is data, not part of a compiled graph."""

    def end_step(self) -> None:
        """Marks the end of a step: a lazy device compiles and runs what was recorded since the last one."""

    def seed(self, *words: int) -> None:
        """Seeds the device's random numbers (dropout) from some integers."""

    def compilations(self) -> int:
        """Returns how many programs were compiled so far; 0 on a device that compiles nothing."""

    def decisions(self) -> tuple[Decision, ...]:
        """Returns what was decided about this device."""


def mix(words: tuple[int, ...]) -> int:
    """Returns one 63-bit seed from some integers."""
    return int(np.random.SeedSequence(list(words)).generate_state(1, np.uint64)[0] >> 1)
