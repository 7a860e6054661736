"""What a model costs, by its config alone: parameters and floating-point operations, without building it.

``t5core.model.flops`` asks the model itself, which takes PyTorch, and seconds to import it; plans count by these sums.
A test holds the two to be the same for every architecture, size and option.
"""

from t5core.config import ModelConfig, TrainConfig


def num_parameters(config: ModelConfig) -> int:
    """Returns the number of parameters, the tied embedding counted once.

    >>> num_parameters(ModelConfig())  # Base
    222903552
    """
    c = config
    embeddings = c.vocab_size * c.d_model * (1 if c.tied_embeddings else 2)
    if c.decoder_only:
        return embeddings + _stack_parameters(c, c.num_decoder_layers, cross=False)
    decoder = _stack_parameters(c, c.num_decoder_layers, cross=True)
    if c.architecture == "shared_encoder_decoder":
        return embeddings + decoder
    return embeddings + _stack_parameters(c, c.num_encoder_layers, cross=False) + decoder


def train_flops(config: ModelConfig, inputs_length: int, targets_length: int) -> int:
    """Returns the operations of one training step over one pair of sequences: three forward passes' worth.

    A multiply and an add are two operations, and only matrix products count; decoder-only models read input and target
    joined.
    """
    c = config
    if c.decoder_only:
        targets_length = inputs_length + targets_length
        forward = _stack_flops(c, c.num_decoder_layers, targets_length)
    else:
        forward = _stack_flops(c, c.num_encoder_layers, inputs_length)
        forward += _stack_flops(c, c.num_decoder_layers, targets_length, inputs_length)
    return 3 * (forward + 2 * targets_length * c.d_model * c.vocab_size)


def num_trained(config: ModelConfig, train: TrainConfig) -> int:
    """Returns how many parameters a run trains by its end, as ``t5core.training.trainable`` chooses them."""
    c = config
    if train.trainable in ("all", "gradual"):
        return num_parameters(c)
    stacks = [(c.num_decoder_layers, not c.decoder_only)]
    if c.architecture == "encoder_decoder":
        stacks.append((c.num_encoder_layers, False))
    adapter = 0 if c.adapter_size is None else 2 * c.d_model * c.adapter_size + c.d_model
    adapters = sum(layers * adapter for layers, _ in stacks)
    if train.trainable == "adapters":
        return adapters
    return adapters + sum((layers * (3 if cross else 2) + 1) * c.d_model for layers, cross in stacks)


def _inner(c: ModelConfig) -> int:
    return c.num_heads * c.d_kv


def _matrices(c: ModelConfig) -> int:
    """Weights of a block's feed-forward network and adapter."""
    network = (3 if c.feed_forward == "gated_gelu" else 2) * c.d_model * c.d_ff
    return network + 2 * c.d_model * (c.adapter_size or 0)


def _stack_parameters(c: ModelConfig, layers: int, *, cross: bool) -> int:
    attentions = 2 if cross else 1
    norms = attentions + 1 + (c.adapter_size is not None)
    block = attentions * 4 * c.d_model * _inner(c) + _matrices(c) + norms * c.d_model
    return layers * block + c.relative_attention_num_buckets * c.num_heads + c.d_model


def _stack_flops(c: ModelConfig, layers: int, positions: int, source_positions: int | None = None) -> int:
    block = _attention_flops(c, positions, positions) + 2 * positions * _matrices(c)
    if source_positions is not None:
        block += _attention_flops(c, positions, source_positions)
    return layers * block


def _attention_flops(c: ModelConfig, queries: int, keys: int) -> int:
    """Four projections, two of the queries and two of the keys, and two products with the weights."""
    return 4 * (queries + keys) * c.d_model * _inner(c) + 4 * queries * keys * _inner(c)
