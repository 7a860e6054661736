"""Dropout as the released code has it: masks shared over the positions of a sequence, and a pure function of place.

The paper only says "dropout"; Mesh TensorFlow's noise shapes leave the length dimension out. A residual's mask is
``[B, 1, D]``, the feed-forward's hidden one ``[B, 1, F]``. Attention weights ``[B, H, Q, K]`` get one over the keys
alone, ``[B, H, 1, K]``, and that is the same as scaling the rows of the values:

    (weights * mask_BH1K) @ values  ==  weights @ (mask_BHK1 * values)

so every attention kernel can train with dropout, also those that know none.

Whether a feature is dropped is a hash of (seed, step, site, layer, row of the global batch, feature). There is no
generator whose state could differ: the masks are the same on a CPU, a GPU and a TPU, on one device and on the two
that share its batch, and in a run that was killed and goes on. A few thousand numbers per sequence and layer are
hashed, thanks to the sharing; a mask per position would need five hundred times as many.

Shapes: L layers, B rows, N features.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

_WORD = 0xFFFFFFFF
_HIGHEST = 1 << 31
_ROW, _LAYER, _SITE = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35  # odd numbers that set the coordinates apart


@dataclass(frozen=True, kw_only=True, eq=False)
class Dropout:
    """One training step's dropout.

    Attributes:
        rate: share of the features that is dropped, in [0, 1).
        key: ``[]`` on the model's device, a word of 32 bits made of the run's seed and the step: int64, or int32, whose
            sign is the highest bit. A tensor, so that a compiled step stays one program.
        first_row: row of the global batch that the first row here is; a tensor like ``key`` where a step has several
            parts, which then are one program.
        site_offset: added to every site's number.
    """

    rate: float
    key: Tensor
    first_row: int | Tensor = 0
    site_offset: int = 0

    def elsewhere(self, offset: int) -> "Dropout":
        """Returns the same dropout with all sites moved: for a stack that is run twice."""
        return replace(self, site_offset=self.site_offset + offset)

    def masks(self, site: int, num_layers: int, num_rows: int, num_features: int) -> Tensor:
        """Returns ``[L, B, N]`` float32: 0 where dropped, ``1 / (1 - rate)`` where kept."""
        device, dtype = self.key.device, self.key.dtype
        rows_B = torch.arange(num_rows, device=device, dtype=dtype) + self.first_row
        layers_L = torch.arange(num_layers, device=device, dtype=dtype)
        start = _hash(self.key ^ _word((site + self.site_offset) * _SITE, dtype))
        places_LB = layers_L[:, None] * _word(_LAYER, dtype) + rows_B[None, :] * _word(_ROW, dtype)
        base_LB = _hash(start ^ _hash(places_LB if dtype == torch.int32 else places_LB & _WORD))
        words_LBN = _hash(base_LB[..., None] ^ _hash(torch.arange(num_features, device=device, dtype=dtype)))
        kept_LBN = _at_least(words_LBN, round(self.rate * 2**32))
        return kept_LBN.to(torch.float32) * (1.0 / (1.0 - self.rate))


def _hash(x: Tensor) -> Tensor:
    """Scrambles 32-bit words: xor-shifts and products.

    Words are held in int64, where nothing overflows, or for devices that have no such numbers in int32, where what
    overflows is cut off and the sign is the highest bit. The bits are the same.
    """
    x = _product(x ^ _shifted(x, 16), 0x21F0AAAD)
    x = _product(x ^ _shifted(x, 15), 0x735A2D97)
    return x ^ _shifted(x, 15)


def _shifted(x: Tensor, bits: int) -> Tensor:
    if x.dtype != torch.int32:
        return x >> bits
    # a negative number is filled up with ones from the left; by ">>", torch-xla would divide it and round up
    return torch.bitwise_right_shift(x, x.new_full((), bits)) & (_WORD >> bits)


def _product(x: Tensor, factor: int) -> Tensor:
    return x * factor if x.dtype == torch.int32 else (x * factor) & _WORD


def _at_least(x: Tensor, bound: int) -> Tensor:
    """Whether words, read without a sign, reach a bound up to 2^32."""
    if x.dtype != torch.int32:
        return x >= bound
    if bound == 0:
        return torch.ones_like(x, dtype=torch.bool)
    # with the highest bit the other way round they are in order; torch-xla would compare with a number in int64
    return (x ^ -_HIGHEST) > x.new_full((), bound - 1 - _HIGHEST)


def _word(number: int, dtype: torch.dtype) -> int:
    """The lowest 32 bits of a number as a word of this dtype."""
    word = number & _WORD
    return word - 2 * _HIGHEST if dtype == torch.int32 and word >= _HIGHEST else word
