"""Correlations of numbers written as text. Named as scipy names them; numbers agree with it.

Constant outputs have no correlation: 0 here, where scipy and the released code give "not a number", which would make
every average that it enters not a number either.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from t5core.errors import DataError
from t5core.metrics.metric import Context, Contexts, Floats, Metric, plain, ratio

NOT_A_NUMBER = -1.0


def string_to_float(string: str, default: float = NOT_A_NUMBER) -> float:
    """Returns the number that ``string`` is, ``default`` where it is none; "nan" and "inf" are numbers here."""
    try:
        return float(string)
    except ValueError:
        return default


@dataclass(frozen=True)
class Numbers:
    """Reads numbers: [N, 2], of target and prediction; -1 for text that is none, or that is "nan" or "inf"."""

    def __call__(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> Floats:
        """Returns float64 [N, 2]."""
        pairs = [(_finite(t), _finite(p)) for t, p in zip(targets, predictions, strict=True)]
        return np.array(pairs, dtype=np.float64).reshape(-1, 2)

    def invalid(self, predictions: Sequence[str]) -> int:
        """Returns how many outputs are no number."""
        return sum(not math.isfinite(string_to_float(prediction, math.nan)) for prediction in predictions)

    def check(self, target: str, context: Context) -> None:
        """Raises DataError for a target that is no number."""
        if not math.isfinite(string_to_float(target, math.nan)):
            raise DataError("target", target, "it is not a number")


@dataclass(frozen=True)
class Pearson(Metric):
    """Pearson correlation of numbers."""

    reading: Numbers = Numbers()
    name: str = "pearson_corrcoef"

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns the correlation x100, 0 when either side is constant."""
        return plain(_correlation(scores_Uk[..., 0], scores_Uk[..., 1]))


@dataclass(frozen=True)
class Spearman(Metric):
    """Spearman rank correlation of numbers; ties share their mean rank."""

    reading: Numbers = Numbers()
    name: str = "spearman_corrcoef"

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns the correlation x100, 0 when either side is constant."""
        from scipy.stats import rankdata

        if scores_Uk.shape[-2] == 0:
            return plain(np.zeros(scores_Uk.shape[:-2]))
        ranks = rankdata(scores_Uk, axis=-2)
        return plain(_correlation(ranks[..., 0], ranks[..., 1]))


def _finite(text: str) -> float:
    value = string_to_float(text)
    return value if math.isfinite(value) else NOT_A_NUMBER


def _correlation(x: Floats, y: Floats) -> Floats:
    if x.shape[-1] == 0:
        return np.zeros(x.shape[:-1])
    x = x - x.mean(-1, keepdims=True)
    y = y - y.mean(-1, keepdims=True)
    x_square, y_square = (x * x).sum(-1), (y * y).sum(-1)
    # a constant side leaves rounding dust in place of zero
    dust = 1e-18 * x.shape[-1]
    spread = np.where((x_square > dust) & (y_square > dust), np.sqrt(x_square * y_square), 0.0)
    return 100.0 * ratio((x * y).sum(-1), spread)
