"""A stack: blocks in pre-norm residual form, with one position bias shared by its layers.

Each sub-layer is ``x + dropout(sublayer(norm(x)))``; a final norm closes the stack; dropout also at its entry and
exit (paper section 2.1). Encoder and decoder are the same class: a decoder's blocks also attend over the encoder's
output. An adapter, where there is one, is a further sub-layer with its own norm and residual, as in the released code;
the paper's text puts it right behind the feed-forward network (section 3.5.1).

The scores (bias and mask) and the dropout masks of all layers are made before the first block, so that a block is a
function of tensors: it can be compiled once and scanned.

Shapes: B batch, T target positions, S source positions, D d_model, F d_ff, A adapter_size, H heads, L layers.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from t5core.config import ModelConfig
from t5core.model.attention import Attention, KeyValues
from t5core.model.dropout import Dropout
from t5core.model.kernels import Kernel, ReferenceKernel, Scores
from t5core.model.layers import FeedForward, RMSNorm, feed_forward
from t5core.model.position import PositionBias
from t5core.model.visibility import Visibility


class BlockMasks(NamedTuple):
    """The dropout masks of one block, or of all with a leading ``[L]``; see ``t5core.model.dropout``."""

    attention_BHT1: Tensor
    attention_out_B1D: Tensor
    hidden_B1F: Tensor
    feed_forward_out_B1D: Tensor
    cross_BHS1: Tensor | None = None
    cross_out_B1D: Tensor | None = None
    adapter_out_B1D: Tensor | None = None


class Block(nn.Module):
    """Self-attention, attention over the encoder's output (if ``cross``), feed-forward, adapter (if configured)."""

    def __init__(self, config: ModelConfig, *, cross: bool) -> None:
        super().__init__()
        c = config
        self.cross = cross
        self.self_attention_norm = RMSNorm(c.d_model, c.layer_norm_epsilon)
        self.self_attention = Attention(c.d_model, c.d_kv, c.num_heads)
        if cross:
            self.cross_attention_norm = RMSNorm(c.d_model, c.layer_norm_epsilon)
            self.cross_attention = Attention(c.d_model, c.d_kv, c.num_heads)
        self.feed_forward_norm = RMSNorm(c.d_model, c.layer_norm_epsilon)
        self.feed_forward = feed_forward(c)
        self.has_adapter = c.adapter_size is not None
        if c.adapter_size is not None:
            self.adapter_norm = RMSNorm(c.d_model, c.layer_norm_epsilon)
            self.adapter = FeedForward(c.d_model, c.adapter_size)

    def forward(
        self,
        x_BTD: Tensor,
        scores: Scores,
        masks: BlockMasks | None = None,
        source_BSD: Tensor | None = None,
        source_scores: Scores | None = None,
    ) -> Tensor:
        """Returns ``[B, T, D]``. Without ``source`` the cross-attention is left out, as a shared encoder has it."""
        attended = self.self_attention.self_attention(
            self.self_attention_norm(x_BTD), scores, None if masks is None else masks.attention_BHT1
        )
        x_BTD = _plus(x_BTD, attended, None if masks is None else masks.attention_out_B1D)
        source = None if source_BSD is None else self.cross_attention.key_values(source_BSD)
        return self.after(x_BTD, source, source_scores, masks)

    def after(
        self, x_BTD: Tensor, source: KeyValues | None, source_scores: Scores | None, masks: BlockMasks | None = None
    ) -> Tensor:
        """Returns ``[B, T, D]``: what follows the self-attention, over a source whose keys and values are there."""
        if source is not None:
            assert source_scores is not None
            attended = self.cross_attention.attend(
                self.cross_attention.queries(self.cross_attention_norm(x_BTD)),
                source,
                source_scores,
                None if masks is None else masks.cross_BHS1,
            )
            x_BTD = _plus(x_BTD, attended, None if masks is None else masks.cross_out_B1D)
        y_BTD = self.feed_forward(self.feed_forward_norm(x_BTD), None if masks is None else masks.hidden_B1F)
        x_BTD = _plus(x_BTD, y_BTD, None if masks is None else masks.feed_forward_out_B1D)
        if self.has_adapter:
            adapted = self.adapter(self.adapter_norm(x_BTD))
            x_BTD = _plus(x_BTD, adapted, None if masks is None else masks.adapter_out_B1D)
        return x_BTD

    def flops(self, positions: int, source_positions: int | None = None) -> int:
        """Returns the operations of one forward pass over so many positions; no source: without cross-attention."""
        total = self.self_attention.flops(positions, positions) + self.feed_forward.flops(positions)
        if source_positions is not None:
            total += self.cross_attention.flops(positions, source_positions)
        return total + (self.adapter.flops(positions) if self.has_adapter else 0)


class Stack(nn.Module):
    """An encoder or a decoder.

    Args:
        num_layers: blocks.
        cross: whether the blocks can attend over a source.
        first_site: number of the stack's first dropout site.
    """

    def __init__(self, config: ModelConfig, num_layers: int, *, cross: bool, first_site: int) -> None:
        super().__init__()
        self.position_bias = PositionBias(
            config.relative_attention_num_buckets, config.relative_attention_max_distance, config.num_heads
        )
        self.blocks = nn.ModuleList(Block(config, cross=cross) for _ in range(num_layers))
        self.final_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.config = config
        self.num_layers = num_layers
        self.first_site = first_site
        self.kernel: Kernel = ReferenceKernel()

    def forward(
        self,
        x_BTD: Tensor,
        visibility: Visibility,
        source_BSD: Tensor | None = None,
        source_visibility: Visibility | None = None,
        dropout: Dropout | None = None,
        kernel: Kernel | None = None,
    ) -> Tensor:
        """Returns ``[B, T, D]``. A stack that is causal has one-sided position buckets, another one two-sided ones.

        ``kernel`` computes the self-attention in place of the stack's own.
        """
        scores = self.scores(visibility, x_BTD, kernel)
        source_scores = None if source_visibility is None else self.kernel.prepare(None, source_visibility, x_BTD)
        x_BTD = _dropped(x_BTD, self._edge_mask(0, x_BTD, dropout))
        masks = self._block_masks(x_BTD, source_BSD, dropout)
        x_BTD = self._run(x_BTD, scores, masks, source_BSD, source_scores)
        return _dropped(self.final_norm(x_BTD), self._edge_mask(1, x_BTD, dropout))

    def _run(
        self,
        x_BTD: Tensor,
        scores: Scores,
        masks: BlockMasks | None,
        source_BSD: Tensor | None,
        source_scores: Scores | None,
    ) -> Tensor:
        for layer, block in enumerate(self.blocks):
            x_BTD = block(x_BTD, scores, None if masks is None else _layer(masks, layer), source_BSD, source_scores)
        return x_BTD

    def scores(self, visibility: Visibility, like: Tensor, kernel: Kernel | None = None) -> Scores:
        """Returns the self-attention's scores for all layers, by a kernel; None: the stack's own."""
        offsets_HR = self.position_bias(
            visibility.num_queries, visibility.num_keys, bidirectional=not visibility.causal
        )
        return (kernel or self.kernel).prepare(offsets_HR, visibility, like)

    def flops(self, positions: int, source_positions: int | None = None) -> int:
        """Returns the operations of one forward pass over so many positions (and source positions)."""
        return sum(block.flops(positions, source_positions) for block in self.separate_blocks())

    def separate_blocks(self) -> list[Block]:
        """Returns the layers, first to last."""
        return [block for block in self.blocks if isinstance(block, Block)]

    def _edge_mask(self, edge: int, x_BTD: Tensor, dropout: Dropout | None) -> Tensor | None:
        if dropout is None:
            return None
        batch, _, d_model = x_BTD.shape
        return dropout.masks(self.first_site + edge, 1, batch, d_model)[0, :, None].to(x_BTD.dtype)

    def _block_masks(self, x_BTD: Tensor, source_BSD: Tensor | None, dropout: Dropout | None) -> BlockMasks | None:
        """All layers' masks at once, ``[L, ...]`` each."""
        if dropout is None:
            return None
        c, layers = self.config, self.num_layers
        batch, length, d_model = x_BTD.shape

        def drawn(site: int, *shape: int) -> Tensor:
            features = shape[0] * shape[1]
            mask_LBN = dropout.masks(self.first_site + 2 + site, layers, batch, features)
            return mask_LBN.view(layers, batch, *shape).to(x_BTD.dtype)

        return BlockMasks(
            attention_BHT1=drawn(0, c.num_heads, length)[..., None],
            attention_out_B1D=drawn(1, 1, d_model),
            hidden_B1F=drawn(2, 1, c.d_ff),
            feed_forward_out_B1D=drawn(3, 1, d_model),
            cross_BHS1=None if source_BSD is None else drawn(4, c.num_heads, source_BSD.shape[1])[..., None],
            cross_out_B1D=None if source_BSD is None else drawn(5, 1, d_model),
            adapter_out_B1D=None if c.adapter_size is None else drawn(6, 1, d_model),
        )


def _layer(masks: BlockMasks, layer: int) -> BlockMasks:
    return BlockMasks._make(None if mask is None else mask[layer] for mask in masks)


def _dropped(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


def _plus(x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
    return x + y if mask is None else torch.addcmul(x, y, mask)  # one pass over memory instead of two
