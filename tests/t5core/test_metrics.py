import warnings

import numpy as np
import pytest

from t5core.metrics import (
    F1,
    Accuracy,
    ExactMatch,
    Matthews,
    Pearson,
    Rouge,
    Spearman,
    TokenF1,
    normalize_answer,
    to_number,
)

LABELS = ("no", "yes")


def value(metric, targets, predictions, answers=()):
    return metric.aggregate(metric.example_scores(targets, predictions, answers))


def labels(ids):
    return ["neither" if i < 0 else LABELS[i] for i in ids]


def test_label_metrics_give_what_scikit_learn_gives():
    # numbers of scikit-learn 1.9.1 on the same labels
    target, predicted = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0], [1, 0, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0]
    texts = labels(target), labels(predicted)
    assert value(Accuracy(*LABELS), *texts) == pytest.approx(66.66666666666666)
    assert value(F1(*LABELS), *texts) == pytest.approx(71.42857142857143)
    assert value(Matthews(*LABELS), *texts) == pytest.approx(31.428571428571427)


def test_outputs_that_are_no_label_count_as_wrong():
    target, predicted = [1, 1, 0, 0, 1, 0, 1], [1, -1, 0, -1, 0, 1, 1]
    texts = labels(target), labels(predicted)
    assert value(Accuracy(*LABELS), *texts) == pytest.approx(100 * 3 / 7)
    # -1 is taken for the other label: predictions 1 0 0 1 0 1 1, so 2 right of 4 guessed and 4 wanted
    assert value(F1(*LABELS), *texts) == pytest.approx(50)
    # -1 is a class of its own in scikit-learn's form for several classes
    assert value(Matthews(*LABELS), *texts) == pytest.approx(10.825317547305485)


def test_correlations_agree_with_scipy_ties_included():
    from scipy.stats import pearsonr, spearmanr

    rng = np.random.default_rng(1)
    target = np.round(rng.uniform(0, 5, 50), 1)
    predicted = np.round(target + rng.normal(0, 1, 50))
    texts = [str(x) for x in target], [str(x) for x in predicted]
    assert value(Pearson(), *texts) == pytest.approx(100 * pearsonr(target, predicted)[0])
    assert value(Spearman(), *texts) == pytest.approx(100 * spearmanr(target, predicted)[0])


@pytest.mark.parametrize("constant", ["3.0", "nothing"])
def test_constant_predictions_get_zero_and_no_warning(constant):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        targets = [f"{i / 5:.1f}" for i in range(20)]
        assert value(Pearson(), targets, [constant] * 20) == 0.0
        assert value(Spearman(), targets, [constant] * 20) == 0.0
        assert value(Matthews(*LABELS), labels([0, 1] * 10), ["yes"] * 20) == 0.0
        assert value(Matthews(*LABELS), labels([0, 1] * 10), [constant] * 20) == 0.0
        assert value(F1(*LABELS), ["no"] * 4, ["no"] * 4) == 0.0
        for metric in (Accuracy(*LABELS), F1(*LABELS), Matthews(*LABELS), Pearson(), Spearman(), ExactMatch()):
            assert value(metric, [], []) == 0.0


def test_text_that_is_no_number_is_minus_one():
    assert [to_number(t) for t in ("3.8", " 2 ", "", "x", "nan", "inf", "1.2.3")] == [3.8, 2.0, -1, -1, -1, -1, -1]


def test_squad_normalisation_and_scores():
    assert normalize_answer("The  Quick, brown-Fox's a tail!") == "quick brownfoxs tail"
    assert value(ExactMatch(), ["None"], ["none."]) == 100.0
    assert value(ExactMatch(), ["x", "y"], ["the x", "z"]) == 50.0
    # two of three words right, nothing too much: P = 1, R = 2/3
    assert value(TokenF1(), ["red green blue"], ["red blue"]) == pytest.approx(80.0)
    # the best of several answers counts; without words nothing is shared, though the texts match
    assert value(TokenF1(), ["", ""], ["b", "the"], [["a b c", "b"], ["a"]]) == 50.0
    assert value(ExactMatch(), ["", ""], ["b", "the"], [["a b c", "b"], ["a"]]) == 100.0


def test_rouge_counts_stems():
    assert value(Rouge("rouge1"), ["returns the arrays"], ["return an array"]) == pytest.approx(200 / 3)
    assert value(Rouge("rouge2"), ["copies the array now"], ["copy the array"]) == pytest.approx(100 * 2 * 2 / 5)
    assert value(Rouge("rougeLsum"), ["a b c d"], ["d a b"]) == pytest.approx(100 * 2 * 2 / 7)


@pytest.mark.parametrize("metric", [Accuracy(*LABELS), F1(*LABELS), Matthews(*LABELS), Pearson(), Spearman()])
def test_a_stack_of_samples_is_aggregated_as_each_by_itself(metric):
    rng = np.random.default_rng(2)
    stack_SNk = rng.integers(-1, 2, (5, 30, 2)).astype(np.float64)
    assert metric.aggregate(stack_SNk) == pytest.approx([metric.aggregate(one_Nk) for one_Nk in stack_SNk])
