"""Attention for processors: scores exist for a cache's worth of queries at a time.

For 4 sequences of 512 tokens and 8 heads the scores of one layer are 32 MiB, and so are their softmax and its
gradients. Such tensors come from main memory, page by page, and that takes longer than the arithmetic. Here two
buffers of about a core's own cache are used again and again:

    for each row, group of heads, block of queries:
        P = softmax(Q K^T + bias + mask)        in a buffer
        O = P V                                 [B, H, Q, d], all that is kept

The backward pass computes P once more, which takes less time than fetching it would; the gradient of the learned bias
is summed over the batch as it comes. The output lies in memory as ``[B, Q, H, d]``, as the projection behind it reads
it.

In half precision the products alone are that: scores get their bias, their softmax and its gradient in a buffer of
float32, and are rounded for the product behind it.

What cannot be seen is not computed where that is simple: keys behind the last visible one of a row, and keys ahead of
a block of queries that look back only.

Shapes: B batch, H heads, Q queries, K keys, d d_kv, R = Q + K - 1 offsets; G heads, C queries and J keys of a block.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from t5core.model.kernels import Scores, expanded
from t5core.model.visibility import MASKED, Visibility

BUFFER_BYTES = 1 << 20
"""Of one buffer, per thread: there are two of them and the operands, in a cache of some MiB."""
MIN_QUERIES = 64
"""Of a block; fewer would make the matrix products too small."""


class BlockedKernel:
    """Attention in pieces that stay in a core's cache; for the CPU, not compiled."""

    name = "blocked"

    def prepare(self, offsets_HR: Tensor | None, visibility: Visibility, like: Tensor) -> Scores:
        """Returns scores with the bias expanded; a causal mask that depends on offsets alone becomes part of it."""
        v = visibility
        looks_back = v.causal and v.prefix_BK is None
        bias_HQK = None
        if offsets_HR is not None:
            if looks_back:
                ahead_R = torch.arange(1 - v.num_queries, v.num_keys, device=like.device) > 0
                offsets_HR = offsets_HR + ahead_R * MASKED
                v = replace(v, causal=False)
            bias_HQK = expanded(offsets_HR, v.num_queries, v.num_keys)[0].to(_dtype_of_scores(like))
        seen_B, rest_BK = _cut(v.visible_BK)
        mask_B1QK = replace(v, visible_BK=rest_BK).additive(like.device, _dtype_of_scores(like))
        return BlockedScores(bias_HQK, None if mask_B1QK is None else mask_B1QK[:, 0], seen_B, looks_back)


def _dtype_of_scores(like: Tensor) -> torch.dtype:
    return torch.promote_types(like.dtype, torch.float32)


def _cut(visible_BK: Tensor | None) -> tuple[tuple[int, ...] | None, Tensor | None]:
    """Returns how many keys of each row need be looked at, None for all; and the mask that is still needed then."""
    if visible_BK is None or bool(visible_BK.all()):
        return None, None
    places_K = torch.arange(1, visible_BK.shape[1] + 1, device=visible_BK.device)
    seen_B = (visible_BK * places_K).amax(dim=1)
    if bool((seen_B == visible_BK.sum(dim=1)).all()) and bool((seen_B > 0).all()):
        return tuple(seen_B.tolist()), None  # padding stands behind everything else
    return tuple(int(n) or len(places_K) for n in seen_B), visible_BK


class _Block(NamedTuple):
    row: int
    heads: slice
    queries: slice
    keys: slice


@dataclass(frozen=True, eq=False)
class BlockedScores:
    """What the layers of a stack share.

    Attributes:
        bias_HQK: learned bias, in it the causal mask if ``looks_back``; or None.
        mask_BQK: added to the scores of all heads; broadcasts over B and Q; or None.
        seen_B: how many keys, from the first, have to be looked at in each row; None: all of them.
        looks_back: no query sees keys behind its own position.
    """

    bias_HQK: Tensor | None
    mask_BQK: Tensor | None
    seen_B: tuple[int, ...] | None
    looks_back: bool

    def attend(self, q_BHQd: Tensor, k_BHKd: Tensor, v_BHKd: Tensor) -> Tensor:
        """Returns ``[B, H, Q, d]``."""
        apply: Any = _Attention.apply
        out_BHQd: Tensor = apply(q_BHQd, k_BHKd, v_BHKd, self.bias_HQK, self)
        return out_BHQd

    def blocks(self, shape: torch.Size, keys: int, itemsize: int) -> Iterator[_Block]:
        """Gives the blocks for queries of a shape, each small enough for the buffer."""
        rows, heads, queries, _ = shape
        room = BUFFER_BYTES * torch.get_num_threads() // itemsize
        group = max(1, room // (queries * keys))
        step = max(MIN_QUERIES, room // keys) if group == 1 else queries
        for row in range(rows):
            seen = keys if self.seen_B is None else self.seen_B[row]
            for head in range(0, heads, group):
                for first in range(0, queries, step):
                    last = min(first + step, queries)
                    end = min(seen, last) if self.looks_back else seen
                    yield _Block(row, slice(head, head + group), slice(first, last), slice(0, end))

    def weights(
        self,
        q_GCd: Tensor,
        k_GJd: Tensor,
        bias_HQK: Tensor | None,
        block: _Block,
        buffer: Tensor,
        wide: Tensor | None = None,
    ) -> Tensor:
        """Returns the attention weights ``[G, C, J]`` of a block, in the buffer's memory.

        ``wide`` is a buffer of float32 for what the scores are before they are rounded; None where they are not.
        """
        p_GCJ = _part(buffer, q_GCd, k_GJd)
        torch.bmm(q_GCd, k_GJd.transpose(1, 2), out=p_GCJ)
        s_GCJ = p_GCJ if wide is None else _part(wide, q_GCd, k_GJd).copy_(p_GCJ)
        if bias_HQK is not None:
            s_GCJ += bias_HQK[block.heads, block.queries, block.keys]
        if self.mask_BQK is not None:
            mask_QK = self.mask_BQK[block.row if len(self.mask_BQK) > 1 else 0]
            s_GCJ += mask_QK[block.queries if len(mask_QK) > 1 else slice(0, 1), block.keys]
        # not through exp: its vector form takes a slow path for the numbers that a mask makes
        torch.softmax(s_GCJ, dim=-1, out=s_GCJ)
        return p_GCJ if wide is None else p_GCJ.copy_(s_GCJ)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q_BHQd: Tensor, k_BHKd: Tensor, v_BHKd: Tensor, bias_HQK: Tensor | None, scores: BlockedScores
    ) -> Tensor:
        out_BHQd = _empty(q_BHQd)
        blocks = list(scores.blocks(q_BHQd.shape, k_BHKd.shape[2], _dtype_of_scores(q_BHQd).itemsize))
        buffer, wide = _buffer(blocks, q_BHQd), _wide_buffer(blocks, q_BHQd)
        for block in blocks:
            row, heads, queries, keys = block
            k_GJd = k_BHKd[row, heads, keys]
            p_GCJ = scores.weights(q_BHQd[row, heads, queries], k_GJd, bias_HQK, block, buffer, wide)
            torch.bmm(p_GCJ, v_BHKd[row, heads, keys], out=out_BHQd[row, heads, queries])
        ctx.save_for_backward(q_BHQd, k_BHKd, v_BHKd, bias_HQK, out_BHQd)
        ctx.scores, ctx.blocks = scores, blocks
        return out_BHQd

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_BHQd: Tensor) -> tuple[Tensor | None, ...]:
        q_BHQd, k_BHKd, v_BHKd, bias_HQK, out_BHQd = ctx.saved_tensors
        q_grad, k_grad, v_grad = _empty(q_BHQd), _empty(k_BHKd), _empty(v_BHKd)
        bias_grad = None if bias_HQK is None else torch.zeros_like(bias_HQK)
        whole = all(keys.stop == k_BHKd.shape[2] and queries.start == 0 for _, _, queries, keys in ctx.blocks)
        if not whole:
            k_grad.zero_()
            v_grad.zero_()
        # sum over keys of P * dP, without either: dO . O
        dtype = _dtype_of_scores(q_BHQd)
        delta_BHQ1 = torch.linalg.vecdot(grad_BHQd.to(dtype), out_BHQd.to(dtype)).unsqueeze(-1)
        buffer, second = _buffer(ctx.blocks, q_BHQd), _buffer(ctx.blocks, q_BHQd)
        wide = _wide_buffer(ctx.blocks, q_BHQd)
        for block in ctx.blocks:
            row, heads, queries, keys = block
            q_GCd, grad_GCd = q_BHQd[row, heads, queries], grad_BHQd[row, heads, queries]
            k_GJd, v_GJd = k_BHKd[row, heads, keys], v_BHKd[row, heads, keys]
            p_GCJ = ctx.scores.weights(q_GCd, k_GJd, bias_HQK, block, buffer, wide)
            _product(p_GCJ.transpose(1, 2), grad_GCd, v_grad[row, heads, keys], add=not whole)
            s_GCJ = torch.bmm(grad_GCd, v_GJd.transpose(1, 2), out=_part(second, q_GCd, k_GJd))
            exact_GCJ = s_GCJ if wide is None else _part(wide, q_GCd, k_GJd).copy_(s_GCJ)
            exact_GCJ.sub_(delta_BHQ1[row, heads, queries]).mul_(p_GCJ)
            if wide is not None:
                s_GCJ.copy_(exact_GCJ)
            _product(s_GCJ, k_GJd, q_grad[row, heads, queries])
            _product(s_GCJ.transpose(1, 2), q_GCd, k_grad[row, heads, keys], add=not whole)
            if bias_grad is not None:
                bias_grad[heads, queries, keys] += exact_GCJ
        return q_grad, k_grad, v_grad, bias_grad, None


def _empty(x_BHTd: Tensor) -> Tensor:
    """A tensor of the shape of ``x`` whose heads lie side by side for each position."""
    return x_BHTd.new_empty(x_BHTd.transpose(1, 2).shape).transpose(1, 2)


def _buffer(blocks: list[_Block], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    heads = like.shape[1]
    sizes = [(min(h.stop, heads) - h.start) * (q.stop - q.start) * k.stop for _, h, q, k in blocks]
    return like.new_empty(max(sizes, default=0), dtype=dtype or like.dtype)


def _wide_buffer(blocks: list[_Block], like: Tensor) -> Tensor | None:
    dtype = _dtype_of_scores(like)
    return None if dtype == like.dtype else _buffer(blocks, like, dtype)


def _part(buffer: Tensor, q_GCd: Tensor, k_GJd: Tensor) -> Tensor:
    shape = (q_GCd.shape[0], q_GCd.shape[1], k_GJd.shape[1])
    return buffer[: shape[0] * shape[1] * shape[2]].view(shape)


def _product(left: Tensor, right: Tensor, out: Tensor, *, add: bool = False) -> None:
    if add:
        out += torch.bmm(left, right)
    else:
        torch.bmm(left, right, out=out)
