"""What a model costs: parameters and floating-point operations.

Both are asked of the model itself, built without memory on the meta device: parameters are counted, and every layer
says its own operations (``Layer.flops``). A multiply and an add are two operations; only matrix products count (norms,
softmax and dropout move memory, not arithmetic). The backward pass costs twice the forward pass.
"""

from functools import lru_cache

import torch

from t5core.config import ModelConfig
from t5core.model.t5 import T5


@lru_cache(maxsize=32)
def on_meta(config: ModelConfig) -> T5:
    """Returns the model without memory for its weights: shapes only, for counting."""
    with torch.device("meta"):
        return T5(config)


def num_parameters(config: ModelConfig) -> int:
    """Returns the number of parameters, the tied embedding counted once.

    >>> num_parameters(ModelConfig())  # Base
    222903552
    """
    return sum(p.numel() for p in on_meta(config).parameters())


def forward_flops(config: ModelConfig, inputs_length: int, targets_length: int) -> int:
    """Returns the operations of one forward pass over one pair of sequences, logits included.

    Decoder-only models read input and target joined: one row of both lengths.
    """
    if config.decoder_only:
        return on_meta(config).flops(0, inputs_length + targets_length)
    return on_meta(config).flops(inputs_length, targets_length)


def train_flops(config: ModelConfig, inputs_length: int, targets_length: int) -> int:
    """Returns the operations of one training step over one pair of sequences: three forward passes' worth."""
    return 3 * forward_flops(config, inputs_length, targets_length)
