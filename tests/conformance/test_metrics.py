"""Metrics against values computed by the T5 authors' released code (``metrics.jsonl``, ``metric_functions.jsonl``)."""

import numpy as np
import pytest
from reference_cases import cases

from t5core import metrics
from t5core.tasks import get_task


def as_expected(expected, tolerance=None):
    tolerance = tolerance or {}
    return {name: pytest.approx(float(value), abs=tolerance.get(name, 1e-6)) for name, value in expected.items()}


@pytest.mark.parametrize("case", cases("metrics.jsonl"))
def test_tasks_score_as_the_released_code(case):
    task = get_task(case["task"])
    scores = task.score(case["targets"], case["predictions"], case.get("context"))
    assert scores == as_expected(case["expected"], case.get("tolerance"))
    # the halves that a bootstrap uses give the same
    units_Uk = task.example_scores(case["targets"], case["predictions"], case.get("context"))
    assert task.aggregate(units_Uk) == pytest.approx(task.main_score(scores))
    assert task.aggregate(np.stack([units_Uk, units_Uk])) == pytest.approx([task.main_score(scores)] * 2)


def grouped(case):
    targets = [{"group": g, "value": t} for g, t in zip(case["groups"], case["targets"], strict=True)]
    return targets, [{"value": p} for p in case["predictions"]]


def called(case):
    function = getattr(metrics, case["fn"])
    match case["fn"]:
        case "string_label_to_class_id":
            return function(case["input"], case["label_classes"])
        case "string_to_float" | "lower_text" | "normalize_squad" | "normalize_trivia_qa":
            return function(case["input"])
        case "mean_multiclass_f1":
            return function(case["num_classes"])(case["targets"], case["predictions"])
        case "mean_group_metric" | "deduplicate_metric":
            return function(getattr(metrics, case["inner"]))(*grouped(case))
        case "rank_classification":
            options = {name: case[name] for name in ("num_classes", "normalize_by_target_length")}
            return function(case["targets"], case["scores"], **options)
        case _:
            return function(case["targets"], case["predictions"])


@pytest.mark.parametrize("case", cases("metric_functions.jsonl"))
def test_functions_give_the_released_codes_values(case):
    expected = case["expected"]
    assert called(case) == (as_expected(expected) if isinstance(expected, dict) else expected)
