"""Multi-head attention over whole sequences; decoding, one position at a time, is in ``t5core.model.incremental``.

Logits are not divided by sqrt(d_kv): T5 folds that into the query initialiser. Learned bias and mask arrive as the
scores that a kernel prepared, once per stack (``t5core.model.kernels``). Dropout of the attention weights is shared
over the queries, and so it is applied to the values (``t5core.model.dropout`` says why that is the same).

Shapes: B batch, Q queries, K keys, D d_model, I = H·d inner width, H heads, d d_kv.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from t5core.model.kernels import Scores
from t5core.model.layers import Linear
from t5core.model.products import linear


@dataclass(frozen=True, eq=False)
class KeyValues:
    """Keys and values of one attention, each ``[B, H, K, d]``."""

    keys_BHKd: Tensor
    values_BHKd: Tensor

    def joined(self) -> Tensor:
        """Returns ``[2, B, H, K, d]``, laid out for many readings."""
        return torch.stack([self.keys_BHKd, self.values_BHKd])


class Attention(nn.Module):
    """Queries from one sequence, keys and values from the same or another one."""

    def __init__(self, d_model: int, d_kv: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.d_kv = d_kv
        inner = num_heads * d_kv
        self.q = Linear(d_model, inner)
        self.k = Linear(d_model, inner)
        self.v = Linear(d_model, inner)
        self.o = Linear(inner, d_model)

    def _heads(self, x_BTI: Tensor) -> Tensor:
        # the head width is left out, so that a shard of the heads passes through as well
        return x_BTI.reshape(*x_BTI.shape[:-1], -1, self.d_kv).transpose(1, 2)

    def queries(self, x_BQD: Tensor) -> Tensor:
        """Returns ``[B, H, Q, d]``."""
        return self._heads(self.q(x_BQD))

    def key_values(self, source_BKD: Tensor) -> KeyValues:
        """Returns the keys and values of ``source``, for attention over it."""
        weight = torch.cat([self.k.weight, self.v.weight]).to(source_BKD.dtype)  # one matrix product instead of two
        keys, values = linear(source_BKD, weight).chunk(2, dim=-1)
        return KeyValues(self._heads(keys), self._heads(values))

    def itself(self, x_BTD: Tensor) -> tuple[Tensor, KeyValues]:
        """Returns queries ``[B, H, T, d]``, keys and values, all of ``x``."""
        weight = torch.cat([self.q.weight, self.k.weight, self.v.weight]).to(x_BTD.dtype)
        q, k, v = (self._heads(part) for part in linear(x_BTD, weight).chunk(3, dim=-1))
        return q, KeyValues(k, v)

    def attend(self, q_BHQd: Tensor, source: KeyValues, scores: Scores, mask_BHK1: Tensor | None = None) -> Tensor:
        """Returns attention of queries over keys and values, ``[B, Q, D]``; ``mask`` is the weights' dropout."""
        values_BHKd = source.values_BHKd if mask_BHK1 is None else source.values_BHKd * mask_BHK1
        mixed_BHQd = scores.attend(q_BHQd, source.keys_BHKd, values_BHKd)
        out: Tensor = self.o(mixed_BHQd.transpose(1, 2).flatten(-2))
        return out

    def self_attention(self, x_BTD: Tensor, scores: Scores, mask_BHT1: Tensor | None = None) -> Tensor:
        """Returns attention of ``x`` over itself, ``[B, T, D]``."""
        q_BHTd, source = self.itself(x_BTD)
        return self.attend(q_BHTd, source, scores, mask_BHT1)

    def flops(self, queries: int, keys: int) -> int:
        """Returns the operations of one forward pass: four projections and the two products with the weights."""
        inner = self.num_heads * self.d_kv
        projections = self.q.flops(queries) + self.k.flops(keys) + self.v.flops(keys) + self.o.flops(queries)
        return projections + 4 * queries * keys * inner
