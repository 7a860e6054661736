"""Multi-head attention with an additive bias, and the key/value cache that decoding fills.

Logits are not divided by sqrt(d_kv): T5 folds that into the query initialiser. Masks arrive as part of the bias
(a large negative number where a key may not be seen), built once per stack and shared by its layers.

Shapes: B batch, Q queries, K keys, D d_model, H heads, d d_kv.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

MASKED = -1e9
"""Added to the logits of keys that may not be seen; finite, so that a row of only padding stays finite."""


@dataclass
class KeyValues:
    """Keys and values of one attention, each ``[B, H, K, d]``; K is fixed, decoding writes one position at a time."""

    keys_BHKd: Tensor
    values_BHKd: Tensor


class Attention(nn.Module):
    """Queries from one sequence, keys and values from the same or another one."""

    def __init__(self, d_model: int, d_kv: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.d_kv = d_kv
        inner = num_heads * d_kv
        self.q = nn.Linear(d_model, inner, bias=False)
        self.k = nn.Linear(d_model, inner, bias=False)
        self.v = nn.Linear(d_model, inner, bias=False)
        self.o = nn.Linear(inner, d_model, bias=False)
        self.dropout_rate = 0.0

    def _heads(self, x_BTI: Tensor) -> Tensor:
        return x_BTI.view(*x_BTI.shape[:-1], self.num_heads, self.d_kv).transpose(1, 2)

    def key_values(self, source_BKD: Tensor) -> KeyValues:
        """Returns the keys and values of ``source``, for attention over it."""
        weight = torch.cat([self.k.weight, self.v.weight])  # one matrix product instead of two
        keys, values = functional.linear(source_BKD, weight).chunk(2, dim=-1)
        return KeyValues(self._heads(keys), self._heads(values))

    def self_attention(self, x_BTD: Tensor, bias_BHTT: Tensor) -> Tensor:
        """Returns attention of ``x`` over itself, ``[B, T, D]``."""
        weight = torch.cat([self.q.weight, self.k.weight, self.v.weight])
        q, k, v = (self._heads(part) for part in functional.linear(x_BTD, weight).chunk(3, dim=-1))
        return self._attend(q, KeyValues(k, v), bias_BHTT)

    def over(self, x_BQD: Tensor, source: KeyValues, bias_BHQK: Tensor) -> Tensor:
        """Returns attention of ``x`` over given keys and values, ``[B, Q, D]``."""
        return self._attend(self._heads(self.q(x_BQD)), source, bias_BHQK)

    def cached(self, x_B1D: Tensor, cache: KeyValues, position_1: Tensor, bias_BH1K: Tensor) -> Tensor:
        """Writes the keys and values of one new position into ``cache`` and attends over all of it.

        ``position_1`` is a tensor of one index, so that every step is the same graph.
        """
        new = self.key_values(x_B1D)
        cache.keys_BHKd.index_copy_(2, position_1, new.keys_BHKd)
        cache.values_BHKd.index_copy_(2, position_1, new.values_BHKd)
        return self.over(x_B1D, cache, bias_BH1K)

    def _attend(self, q_BHQd: Tensor, source: KeyValues, bias_BHQK: Tensor) -> Tensor:
        logits_BHQK = q_BHQd @ source.keys_BHKd.transpose(-1, -2) + bias_BHQK
        weights_BHQK = torch.softmax(logits_BHQK.float(), dim=-1).to(q_BHQd.dtype)
        if self.training and self.dropout_rate > 0.0:
            weights_BHQK = functional.dropout(weights_BHQK, self.dropout_rate)
        mixed_BQI = (weights_BHQK @ source.values_BHKd).transpose(1, 2).flatten(-2)
        out: Tensor = self.o(mixed_BQI)
        return out
