"""What a training step eats.

Three kinds of batches, told apart by which fields are there. Two pairs, ``a b`` -> ``x`` and ``c`` -> ``y z``, with
EOS 1 and padding 0:

- one example per row, encoder-decoder: ``inputs`` and ``targets`` alone.
- packed rows, encoder-decoder: several examples in a row, numbered in ``input_segments`` and ``target_segments``.
  Tokens see only tokens of their own segment, in the encoder, the decoder and between the two::

      inputs          a b 1 c 1 0        targets          x 1 y z 1 0
      input_segments  1 1 1 2 2 0        target_segments  1 1 2 2 2 0

- decoder-only: ``inputs`` has no columns, ``targets`` holds inputs, a marker ``:`` and targets, and ``prefix`` marks
  what is given: on it no loss is taken, and a prefix LM sees it in full::

      targets  a b : x 1 0               prefix  1 1 1 0 0 0
               c : y z 1 0                       1 1 0 0 0 0

In each of them the decoder's input is the targets shifted right, with the pad id at the start of every segment; the
model does that.

Legend: B rows, Li columns of inputs, Lt columns of targets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Inputs and targets of one step, at static shapes.

    Attributes:
        inputs: int32 ``[B, Li]``; each example is ended by EOS (1), rows are padded with 0. Decoder-only: ``[B, 0]``.
        targets: int32 ``[B, Lt]``, likewise; decoder-only: inputs without EOS, marker, targets.
        input_segments: int32 ``[B, Li]``, the number of each token's example in its row, from 1; 0 is padding.
            None when every row is one example.
        target_segments: int32 ``[B, Lt]``, likewise, with the same numbers; None together with ``input_segments``,
            except that packed decoder-only batches have only these.
        prefix: bool ``[B, Lt]``, True up to and including each example's marker; None when ``inputs`` go to an
            encoder, and for language modelling, where nothing is given.
    """

    inputs: npt.NDArray[np.int32]
    targets: npt.NDArray[np.int32]
    input_segments: npt.NDArray[np.int32] | None = None
    target_segments: npt.NDArray[np.int32] | None = None
    prefix: npt.NDArray[np.bool_] | None = None

    def part(self, first: int, last: int) -> "Batch":
        """Returns the rows from ``first`` up to, not including, ``last``."""
        return _mapped(lambda arrays: arrays[0][first:last], [self])


def stacked(batches: Sequence[Batch]) -> Batch:
    """Returns the rows of several batches of one kind and width below one another."""
    return _mapped(np.concatenate, batches)


def _mapped(function: Callable[[list[npt.NDArray[Any]]], npt.NDArray[Any]], batches: Sequence[Batch]) -> Batch:
    """A batch of what a function makes of every field that is there."""
    made: dict[str, Any] = {}
    for f in fields(Batch):
        arrays = [getattr(batch, f.name) for batch in batches]
        made[f.name] = None if arrays[0] is None else function(arrays)
    return Batch(**made)
