"""Attention with the learned bias read where it is needed: PyTorch's flex attention.

The bias stays a table of offsets, ``[H, Q + K - 1]``; each block of scores looks its entries up while it is computed,
so that there is no ``[H, Q, K]`` bias in memory, let alone one per row of the batch. Which keys a query may see is told
block by block as well: blocks in which nothing is seen are skipped.

    score of query 3 and key 1 in head h, Q = 4:   q·k + offsets[h, 1 - 3 + 4 - 1]

Compiled, on a GPU, this is one fused kernel in each direction; the gradient of the table is summed by atomic adds, so
its last bits differ from run to run. Not compiled it computes the same densely, which is for tests. Rows in which a
query sees no key at all come out as 0, where the reference gives the mean of all values; nothing reads either.

Shapes: B batch, H heads, Q queries, K keys, d d_kv, R = Q + K - 1 offsets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from t5core.model.kernels import Scores
from t5core.model.visibility import Visibility

ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""(score, row, head, query, key) -> score, all of no dimensions."""
MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(row, head, query, key) -> whether the key is seen."""

MASK_BLOCK = 128
"""Queries and keys of one block of the mask; the kernels' own blocks divide it."""


@dataclass(frozen=True, eq=False)
class FlexScores:
    """Bias and mask as functions of place."""

    score_mod: ScoreMod | None
    block_mask: BlockMask | None

    def attend(self, q_BHQd: Tensor, k_BHKd: Tensor, v_BHKd: Tensor) -> Tensor:
        """Returns ``[B, H, Q, d]``."""
        out: Any = flex_attention(q_BHQd, k_BHKd, v_BHKd, self.score_mod, self.block_mask, scale=1.0)
        mixed_BHQd: Tensor = out
        return mixed_BHQd


class FlexKernel:
    """Flex attention; worth it where the program around it is compiled."""

    name = "flex"

    def prepare(self, offsets_HR: Tensor | None, visibility: Visibility, like: Tensor) -> Scores:
        """Returns scores that look the bias up; the table stays in float32."""
        mask = mask_mod(visibility)
        block_mask = None
        if mask is not None:
            rows = rows_of(visibility)
            queries, keys = visibility.num_queries, visibility.num_keys
            block_mask = create_block_mask(mask, rows, None, queries, keys, like.device.type, MASK_BLOCK)
        return FlexScores(None if offsets_HR is None else score_mod(offsets_HR, visibility.num_queries), block_mask)


def score_mod(offsets_HR: Tensor, num_queries: int) -> ScoreMod:
    """Returns the function that adds the learned bias to one score."""

    def biased(score: Tensor, row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score + offsets_HR[head, key - query + (num_queries - 1)]

    return biased


def mask_mod(visibility: Visibility) -> MaskMod | None:
    """Returns the function that says whether a key is seen, as ``Visibility.dense`` does; None: every key is."""
    v = visibility
    causal, prefix_BK, visible_BK = v.causal, v.prefix_BK, v.visible_BK
    queries_BQ, keys_BK = v.query_segments_BQ, v.key_segments_BK
    segments = queries_BQ is not None and keys_BK is not None
    if not causal and visible_BK is None and not segments:
        return None

    def seen(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        out = query >= key if causal else query >= 0
        if causal and prefix_BK is not None:
            out = out | prefix_BK[row, key]
        if visible_BK is not None:
            out = out & visible_BK[row, key]
        if queries_BQ is not None and keys_BK is not None:
            out = out & (queries_BQ[row, query] == keys_BK[row, key])
        return out

    return seen


def rows_of(visibility: Visibility) -> int | None:
    """Returns the batch's rows if they see different keys, else None: one mask serves all."""
    for tensor in (visibility.visible_BK, visibility.key_segments_BK, visibility.prefix_BK):
        if tensor is not None:
            return tensor.shape[0]
    return None
