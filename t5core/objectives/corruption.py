"""Runs an objective's recipe over a batch of texts: raw tokens in, padded inputs and targets out.

    raw tokens [B, L] ──► noise mask ──► inputs encoding  ──► cut, EOS, pad ──► inputs  [B, inputs_length]
                                   └───► targets encoding ──► cut, EOS, pad ──► targets [B, targets_length]

EOS is put behind whatever is left after cutting, as in the released code, so every row ends with it.
"""

import numpy as np

from t5core.config import ObjectiveConfig
from t5core.objectives.catalogue import Recipe, recipe
from t5core.objectives.encodings import (
    Tokens,
    encode_batch,
    noise_token_to_random_token_or_sentinel,
    permute,
)
from t5core.objectives.noise import (
    Ints,
    iid_noise_masks,
    random_prefix_noise_masks,
    random_span_cuts,
    span_masks,
)
from t5core.objectives.runs import fits, spans_replaced
from t5core.vocabulary import EOS_ID, PAD_ID


def corrupt_batch(
    objective: ObjectiveConfig,
    tokens_BL: Ints,
    lengths_B: Ints,
    *,
    vocab_size: int,
    extra_ids: int,
    inputs_length: int,
    targets_length: int,
    rng: np.random.Generator,
) -> tuple[Tokens, Tokens]:
    """Makes an objective's examples out of a batch of texts.

    Args:
        objective: which one.
        tokens_BL: raw ids ``[B, L]``, any integer type.
        lengths_B: tokens per row; what stands behind is not read.
        vocab_size: pieces and sentinels together.
        extra_ids: sentinels among them; they have the highest ids.
        inputs_length: columns of the inputs, EOS included; "lm" has no inputs and does not ask for it.
        targets_length: columns of the targets, EOS included.
        rng: all randomness comes from here.

    Returns:
        Inputs ``[B, inputs_length]`` (for "lm" ``[B, 0]``) and targets ``[B, targets_length]``, int32, each row ended
        by EOS and padded with 0.
    """
    how = recipe(objective)
    if how.inputs == "nothing":
        return np.zeros((len(lengths_B), 0), dtype=np.int32), finish(tokens_BL, lengths_B, targets_length)
    if how.noise == "none":
        shuffled_BL = permute(tokens_BL, lengths_B, rng)
        return finish(shuffled_BL, lengths_B, inputs_length), finish(tokens_BL, lengths_B, targets_length)
    if how.noise == "spans":
        assert objective.mean_noise_span_length is not None
        cuts = random_span_cuts(lengths_B, objective.noise_density, objective.mean_noise_span_length, rng)
        if _copies_runs(how, lengths_B, tokens_BL.shape[1]) and fits(cuts, inputs_length, targets_length):
            return spans_replaced(
                tokens_BL,
                cuts,
                vocab_size=vocab_size,
                extra_ids=extra_ids,
                inputs_length=inputs_length,
                targets_length=targets_length,
            )
        noise_BL = span_masks(lengths_B, tokens_BL.shape[1], cuts)
    elif how.noise == "prefix":
        noise_BL = random_prefix_noise_masks(lengths_B, tokens_BL.shape[1], rng)
    else:
        noise_BL = iid_noise_masks(lengths_B, tokens_BL.shape[1], objective.noise_density, rng)
    if how.inputs == "noise_token_to_random_token_or_sentinel":
        masked_BL = noise_token_to_random_token_or_sentinel(
            tokens_BL,
            noise_BL,
            random_fraction=objective.random_token_fraction,
            vocab_size=vocab_size,
            extra_ids=extra_ids,
            rng=rng,
        )
        inputs = finish(masked_BL, lengths_B, inputs_length)
    else:
        inputs_BL, input_lengths_B = encode_batch(
            how.inputs, tokens_BL, noise_BL, lengths_B, vocab_size=vocab_size, extra_ids=extra_ids
        )
        inputs = finish(inputs_BL, input_lengths_B, inputs_length)
    if how.targets == "text":
        return inputs, finish(tokens_BL, lengths_B, targets_length)
    targets_BL, target_lengths_B = encode_batch(
        how.targets, tokens_BL, noise_BL, lengths_B, vocab_size=vocab_size, extra_ids=extra_ids
    )
    return inputs, finish(targets_BL, target_lengths_B, targets_length)


def finish(tokens_BL: Ints, lengths_B: Ints, width: int) -> Tokens:
    """Cuts rows to ``width - 1`` tokens, appends EOS and pads with 0: int32 ``[B, width]``."""
    ends_B = np.minimum(lengths_B, width - 1)
    used = min(tokens_BL.shape[1], width - 1)
    out_BL = np.zeros((len(lengths_B), width), dtype=np.int32)
    out_BL[:, :used] = tokens_BL[:, :used]
    if ends_B.size and ends_B.min() < used:
        out_BL[:, :used][np.arange(used) >= ends_B[:, None]] = PAD_ID
    out_BL[np.arange(len(lengths_B)), ends_B] = EOS_ID
    return out_BL


def _copies_runs(how: Recipe, lengths_B: Ints, width: int) -> bool:
    """Whether rows are alike enough for ``runs``: spans to sentinels on both sides, texts of one length."""
    replaced = ("noise_span_to_unique_sentinel", "nonnoise_span_to_unique_sentinel")
    alike = width >= 2 and bool(lengths_B.size) and int(lengths_B.min()) == width
    return (how.inputs, how.targets) == replaced and alike
