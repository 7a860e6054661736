"""Token sequences of different length, stored end to end, and rows made of them: one per row, or packed.

Legend: N sequences stored, B rows, S sequences in B packed rows, W columns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from t5core.feeds.ragged import Ints, gather, places
from t5core.vocabulary import EOS_ID

Ids = Sequence[int]


@dataclass(frozen=True, eq=False)
class Places:
    """Where S sequences stand in B packed rows; row after row, and in a row from left to right.

    Attributes:
        sequences_S: which ones.
        rows_S: their rows, from 0, in order.
        numbers_S: the how-manieth of its row each is, from 1.
    """

    sequences_S: Ints
    rows_S: Ints
    numbers_S: Ints


class Sequences:
    """Sequences of ids, each at most ``width`` long.

    Attributes:
        lengths_N: of each, int64.
        width: columns of a row.
    """

    def __init__(self, sequences: Iterable[Ids], width: int) -> None:
        held = list(sequences)
        self.lengths_N = np.array([len(ids) for ids in held], dtype=np.int64)
        self.width = width
        self._starts_N = np.cumsum(self.lengths_N) - self.lengths_N
        self._flat = np.fromiter((token for ids in held for token in ids), np.int32, int(self.lengths_N.sum()))

    def padded(self, chosen_B: Ints) -> npt.NDArray[np.int32]:
        """Returns the chosen sequences, one per row, padded with 0: int32 ``[B, width]``."""
        out = gather(self._flat, self._starts_N[chosen_B], self.lengths_N[chosen_B], self.width)
        return out.astype(np.int32, copy=False)

    def packed(self, at: Places, num_rows: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Returns packed rows and the number of each token's sequence in its row, int32 ``[num_rows, width]`` both."""
        lengths_S = self.lengths_N[at.sequences_S]
        where = self._targets(at, lengths_S)
        tokens_BW = np.zeros((num_rows, self.width), dtype=np.int32)
        segments_BW = np.zeros((num_rows, self.width), dtype=np.int32)
        tokens_BW.ravel()[where] = self._flat[places(self._starts_N[at.sequences_S], lengths_S)]
        segments_BW.ravel()[where] = np.repeat(at.numbers_S, lengths_S)
        return tokens_BW, segments_BW

    def first_of_packed(self, counts_N: Ints, at: Places, num_rows: int) -> npt.NDArray[np.bool_]:
        """Returns where the first ``counts_N`` tokens of each sequence stand in packed rows, bool ``[B, width]``."""
        first_BW = np.zeros((num_rows, self.width), dtype=np.bool_)
        starts_S = self._starts_in_rows(at, self.lengths_N[at.sequences_S])
        first_BW.ravel()[places(starts_S, counts_N[at.sequences_S])] = True
        return first_BW

    def _targets(self, at: Places, lengths_S: Ints) -> Ints:
        return places(self._starts_in_rows(at, lengths_S), lengths_S)

    def _starts_in_rows(self, at: Places, lengths_S: Ints) -> Ints:
        """Where each sequence starts, counted through all rows as if they lay end to end."""
        before_S = np.cumsum(lengths_S) - lengths_S
        opens_S = np.flatnonzero(at.numbers_S == 1)
        in_row_S = before_S - np.repeat(before_S[opens_S], np.diff(np.append(opens_S, len(lengths_S))))
        starts_S: Ints = at.rows_S * self.width + in_row_S
        return starts_S


def without_eos(ids: Ids, length: int) -> list[int]:
    """Returns at most ``length`` ids, without the EOS that may stand at their end."""
    kept = list(ids[: length + 1])
    if kept and kept[-1] == EOS_ID:
        kept.pop()
    return kept[:length]


def with_eos(ids: Ids, length: int) -> list[int]:
    """Returns the ids cut so that there is room for EOS, and EOS: at most ``length`` in all."""
    return [*without_eos(ids, length - 1), EOS_ID]
