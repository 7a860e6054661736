"""Rows of different length, stored end to end, as padded arrays.

Legend: N rows, W columns.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer[Any]]


def places(starts_N: Ints, lengths_N: Ints) -> Ints:
    """Returns ``start, start + 1, ..., start + length - 1`` of each row, one row after the other."""
    ends_N = np.cumsum(lengths_N)
    total = int(ends_N[-1]) if len(ends_N) else 0
    all_places: Ints = np.arange(total) + np.repeat(starts_N - ends_N + lengths_N, lengths_N)
    return all_places


def gather(flat: Ints, starts_N: Ints, lengths_N: Ints, width: int) -> Ints:
    """Returns ``flat[start : start + length]`` of each row, padded with 0: ``[N, width]`` in the type of ``flat``."""
    out_NW = np.zeros((len(starts_N), width), dtype=flat.dtype)
    out_NW[np.arange(width) < lengths_N[:, None]] = flat[places(starts_N, lengths_N)]
    return out_NW
