"""Decoding state: what a model keeps between one new token and the next, and the step that uses it.

The cache of every layer has a fixed length. Where a device compiles each new shape, the position is a tensor and every
step is the same computation on the whole cache; elsewhere the position is a number and a step reads only what has
been reached. An encoder-decoder keeps the keys and values of its source as well, once per example, however many rows
(beams) the example has: these are then so many queries of one attention.

A decoder-only model reads its prompt first: the prompts of a batch are laid to the right,

    . . 0 w w :        0 is the start token, ":" the marker's end; the first new token is asked for behind it
    0 w w w w :

so that all rows are at the same position; offsets, all that T5 knows of positions, do not change by that.

A step is bound by reading the weights, once for all rows. So they are cast and joined once per decoding, and
activations are kept as columns, ``[D, R]``, one per row: ``weight @ x`` with the weight on the left is what BLAS
libraries on CPUs are quickest at for the few rows of a decoding batch (other devices do not care).

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
from t5core.model.stacks import Block
from t5core.model.visibility import MASKED

BLOCK = 128
"""Rows of a weight that a CPU multiplies at a time; a weight whose rows are no multiple is taken whole."""


def product(weight_OD: Tensor, x_DR: Tensor) -> Tensor:
    """Returns ``weight @ x``, ``[O, R]``.

    Multiplied as one matrix on a CPU, the weight would be copied into the library's own layout first, which for the
    few columns of a decoding batch costs as much as the product; as many small ones it is read where it lies.
    """
    rows, width = weight_OD.shape
    if x_DR.device.type != "cpu" or x_DR.shape[1] == 1 or rows % BLOCK:
        return weight_OD @ x_DR
    blocks_NbD = weight_OD.view(-1, BLOCK, width)
    return torch.bmm(blocks_NbD, x_DR.expand(blocks_NbD.shape[0], -1, -1)).view(rows, -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockWeights:
    """A decoder block's weights for one position at a time, in the precision of the activations.

    Attributes:
        queries_keys_values: of the self-attention, joined, ``[3·I, D]``.
        feed_forward, adapter: functions of ``[D, R]``.
    """

    self_norm: RMSNorm
    queries_keys_values: Tensor
    self_out: Tensor
    cross_norm: RMSNorm | None
    cross_queries: Tensor | None
    cross_out: Tensor | None
    feed_forward_norm: RMSNorm
    feed_forward: Callable[[Tensor], Tensor]
    adapter_norm: RMSNorm | None
    adapter: Callable[[Tensor], Tensor] | None

    @classmethod
    def of(cls, block: Block, dtype: torch.dtype) -> "BlockWeights":
        """Returns the weights of a block, cast to ``dtype``."""
        own = block.self_attention
        return cls(
            self_norm=block.self_attention_norm,
            queries_keys_values=torch.cat([own.q.weight, own.k.weight, own.v.weight]).to(dtype),
            self_out=own.o.weight.to(dtype),
            cross_norm=block.cross_attention_norm if block.cross else None,
            cross_queries=block.cross_attention.q.weight.to(dtype) if block.cross else None,
            cross_out=block.cross_attention.o.weight.to(dtype) if block.cross else None,
            feed_forward_norm=block.feed_forward_norm,
            feed_forward=_feed_forward(block.feed_forward, dtype),
            adapter_norm=block.adapter_norm if block.has_adapter else None,
            adapter=_feed_forward(block.adapter, dtype) if block.has_adapter else None,
        )


def _feed_forward(module: FeedForward | GatedFeedForward, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    wo_DF = module.wo.weight.to(dtype)
    if isinstance(module, GatedFeedForward):
        gate_FD, linear_FD = module.wi_0.weight.to(dtype), module.wi_1.weight.to(dtype)

        def gated(x_DR: Tensor) -> Tensor:
            gates_FR = functional.gelu(product(gate_FD, x_DR), approximate="tanh")
            return product(wo_DF, gates_FR * product(linear_FD, x_DR))

        return gated
    wi_FD = module.wi.weight.to(dtype)
    return lambda x_DR: product(wo_DF, product(wi_FD, x_DR).relu())


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

    def advance(self, x_DR: Tensor, place: int | Tensor, bias: Tensor, source_bias_N1S: Tensor | None) -> Tensor:
        """Writes the keys and values of the position ``place`` and returns the block's output, ``[D, R]``.

        Args:
            x_DR: the block's input.
            place: in the cache; a number, up to which the cache is read, or a tensor ``[1]``.
            bias: added to the self-attention's logits: ``[1, H, K]`` or ``[R, H, K]``, K the keys that are read.
            source_bias_N1S: added to the cross-attention's logits; None: the whole source is seen.
        """
        w = self.weights
        x_DR = x_DR + self._over_itself(_normed(w.self_norm, x_DR), place, bias)
        if self.source_2BHSd is not None:
            assert w.cross_norm is not None
            x_DR = x_DR + self._over_source(_normed(w.cross_norm, x_DR), self.source_2BHSd, source_bias_N1S)
        x_DR = x_DR + w.feed_forward(_normed(w.feed_forward_norm, x_DR))
        if w.adapter is not None and w.adapter_norm is not None:
            x_DR = x_DR + w.adapter(_normed(w.adapter_norm, x_DR))
        return x_DR

    def _over_itself(self, x_DR: Tensor, place: int | Tensor, bias: Tensor) -> Tensor:
        _, rows, heads, _, width = self.cache_2RHTd.shape
        new_3HdR = product(self.weights.queries_keys_values, x_DR).view(3, heads, width, rows)
        new_2RHd = new_3HdR[1:].permute(0, 3, 1, 2)
        read_2RHKd = self.cache_2RHTd
        if isinstance(place, int):
            self.cache_2RHTd[:, :, :, place] = new_2RHd
            read_2RHKd = self.cache_2RHTd[:, :, :, : place + 1]
        else:
            self.cache_2RHTd.index_copy_(3, place, new_2RHd.unsqueeze(3))
        query_N1d = new_3HdR[0].permute(2, 0, 1).reshape(rows * heads, 1, width)
        keys_NKd, values_NKd = read_2RHKd.flatten(1, 2)
        logits_NK = torch.bmm(query_N1d, keys_NKd.transpose(1, 2))
        logits_N1K = (logits_NK.view(rows, heads, -1) + bias).view(rows * heads, 1, -1)
        mixed_N1d = torch.bmm(_softmax(logits_N1K), values_NKd)
        mixed_IR = mixed_N1d.view(rows, heads, width).permute(1, 2, 0).reshape(heads * width, rows)
        return product(self.weights.self_out, mixed_IR)

    def _over_source(self, x_DR: Tensor, source_2BHSd: Tensor, bias_N1S: Tensor | None) -> Tensor:
        _, examples, heads, _, width = source_2BHSd.shape
        assert self.weights.cross_queries is not None
        assert self.weights.cross_out is not None
        query_HdBc = product(self.weights.cross_queries, x_DR).view(heads, width, examples, -1)
        copies = query_HdBc.shape[3]
        query_Ncd = query_HdBc.permute(2, 0, 3, 1).reshape(examples * heads, copies, width)
        keys_NSd, values_NSd = source_2BHSd.flatten(1, 2)
        logits_NcS = torch.bmm(query_Ncd, keys_NSd.transpose(1, 2))
        weights_NcS = _softmax(logits_NcS if bias_N1S is None else logits_NcS + bias_N1S)
        mixed_BHcd = torch.bmm(weights_NcS, values_NSd).view(examples, heads, copies, width)
        mixed_IR = mixed_BHcd.permute(1, 3, 0, 2).reshape(heads * width, examples * copies)
        return product(self.weights.cross_out, mixed_IR)


@dataclass(frozen=True, kw_only=True, eq=False)
class DecoderState:
    """What decoding keeps between steps.

    Attributes:
        layers: of the decoder.
        offsets_HT: learned bias of the keys T - 1, ..., 0 places back.
        head_VD: what the decoder's output is multiplied by.
        copies: rows of each example, next to one another.
        source_bias_N1S: MASKED where the source may not be seen, per example and head; None: all may be.
        begin: position of the cache at which new tokens start: behind a prompt, else 0.
        padding_R1T: MASKED at the cache's positions left of a prompt; None where there is no prompt.
        last_R1: the prompt's last token, read in the first step; None: the start token is.
    """

    layers: tuple[LayerState, ...]
    offsets_HT: Tensor
    head_VD: Tensor
    copies: int = 1
    source_bias_N1S: Tensor | None = None
    begin: int = 0
    padding_R1T: Tensor | None = None
    last_R1: Tensor | None = None

    def advance(self, x_DR: Tensor, position: int | Tensor) -> Tensor:
        """Returns the decoder's output ``[D, R]`` before its final norm, for one more position of every row."""
        place = position + self.begin
        bias = self._bias(place)
        for layer in self.layers:
            x_DR = layer.advance(x_DR, place, bias, self.source_bias_N1S)
        return x_DR

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

        bias = self.source_bias_N1S
        if bias is not None:
            heads = self.offsets_HT.shape[0]
            bias = bias.view(-1, heads, *bias.shape[1:]).index_select(0, examples_N).flatten(0, 1)
        return replace(
            self,
            layers=tuple(chosen(layer) for layer in self.layers),
            source_bias_N1S=bias,
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


def _normed(norm: RMSNorm, x_DR: Tensor) -> Tensor:
    """The norm's own numbers, down the columns, in half the operations that its rows take on a CPU."""
    wide_DR = x_DR.float()
    scale_R = wide_DR.square().mean(dim=0).add_(norm.epsilon).rsqrt_()
    return (wide_DR * scale_R).mul_(norm.weight.float()[:, None]).to(x_DR.dtype)


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
