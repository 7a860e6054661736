"""What a forward pass keeps for the backward pass: an estimate from above.

It counts the tensors that autograd saves with dropout, per sequence. Compilers and fused kernels keep less.

    encoder layer    S·(5 D + 5 I + 2 F) + H·S²
    decoder layer    T·(7 D + 7 I + 2 F) + 3 S·I + H·T² + H·T·S        (a gated feed-forward: 4 F instead of 2 F)

Kernels that never write the attention weights (fused, flex) save the terms with H. With recomputation every layer
keeps its input alone, and one layer at a time has the rest. Logits come in chunks and are left out.

Dimensions: S inputs and T targets in tokens, D d_model, F d_ff, H heads, I heads times d_kv.
"""

from t5core.config import ModelConfig


def kept_for_backward(
    config: ModelConfig,
    inputs_length: int,
    targets_length: int,
    *,
    shared_by: int = 1,
    dense_attention: bool = True,
    recompute: bool = False,
) -> int:
    """Returns how many numbers of one sequence are kept for the backward pass, from above.

    Args:
        config: the model.
        inputs_length: in tokens.
        targets_length: in tokens; decoder-only models read both in one row.
        shared_by: devices that share heads and inner widths, if they divide them.
        dense_attention: whether the attention weights are written to memory.
        recompute: whether each layer is computed again in the backward pass.
    """
    c, s, t, d = config, inputs_length, targets_length, config.d_model
    heads, f = (n // shared_by if n % shared_by == 0 else n for n in (c.num_heads, c.d_ff))
    inner = heads * c.d_kv
    hidden = (4 if c.feed_forward == "gated_gelu" else 2) * f + (
        0 if c.adapter_size is None else 3 * d + 2 * c.adapter_size
    )
    weights = heads if dense_attention else 0

    def alone(n: int) -> int:
        return n * (5 * d + 5 * inner + hidden) + weights * n * n

    if c.decoder_only:
        stacks = [(c.num_decoder_layers, s + t, alone(s + t))]
    else:
        across = t * (2 * d + 2 * inner) + 3 * s * inner + weights * t * s
        stacks = [(c.num_encoder_layers, s, alone(s)), (c.num_decoder_layers, t, alone(t) + across)]
    ends = sum(3 * d * n for _, n, _ in stacks)
    if recompute:
        return ends + sum(layers * n * d for layers, n, _ in stacks) + max(layer for _, _, layer in stacks)
    return ends + sum(layers * layer for layers, _, layer in stacks)
