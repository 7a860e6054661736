"""Pairs as a decoder-only model reads them: inputs, a marker and targets in one row.

The paper's language models and prefix LMs (section 3.2.1) have one stack, which reads "translate English to German:
That is good. target: Das ist gut." In ids, with EOS 1 and a marker of the two ids T and :

    inputs  a b c 1 0      targets  x y 1      ──►      a b c T : x y 1 0     prefix  1 1 1 1 1 0 0 0 0

The inputs' EOS goes, the targets' stays, and ``prefix`` covers what is given. A row is as long as the longest pair
can be, (Li - 1) + M + Lt, so a decoder-only model sees the same text as an encoder-decoder.

Legend: B rows, Li and Lt columns of inputs and targets, M ids of the marker, W columns of joined rows.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from t5core.feeds.batch import Batch

MARKER = "target:"  # pieces carry the space before a word, and the one behind it belongs to the target


class Encoder(Protocol):
    """The part of ``Vocabulary`` that is needed here."""

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text, without EOS."""


def marker_ids(vocabulary: Encoder) -> tuple[int, ...]:
    """Returns the ids of the marker between inputs and targets, the ``joined_by`` of feeds."""
    return tuple(vocabulary.encode(MARKER))


def joined_length(inputs_length: int, targets_length: int, joined_by: Sequence[int]) -> int:
    """Returns W, the columns of joined rows; both lengths count their EOS."""
    return inputs_length - 1 + len(joined_by) + targets_length


def join(batch: Batch, joined_by: Sequence[int]) -> Batch:
    """Joins each row of an encoder-decoder batch.

    Args:
        batch: one example per row, not packed; inputs and targets end with EOS and are padded with 0.
        joined_by: ids of the marker, M of them.

    Returns:
        ``targets`` ``[B, W]``, ``prefix`` ``[B, W]``, and ``inputs`` without columns.
    """
    assert batch.input_segments is None, "packed rows hold several pairs: join before packing"
    num_rows, inputs_length = batch.inputs.shape
    targets_length = batch.targets.shape[1]
    kept_B1 = np.count_nonzero(batch.inputs, axis=1)[:, None] - 1  # EOS is left out
    given_B1 = kept_B1 + len(joined_by)
    width = joined_length(inputs_length, targets_length, joined_by)
    rows_B1 = np.arange(num_rows)[:, None]
    # in this order, what comes later overwrites the EOS and the padding of what came before
    out_BW = np.zeros((num_rows, width), dtype=np.int32)
    out_BW[:, :inputs_length] = batch.inputs
    out_BW[rows_B1, kept_B1 + np.arange(len(joined_by))] = np.asarray(joined_by, dtype=np.int32)
    out_BW[rows_B1, given_B1 + np.arange(targets_length)] = batch.targets
    return Batch(inputs=batch.inputs[:, :0], targets=out_BW, prefix=np.arange(width) < given_B1)
