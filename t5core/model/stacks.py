"""The two stacks of a T5: blocks in pre-norm residual form, with one position bias shared by a stack's layers.

Each sub-layer is ``x + dropout(sublayer(norm(x)))``; a final norm closes the stack; dropout also at its entry and
exit (paper section 2.1).

Shapes: B batch, T target positions, S source positions, D d_model, H heads.
"""

import torch
from torch import Tensor, nn

from t5core.config import ModelConfig
from t5core.model.attention import MASKED, Attention, KeyValues
from t5core.model.layers import FeedForward, RMSNorm, SharedDropout
from t5core.model.position import PositionBias


class EncoderBlock(nn.Module):
    """Self-attention, then feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attention_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.self_attention = Attention(config.d_model, config.d_kv, config.num_heads)
        self.feed_forward_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.dropout = SharedDropout()

    def forward(self, x_BSD: Tensor, bias_BHSS: Tensor) -> Tensor:
        """Returns ``[B, S, D]``."""
        x_BSD = x_BSD + self.dropout(self.self_attention.self_attention(self.self_attention_norm(x_BSD), bias_BHSS))
        out: Tensor = x_BSD + self.dropout(self.feed_forward(self.feed_forward_norm(x_BSD)))
        return out


class DecoderBlock(nn.Module):
    """Causal self-attention, attention over the encoder's output, feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attention_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.self_attention = Attention(config.d_model, config.d_kv, config.num_heads)
        self.cross_attention_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.cross_attention = Attention(config.d_model, config.d_kv, config.num_heads)
        self.feed_forward_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.dropout = SharedDropout()

    def forward(self, x_BTD: Tensor, bias_BHTT: Tensor, source_BSD: Tensor, source_bias_B11S: Tensor) -> Tensor:
        """Returns ``[B, T, D]`` for a whole target sequence."""
        x_BTD = x_BTD + self.dropout(self.self_attention.self_attention(self.self_attention_norm(x_BTD), bias_BHTT))
        return self._after(x_BTD, self.cross_attention.key_values(source_BSD), source_bias_B11S)

    def cached(
        self, x_B1D: Tensor, cache: KeyValues, position_1: Tensor, bias_BH1T: Tensor, source: KeyValues, bias: Tensor
    ) -> Tensor:
        """Returns ``[B, 1, D]`` for one new position; writes its keys and values into ``cache``."""
        attended = self.self_attention.cached(self.self_attention_norm(x_B1D), cache, position_1, bias_BH1T)
        return self._after(x_B1D + attended, source, bias)

    def _after(self, x_BTD: Tensor, source: KeyValues, source_bias_B11S: Tensor) -> Tensor:
        attended = self.cross_attention.over(self.cross_attention_norm(x_BTD), source, source_bias_B11S)
        x_BTD = x_BTD + self.dropout(attended)
        out: Tensor = x_BTD + self.dropout(self.feed_forward(self.feed_forward_norm(x_BTD)))
        return out


class Encoder(nn.Module):
    """Every position sees every position that is not padding."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.position_bias = PositionBias(
            config.relative_attention_num_buckets,
            config.relative_attention_max_distance,
            config.num_heads,
            bidirectional=True,
        )
        self.blocks = nn.ModuleList(EncoderBlock(config) for _ in range(config.num_encoder_layers))
        self.final_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = SharedDropout()

    def forward(self, x_BSD: Tensor, source_bias_B11S: Tensor) -> Tensor:
        """Returns ``[B, S, D]``; ``source_bias`` is 0 where a key may be seen and MASKED where it is padding."""
        length = x_BSD.shape[1]
        bias_BHSS = self.position_bias(length, length) + source_bias_B11S
        x_BSD = self.dropout(x_BSD)
        for block in self.blocks:
            x_BSD = block(x_BSD, bias_BHSS)
        out: Tensor = self.dropout(self.final_norm(x_BSD))
        return out


class Decoder(nn.Module):
    """Every position sees itself, what came before it, and the encoder's output."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.position_bias = PositionBias(
            config.relative_attention_num_buckets,
            config.relative_attention_max_distance,
            config.num_heads,
            bidirectional=False,
        )
        self.blocks = nn.ModuleList(DecoderBlock(config) for _ in range(config.num_decoder_layers))
        self.final_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = SharedDropout()

    def causal_bias(self, length: int) -> Tensor:
        """Returns the position bias with the future masked, ``[1, H, T, T]``."""
        weight = self.position_bias.weight
        ahead_TT = torch.ones(length, length, device=weight.device, dtype=weight.dtype).triu(1)
        bias: Tensor = self.position_bias(length, length) + MASKED * ahead_TT
        return bias

    def forward(self, x_BTD: Tensor, source_BSD: Tensor, source_bias_B11S: Tensor) -> Tensor:
        """Returns ``[B, T, D]`` for a whole target sequence (teacher forcing)."""
        bias_1HTT = self.causal_bias(x_BTD.shape[1])
        x_BTD = self.dropout(x_BTD)
        for block in self.blocks:
            x_BTD = block(x_BTD, bias_1HTT, source_BSD, source_bias_B11S)
        out: Tensor = self.dropout(self.final_norm(x_BTD))
        return out
