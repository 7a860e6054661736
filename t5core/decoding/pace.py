"""How decoding goes along with a device: which shapes it may change, and when it may wait.

On a device that compiles each new shape, every step is the same program: the position is a tensor, the cache is read
whole and no row leaves the batch. Elsewhere shapes are free: only the positions reached are read, and rows that have
ended leave the batch. Either way the host asks only now and then how many rows go on, because asking makes it wait
for the device.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from t5core.devices import Device, open_device

ASK_EVERY = 4
"""Steps between two questions which rows go on."""

WORTH_LEAVING = 0.25
"""The share of a batch's rows that must have ended before the others are copied into a smaller batch."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What a decoding loop needs to know of a device.

    Attributes:
        static_shapes: whether all steps must have the same shapes.
        end_step: marks the end of a step.
    """

    static_shapes: bool
    end_step: Callable[[], None]

    @classmethod
    def of(cls, device: Device) -> "Pace":
        """Returns a device's pace."""
        return cls(static_shapes=device.static_shapes, end_step=device.end_step)

    @classmethod
    def where(cls, tensor: Tensor) -> "Pace":
        """Returns the pace of the device a tensor lies on."""
        if tensor.device.type == "xla":
            return cls.of(open_device("xla"))
        return cls(static_shapes=False, end_step=_nothing)

    def position(self, n: int, counter_1: Tensor) -> int | Tensor:
        """Returns the position of step ``n``: a number where shapes may follow it, else a tensor."""
        return counter_1 if self.static_shapes else n

    def padded(self, visible_BS: Tensor | None) -> bool:
        """Returns whether some input may not be seen: asked once where that is free, else taken to be so."""
        return self.static_shapes or visible_BS is None or not bool(visible_BS.all())

    def remaining(self, n: int, open_B: Tensor) -> Tensor | None:
        """Asks, every few steps, which examples go on.

        Returns:
            Their indices if it is time to leave the others behind, which may be none; None to go on with all.
        """
        if n % ASK_EVERY != ASK_EVERY - 1:
            return None
        if self.static_shapes:
            return None if bool(open_B.any()) else torch.empty(0, dtype=torch.int64)
        indices_N = open_B.nonzero()[:, 0]
        kept, all_ = indices_N.shape[0], open_B.shape[0]
        return indices_N if kept == 0 or kept <= (1 - WORTH_LEAVING) * all_ else None


def _nothing() -> None:
    pass
