"""Whether weights fit on every device of a mesh as a whole, so that less has to be sent than if they are cut.

Under SPMD torch-xla tells no device's memory, so it is taken from the kind of TPU, which the machine names in
TPU_ACCELERATOR_TYPE. Where that is not known, weights are cut.
"""

from typing import Protocol, runtime_checkable

from torch import nn

GIB = 1 << 30

BATCH, INPUTS, TARGETS = 128, 512, 114
"""The paper's batch, which has to fit beside the weights."""

USABLE = 0.75
"""The share of the memory that may be counted on: compilers need some of it."""


@runtime_checkable
class Trainable(Protocol):
    """A model that knows what training keeps."""

    def kept_for_backward(self, inputs_length: int, targets_length: int) -> int:
        """Returns how many numbers of one sequence are kept for the backward pass, from above."""


def needed_bytes(model: nn.Module, devices: int, bytes_each: int) -> int | None:
    """Returns what training takes on each of some devices that share a batch and hold whole weights, from above.

    Args:
        model: placed or not.
        devices: how many share the batch.
        bytes_each: of a number of the activations.

    Returns:
        Weights, gradients and moments in float32, moments as if none were factored, and the activations of a device's
        rows; None for a model that does not know what it keeps.
    """
    if not isinstance(model, Trainable):
        return None
    weights = 4 * sum(parameter.numel() for parameter in model.parameters())
    return 3 * weights + -(-BATCH // devices) * model.kept_for_backward(INPUTS, TARGETS) * bytes_each
