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

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask, flex_attention

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
    needs_compiler = True
    """Not compiled it makes all scores in float32 (``t5core.model.kernels.not_compiled``)."""

    def prepare(self, offsets_HR: Tensor | None, visibility: Visibility, like: Tensor) -> Scores:
        """Returns scores that look the bias up; the table stays in float32."""
        biased = None if offsets_HR is None else score_mod(offsets_HR, visibility.num_queries)
        return FlexScores(biased, block_mask(visibility, like.device))


def block_mask(visibility: Visibility, device: torch.device) -> BlockMask | None:
    """Returns which blocks of keys each block of queries sees in full, in part or not at all; None: all in full.

    What ``create_block_mask`` gives, made of tensor operations that a compiler takes as part of a larger program.
    """
    seen_BHQK = visibility.dense(device)  # of booleans, and gone when its blocks are counted
    if seen_BHQK is None:
        return None
    seen_BHQK = seen_BHQK.expand(-1, -1, visibility.num_queries, visibility.num_keys)
    counts = _blocks(_blocks(seen_BHQK.to(torch.int32), -1), -2)
    full = counts == MASK_BLOCK * MASK_BLOCK
    some = (counts > 0) & ~full
    out: BlockMask = BlockMask.from_kv_blocks(
        *_listed(some),
        *_listed(full),
        BLOCK_SIZE=MASK_BLOCK,
        mask_mod=mask_mod(visibility),
        seq_lengths=(visibility.num_queries, visibility.num_keys),
    )
    return out


def _blocks(x: Tensor, dim: int) -> Tensor:
    """Sums of blocks along a dimension, the last one filled up with zeros."""
    missing = -x.shape[dim] % MASK_BLOCK
    fill = (0, missing) if dim == -1 else (0, 0, 0, missing)
    filled = functional.pad(x, fill)
    shape = list(filled.shape)
    shape[dim:] = [shape[dim] // MASK_BLOCK, MASK_BLOCK, *(shape[dim + 1 :] if dim < -1 else ())]
    return filled.view(shape).sum(dim=dim)


def _listed(which: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of a bool tensor how many entries are true, and their places first in a list of all places."""
    count = which.sum(dim=-1, dtype=torch.int32)
    return count, torch.argsort(which.to(torch.int32), dim=-1, descending=True, stable=True).to(torch.int32)


def score_mod(offsets_HR: Tensor, num_queries: int) -> ScoreMod:
    """Returns the function that adds the learned bias to one score."""

    def biased(score: Tensor, row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score + offsets_HR[head, key - query + (num_queries - 1)]

    return biased


def mask_mod(visibility: Visibility) -> MaskMod:
    """Returns the function that says whether a key is seen, as ``Visibility.dense`` does."""
    v = visibility
    causal, prefix_BK, visible_BK = v.causal, v.prefix_BK, v.visible_BK
    queries_BQ, keys_BK = v.query_segments_BQ, v.key_segments_BK

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
