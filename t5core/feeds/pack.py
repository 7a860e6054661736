"""Packing as the released pipeline does it: several short examples in one row of fixed length.

    {"inputs": a b 1, "targets": x 1}                    inputs              a b 1 c 1 0
    {"inputs": c 1,   "targets": y z 1}       ──►        inputs_segment_ids  1 1 1 2 2 0
    lengths: 6 and 5                                     inputs_positions    0 1 2 0 1 0
                                                         targets             x 1 y z 1
                                                         targets_segment_ids 1 1 2 2 2
                                                         targets_positions   0 1 0 1 2

Examples are taken in order, and one row is open at a time: an example goes into it if *every* feature still fits,
otherwise the row is closed and the example opens the next. Source: seqio, ``utils.trim_and_pack_dataset`` (the form
without custom ops) and ``EncDecFeatureConverter``. Like there, packing starts afresh after every ``max(lengths)``
examples, so the last row of such a group may be short.

Two oddities of the source are not followed. It finds segments by counting zeros among the positions, so that an
example with an empty feature takes its neighbour's number there, and inputs and targets no longer belong together;
here an example has one number in all features. And it takes as many tokens from the front as there are non-zero ids,
so that a 0 inside a sequence cuts off its last token; here only zeros at the end count as padding. Examples
without a single token are left out.

This module is the yardstick, for data in order and rows in lists. Training batches come from ``ExampleFeed``, whose
packing (``feeds.layout``) fills rows better and is addressed by index.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from t5core.errors import ConfigError, DataError

Tokens = npt.NDArray[np.int32]
Row = dict[str, Tokens]


def pack(examples: Iterable[Mapping[str, npt.ArrayLike]], lengths: Mapping[str, int]) -> list[Row]:
    """Packs examples into rows.

    Args:
        examples: ids by feature, one-dimensional; longer ones are trimmed, zeros at the end are padding. Features
            that ``lengths`` does not name are dropped.
        lengths: columns of each feature.

    Returns:
        The rows in order, each with three int32 arrays ``[lengths[f]]`` per feature f: ``f`` (ids),
        ``f_segment_ids`` (numbers of the examples in the row, from 1) and ``f_positions`` (places in the example,
        from 0). All are 0 where there is padding.

    Raises:
        ConfigError: for a length below 1, or no lengths.
        DataError: for an example that lacks a feature, or whose feature is not one-dimensional.
    """
    _check(lengths)
    rows: list[Row] = []
    numbered = enumerate(examples)
    while group := list(islice(numbered, max(lengths.values()))):
        held: list[dict[str, Tokens]] = []
        used = dict.fromkeys(lengths, 0)
        for number, example in group:
            trimmed = {name: _trimmed(example, name, length, number) for name, length in lengths.items()}
            if not any(len(tokens) for tokens in trimmed.values()):
                continue
            if any(used[name] + len(tokens) > lengths[name] for name, tokens in trimmed.items()):
                rows.append(_row(held, lengths))
                held, used = [], dict.fromkeys(lengths, 0)
            held.append(trimmed)
            used = {name: used[name] + len(tokens) for name, tokens in trimmed.items()}
        if held:
            rows.append(_row(held, lengths))
    return rows


def convert(
    examples: Iterable[Mapping[str, npt.ArrayLike]], lengths: Mapping[str, int], *, packed: bool = True
) -> list[Row]:
    """Turns pairs into what an encoder-decoder is fed, as seqio's converter does.

    Args:
        examples: ids of "inputs" and "targets".
        lengths: columns of either.
        packed: pack several examples into a row; otherwise one each, trimmed and padded.

    Returns:
        Rows of int32 arrays: ``encoder_input_tokens``, ``decoder_target_tokens``, ``decoder_input_tokens`` (the
        targets shifted right, 0 at the start of every segment) and ``decoder_loss_weights`` (1 on targets, 0 on
        padding); if packed, also ``encoder_segment_ids``, ``encoder_positions`` and the same two of the decoder.

    Raises:
        ConfigError, DataError: as ``pack``.
    """
    for name in ("inputs", "targets"):
        if name not in lengths:
            raise ConfigError("lengths", dict(lengths), f"give the length of {name}, too")
    pair = {name: lengths[name] for name in ("inputs", "targets")}
    rows = pack(examples, pair) if packed else [_alone(example, pair, n) for n, example in enumerate(examples)]
    converted = []
    for row in rows:
        segments = row["targets_segment_ids"]
        out = {
            "encoder_input_tokens": row["inputs"],
            "decoder_target_tokens": row["targets"],
            "decoder_input_tokens": shifted_right(row["targets"], segments if packed else None),
            "decoder_loss_weights": (row["targets"] != 0).astype(np.int32),
        }
        if packed:
            out |= {
                "encoder_segment_ids": row["inputs_segment_ids"],
                "encoder_positions": row["inputs_positions"],
                "decoder_segment_ids": segments,
                "decoder_positions": row["targets_positions"],
            }
        converted.append(out)
    return converted


def shifted_right(targets: npt.NDArray[Any], segments: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
    """Returns the decoder's input for ``targets`` ``[..., T]``: the token before each, 0 where a segment starts."""
    shifted = np.zeros_like(targets)
    shifted[..., 1:] = targets[..., :-1]
    if segments is not None:
        shifted[..., 1:][segments[..., 1:] != segments[..., :-1]] = 0
    return shifted


def _check(lengths: Mapping[str, int]) -> None:
    if not lengths:
        raise ConfigError("lengths", dict(lengths), "give the length of at least one feature")
    for name, length in lengths.items():
        if length < 1:
            raise ConfigError(f"lengths[{name}]", length, "give a length of 1 or more")


def _trimmed(example: Mapping[str, npt.ArrayLike], name: str, length: int, number: int) -> Tokens:
    if name not in example:
        raise DataError(f"examples[{number}]", sorted(example), f"there is no {name} in it: add it, or drop its length")
    tokens = np.asarray(example[name])
    if tokens.ndim != 1:
        raise DataError(f"examples[{number}][{name}]", tokens.shape, "give one row of ids")
    kept = tokens[:length].astype(np.int32)
    held = np.flatnonzero(kept)
    return kept[: held[-1] + 1] if held.size else kept[:0]


def _row(held: list[dict[str, Tokens]], lengths: Mapping[str, int]) -> Row:
    row: Row = {}
    for name, length in lengths.items():
        for key in (name, f"{name}_segment_ids", f"{name}_positions"):
            row[key] = np.zeros(length, dtype=np.int32)
        start = 0
        for number, example in enumerate(held, start=1):
            here = slice(start, start + len(example[name]))
            row[name][here] = example[name]
            row[f"{name}_segment_ids"][here] = number
            row[f"{name}_positions"][here] = np.arange(len(example[name]))
            start = here.stop
    return row


def _alone(example: Mapping[str, npt.ArrayLike], lengths: Mapping[str, int], number: int) -> Row:
    _check(lengths)
    return _row([{name: _trimmed(example, name, length, number) for name, length in lengths.items()}], lengths)
