"""The paper's metrics, in two halves so that their uncertainty is cheap.

``example_scores`` does the slow part once per example and gives a small array [N, k]; ``aggregate`` turns such an
array, or a stack of resampled ones [S, N, k], into the metric (x100). A bootstrap is then an index and one call::

    scores_Nk = metric.example_scores(targets, predictions)      # accuracy: k = 1, right or wrong
    metric.aggregate(scores_Nk)                                  # 87.5
    metric.aggregate(scores_Nk[drawn_SN]).std()                  # 1.6

Shapes: N examples, k columns, S bootstrap samples. Definitions follow the released evaluation code: an output that is
no label is wrong; text that is no number counts as -1; constant outputs have no
correlation and get 0.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Answers = Sequence[Sequence[str]]

NOT_A_LABEL = -1
NOT_A_NUMBER = -1.0

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Metric(Protocol):
    """What a metric has to offer; ``name`` is its key in a table of scores."""

    @property
    def name(self) -> str:
        """The key in a table of scores: "accuracy"."""

    def example_scores(self, targets: Sequence[str], predictions: Sequence[str], answers: Answers = ()) -> Floats:
        """Returns float64 [N, k]; ``answers`` (default: the target alone) are the accepted answers of each example."""

    def aggregate(self, scores_Nk: Floats) -> Any:
        """Returns the metric x100: a float for [N, k], float64 [S] for [S, N, k]; 0 for N = 0."""


class Labels:
    """Base of the label metrics: [N, 2], the class ids of target and prediction, -1 for an output that is no label.

    Args:
        labels: the texts of the classes; the last one is the positive class of F1.
    """

    name = ""

    def __init__(self, *labels: str) -> None:
        self.labels = labels

    def example_scores(self, targets: Sequence[str], predictions: Sequence[str], answers: Answers = ()) -> Floats:
        """Returns float64 [N, 2]: class ids of targets and predictions."""
        ids = {label: float(i) for i, label in enumerate(self.labels)}
        pairs = [
            (ids.get(target.strip(), NOT_A_LABEL), ids.get(prediction.strip(), NOT_A_LABEL))
            for target, prediction in zip(targets, predictions, strict=True)
        ]
        return np.array(pairs, dtype=np.float64).reshape(-1, 2)


class Accuracy(Labels):
    """Share of examples with the right label."""

    name = "accuracy"

    def aggregate(self, scores_Nk: Floats) -> Any:
        """Returns accuracy x100."""
        return _plain(_mean(scores_Nk[..., 0] == scores_Nk[..., 1]))


class F1(Labels):
    """F1 of the last label; an output that is no label counts as the label that it should not have been."""

    name = "f1"

    def aggregate(self, scores_Nk: Floats) -> Any:
        """Returns F1 x100, 0 when neither targets nor predictions have the positive label."""
        positive = len(self.labels) - 1
        target = scores_Nk[..., 0] == positive
        predicted = scores_Nk[..., 1]
        guessed = np.where(predicted == NOT_A_LABEL, ~target, predicted == positive)
        both = (target & guessed).sum(-1)
        return _plain(100.0 * _ratio(2.0 * both, target.sum(-1) + guessed.sum(-1)))


class Matthews(Labels):
    """Matthews correlation of labels, in its form for several classes: no label is a class of its own."""

    name = "matthews"

    def aggregate(self, scores_Nk: Floats) -> Any:
        """Returns the correlation x100, 0 when either side is constant."""
        classes = np.arange(NOT_A_LABEL, len(self.labels))
        target = scores_Nk[..., 0, None] == classes
        predicted = scores_Nk[..., 1, None] == classes
        n = float(scores_Nk.shape[-2])
        t, p = target.sum(-2).astype(np.float64), predicted.sum(-2).astype(np.float64)
        right = (target & predicted).sum((-2, -1)).astype(np.float64)
        spread = np.sqrt((n * n - (p * p).sum(-1)) * (n * n - (t * t).sum(-1)))
        return _plain(100.0 * _ratio(right * n - (t * p).sum(-1), spread))


class Numbers:
    """Base of the correlations: [N, 2], the numbers of target and prediction, -1 for text that is no number."""

    name = ""

    def example_scores(self, targets: Sequence[str], predictions: Sequence[str], answers: Answers = ()) -> Floats:
        """Returns float64 [N, 2]."""
        pairs = [(to_number(t), to_number(p)) for t, p in zip(targets, predictions, strict=True)]
        return np.array(pairs, dtype=np.float64).reshape(-1, 2)


class Pearson(Numbers):
    """Pearson correlation of numbers."""

    name = "pearson"

    def aggregate(self, scores_Nk: Floats) -> Any:
        """Returns the correlation x100, 0 when either side is constant."""
        return _plain(_correlation(scores_Nk[..., 0], scores_Nk[..., 1]))


class Spearman(Numbers):
    """Spearman rank correlation of numbers; ties share their mean rank."""

    name = "spearman"

    def aggregate(self, scores_Nk: Floats) -> Any:
        """Returns the correlation x100, 0 when either side is constant."""
        from scipy.stats import rankdata

        if scores_Nk.shape[-2] == 0:
            return _plain(np.zeros(scores_Nk.shape[:-2]))
        ranks = rankdata(scores_Nk, axis=-2)
        return _plain(_correlation(ranks[..., 0], ranks[..., 1]))


class Mean:
    """Base of the metrics that are a mean over examples: [N, 1], each score 0 to 1."""

    def aggregate(self, scores_Nk: Floats) -> Any:
        """Returns the mean x100."""
        return _plain(_mean(scores_Nk[..., 0]))


class ExactMatch(Mean):
    """SQuAD's exact match with any of the answers, both normalised."""

    name = "em"

    def example_scores(self, targets: Sequence[str], predictions: Sequence[str], answers: Answers = ()) -> Floats:
        """Returns float64 [N, 1]: 1 where the prediction is one of the answers."""
        return _best(targets, predictions, answers, lambda answer, prediction: float(answer == prediction))


class TokenF1(Mean):
    """SQuAD's F1 over words, the best over the answers, both normalised; 0 where no word is shared."""

    name = "f1"

    def example_scores(self, targets: Sequence[str], predictions: Sequence[str], answers: Answers = ()) -> Floats:
        """Returns float64 [N, 1]."""
        return _best(targets, predictions, answers, _token_f1)


class Rouge(Mean):
    """ROUGE F-measure with stemming (rouge-score).

    Args:
        kind: "rouge1", "rouge2" or "rougeLsum".
    """

    def __init__(self, kind: str) -> None:
        self.name = kind

    def example_scores(self, targets: Sequence[str], predictions: Sequence[str], answers: Answers = ()) -> Floats:
        """Returns float64 [N, 1]. Takes about 0.3 ms for each summary line."""
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer([self.name], use_stemmer=True)
        pairs = zip(targets, predictions, strict=True)
        values = [scorer.score(target, prediction)[self.name].fmeasure for target, prediction in pairs]
        return np.array(values, dtype=np.float64).reshape(-1, 1)


def normalize_answer(text: str) -> str:
    """Returns ``text`` in lower case without ASCII punctuation, articles and extra spaces (SQuAD's evaluation)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def to_number(text: str) -> float:
    """Returns the number that ``text`` is, or -1 where it is none (or not finite)."""
    try:
        value = float(text)
    except ValueError:
        return NOT_A_NUMBER
    return value if np.isfinite(value) else NOT_A_NUMBER


def _best(
    targets: Sequence[str], predictions: Sequence[str], answers: Answers, score: Callable[[str, str], float]
) -> Floats:
    values = []
    for i, (target, prediction) in enumerate(zip(targets, predictions, strict=True)):
        accepted = (answers[i] if answers else ()) or (target,)
        normalized = normalize_answer(prediction)
        values.append(max(score(normalize_answer(answer), normalized) for answer in accepted))
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def _token_f1(answer: str, prediction: str) -> float:
    answer_words, predicted_words = answer.split(), prediction.split()
    same = (Counter(answer_words) & Counter(predicted_words)).total()
    return 2.0 * same / (len(answer_words) + len(predicted_words)) if same else 0.0


def _mean(values: npt.NDArray[Any]) -> Floats:
    return 100.0 * _ratio(values.sum(-1, dtype=np.float64), np.float64(values.shape[-1]))


def _correlation(x: Floats, y: Floats) -> Floats:
    if x.shape[-1] == 0:
        return np.zeros(x.shape[:-1])
    x = x - x.mean(-1, keepdims=True)
    y = y - y.mean(-1, keepdims=True)
    x_square, y_square = (x * x).sum(-1), (y * y).sum(-1)
    # a constant side leaves rounding dust in place of zero
    dust = 1e-18 * x.shape[-1]
    spread = np.where((x_square > dust) & (y_square > dust), np.sqrt(x_square * y_square), 0.0)
    return 100.0 * _ratio((x * y).sum(-1), spread)


def _ratio(above: Any, below: Any) -> Floats:
    """The quotient, 0 where the divisor is 0."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    out = np.zeros(np.broadcast_shapes(above.shape, below.shape))
    np.divide(above, below, out=out, where=below != 0)
    return out


def _plain(value: npt.NDArray[np.float64]) -> Any:
    """A float in place of an array without dimensions."""
    return float(value) if np.ndim(value) == 0 else value
