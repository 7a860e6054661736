"""Unlabeled text and tasks in the same batches: multi-task pre-training (section 3.5.3).

Of all examples that are drawn, a share is unlabeled. A row of text is one example; a row of tasks is one as well, or
holds E of them on average where rows are packed. So of the rows a share of

    row share = share · E / (1 - share + share · E)       share 0.5: 0.5 of rows of one example, 0.87 where E = 6.5

is text, as in the released code, which mixes examples and packs them afterwards. Up to batch i, exactly ⌊i·B·row share⌋
of its i·B rows are text, so each batch has as many as it should, to within one, and which ones follows from i alone:

    B = 8, row share 0.3   batch 0: rows 0, 1 of the text        and rows 0 ... 5 of the tasks
                           batch 1: rows 2, 3                    and rows 6 ... 11
                           batch 2: rows 4, 5, 6                 and rows 12 ... 16

Both lines of rows are endless, so nothing runs out. Rows of text and of tasks are as wide as the wider of the two.

Legend: B rows of a batch, E examples of a row of tasks.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from t5core.errors import ConfigError
from t5core.feeds.batch import Batch, stacked
from t5core.feeds.examples import ExampleFeed
from t5core.feeds.pretrain import PretrainFeed

_UNIT = 1 << 32


class _Batches(Protocol):
    def batch(self, i: int) -> Batch:
        """Returns batch ``i``."""


class ShiftedFeed:
    """A feed from its batch ``first`` on: for a run that goes on where an earlier one ended."""

    def __init__(self, feed: _Batches, first: int) -> None:
        self._feed = feed
        self._first = first

    def batch(self, i: int) -> Batch:
        """Returns batch ``first + i``."""
        return self._feed.batch(self._first + i)


class MixedFeed:
    """Rows of text and rows of tasks, side by side.

    Args:
        text: unlabeled rows; for the same kind of model as ``examples``.
        examples: of the tasks.
        share: of the examples that are unlabeled, in (0, 1).

    Attributes:
        row_share: of the rows that are unlabeled: the same, or more where rows of tasks hold several examples.

    Raises:
        ConfigError: a share outside of that, or feeds with batches of different sizes.
    """

    def __init__(self, text: PretrainFeed, examples: ExampleFeed, share: float) -> None:
        if not 0 < share < 1:
            raise ConfigError("share", share, "give the unlabeled share of the examples, between 0 and 1")
        if text.batch_size != examples.batch_size:
            raise ConfigError("batch_size", text.batch_size, f"the tasks' batches have {examples.batch_size} rows")
        self._text = text
        self._examples = examples
        self.row_share = _share_of_rows(share, examples.examples_per_row)
        self._share = round(self.row_share * _UNIT)
        self.batch_size = text.batch_size
        # of both, also for a batch with rows of one kind only: all batches have the same shape and fields
        self._inputs_width = max(text.lengths.inputs, examples.widths[0])
        self._targets_width = max(text.lengths.targets, examples.widths[1])
        self._prefixed = examples.widths[0] == 0

    def batch(self, i: int) -> Batch:
        """Returns batch ``i``, the same one whenever and wherever it is asked for."""
        rows = self.batch_size
        before, after = (n * rows * self._share // _UNIT for n in (i, i + 1))
        unlabeled = after - before
        parts = []
        if unlabeled:
            parts.append(self._text.rows(before, unlabeled))
        if rows > unlabeled:
            parts.append(self._examples.rows(i * rows - before, rows - unlabeled))
        return stacked([self._alike(part) for part in parts])

    def _alike(self, part: Batch) -> Batch:
        """Brings rows of either kind to the width and the fields of all."""
        inputs, targets = self._inputs_width, self._targets_width
        input_segments, target_segments, prefix = part.input_segments, part.target_segments, part.prefix
        if self._examples.packed and target_segments is None:  # a row of text is one example
            target_segments = (part.targets != 0).astype(np.int32)
            input_segments = (part.inputs != 0).astype(np.int32) if inputs else None
        if self._prefixed and prefix is None:
            prefix = np.zeros(part.targets.shape, dtype=np.bool_)
        return Batch(
            inputs=_wide(part.inputs, inputs),
            targets=_wide(part.targets, targets),
            input_segments=None if input_segments is None else _wide(input_segments, inputs),
            target_segments=None if target_segments is None else _wide(target_segments, targets),
            prefix=None if prefix is None else np.pad(prefix, ((0, 0), (0, targets - prefix.shape[1]))),
        )


def _share_of_rows(share: float, examples_per_row: float) -> float:
    if examples_per_row == 1:  # exactly as it is: the formula rounds
        return share
    return share * examples_per_row / (1 - share + share * examples_per_row)


def _wide(rows_BL: npt.NDArray[np.int32], columns: int) -> npt.NDArray[np.int32]:
    return np.pad(rows_BL, ((0, 0), (0, columns - rows_BL.shape[1])))
