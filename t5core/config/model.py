"""A model, the devices it runs on, and how its answers are searched for."""

import math
from dataclasses import dataclass
from typing import Literal

from t5core.config.base import Config, added, unhashed
from t5core.errors import ConfigError

Architecture = Literal["encoder_decoder", "shared_encoder_decoder", "language_model", "prefix_lm"]
FeedForwardKind = Literal["relu", "gated_gelu"]
AttentionInit = Literal["paper", "guided", "mimetic"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    """A model of the paper's family (sections 2.1 and 3.2); names as in the released configurations.

    Attributes:
        architecture: "encoder_decoder"; "shared_encoder_decoder", whose encoder uses the decoder's weights;
            "language_model" and "prefix_lm": one causal stack, the latter sees its input as a whole.
        vocab_size: rows of the embedding: pieces + sentinels, padded up if a device likes it (32,128 in the paper).
        d_model, d_kv, d_ff, num_heads: widths; the attention's inner width is ``num_heads * d_kv``.
        num_encoder_layers, num_decoder_layers: blocks in each stack; decoder-only models have no encoder layers.
        feed_forward: "relu", or "gated_gelu" as in v1.1.
        tied_embeddings: the softmax uses the embedding (v1.0) or a matrix of its own (v1.1).
        adapter_size: inner width of the adapter at the end of each block; None: no adapters (section 3.5.1).
        relative_attention_num_buckets, relative_attention_max_distance: of the learned position bias.
        relative_attention_init_std: standard deviation of the position bias at the start; None: Glorot's for a table
            of buckets by heads, about 0.2, which is what the released code's framework gives it.
        layer_norm_epsilon: of the RMS norm.
        attention_init: "paper": attention weights are drawn as the released code draws them; "guided": the same draws,
            but equal content attracts across the stacks and each head looks at a neighbour from the start, so that a
            small model in a short run does not have to find out; "mimetic": guided, and what attention looks at
            arrives as it is (see ``t5core.model.initialise``).
    """

    architecture: Architecture = "encoder_decoder"
    vocab_size: int = 32_128
    d_model: int = 768
    d_kv: int = 64
    d_ff: int = 3072
    num_heads: int = 12
    num_encoder_layers: int = 12
    num_decoder_layers: int = 12
    feed_forward: FeedForwardKind = "relu"
    tied_embeddings: bool = True
    adapter_size: int | None = None
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    relative_attention_init_std: float | None = None
    layer_norm_epsilon: float = 1e-6
    attention_init: AttentionInit = added("paper")

    def __post_init__(self) -> None:
        self._one_of("architecture", "feed_forward", "attention_init")
        self._positive("vocab_size", "d_model", "d_kv", "d_ff", "num_heads", "num_decoder_layers", "adapter_size")
        layers = self.num_encoder_layers
        if self.decoder_only and layers != 0:
            raise ConfigError("num_encoder_layers", layers, f"a {self.architecture} has no encoder: give 0")
        if not self.decoder_only and layers < 1:
            raise ConfigError("num_encoder_layers", layers, "give a number above 0, or a decoder-only architecture")
        if self.architecture == "shared_encoder_decoder" and layers != self.num_decoder_layers:
            raise ConfigError("num_encoder_layers", layers, f"shared: give {self.num_decoder_layers}, the decoder's")
        if self.relative_attention_num_buckets < 4 or self.relative_attention_num_buckets % 2:
            raise ConfigError(
                "relative_attention_num_buckets", self.relative_attention_num_buckets, "give an even number from 4 up"
            )

    @property
    def decoder_only(self) -> bool:
        """Whether there is one stack only, which reads input and target joined."""
        return self.architecture in ("language_model", "prefix_lm")


@dataclass(frozen=True, kw_only=True)
class MeshConfig(Config):
    """The devices that one program runs on, as a grid.

    Attributes:
        data: parts that a batch is cut into; the weights are cut along it as well.
        model: devices that share the arithmetic of one part of the batch: heads, feed-forward, vocabulary.
    """

    data: int = 1
    model: int = 1

    def __post_init__(self) -> None:
        self._positive("data", "model")

    @property
    def size(self) -> int:
        """How many devices there are."""
        return self.data * self.model


LengthPenaltyForm = Literal["hf", "t5"]


@dataclass(frozen=True, kw_only=True)
class DecodeConfig(Config):
    """How predictions are searched for.

    Attributes:
        max_new_tokens: at most so many, EOS counted.
        num_beams: 1 is greedy search; the paper takes 4 for translation and summaries.
        length_penalty: alpha of beam search; larger favours longer texts. 0.6 in the paper.
        length_penalty_form: "t5", the released code's, or "hf", transformers'; see ``t5core.decoding.beam``.
        batch_size: sequences at a time; does not count towards the identity of a run.
    """

    max_new_tokens: int = 128
    num_beams: int = 1
    length_penalty: float = 0.6
    length_penalty_form: LengthPenaltyForm = "t5"
    batch_size: int = unhashed(128)

    def __post_init__(self) -> None:
        self._positive("max_new_tokens", "num_beams", "batch_size")
        self._one_of("length_penalty_form")
        alpha = self.length_penalty
        if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
            raise ConfigError("length_penalty", alpha, "give a number; 0 is no penalty")


@dataclass(frozen=True, kw_only=True)
class LikelihoodConfig(Config):
    """How the likelihood of right answers is taken.

    Attributes:
        max_target_tokens: answers are measured whole up to so many tokens, EOS counted; of a longer one its beginning.
        also_at: steps of the training behind which it is taken too, beside its end; their weights have to be kept
            (``TrainConfig.keep_last``). Bits per byte are then the mean over these steps and the end.
        batch_size: rows at a time where they are no longer than inputs are, fewer of longer ones; does not count
            towards the identity of a run.
    """

    max_target_tokens: int = 1024
    also_at: tuple[int, ...] = added(())
    batch_size: int = unhashed(128)

    def __post_init__(self) -> None:
        self._positive("max_target_tokens", "batch_size")
        if any(step < 1 for step in self.also_at) or list(self.also_at) != sorted(set(self.also_at)):
            raise ConfigError("also_at", self.also_at, "give steps from 1 on, ascending, each once")
