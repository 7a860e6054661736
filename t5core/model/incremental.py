"""Decoding state: what a model keeps between one new token and the next, and the step that uses it.

The cache of every layer has a fixed length. Where a device compiles each new shape, the position is a tensor and every
step is the same computation on the whole cache; elsewhere the position is a number and a step reads only what has
been reached. An encoder-decoder keeps the keys and values of its source as well, once per example, however many rows
(beams) the example has: these are then so many queries of one attention.

A decoder-only model reads its prompt first: the prompts of a batch are laid to the right,

    . . 0 w w :        0 is the start token, ":" the marker's end; the first new token is asked for behind it
    0 w w w w :

so that all rows are at the same position; offsets, all that T5 knows of positions, do not change by that.

A step is bound by reading the weights, once for all rows. So they are cast, joined and laid out for it once per
decoding (``t5core.model.products``).

Shapes: B examples, R = B·c rows, S source or prompt positions, T positions of the cache, D d_model, H heads, d d_kv,
I = H·d, N batch of products (H per row or example).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from t5core.model.inputs import PAD_ID
from t5core.model.layers import FeedForward, GatedFeedForward, RMSNorm
from t5core.model.products import RowsProduct
from t5core.model.stacks import Block
from t5core.model.visibility import MASKED


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockWeights:
    """A decoder block's weights for one position at a time, in the precision of the activations.

    Attributes:
        queries_keys_values: of the self-attention, joined, to ``[R, 3·I]``.
        feed_forward, adapter: from the norm's output ``[R, D]``, and the residual that their own is added to.
    """

    self_norm: RMSNorm
    queries_keys_values: RowsProduct
    self_out: RowsProduct
    cross_norm: RMSNorm | None
    cross_queries: RowsProduct | None
    cross_out: RowsProduct | None
    feed_forward_norm: RMSNorm
    feed_forward: Callable[[Tensor, Tensor], Tensor]
    adapter_norm: RMSNorm | None
    adapter: Callable[[Tensor, Tensor], Tensor] | None

    @classmethod
    def of(cls, block: Block, dtype: torch.dtype, rows: int) -> "BlockWeights":
        """Returns the weights of a block, cast to ``dtype``, for about so many rows."""
        own = block.self_attention
        return cls(
            self_norm=block.self_attention_norm,
            queries_keys_values=RowsProduct(torch.cat([own.q.weight, own.k.weight, own.v.weight]), dtype, rows),
            self_out=RowsProduct(own.o.weight, dtype, rows),
            cross_norm=block.cross_attention_norm if block.cross else None,
            cross_queries=RowsProduct(block.cross_attention.q.weight, dtype, rows) if block.cross else None,
            cross_out=RowsProduct(block.cross_attention.o.weight, dtype, rows) if block.cross else None,
            feed_forward_norm=block.feed_forward_norm,
            feed_forward=_feed_forward(block.feed_forward, dtype, rows),
            adapter_norm=block.adapter_norm if block.has_adapter else None,
            adapter=_feed_forward(block.adapter, dtype, rows) if block.has_adapter else None,
        )


def _feed_forward(
    module: FeedForward | GatedFeedForward, dtype: torch.dtype, rows: int
) -> Callable[[Tensor, Tensor], Tensor]:
    wo = RowsProduct(module.wo.weight, dtype, rows)
    if isinstance(module, GatedFeedForward):
        gate, linear = RowsProduct(module.wi_0.weight, dtype, rows), RowsProduct(module.wi_1.weight, dtype, rows)
        return lambda x_RD, residual_RD: wo.added(
            residual_RD, functional.gelu(gate(x_RD), approximate="tanh") * linear(x_RD)
        )
    wi = RowsProduct(module.wi.weight, dtype, rows)
    return lambda x_RD, residual_RD: wo.added(residual_RD, wi(x_RD, relu=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerState:
    """One layer's weights and what it has read so far.

    Attributes:
        cache_2RHTd: keys and values of the positions so far.
        source_2BHSd: keys and values of the encoder's output; None for decoder-only models.
    """

    weights: BlockWeights
    cache_2RHTd: Tensor
    source_2BHSd: Tensor | None = None

    def advance(self, x_RD: Tensor, place: int | Tensor, bias: Tensor, source_bias_B11S: Tensor | None) -> Tensor:
        """Writes the keys and values of the position ``place`` and returns the block's output, ``[R, D]``.

        Args:
            x_RD: the block's input.
            place: in the cache; a number, up to which the cache is read, or a tensor ``[1]``.
            bias: added to the self-attention's logits: ``[1, H, K]`` or ``[R, H, K]``, K the keys that are read.
            source_bias_B11S: added to the cross-attention's logits; None: the whole source is seen.
        """
        w = self.weights
        x_RD = w.self_out.added(x_RD, self._over_itself(_normed(w.self_norm, x_RD), place, bias))
        if self.source_2BHSd is not None:
            assert w.cross_norm is not None
            assert w.cross_out is not None
            mixed_RI = self._over_source(_normed(w.cross_norm, x_RD), self.source_2BHSd, source_bias_B11S)
            x_RD = w.cross_out.added(x_RD, mixed_RI)
        x_RD = w.feed_forward(_normed(w.feed_forward_norm, x_RD), x_RD)
        if w.adapter is not None and w.adapter_norm is not None:
            x_RD = w.adapter(_normed(w.adapter_norm, x_RD), x_RD)
        return x_RD

    def _over_itself(self, x_RD: Tensor, place: int | Tensor, bias: Tensor) -> Tensor:
        _, rows, heads, _, width = self.cache_2RHTd.shape
        new_3RHd = self.weights.queries_keys_values(x_RD).view(rows, 3, heads, width).transpose(0, 1)
        read_2RHKd = self.cache_2RHTd
        if isinstance(place, int):
            self.cache_2RHTd[:, :, :, place] = new_3RHd[1:]
            read_2RHKd = self.cache_2RHTd[:, :, :, : place + 1]
        else:
            self.cache_2RHTd.index_copy_(3, place, new_3RHd[1:].unsqueeze(3))
        query_N1d = new_3RHd[0].reshape(rows * heads, 1, width)
        keys_NKd, values_NKd = read_2RHKd.flatten(1, 2)
        logits_NK = torch.bmm(query_N1d, keys_NKd.transpose(1, 2))
        logits_N1K = (logits_NK.view(rows, heads, -1) + bias).view(rows * heads, 1, -1)
        return torch.bmm(_softmax(logits_N1K), values_NKd).view(rows, heads * width)

    def _over_source(self, x_RD: Tensor, source_2BHSd: Tensor, bias_B11S: Tensor | None) -> Tensor:
        _, examples, heads, _, width = source_2BHSd.shape
        assert self.weights.cross_queries is not None
        query_BcHd = self.weights.cross_queries(x_RD).view(examples, -1, heads, width)
        copies = query_BcHd.shape[1]
        query_Ncd = query_BcHd.transpose(1, 2).reshape(examples * heads, copies, width)
        keys_NSd, values_NSd = source_2BHSd.flatten(1, 2)
        logits_NcS = torch.bmm(query_Ncd, keys_NSd.transpose(1, 2))
        if bias_B11S is not None:
            logits_NcS = (logits_NcS.view(examples, heads, copies, -1) + bias_B11S).view_as(logits_NcS)
        mixed_BHcd = torch.bmm(_softmax(logits_NcS), values_NSd).view(examples, heads, copies, width)
        return mixed_BHcd.transpose(1, 2).reshape(examples * copies, heads * width)


@dataclass(frozen=True, kw_only=True, eq=False)
class DecoderState:
    """What decoding keeps between steps.

    Attributes:
        layers: of the decoder.
        offsets_HT: learned bias of the keys T - 1, ..., 0 places back.
        head: from the decoder's output ``[R, D]`` to logits ``[R, V]``.
        copies: rows of each example, next to one another.
        source_bias_B11S: MASKED where the source may not be seen; None: all of it may be.
        begin: position of the cache at which new tokens start: behind a prompt, else 0.
        padding_R1T: MASKED at the cache's positions left of a prompt; None where there is no prompt.
        last_R1: the prompt's last token, read in the first step; None: the start token is.
    """

    layers: tuple[LayerState, ...]
    offsets_HT: Tensor
    head: RowsProduct
    copies: int = 1
    source_bias_B11S: Tensor | None = None
    begin: int = 0
    padding_R1T: Tensor | None = None
    last_R1: Tensor | None = None

    def advance(self, x_RD: Tensor, position: int | Tensor) -> Tensor:
        """Returns the decoder's output ``[R, D]`` before its final norm, for one more position of every row."""
        place = position + self.begin
        bias = self._bias(place)
        for layer in self.layers:
            x_RD = layer.advance(x_RD, place, bias, self.source_bias_B11S)
        return x_RD

    def _bias(self, place: int | Tensor) -> Tensor:
        """The learned bias of the keys that are read, the future and what lies left of a prompt masked."""
        length = self.offsets_HT.shape[1]
        if isinstance(place, int):
            bias_1HK = self.offsets_HT[None, :, length - 1 - place :]
            return bias_1HK if self.padding_R1T is None else bias_1HK + self.padding_R1T[..., : place + 1]
        keys_T = torch.arange(length, device=place.device)
        bias_HT = self.offsets_HT.index_select(1, (keys_T - place + length - 1).clamp(max=length - 1))
        bias_1HT = (bias_HT + MASKED * (keys_T > place).to(bias_HT.dtype))[None]
        return bias_1HT if self.padding_R1T is None else bias_1HT + self.padding_R1T

    def select(self, examples_N: Tensor) -> "DecoderState":
        """Returns the state of some examples with all their rows, in the order given; one may come more than once."""
        copies_c = torch.arange(self.copies, device=examples_N.device)
        rows_R = (examples_N[:, None] * self.copies + copies_c).flatten()

        def chosen(layer: LayerState) -> LayerState:
            source = layer.source_2BHSd
            return LayerState(
                weights=layer.weights,
                cache_2RHTd=layer.cache_2RHTd.index_select(1, rows_R),
                source_2BHSd=None if source is None else source.index_select(1, examples_N),
            )

        bias = self.source_bias_B11S
        return replace(
            self,
            layers=tuple(chosen(layer) for layer in self.layers),
            source_bias_B11S=None if bias is None else bias.index_select(0, examples_N),
            padding_R1T=None if self.padding_R1T is None else self.padding_R1T.index_select(0, rows_R),
            last_R1=None if self.last_R1 is None else self.last_R1.index_select(0, rows_R),
        )

    def reorder(self, rows_R: Tensor, reached: int | None = None) -> None:
        """Puts in place of each row what the given row of the same example has read (beam search).

        Args:
            rows_R: for each row the one to take.
            reached: new positions so far, to copy no more than these; None: copy the whole cache.
        """
        for layer in self.layers:
            read_2RHKd = layer.cache_2RHTd
            if reached is not None:  # a prompt is the same in all rows of an example
                read_2RHKd = read_2RHKd[:, :, :, self.begin : self.begin + reached]
            read_2RHKd.copy_(read_2RHKd.index_select(1, rows_R))


def _normed(norm: RMSNorm, x_RD: Tensor) -> Tensor:
    """The norm's own numbers, in the fewest operations: with few rows it is their number that takes the time."""
    wide_RD = x_RD.float()
    squares_R1 = torch.linalg.vecdot(wide_RD, wide_RD).unsqueeze(-1)
    scale_R1 = torch.add(squares_R1.new_full((), norm.epsilon), squares_R1, alpha=1.0 / x_RD.shape[-1]).rsqrt_()
    return (wide_RD * scale_R1).mul_(norm.weight).to(x_RD.dtype)


def _softmax(logits: Tensor) -> Tensor:
    return torch.softmax(logits.float(), dim=-1).to(logits.dtype)


def laid_right(prompts_BS: Tensor, visible_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Returns ids ``[B, S + 1]``, each row's start token and prompt laid to the right, and which of them are real."""
    width = prompts_BS.shape[1] + 1
    lengths_B1 = visible_BS.sum(dim=1, keepdim=True)
    # place in the row "start token, prompt" that belongs at each place of the result; below 0: nothing does
    places_BW = torch.arange(width, device=prompts_BS.device)[None, :] - (width - 1 - lengths_B1)
    started_BW = functional.pad(prompts_BS, (1, 0), value=PAD_ID)
    real_BW = places_BW >= 0
    ids_BW = started_BW.gather(1, places_BW.clamp(min=0))
    return torch.where(real_BW, ids_BW, PAD_ID), real_BW
