"""The encoder-decoder T5 (paper section 2.1), tied embedding and softmax.

    inputs ──► embedding ──► encoder ──────────┐ source
    targets ─► shift right ─► embedding ─► decoder ─► · d_model^-0.5 ─► embedding^T ─► logits

A batch is two padded id arrays; masks come from the padding. The decoder's input is the targets shifted right
behind the pad id, as in the released code. ``encode`` and ``step`` are what decoding needs.

Shapes: B batch, S source positions, T target positions, D d_model, V vocab_size.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from t5core.config import ModelConfig
from t5core.model.attention import MASKED, Attention, KeyValues
from t5core.model.layers import SharedDropout
from t5core.model.stacks import Decoder, DecoderBlock, Encoder

PAD_ID = 0


@dataclass
class DecoderState:
    """What decoding keeps between steps: the source's keys and values, and a cache per layer."""

    source: list[KeyValues]
    source_bias_B11S: Tensor
    caches: list[KeyValues]
    bias_1HTT: Tensor


class T5(nn.Module):
    """Text to text: token ids in, logits over the vocabulary out."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    @torch.no_grad()
    def initialise(self, seed: int) -> "T5":
        """Draws all weights from ``seed`` as the released code does; returns itself.

        Normal with standard deviation: embedding 1; q (d_model·d_kv)^-½; k, v, wi d_model^-½; o (heads·d_kv)^-½;
        wo d_ff^-½; position bias as ``relative_attention_init_std`` says. Norm scales are 1.
        """
        c = self.config
        std = {
            "embedding": 1.0,
            "q": (c.d_model * c.d_kv) ** -0.5,
            "k": c.d_model**-0.5,
            "v": c.d_model**-0.5,
            "o": (c.num_heads * c.d_kv) ** -0.5,
            "wi": c.d_model**-0.5,
            "wo": c.d_ff**-0.5,
            "position_bias": (2.0 / (c.relative_attention_num_buckets + c.num_heads)) ** 0.5
            if c.relative_attention_init_std is None
            else c.relative_attention_init_std,
        }
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            part = name.split(".")[-2]
            if part in std:
                draw = torch.empty(parameter.shape).normal_(0.0, std[part], generator=generator)
                parameter.copy_(draw.to(parameter.device))
            else:
                parameter.fill_(1.0)
        return self

    def set_dropout(self, rate: float) -> None:
        """Sets every dropout of the model to ``rate``."""
        for module in self.modules():
            if isinstance(module, SharedDropout):
                module.rate = rate
            elif isinstance(module, Attention):
                module.dropout_rate = rate

    def encode(self, inputs_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the encoder's output ``[B, S, D]`` and the source bias ``[B, 1, 1, S]`` that hides padding."""
        x_BSD = self.embedding(inputs_BS)
        source_bias_B11S = (inputs_BS == PAD_ID).to(x_BSD.dtype)[:, None, None, :] * MASKED
        return self.encoder(x_BSD, source_bias_B11S), source_bias_B11S

    def forward(self, inputs_BS: Tensor, targets_BT: Tensor) -> Tensor:
        """Returns logits ``[B, T, V]`` for every target position, teacher-forced."""
        return functional.linear(self.hidden(inputs_BS, targets_BT), self.embedding.weight)

    def hidden(self, inputs_BS: Tensor, targets_BT: Tensor) -> Tensor:
        """Returns ``[B, T, D]``, what is multiplied by the embedding to give the logits."""
        source_BSD, source_bias_B11S = self.encode(inputs_BS)
        shifted_BT = functional.pad(targets_BT, (1, 0))[:, :-1]  # the pad id is also the start token
        x_BTD: Tensor = self.decoder(self.embedding(shifted_BT), source_BSD, source_bias_B11S)
        return self._scaled(x_BTD)

    def _scaled(self, x_BTD: Tensor) -> Tensor:
        """The embedding has unit variance, so the tied softmax needs the decoder's output scaled down."""
        return x_BTD * (1.0 / math.sqrt(self.config.d_model))

    def start(self, inputs_BS: Tensor, max_length: int) -> DecoderState:
        """Encodes the inputs and returns the state for decoding up to ``max_length`` tokens."""
        c = self.config
        source_BSD, source_bias_B11S = self.encode(inputs_BS)
        shape = (inputs_BS.shape[0], c.num_heads, max_length, c.d_kv)
        blocks = self._decoder_blocks()
        return DecoderState(
            source=[block.cross_attention.key_values(source_BSD) for block in blocks],
            source_bias_B11S=source_bias_B11S,
            caches=[KeyValues(source_BSD.new_zeros(shape), source_BSD.new_zeros(shape)) for _ in blocks],
            bias_1HTT=self.decoder.causal_bias(max_length),
        )

    def step(self, previous_B1: Tensor, position_1: Tensor, state: DecoderState) -> Tensor:
        """Returns logits ``[B, V]`` for the token after ``previous``, which stands at ``position``."""
        bias_1H1T = state.bias_1HTT.index_select(2, position_1)
        x_B1D = self.embedding(previous_B1)
        for block, cache, source in zip(self._decoder_blocks(), state.caches, state.source, strict=True):
            x_B1D = block.cached(x_B1D, cache, position_1, bias_1H1T, source, state.source_bias_B11S)
        return functional.linear(self._scaled(self.decoder.final_norm(x_B1D)), self.embedding.weight)[:, 0]

    def _decoder_blocks(self) -> list[DecoderBlock]:
        return [block for block in self.decoder.blocks if isinstance(block, DecoderBlock)]
