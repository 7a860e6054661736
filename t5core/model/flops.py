"""What a model costs: parameters and floating-point operations, counted from its config.

A multiply and an add are two operations; only matrix products count (norms, softmax and dropout move memory, not
arithmetic). The backward pass costs twice the forward pass.
"""

from t5core.config import ModelConfig


def num_parameters(config: ModelConfig) -> int:
    """Returns the number of parameters, the tied embedding counted once.

    >>> num_parameters(ModelConfig())  # Base
    222903552
    """
    c = config
    attention = 4 * c.d_model * c.num_heads * c.d_kv
    feed_forward = 2 * c.d_model * c.d_ff
    encoder = c.num_encoder_layers * (attention + feed_forward + 2 * c.d_model)
    decoder = c.num_decoder_layers * (2 * attention + feed_forward + 3 * c.d_model)
    biases = 2 * c.relative_attention_num_buckets * c.num_heads
    return c.vocab_size * c.d_model + encoder + decoder + biases + 2 * c.d_model


def forward_flops(config: ModelConfig, inputs_length: int, targets_length: int) -> int:
    """Returns the operations of one forward pass over one pair of sequences, logits included."""
    c = config
    inner = c.num_heads * c.d_kv
    s, t = inputs_length, targets_length
    feed_forward = 4 * c.d_model * c.d_ff
    projections = 8 * c.d_model * inner
    encoder = s * (projections + feed_forward) + 4 * s * s * inner
    cross = t * 4 * c.d_model * inner + s * 4 * c.d_model * inner + 4 * t * s * inner
    decoder = t * (projections + feed_forward) + 4 * t * t * inner + cross
    logits = 2 * t * c.d_model * c.vocab_size
    return c.num_encoder_layers * encoder + c.num_decoder_layers * decoder + logits


def train_flops(config: ModelConfig, inputs_length: int, targets_length: int) -> int:
    """Returns the operations of one training step over one pair of sequences: three forward passes' worth."""
    return 3 * forward_flops(config, inputs_length, targets_length)
