"""Noise masks: which tokens of a text are corrupted.

A mask is boolean, True where a token is noise. Three kinds (paper sections 3.1.4 and 3.3):

- i.i.d.: every token is noise with probability ``noise_density``, on its own;
- random spans: the *number* of noise tokens and of spans is fixed by the length, only the places are random.
  10 tokens at density 0.3 and mean length 1.5 always give 3 noise tokens in 2 spans. The 3 are cut into 2 parts
  at random (say 1 + 2), the 7 kept tokens too (say 4 + 3), and the parts are laid out in turns, kept first:
  ``k k k k N k k k N N``. So a span mask always starts with kept tokens and ends with noise;
- random prefix: everything from a uniformly drawn cut to the end is noise (the prefix LM objective).

Legend: B rows (texts), L columns (token positions), S spans of the row with most of them. Lengths are in tokens.
The ``*_masks`` functions take ``lengths_B`` and the width L and return bool ``[B, L]``, False behind a row's length.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.integer[Any]]
Cuts = npt.NDArray[np.int64]
Keys = npt.NDArray[np.unsignedinteger[Any]]


def iid_noise_mask(length: int, noise_density: float, rng: np.random.Generator) -> Mask:
    """Returns a bool ``[length]`` mask, each token noise with probability ``noise_density``."""
    noise_L: Mask = iid_noise_masks(np.array([length]), length, noise_density, rng)[0]
    return noise_L


def random_spans_noise_mask(
    length: int, noise_density: float, mean_noise_span_length: float, rng: np.random.Generator
) -> Mask:
    """Returns a bool ``[length]`` mask of random spans; see ``span_counts`` for how many and the module for how."""
    noise_BL = random_spans_noise_masks(np.array([length]), length, noise_density, mean_noise_span_length, rng)
    noise_L: Mask = noise_BL[0]
    return noise_L


def random_prefix_noise_mask(length: int, rng: np.random.Generator) -> Mask:
    """Returns a bool ``[length]`` mask that is noise from a cut drawn from 1 ... length - 1 to the end."""
    noise_L: Mask = random_prefix_noise_masks(np.array([length]), length, rng)[0]
    return noise_L


def iid_noise_masks(lengths_B: Ints, width: int, noise_density: float, rng: np.random.Generator) -> Mask:
    """Returns ``[B, width]``, each token noise with probability ``noise_density``."""
    noise_BL: Mask = rng.random((len(lengths_B), width), dtype=np.float32) < np.float32(noise_density)
    return _clear_behind(noise_BL, lengths_B)


def random_prefix_noise_masks(lengths_B: Ints, width: int, rng: np.random.Generator) -> Mask:
    """Returns ``[B, width]``, noise from a cut on; the cut is uniform over 1 ... length - 1 (1 for shorter rows)."""
    cuts_B = rng.integers(1, np.maximum(lengths_B, 2))
    return _clear_behind(np.arange(width) >= cuts_B[:, None], lengths_B)


def span_counts(
    lengths_B: Ints, noise_density: float, mean_noise_span_length: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns per row the number of noise tokens and of noise spans.

    Noise tokens are ``round(length * density)``, but at least 1 and at most length - 1; spans are
    ``round(noise / mean)``, but at least 1 and no more than there are noise or kept tokens, so that no part is empty.
    Rounding is to even in float32, as in the released code. Rows shorter than 2 count as 2, as there. Density 0, and
    no other, has no noise and no spans.
    """
    if noise_density == 0:
        return np.zeros(len(lengths_B), dtype=np.int64), np.zeros(len(lengths_B), dtype=np.int64)
    sizes_B = np.maximum(lengths_B, 2).astype(np.int64)
    noise_B = np.round(sizes_B.astype(np.float32) * np.float32(noise_density)).astype(np.int64)
    noise_B = np.clip(noise_B, 1, sizes_B - 1)
    spans_B = np.round(noise_B.astype(np.float32) / np.float32(mean_noise_span_length)).astype(np.int64)
    return noise_B, np.clip(spans_B, 1, np.minimum(noise_B, sizes_B - noise_B))


def random_span_cuts(
    lengths_B: Ints, noise_density: float, mean_noise_span_length: float, rng: np.random.Generator
) -> tuple[Cuts, Cuts]:
    """Draws random spans, and returns where the kept tokens and where the noise tokens are cut into parts.

    With the kept tokens of a row laid end to end, part s is ``kept[s] ... kept[s + 1] - 1``; noise likewise. The text
    is kept part 0, noise part 0, kept part 1, ...

    Args:
        lengths_B: tokens per row; rows shorter than 2 count as 2.
        noise_density: share of noise tokens, in (0, 1).
        mean_noise_span_length: mean tokens per noise span, 1 or more.
        rng: all randomness comes from here.

    Returns:
        The cuts of the kept and of the noise tokens, int64 ``[B, S + 1]`` each, from 0 to how many there are; rows
        with fewer spans have empty parts at their end.
    """
    noise_B, spans_B = span_counts(lengths_B, noise_density, mean_noise_span_length)
    noise_cuts_BS = _random_cuts(noise_B, spans_B, rng)
    kept_cuts_BS = _random_cuts(np.maximum(lengths_B, 2) - noise_B, spans_B, rng)
    return kept_cuts_BS, noise_cuts_BS


def random_spans_noise_masks(
    lengths_B: Ints, width: int, noise_density: float, mean_noise_span_length: float, rng: np.random.Generator
) -> Mask:
    """Returns ``[B, width]`` masks of random spans.

    Args:
        lengths_B: tokens per row, at most ``width``.
        width: columns of the mask.
        noise_density: share of noise tokens, from 0 (the masks are empty) to 1 (one token of each row is kept).
        mean_noise_span_length: mean tokens per noise span, 1 or more.
        rng: all randomness comes from here.
    """
    if noise_density == 0:
        return np.zeros((len(lengths_B), width), dtype=np.bool_)
    return span_masks(lengths_B, width, random_span_cuts(lengths_B, noise_density, mean_noise_span_length, rng))


def span_masks(lengths_B: Ints, width: int, cuts: tuple[Cuts, Cuts]) -> Mask:
    """Returns the masks ``[B, width]`` of the spans that ``random_span_cuts`` has drawn for rows of these lengths."""
    kept_cuts_BS, noise_cuts_BS = cuts
    # span s starts behind s + 1 kept parts and s noise parts, and is one noise part long
    starts_BS = kept_cuts_BS[:, 1:] + noise_cuts_BS[:, :-1]
    ends_BS = kept_cuts_BS[:, 1:] + noise_cuts_BS[:, 1:]
    # +1 where a span starts, -1 where it ends; each row sums to 0, so one running sum serves all rows. Rows with
    # fewer spans have empty ones at their end, where the -1 of the last real span, written later, wins.
    columns = max(width, 2) + 1
    steps_BL = np.zeros((len(lengths_B), columns), dtype=np.int8)
    first_B1 = (np.arange(len(lengths_B)) * columns)[:, None]
    steps_BL.ravel()[first_B1 + starts_BS] = 1
    steps_BL.ravel()[first_B1 + ends_BS] = -1
    noise_BL = np.cumsum(steps_BL.ravel(), dtype=np.int8).view(np.bool_).reshape(steps_BL.shape)[:, :width]
    return _clear_behind(noise_BL, lengths_B) if lengths_B.size and lengths_B.min() < 2 else noise_BL


def _random_cuts(totals_B: Ints, parts_B: Ints, rng: np.random.Generator) -> Cuts:
    """Cuts each row's ``total`` items into ``parts`` parts of 1 or more, every way equally likely.

    Returns ``[B, S + 1]``: 0, the sorted places of the cuts, and the total, repeated in rows with fewer parts.
    """
    most = int(parts_B.max(initial=1))
    cuts_BS = np.empty((len(totals_B), most + 1), dtype=np.int64)
    cuts_BS[:, 0] = 0
    cuts_BS[:, 1:] = totals_B[:, None]
    if most == 1:
        return cuts_BS
    if (totals_B == totals_B[0]).all() and (parts_B == parts_B[0]).all():
        cuts_BS[:, 1:most] = random_subsets(len(totals_B), int(totals_B[0]) - 1, most - 1, rng) + 1
        return cuts_BS
    # rows of different length: the places (each between two items) with the smallest of independent random keys
    keys_BP = _random_keys(len(totals_B), int(totals_B.max()) - 1, rng)
    keys_BP[np.arange(keys_BP.shape[1]) >= totals_B[:, None] - 1] = -1 % (1 << 8 * keys_BP.itemsize)  # come last
    smallest_BS = np.sort(keys_BP, axis=1)[:, : most - 1]
    surplus_BS = np.arange(most - 1) >= parts_B[:, None] - 1
    chosen_BS = np.where(surplus_BS, totals_B[:, None] - 1, _places(smallest_BS, keys_BP.shape[1]))
    cuts_BS[:, 1:most] = np.sort(chosen_BS, axis=1) + 1
    return cuts_BS


def random_subsets(num_rows: int, size: int, count: int, rng: np.random.Generator) -> Cuts:
    """Chooses ``count`` of 0 ... size - 1 in every row, each subset equally likely: sorted, int64 ``[B, count]``.

    Of a few among many, drawing with replacement repeats little. So somewhat more are drawn than needed, and the
    first ``count`` different ones taken, in the order they were drawn, which is drawing without replacement. Rows
    where that is not enough, and all rows where many are chosen, take the places with the smallest random keys.
    """
    repeats = count * count / (2 * size)  # to be expected
    draws = count + math.ceil(repeats + 6 * math.sqrt(repeats)) + 4
    if 2 * draws > size or size * draws >= 1 << 31:
        return _smallest_keys(num_rows, size, count, rng)
    drawn_BD = (rng.random((num_rows, draws)) * size).astype(np.uint32)
    by_place_BD = np.sort(drawn_BD * np.uint32(draws) + np.arange(draws, dtype=np.uint32), axis=1)
    places_BD, turns_BD = np.divmod(by_place_BD, np.uint32(draws))
    turns_BD[:, 1:][places_BD[:, 1:] == places_BD[:, :-1]] = draws  # came before; the first of equals stays
    last_B1 = np.partition(turns_BD, count - 1, axis=1)[:, count - 1 : count]
    short = np.flatnonzero(last_B1[:, 0] == draws)
    taken_BD = turns_BD <= last_B1
    taken_BD[short] = np.arange(draws) < count  # as many as elsewhere; replaced below
    chosen_BS: Cuts = places_BD[taken_BD].reshape(num_rows, count).astype(np.int64)
    if short.size:
        chosen_BS[short] = _smallest_keys(len(short), size, count, rng)
    return chosen_BS


def _smallest_keys(num_rows: int, size: int, count: int, rng: np.random.Generator) -> Cuts:
    keys_BP = _random_keys(num_rows, size, rng)
    if count < size:
        keys_BP = np.partition(keys_BP, count - 1, axis=1)[:, :count]
    return np.sort(_places(keys_BP, size), axis=1)


def _random_keys(num_rows: int, width: int, rng: np.random.Generator) -> Keys:
    """Random keys that carry their column in their lowest bits: sorting them sorts the columns along.

    Whole numbers of 32 bits, which sort several times faster than indices by float keys; of 64 where columns would
    leave fewer than 20 bits to chance.
    """
    column_bits = (width - 1).bit_length()
    key_bytes = 4 if column_bits <= 12 else 8
    dtype = np.dtype(f"u{key_bytes}")
    words = -(-num_rows * width * key_bytes // 8)
    raw = rng.integers(0, 0xFFFF_FFFF_FFFF_FFFF, words, dtype=np.uint64, endpoint=True)
    keys_BP: Keys = raw.view(dtype)[: num_rows * width].reshape(num_rows, width)
    keys_BP &= dtype.type((1 << 8 * key_bytes) - (1 << column_bits))
    keys_BP |= np.arange(width, dtype=dtype)
    return keys_BP


def _places(keys: Keys, width: int) -> Cuts:
    """The columns that keys carry."""
    return (keys & keys.dtype.type((1 << (width - 1).bit_length()) - 1)).astype(np.int64)


def _clear_behind(noise_BL: Mask, lengths_B: Ints) -> Mask:
    width = noise_BL.shape[1]
    if lengths_B.size and lengths_B.min() < width:
        noise_BL = noise_BL & (np.arange(width) < lengths_B[:, None])
    return noise_BL
