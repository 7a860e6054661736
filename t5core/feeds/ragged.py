"""Rows of different length, stored end to end, as padded arrays.

Legend: N rows, W columns.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer[Any]]


def gather(flat: Ints, starts_N: Ints, lengths_N: Ints, width: int) -> Ints:
    """Returns ``flat[start : start + length]`` of each row, padded with 0: ``[N, width]`` in the type of ``flat``."""
    out_NW = np.zeros((len(starts_N), width), dtype=flat.dtype)
    within = np.arange(int(lengths_N.sum())) - np.repeat(np.cumsum(lengths_N) - lengths_N, lengths_N)
    out_NW[np.arange(width) < lengths_N[:, None]] = flat[np.repeat(starts_N, lengths_N) + within]
    return out_NW
