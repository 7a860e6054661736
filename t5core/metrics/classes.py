"""Metrics of labels. An output that is no label is wrong, whatever it is (section 2.4 of the paper).

A label counts only to the letter: "true", "True." and " True" are not "True". Definitions are scikit-learn's; numbers
agree with it (``tests/t5core/test_metrics.py``), but a stack of bootstrap samples takes one call here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from t5core.errors import DataError
from t5core.metrics.metric import Context, Contexts, Floats, Metric, Reading, given, identity, mean, plain, ratio

NOT_A_LABEL = -1


def string_label_to_class_id(string_label: str, label_classes: Sequence[str], default: int = NOT_A_LABEL) -> int:
    """Returns the index of a label among ``label_classes``, ``default`` where it is none of them."""
    return label_classes.index(string_label) if string_label in label_classes else default


@dataclass(frozen=True)
class Classes:
    """Reads labels: [N, 2], the class ids of target and prediction, -1 for a text that is no label.

    Args:
        labels: the texts of the classes in the order of their ids.
    """

    labels: tuple[str, ...]

    def __call__(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> Floats:
        """Returns float64 [N, 2]."""
        ids = {label: float(i) for i, label in enumerate(self.labels)}
        pairs = [(ids.get(t, NOT_A_LABEL), ids.get(p, NOT_A_LABEL)) for t, p in zip(targets, predictions, strict=True)]
        return np.array(pairs, dtype=np.float64).reshape(-1, 2)

    def invalid(self, predictions: Sequence[str]) -> int:
        """Returns how many outputs are no label."""
        return sum(prediction not in self.labels for prediction in predictions)

    def check(self, target: str, context: Context) -> None:
        """Raises DataError for a target that is no label."""
        if target not in self.labels:
            raise DataError("target", target, f"it is not one of {', '.join(self.labels)}", choices=self.labels)


@dataclass(frozen=True)
class SameText:
    """Reads texts that are right only to the letter: [N, 2], 1 for the target and 1 or 0 for the prediction."""

    def __call__(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> Floats:
        """Returns float64 [N, 2]."""
        pairs = [(1.0, float(t == p)) for t, p in zip(targets, predictions, strict=True)]
        return np.array(pairs, dtype=np.float64).reshape(-1, 2)

    def invalid(self, predictions: Sequence[str]) -> int:
        """Returns 0: any text may be a target."""
        return 0

    def check(self, target: str, context: Context) -> None:
        """Takes any target."""


@dataclass(frozen=True)
class Questions:
    """Reads answers that belong to questions, as MultiRC's: [U, 4], one row a question.

    The columns are: answers rightly called true, answers called true, answers that are true, and whether every answer
    was judged rightly. An output that is no label is the wrong one of the two labels.

    Needs the context ``{"idx": {"question": ...}}``: rows with the same one are a question, wherever they stand.

    Args:
        labels: of a false and of a true answer.
    """

    labels: tuple[str, str] = ("False", "True")

    def __call__(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> Floats:
        """Returns float64 [U, 4], questions in the order of their first answers."""
        questions: dict[Any, list[float]] = {}
        ids_N2 = Classes(self.labels)(targets, predictions)
        for i, (target, prediction) in enumerate(ids_N2):
            guessed = 1 - target if prediction == NOT_A_LABEL else prediction
            row = questions.setdefault(identity(given(contexts, i), "idx.question"), [0.0, 0.0, 0.0, 1.0])
            row[0] += guessed == target == 1
            row[1] += guessed == 1
            row[2] += target == 1
            row[3] *= prediction == target
        return np.array(list(questions.values()), dtype=np.float64).reshape(-1, 4)

    def invalid(self, predictions: Sequence[str]) -> int:
        """Returns how many outputs are no label."""
        return Classes(self.labels).invalid(predictions)

    def check(self, target: str, context: Context) -> None:
        """Raises DataError for a target that is no label, and for a context without question."""
        Classes(self.labels).check(target, context)
        identity(context, "idx.question")


@dataclass(frozen=True)
class Accuracy(Metric):
    """Share of rows whose two numbers are the same; reads ``Classes``, ``SameText`` or ``Referents``."""

    reading: Reading
    name: str = "accuracy"

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns accuracy x100."""
        return plain(mean(scores_Uk[..., 0] == scores_Uk[..., 1]))


@dataclass(frozen=True)
class F1(Metric):
    """F1 of the second of two labels; an output that is no label counts as the label that it should not have been."""

    reading: Classes
    name: str = "f1"

    def __post_init__(self) -> None:
        if len(self.reading.labels) != 2:
            raise DataError("labels", self.reading.labels, "F1 is of two labels; mean_f1 takes more")

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns F1 x100, 0 when neither targets nor predictions have the positive label."""
        target = scores_Uk[..., 0] == 1
        guessed = np.where(scores_Uk[..., 1] == NOT_A_LABEL, ~target, scores_Uk[..., 1] == 1)
        both = (target & guessed).sum(-1)
        return plain(100.0 * ratio(2.0 * both, target.sum(-1) + guessed.sum(-1)))


@dataclass(frozen=True)
class MeanF1(Metric):
    """Unweighted mean of the F1 of every class (macro F1), as CommitmentBank's."""

    reading: Classes

    @property
    def name(self) -> str:  # type: ignore[override]
        """The key in a table of scores: "mean_3class_f1"."""
        return f"mean_{len(self.reading.labels)}class_f1"

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns the mean x100; a class that neither side has counts as 0."""
        classes = np.arange(len(self.reading.labels))
        target, guessed = (scores_Uk[..., column, None] == classes for column in (0, 1))
        f1 = ratio(2.0 * (target & guessed).sum(-2), target.sum(-2) + guessed.sum(-2))
        return plain(100.0 * f1.mean(-1))


@dataclass(frozen=True)
class Matthews(Metric):
    """Matthews correlation of labels, in its form for several classes: no label is a class of its own."""

    reading: Classes
    name: str = "matthews_corrcoef"

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns the correlation x100, 0 when either side is constant."""
        classes = np.arange(NOT_A_LABEL, len(self.reading.labels))
        target = scores_Uk[..., 0, None] == classes
        predicted = scores_Uk[..., 1, None] == classes
        n = float(scores_Uk.shape[-2])
        t, p = target.sum(-2).astype(np.float64), predicted.sum(-2).astype(np.float64)
        right = (target & predicted).sum((-2, -1)).astype(np.float64)
        spread = np.sqrt((n * n - (p * p).sum(-1)) * (n * n - (t * t).sum(-1)))
        return plain(100.0 * ratio(right * n - (t * p).sum(-1), spread))


@dataclass(frozen=True)
class AnswersF1(Metric):
    """F1 over all answers of all questions together (MultiRC's F1a)."""

    reading: Questions
    name: str = "f1"

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns F1 x100."""
        both, guessed, wanted = (scores_Uk[..., column].sum(-1) for column in (0, 1, 2))
        return plain(100.0 * ratio(2.0 * both, guessed + wanted))


@dataclass(frozen=True)
class WholeQuestions(Metric):
    """Share of questions with every answer judged rightly (MultiRC's exact match)."""

    reading: Questions
    name: str = "exact_match"

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns the share x100."""
        return plain(mean(scores_Uk[..., 3]))
