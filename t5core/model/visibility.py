"""Who may see whom: the attention masks of Figure 3 of the paper, and those of packed batches.

    fully visible      causal          causal with prefix (2)      two segments, causal
      x x x x           x . . .            x x . .                    x . . .
      x x x x           x x . .            x x . .                    x x . .
      x x x x           x x x .            x x x .                    . . x .
      x x x x           x x x x            x x x x                    . . x x

Rows are queries, columns keys. T5's positions are relative, so a segment in the middle of a row computes what it
would compute alone.

Shapes: B batch, Q queries, K keys.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

MASKED = -1e9
"""Added to the logits of keys that may not be seen; finite, so that a row of only padding stays finite."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Visibility:
    """Which keys each query may see; what is None hides nothing.

    Attributes:
        num_queries, num_keys: Q and K.
        causal: a query sees keys up to its own position.
        visible_BK: bool; keys that are not padding.
        query_segments_BQ, key_segments_BK: int; a query sees keys of its own segment only. Padding is segment 0.
        prefix_BK: bool; keys that every query of the row (and segment) sees, whatever ``causal`` says.
    """

    num_queries: int
    num_keys: int
    causal: bool = False
    visible_BK: Tensor | None = None
    query_segments_BQ: Tensor | None = None
    key_segments_BK: Tensor | None = None
    prefix_BK: Tensor | None = None

    def dense(self, device: torch.device) -> Tensor | None:
        """Returns a bool tensor that broadcasts to ``[B, 1, Q, K]``, True where a key is seen; None: all are."""
        seen: Tensor | None = None
        if self.causal:
            queries = torch.arange(self.num_queries, device=device)[:, None]
            seen = (torch.arange(self.num_keys, device=device)[None, :] <= queries)[None, None]
            if self.prefix_BK is not None:
                seen = seen | self.prefix_BK[:, None, None, :]
        for more in (
            None if self.visible_BK is None else self.visible_BK[:, None, None, :],
            None
            if self.query_segments_BQ is None or self.key_segments_BK is None
            else (self.query_segments_BQ[:, None, :, None] == self.key_segments_BK[:, None, None, :]),
        ):
            if more is not None:
                seen = more if seen is None else seen & more
        return seen

    def additive(self, device: torch.device, dtype: torch.dtype) -> Tensor | None:
        """Returns ``dense`` as numbers to add to logits: 0 where a key is seen, MASKED where not."""
        seen = self.dense(device)
        return None if seen is None else (~seen).to(dtype) * MASKED
