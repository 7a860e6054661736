"""What a metric is: a reading of text into numbers, and what the numbers come to. So its uncertainty is cheap.

A ``Reading`` does the slow part once per example and gives a small array; a ``Metric`` turns such an array, or a stack
of resampled ones, into a value x100. A bootstrap is then an index and one call::

    accuracy = Accuracy(Classes(("no", "yes")))
    scores_Uk = accuracy.example_scores(targets, predictions)      # class ids of target and prediction: k = 2
    accuracy.aggregate(scores_Uk)                                  # 87.5
    accuracy.aggregate(scores_Uk[drawn_SU]).std()                  # 1.6

Metrics of one task mostly share a reading (F1 and accuracy look at the same labels), which is then done once.

A unit U is what may be drawn by itself: mostly an example, but for MultiRC a question with all its answers, and for
ReCoRD a query, of which training has several copies.

What a scorer has to know besides the target is an example's context: a JSON object, ``{"answers": ["Ann", "Anna"]}``.

Shapes: N examples, U units, k columns, S bootstrap samples.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from t5core.errors import DataError

Floats = npt.NDArray[np.float64]
Context = Mapping[str, Any]
Contexts = Sequence[Context] | None


class Reading(Protocol):
    """From text to numbers. Readings compare equal when they give the same numbers."""

    def __call__(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> Floats:
        """Returns float64 [U, k].

        Raises:
            DataError: a context that is needed is missing or has not the field.
        """

    def invalid(self, predictions: Sequence[str]) -> int:
        """Returns how many outputs are nothing that a target can be: no label, no number; they count as wrong."""

    def check(self, target: str, context: Context) -> None:
        """Raises DataError when no output can be held against ``target``, or ``context`` lacks what is needed."""


class Metric(ABC):
    """A value x100 of what its reading gives; ``name`` is its key in a table of scores."""

    name: str
    reading: Reading

    def example_scores(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> Floats:
        """Returns float64 [U, k]: the reading's numbers."""
        return self.reading(targets, predictions, contexts)

    @abstractmethod
    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns the metric x100: a float for [U, k], float64 [S] for [S, U, k]; 0 for U = 0."""


@dataclass(frozen=True)
class MeanOf(Metric):
    """The mean of metrics that share a reading: F1 and accuracy of MRPC make its score in the GLUE average."""

    metrics: tuple[Metric, ...]

    def __post_init__(self) -> None:
        assert all(metric.reading == self.reading for metric in self.metrics), "metrics of one mean share a reading"

    @property
    def name(self) -> str:  # type: ignore[override]
        """What it is, for people: "mean of f1 and accuracy"."""
        return "mean of " + " and ".join(metric.name for metric in self.metrics)

    @property
    def reading(self) -> Reading:  # type: ignore[override]
        """The one that all share."""
        return self.metrics[0].reading

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns the mean x100."""
        return sum(metric.aggregate(scores_Uk) for metric in self.metrics) / len(self.metrics)


def given(contexts: Contexts, i: int) -> Context:
    """Returns the context of row ``i``; empty where there are none."""
    return {} if contexts is None else contexts[i]


def look_up(context: Context, field: str) -> Any:
    """Returns ``context[field]``; "idx.question" looks into objects.

    Raises:
        DataError: it is not there.
    """
    value: Any = context
    for name in field.split("."):
        if not isinstance(value, Mapping) or name not in value:
            raise DataError(field, None, "the metric needs this field of every row's context")
        value = value[name]
    return value


def identity(context: Context, field: str) -> str | int:
    """Returns ``look_up`` of something that rows are told apart by.

    Raises:
        DataError: it is not there, or neither text nor number.
    """
    value = look_up(context, field)
    if not isinstance(value, str | int):
        raise DataError(field, value, "this field has to be a number or a text")
    return value


def mean(values: npt.NDArray[Any]) -> Floats:
    """Returns the mean x100 over the last dimension, 0 where it is empty."""
    return 100.0 * ratio(values.sum(-1, dtype=np.float64), np.float64(values.shape[-1]))


def ratio(above: Any, below: Any) -> Floats:
    """Returns the quotient, 0 where the divisor is 0."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    out = np.zeros(np.broadcast_shapes(above.shape, below.shape))
    np.divide(above, below, out=out, where=below != 0)
    return out


def plain(value: npt.NDArray[np.float64]) -> Any:
    """Returns a float in place of an array without dimensions."""
    return float(value) if np.ndim(value) == 0 else value
