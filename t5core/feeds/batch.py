"""What a training step eats."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Inputs and targets of one step, at static shapes.

    Attributes:
        inputs: int32 ``[B, Li]``; each row is ended by EOS (1) and padded with 0.
        targets: int32 ``[B, Lt]``, likewise. The decoder's input is the targets shifted right; the model does that.
    """

    inputs: npt.NDArray[np.int32]
    targets: npt.NDArray[np.int32]
