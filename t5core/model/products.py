"""Matrix products with a weight: of whole sequences, and of a few rows again and again, as decoding has them.

A weight lies in memory row after row, and matrix libraries on CPUs read it in another order. For a whole batch they
rearrange it on the way; for the sixteen rows of a decoding step that costs as much as the product. So for decoding a
weight is rearranged once, by oneDNN, which torch carries; what follows a product, a ReLU or the sum with a residual, is
then done while the result is still in the cache. Elsewhere, and where torch has no oneDNN, it is an ordinary product.

Rearranged weights are a second copy, held as long as the decoding that made them.

Of many rows, without gradients, oneDNN's product is the quicker one as well, by a sixth on the processors measured,
the rearranging included.

Shapes: R rows, D in, O out.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

MANY_ROWS = 512
"""From here on it pays to rearrange a weight for one product."""


def linear(x: Tensor, weight_OD: Tensor, *, relu: bool = False) -> Tensor:
    """Returns ``x @ weight^T``, ``[..., O]``, its negative numbers made 0 with ``relu``."""
    if not torch.is_grad_enabled() and x.numel() >= MANY_ROWS * x.shape[-1] and _packs(weight_OD):
        return RowsProduct(weight_OD, x.dtype, x.numel() // x.shape[-1])(x, relu=relu)
    out = functional.linear(x, weight_OD)
    return functional.relu(out) if relu else out


class RowsProduct:
    """``x @ weight^T`` for few rows at a time, many times; without gradients.

    Args:
        weight_OD: is cast to ``dtype``.
        dtype: of the rows.
        rows: how many there will be, about; a hint.
    """

    def __init__(self, weight_OD: Tensor, dtype: torch.dtype, rows: int) -> None:
        self.weight_OD = weight_OD.detach().to(dtype)
        self.packed: Tensor | None = None
        if _packs(self.weight_OD):
            self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight_OD, rows)

    def __call__(self, x_RD: Tensor, *, relu: bool = False) -> Tensor:
        """Returns the product ``[R, O]``, its negative numbers made 0 with ``relu``."""
        if self.packed is not None:
            after = "relu" if relu else "none"
            out_RO: Tensor = torch.ops.mkldnn._linear_pointwise(x_RD, self.packed, None, after, [], "")
            return out_RO
        out_RO = functional.linear(x_RD, self.weight_OD)
        return out_RO.relu() if relu else out_RO

    def added(self, residual_RO: Tensor, x_RD: Tensor) -> Tensor:
        """Returns the product with a residual added, ``[R, O]``."""
        if self.packed is not None:
            out_RO: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x_RD, residual_RO, self.packed, None, "add")
            return out_RO
        return residual_RO + functional.linear(x_RD, self.weight_OD)


def _packs(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and weight.dtype in _packed_dtypes()


@cache
def _packed_dtypes() -> tuple[torch.dtype, ...]:
    """Returns what oneDNN rearranges here: bfloat16 only where the processor has what its products need (AVX-512)."""
    operations = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return ()
    if not all(hasattr(torch.ops.mkldnn, operation) for operation in operations):
        return ()
    low = (torch.bfloat16,) if torch.ops.mkldnn._is_mkldnn_bf16_supported() else ()
    return (torch.float32, *low)
