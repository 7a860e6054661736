"""Rows and numbers found by an id: by their place, or on XLA by comparing all places with it.

    by place      table[ids]                                gradient: added up at those places (a scatter)
    comparing     sum over v of (ids == v) * table[v]       gradient: a product with the one-hot matrix of the ids

Where the vocabulary is cut over devices a place is on one of them, and XLA looks it up, or adds to it, by putting the
whole on each; TPUs are slow at scatters even alone. A comparison is cut like what it is compared with, and is made
while the numbers are read anyway. It adds zeros to what is meant, so the numbers are the same up to the order of sums.

Shapes: N ids, C ids of one chunk, V vocabulary, D d_model.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Lay = Callable[[Tensor, tuple[str | None, ...]], Tensor]
"""Says along which axis of a mesh of devices each dimension of a tensor is cut ("data", "model", or None: whole)."""

ONE_HOT_BYTES = 1 << 28
"""How much a one-hot matrix may take if a compiler does not make it part of the product that reads it."""


def by_place(tensor: Tensor) -> bool:
    """Returns whether single numbers of a tensor are better looked up than compared for."""
    return tensor.device.type != "xla"


def laid(lay: Lay | None, tensor: Tensor, *axes: str | None) -> Tensor:
    """Returns the tensor, cut along these axes if there is a mesh."""
    return tensor if lay is None else lay(tensor, axes)


def one_hot(ids_N: Tensor, width: int) -> Tensor:
    """Returns which column each id is, bool ``[N, V]``."""
    return ids_N[:, None] == torch.arange(width, device=ids_N.device, dtype=ids_N.dtype)


def numbers_at(logits_CV: Tensor, ids_C: Tensor) -> Tensor:
    """Returns the number of each row that its id names, ``[C]``."""
    if by_place(logits_CV):
        return logits_CV.gather(-1, ids_C[:, None])[:, 0]
    return torch.where(one_hot(ids_C, logits_CV.shape[1]), logits_CV, 0.0).sum(dim=-1)


def less_at(gradient_CV: Tensor, ids_C: Tensor, weights_C: Tensor) -> Tensor:
    """Returns the rows with a weight taken off the number that each row's id names; may change them in place."""
    if by_place(gradient_CV):
        return gradient_CV.scatter_add_(1, ids_C[:, None], -weights_C[:, None])
    return gradient_CV - torch.where(one_hot(ids_C, gradient_CV.shape[1]), weights_C[:, None], 0.0)


def rows_of(weight_VD: Tensor, ids: Tensor, lay: Lay | None) -> Tensor:
    """Returns the rows ``[..., D]`` of a table on XLA; their gradient is a product, not a scatter."""
    apply: Any = _Rows.apply
    rows: Tensor = apply(weight_VD, ids, lay)
    return rows


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight_VD: Tensor, ids: Tensor, lay: Lay | None) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.like, ctx.lay = weight_VD, lay
        rows_ND = weight_VD.index_select(0, ids.flatten())
        return rows_ND.view(*ids.shape, weight_VD.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (ids,) = ctx.saved_tensors
        width, d_model = ctx.like.shape
        total_VD = torch.zeros(width, d_model, dtype=gradient.dtype, device=gradient.device)
        size = max(1, ONE_HOT_BYTES // (gradient.element_size() * width))
        parts = (torch.split(rows, size) for rows in (gradient.reshape(-1, d_model), ids.flatten()))
        for gradient_CD, ids_C in zip(*parts, strict=True):
            hot_CV = laid(ctx.lay, one_hot(ids_C, width).to(gradient.dtype), "data", "model")
            total_VD = total_VD + hot_CV.T @ laid(ctx.lay, gradient_CD, "data", None)
        return total_VD.to(ctx.like.dtype), None, None
