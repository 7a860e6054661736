"""The seam where attention kernels compete: the same numbers, computed in different ways.

A kernel first *prepares* what all layers of a stack share, the learned bias and the mask; what it gives back then
*attends*, once per layer. A test holds every kernel to ``ReferenceKernel``, gradients included.

The learned bias comes as a table of offsets: entry ``k - q + Q - 1`` is what head h adds to the logit of query q and
key k. It has Q + K - 1 entries per head instead of Q·K; a kernel expands it if it must.

Shapes: B batch, H heads, Q queries, K keys, d d_kv, R = Q + K - 1 offsets.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from t5core.model.visibility import Visibility


class Scores(Protocol):
    """What the layers of a stack share: bias and mask, in the form that a kernel likes."""

    def attend(self, q_BHQd: Tensor, k_BHKd: Tensor, v_BHKd: Tensor) -> Tensor:
        """Returns ``softmax(q k^T + bias) v``, ``[B, H, Q, d]`` in q's dtype; logits are not scaled."""


class Kernel(Protocol):
    """A way to compute attention."""

    name: str

    def prepare(self, offsets_HR: Tensor | None, visibility: Visibility, like: Tensor) -> Scores:
        """Returns the scores for a stack; ``like`` has the device and the dtype of the activations."""


def expanded(offsets_HR: Tensor, num_queries: int, num_keys: int) -> Tensor:
    """Returns the bias ``[1, H, Q, K]`` of a table of offsets."""
    heads, width = offsets_HR.shape
    # rows of R + 1 entries read again as rows of R: each then starts one entry further to the left, as query q does.
    # Copies and views alone: neither the product nor its gradient gathers or scatters, which XLA is slow at.
    rows_HN = functional.pad(offsets_HR, (0, 1))[:, None, :].expand(heads, num_queries, width + 1).flatten(1)
    sheared_HQR = rows_HN[:, : num_queries * width].view(heads, num_queries, width)
    return sheared_HQR[:, :, num_queries - 1 :].unsqueeze(0)


def dense_bias(offsets_HR: Tensor | None, visibility: Visibility, like: Tensor) -> Tensor | None:
    """Returns learned bias and mask as one tensor that broadcasts to ``[B, H, Q, K]``, in ``like``'s dtype."""
    mask = visibility.additive(like.device, like.dtype)
    if offsets_HR is None:
        return mask
    bias_1HQK = expanded(offsets_HR, visibility.num_queries, visibility.num_keys).to(like.dtype)
    return bias_1HQK if mask is None else bias_1HQK + mask


@dataclass(frozen=True, eq=False)
class DenseScores:
    """Attention by two matrix products with a softmax between them.

    Attributes:
        bias: broadcasts to ``[B, H, Q, K]``, or None.
    """

    bias: Tensor | None

    def attend(self, q_BHQd: Tensor, k_BHKd: Tensor, v_BHKd: Tensor) -> Tensor:
        """Returns ``[B, H, Q, d]``."""
        logits_BHQK = q_BHQd @ k_BHKd.transpose(-1, -2)
        if self.bias is not None:
            logits_BHQK = logits_BHQK + self.bias
        return torch.softmax(logits_BHQK.float(), dim=-1).to(q_BHQd.dtype) @ v_BHKd


class ReferenceKernel:
    """Two matrix products with a softmax between them, on a dense bias: what the others are held to."""

    name = "reference"

    def prepare(self, offsets_HR: Tensor | None, visibility: Visibility, like: Tensor) -> Scores:
        """Returns scores with the bias expanded."""
        return DenseScores(dense_bias(offsets_HR, visibility, like))


WITH_BIAS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Implementations that a GPU may take where something is added to the scores. cuDNN's, which some GPUs would take, has
no gradient for it, and at some lengths makes NaN of rows that see nothing; the flash kernel takes no bias."""


@dataclass(frozen=True, eq=False)
class SdpaScores:
    """PyTorch's fused attention on a dense bias.

    Attributes:
        bias: broadcasts to ``[B, H, Q, K]``; None: nothing is added, and every implementation may be taken.
    """

    bias: Tensor | None

    def attend(self, q_BHQd: Tensor, k_BHKd: Tensor, v_BHKd: Tensor) -> Tensor:
        """Returns ``[B, H, Q, d]``."""
        if self.bias is None or not q_BHQd.is_cuda:
            return functional.scaled_dot_product_attention(q_BHQd, k_BHKd, v_BHKd, attn_mask=self.bias, scale=1.0)
        return pinned_attention(q_BHQd, k_BHKd, v_BHKd, self.bias)


def pinned_attention(q_BHQd: Tensor, k_BHKd: Tensor, v_BHKd: Tensor, bias: Tensor) -> Tensor:
    """Returns ``[B, H, Q, d]`` by an implementation of ``WITH_BIAS``, compiled or not."""
    with sdpa_kernel(WITH_BIAS):
        return functional.scaled_dot_product_attention(q_BHQd, k_BHKd, v_BHKd, attn_mask=bias, scale=1.0)


LONG = 384
"""Keys from which on a CPU takes less time for fused attention than for products with a softmax between them."""


def without_gradient(chosen: Kernel, device_type: str, keys: int) -> Kernel:
    """Returns the kernel for whole sequences where no gradient is taken: PyTorch's fused one for long ones.

    Nothing is compiled there either, so it stands in for one that needs a compiler whatever the length.

    Args:
        chosen: the stack's; one that was chosen for a run stays.
        device_type: of the tensors.
        keys: of a sequence.
    """
    fused = isinstance(chosen, ReferenceKernel) and device_type in ("cpu", "cuda") and keys >= LONG
    return SdpaKernel() if fused else not_compiled(chosen)


def not_compiled(chosen: Kernel) -> Kernel:
    """Returns the kernel where the program around it is not compiled: PyTorch's fused one for one that needs that."""
    return SdpaKernel() if getattr(chosen, "needs_compiler", False) else chosen


class SdpaKernel:
    """PyTorch's fused attention, which picks its own implementation; the bias of a stack is expanded once."""

    name = "sdpa"

    def prepare(self, offsets_HR: Tensor | None, visibility: Visibility, like: Tensor) -> Scores:
        """Returns scores with the bias expanded."""
        return SdpaScores(dense_bias(offsets_HR, visibility, like))
