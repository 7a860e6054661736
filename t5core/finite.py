"""What every reader of weights asks of them: that they are numbers.

A weight that is infinite or not a number makes all answers of a model empty, and all losses too, without a word.
"""

from pathlib import Path

import torch
from torch import Tensor

from t5core.errors import CheckpointError


def check_finite(name: str, tensor: Tensor, path: Path) -> None:
    """Refuses a tensor of a file that holds infinities or NaN.

    Raises:
        CheckpointError: names the tensor, the file, and how many of its values they are.
    """
    finite = torch.isfinite(tensor)
    if not finite.all():
        count = tensor.numel() - int(finite.sum())
        way_out = "take a checkpoint from before its training went wrong, or copy the file anew"
        raise CheckpointError(
            "tensor", name, f"{count:,} of its {tensor.numel():,} values in {path} are not finite: {way_out}"
        )
