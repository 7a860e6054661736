"""From a text and its noise mask to the tokens the model is shown or asked for.

Seven functions, by the names of the released code. For the text ``a b c d e f`` with noise at ``c d`` and ``f``,
and sentinels X (the first, highest id), Y, Z:

=================================== =================
noise_span_to_unique_sentinel       ``a b X e Y``
nonnoise_span_to_unique_sentinel    ``X c d Y f``
noise_token_to_sentinel             ``a b X X e X``
noise_span_to_sentinel              ``a b X e X``
nonnoise_span_to_sentinel           ``X c d X f``
drop_noise_tokens                   ``a b e``
drop_nonnoise_tokens                ``c d f``
=================================== =================

Baseline inputs are the first form, targets the second: read side by side they hold the whole text. Note the
released code's detail: a target sentinel stands for a run of *kept* tokens. When a text starts with noise, the
target starts with that noise, and its sentinels lag one behind the input's; a target ends with a further
sentinel only when the text ends in kept tokens.

Running out of sentinels: i.i.d. noise at 50 % of 512 tokens makes about 128 spans, and there are 100 sentinels. The
released code counts on into the ordinary pieces, which makes words out of sentinels. Here, with ``extra_ids``
given, every span from the last sentinel on shares that last sentinel: the order of the spans still tells them
apart, and inputs and targets still join into the text. ``extra_ids=None`` counts on as the released code does.

Legend: B rows, L columns; ``lengths_B`` are tokens per row. No EOS is added here.
"""

from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from t5core.errors import ConfigError
from t5core.objectives.noise import Ints, Mask

Tokens = npt.NDArray[np.int32]
RESERVED_IDS = 3  # pad, EOS and unknown are never drawn as random tokens

_How = Literal["drop", "token", "span", "unique"]
_FUNCTIONS: MappingProxyType[str, tuple[bool, _How]] = MappingProxyType(
    {  # name: (replaces noise rather than kept tokens, by what)
        "noise_span_to_unique_sentinel": (True, "unique"),
        "nonnoise_span_to_unique_sentinel": (False, "unique"),
        "noise_token_to_sentinel": (True, "token"),
        "noise_span_to_sentinel": (True, "span"),
        "nonnoise_span_to_sentinel": (False, "span"),
        "drop_noise_tokens": (True, "drop"),
        "drop_nonnoise_tokens": (False, "drop"),
    }
)


def encode(
    fn: str, tokens: npt.ArrayLike, noise_mask: npt.ArrayLike, *, vocab_size: int, extra_ids: int | None = None
) -> Tokens:
    """Encodes one text.

    Args:
        fn: one of the seven names of the module's table.
        tokens: ids, ``[L]``.
        noise_mask: bool or 0/1, ``[L]``.
        vocab_size: of pieces and sentinels together; the k-th sentinel, from 1, is ``vocab_size - k``.
        extra_ids: how many sentinels there are; None counts on below the last one.

    Returns:
        The new ids, int32, shorter or as long as the text.

    Raises:
        ConfigError: when there is no such function.
    """
    tokens_BL = np.asarray(tokens, dtype=np.int32)[None, :]
    noise_BL = np.asarray(noise_mask).astype(np.bool_)[None, :]
    lengths_B = np.array([tokens_BL.shape[1]])
    out_BL, out_lengths_B = encode_batch(fn, tokens_BL, noise_BL, lengths_B, vocab_size=vocab_size, extra_ids=extra_ids)
    return out_BL[0, : out_lengths_B[0]]


def encode_batch(
    fn: str, tokens_BL: Ints, noise_BL: Mask, lengths_B: Ints, *, vocab_size: int, extra_ids: int | None = None
) -> tuple[Tokens, npt.NDArray[np.int64]]:
    """Encodes a batch: ``encode`` row by row, without the loop.

    Returns:
        Ids, int32 ``[B, width of the longest result]`` padded with 0, and each row's length, int64 ``[B]``.
    """
    if fn not in _FUNCTIONS:
        raise ConfigError("fn", fn, f"choose one of {', '.join(_FUNCTIONS)}", choices=_FUNCTIONS)
    on_noise, how = _FUNCTIONS[fn]
    replaced_BL = noise_BL if on_noise else ~noise_BL
    width = tokens_BL.shape[1]
    # rows that all fill the width (the usual case) need no validity mask
    ragged = bool(lengths_B.size) and int(lengths_B.min()) < width
    valid_BL = np.arange(width) < lengths_B[:, None] if ragged else None
    if how == "token":
        replaced_BL = _and(replaced_BL, valid_BL)
        return np.where(replaced_BL, np.int32(vocab_size - 1), tokens_BL).astype(np.int32), lengths_B.astype(np.int64)
    if how == "drop":
        return compress(tokens_BL, _and(~replaced_BL, valid_BL))
    first_BL = replaced_BL.copy()
    first_BL[:, 1:] &= ~replaced_BL[:, :-1]
    first_BL = _and(first_BL, valid_BL)
    out_BL = tokens_BL.astype(np.int32)
    if how == "span":
        out_BL[first_BL] = vocab_size - 1
    else:
        counts_B = np.count_nonzero(first_BL, axis=1)
        ranks_F = np.arange(counts_B.sum()) - np.repeat(np.cumsum(counts_B) - counts_B, counts_B)  # 0, 1, ... per row
        if extra_ids is not None:
            ranks_F = np.minimum(ranks_F, extra_ids - 1)
        out_BL[first_BL] = vocab_size - 1 - ranks_F
    return compress(out_BL, _and(~replaced_BL | first_BL, valid_BL))


def compress(tokens_BL: Ints, keep_BL: Mask) -> tuple[Tokens, npt.NDArray[np.int64]]:
    """Moves each row's kept tokens to its front.

    Returns:
        Ids, int32 ``[B, most kept in a row]`` padded with 0, and each row's length, int64 ``[B]``.
    """
    lengths_B = np.count_nonzero(keep_BL, axis=1)
    width = int(lengths_B.max(initial=0))
    flat = tokens_BL[keep_BL].astype(np.int32, copy=False)
    if flat.size == width * len(lengths_B):  # equally long rows, as span corruption makes them
        return flat.reshape(len(lengths_B), width), lengths_B
    out_BL = np.zeros((len(lengths_B), width), dtype=np.int32)
    out_BL[np.arange(width) < lengths_B[:, None]] = flat
    return out_BL, lengths_B


def permute(tokens_BL: Ints, lengths_B: Ints, rng: np.random.Generator) -> Tokens:
    """Returns each row's tokens in random order, int32 ``[B, L]``; what stands behind a row's length stays there."""
    width = tokens_BL.shape[1]
    keys_BL = rng.random(tokens_BL.shape, dtype=np.float32)
    if lengths_B.size and lengths_B.min() < width:
        columns = np.arange(width)
        # keys above 1 that grow with the column keep the padding behind the text and in place
        keys_BL = np.where(columns < lengths_B[:, None], keys_BL, (columns + 2).astype(np.float32))
    order_BL = np.argsort(keys_BL, axis=1)
    return np.take_along_axis(tokens_BL, order_BL, axis=1).astype(np.int32, copy=False)


def noise_token_to_random_token_or_sentinel(
    tokens_BL: Ints,
    noise_BL: Mask,
    *,
    random_fraction: float,
    vocab_size: int,
    extra_ids: int,
    rng: np.random.Generator,
) -> Tokens:
    """Replaces noise tokens by a random ordinary piece or, mostly, by the mask, which is the first sentinel.

    The paper's BERT-style objective has ``random_fraction`` 0.1. The released code draws from all ids but the first
    three, sentinels included; sentinels are left out here, as they are a small vocabulary's larger part.

    Returns:
        Ids, int32 ``[B, L]``.
    """
    out_BL = tokens_BL.astype(np.int32)
    count = np.count_nonzero(noise_BL)
    is_random_N = rng.random(count, dtype=np.float32) < np.float32(random_fraction)
    random_N = rng.integers(RESERVED_IDS, max(vocab_size - extra_ids, RESERVED_IDS + 1), count, dtype=np.int32)
    out_BL[noise_BL] = np.where(is_random_N, random_N, np.int32(vocab_size - 1))
    return out_BL


def _and(mask_BL: Mask, other_BL: Mask | None) -> Mask:
    return mask_BL if other_BL is None else mask_BL & other_BL
