"""Metrics as plain functions under the field's names, by the field's libraries: lists in, ``{name: value x100}`` out.

For use from elsewhere, and the standard that this package's own ``Metric`` classes are held against in the tests. What
a library gives is passed on: a correlation with a constant is not a number here.

``mean_group_metric`` and ``deduplicate_metric`` take a function and give one, whose targets and predictions are
objects with ``value``, the targets also with ``group``. So does ``mean_multiclass_f1``, from the number of classes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from t5core.errors import DataError
from t5core.metrics.answers import normalize_squad, normalize_trivia_qa, token_f1

Scores = dict[str, float]
MetricFunction = Callable[[Sequence[Any], Sequence[Any]], Scores]
RankTarget = tuple[Sequence[int], bool, float, int]


def accuracy(targets: Sequence[Any], predictions: Sequence[Any]) -> Scores:
    """Returns the share of predictions that are the target."""
    from sklearn.metrics import accuracy_score

    return {"accuracy": 100 * float(accuracy_score(targets, predictions))}


def sequence_accuracy(targets: Sequence[Any], predictions: Sequence[Any]) -> Scores:
    """Returns the share of texts that are the target to the letter."""
    _same_length(targets, predictions)
    return {"sequence_accuracy": 100 * float(np.mean([t == p for t, p in zip(targets, predictions, strict=True)]))}


def all_match(targets: Sequence[Any], predictions: Sequence[Any]) -> Scores:
    """Returns 100 if everything is right, else 0."""
    return {"exact_match": 100 * float(np.array_equal(targets, predictions))}


def f1_score_with_invalid(targets: Sequence[int], predictions: Sequence[int]) -> Scores:
    """Returns F1 of class 1; a prediction that is neither 0 nor 1 counts as the class that is wrong."""
    from sklearn.metrics import f1_score

    target, predicted = np.asarray(targets), np.asarray(predictions)
    return {"f1": 100 * float(f1_score(target, np.where(np.isin(predicted, (0, 1)), predicted, 1 - target)))}


def mean_multiclass_f1(num_classes: int) -> MetricFunction:
    """Returns the function that gives the unweighted mean of F1 over classes 0, 1, ... ``num_classes - 1``."""

    def mean_f1(targets: Sequence[int], predictions: Sequence[int]) -> Scores:
        from sklearn.metrics import f1_score

        value = f1_score(targets, predictions, labels=range(num_classes), average="macro")
        return {f"mean_{num_classes}class_f1": 100 * float(value)}

    return mean_f1


def matthews_corrcoef(targets: Sequence[Any], predictions: Sequence[Any]) -> Scores:
    """Returns the Matthews correlation."""
    import sklearn.metrics

    return {"matthews_corrcoef": 100 * float(sklearn.metrics.matthews_corrcoef(targets, predictions))}


def pearson_corrcoef(targets: Sequence[float], predictions: Sequence[float]) -> Scores:
    """Returns the Pearson correlation; "nan" when either side is constant."""
    from scipy.stats import pearsonr

    return {"pearson_corrcoef": 100 * float(pearsonr(targets, predictions)[0])}


def spearman_corrcoef(targets: Sequence[float], predictions: Sequence[float]) -> Scores:
    """Returns the Spearman rank correlation; "nan" when either side is constant."""
    from scipy.stats import spearmanr

    return {"spearman_corrcoef": 100 * float(spearmanr(targets, predictions)[0])}


def squad(targets: Sequence[Sequence[str]], predictions: Sequence[str]) -> Scores:
    """Returns SQuAD's exact match and F1, the best over each target's answers."""
    return _qa(targets, predictions, normalize_squad)


def trivia_qa(targets: Sequence[Sequence[str]], predictions: Sequence[str]) -> Scores:
    """Returns TriviaQA's exact match and F1, the best over each target's answers."""
    return _qa(targets, predictions, normalize_trivia_qa)


def bleu(targets: Sequence[Any], predictions: Sequence[str], tokenizer: str = "intl") -> Scores:
    """Returns corpus BLEU: "exp" smoothing, not lower-cased.

    Args:
        targets: one text for each prediction, or lists: the i-th list is the i-th set of references.
        predictions: the outputs.
        tokenizer: SacreBLEU's.
    """
    import sacrebleu

    references = list(targets) if targets and not isinstance(targets[0], str) else [list(targets)]
    return {"bleu": float(sacrebleu.corpus_bleu(list(predictions), references, tokenize=tokenizer).score)}


def rouge(targets: Sequence[str], predictions: Sequence[str]) -> Scores:
    """Returns ROUGE-1, ROUGE-2 and ROUGE-Lsum F-measures: the middle of a bootstrap with a fixed seed."""
    from t5core.metrics.overlap import Rouge, Summaries
    from t5core.metrics.rouge_rows import KINDS

    rows_N3 = Summaries()(targets, predictions)
    return {kind: float(Rouge(kind).aggregate(rows_N3)) for kind in KINDS}


def mean_group_metric(
    metric_fn: MetricFunction, group_key: str = "group", value_key: str = "value"
) -> Callable[[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]], Scores]:
    """Returns the function that gives the mean of ``metric_fn`` over groups, each group counting alike."""

    def grouped(targets: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]]) -> Scores:
        groups: dict[Any, tuple[list[Any], list[Any]]] = {}
        for target, prediction in zip(targets, predictions, strict=True):
            values = groups.setdefault(target[group_key], ([], []))
            values[0].append(target[value_key])
            values[1].append(prediction[value_key])
        scores = [metric_fn(*values) for values in groups.values()]
        return {name: float(np.mean([score[name] for score in scores])) for name in (scores[0] if scores else ())}

    return grouped


def deduplicate_metric(
    metric_fn: MetricFunction, group_key: str = "group", value_key: str = "value"
) -> Callable[[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]], Scores]:
    """Returns the function that gives ``metric_fn`` of the first row of every group."""

    def deduplicated(targets: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]]) -> Scores:
        firsts: dict[Any, tuple[Any, Any]] = {}
        for target, prediction in zip(targets, predictions, strict=True):
            firsts.setdefault(target[group_key], (target[value_key], prediction[value_key]))
        return metric_fn([pair[0] for pair in firsts.values()], [pair[1] for pair in firsts.values()])

    return deduplicated


def rank_classification(
    targets: Sequence[RankTarget],
    scores: Sequence[float],
    num_classes: int | None = None,
    normalize_by_target_length: bool = False,
) -> Scores:
    """Returns how well the likeliest choice of every example is the right one.

    With two classes also F1 and the areas under both curves of class 1, with more the mean F1; with several right
    choices for an example, or ``num_classes`` None (their number differs), accuracy alone.

    Args:
        targets: for each choice ``([example, choice], is_correct, weight, target_length)``.
        scores: the log-likelihood of each choice.
        num_classes: choices of every example.
        normalize_by_target_length: divide log-likelihoods by target lengths.

    Raises:
        DataError: targets of another form, or one choice twice.
    """
    _same_length(targets, scores)
    if not all(len(target) == 4 and len(target[0]) == 2 for target in targets):
        raise DataError("targets", targets[0], "give ([example, choice], is_correct, weight, target_length)")
    if normalize_by_target_length:
        scores = [score / target[3] for target, score in zip(targets, scores, strict=True)]
    order = sorted(range(len(targets)), key=lambda i: tuple(targets[i][0]))
    places = [tuple(targets[i][0]) for i in order]
    if len(set(places)) < len(places):
        raise DataError("targets", places, "every [example, choice] has to come once")
    if not num_classes:
        return _rank_by_example([targets[i] for i in order], [scores[i] for i in order])
    if len(targets) % num_classes:
        raise DataError("num_classes", num_classes, f"{len(targets)} choices are not that many for every example")
    likelihood_NC = np.array([scores[i] for i in order], dtype=np.float32).reshape(-1, num_classes)
    correct_NC = np.array([targets[i][1] for i in order]).reshape(-1, num_classes)
    weight_N = np.array([targets[i][2] for i in order], dtype=np.float64).reshape(-1, num_classes)[:, 0]
    return _rank_by_class(correct_NC, likelihood_NC, weight_N)


def _rank_by_example(targets: Sequence[RankTarget], scores: Sequence[float]) -> Scores:
    best: dict[int, tuple[float, RankTarget]] = {}
    for target, score in zip(targets, scores, strict=True):
        if target[0][0] not in best or score > best[target[0][0]][0]:
            best[target[0][0]] = (score, target)
    weights = [target[2] for _, target in best.values()]
    right = [target[1] * target[2] for _, target in best.values()]
    return {"accuracy": 100 * float(sum(right)) / float(sum(weights))}


def _rank_by_class(correct_NC: Any, likelihood_NC: Any, weight_N: Any) -> Scores:
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    num_classes = correct_NC.shape[1]
    chosen_N = likelihood_NC.argmax(-1)
    right_N = correct_NC[np.arange(len(chosen_N)), chosen_N]
    out = {"accuracy": 100 * float(np.average(right_N, weights=weight_N))}
    if (correct_NC.sum(-1) > 1).any():
        return out
    if num_classes > 2:
        chosen_NC = np.eye(num_classes)[chosen_N]
        mean_f1 = f1_score(correct_NC, chosen_NC, labels=range(num_classes), average="macro", sample_weight=weight_N)
        return out | {f"mean_{num_classes}class_f1": 100 * float(mean_f1)}
    odds_NC = np.exp(likelihood_NC - likelihood_NC.max(-1, keepdims=True))
    probability_N = (odds_NC / odds_NC.sum(-1, keepdims=True))[:, 1]
    wanted_N = correct_NC[:, 1]
    return out | {
        "f1": 100 * float(f1_score(correct_NC.argmax(-1), chosen_N, sample_weight=weight_N)),
        "auc-roc": 100 * float(roc_auc_score(wanted_N, probability_N, sample_weight=weight_N)),
        "auc-pr": 100 * float(average_precision_score(wanted_N, probability_N, sample_weight=weight_N)),
    }


def _qa(targets: Sequence[Sequence[str]], predictions: Sequence[str], normalize: Callable[[str], str]) -> Scores:
    _same_length(targets, predictions)
    em, f1 = [], []
    for accepted, prediction in zip(targets, predictions, strict=True):
        wanted, given = [normalize(answer) for answer in accepted], normalize(prediction)
        em.append(given in wanted)
        f1.append(max(token_f1(answer, given) for answer in wanted))
    return {"em": 100 * float(np.mean(em)), "f1": 100 * float(np.mean(f1))}


def _same_length(targets: Sequence[Any], predictions: Sequence[Any]) -> None:
    if len(targets) != len(predictions):
        raise DataError("predictions", len(predictions), f"there are {len(targets)} targets: give one for each")
