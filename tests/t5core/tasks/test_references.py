"""What is right in a task, as texts: the paper's tasks, each by the metric that ranks it."""

import math

import pytest

from t5core.errors import DataError
from t5core.tasks import TextPair, get_task
from t5core.tasks.known import BUILT_IN
from t5core.tasks.references import label_auc, label_set, referenced


def rights(name, *pairs):
    made = [TextPair(inputs=f"input {i}", targets=target, context=context) for i, (target, context) in enumerate(pairs)]
    return [one.references for one in referenced(get_task(name), made)]


def test_tasks_of_classes_have_their_labels_and_others_none():
    assert label_set(get_task("glue_mnli")) == ("entailment", "neutral", "contradiction")
    assert label_set(get_task("super_glue_multirc")) == ("False", "True")
    assert label_set(get_task("doc_acceptability")) == ("unacceptable", "acceptable")
    labelled = {name for name in BUILT_IN if label_set(get_task(name))}
    assert {"glue_stsb", "squad", "cnn_dailymail", "super_glue_wsc", "doc_similarity", "dpr"} & labelled == set()
    assert len(labelled) == 23  # 11 of GLUE, 9 of SuperGLUE, 3 embedded


def test_all_accepted_answers_are_right_and_a_target_where_none_are_given():
    assert rights("squad", ("red", {"answers": ["red", "dark red", "red"]}), ("blue", {"answers": []})) == [
        ("red", "dark red"),
        ("blue",),
    ]
    assert rights("doc_cloze", ("until", {})) == [("until",)]


def test_a_query_with_several_examples_is_one():
    first, second = ({"idx": {"passage": 1, "query": n}, "answers": ["Leeds", "York"]} for n in (1, 2))
    assert rights("super_glue_record", ("Leeds", first), ("York", first), ("Leeds", second)) == [("Leeds", "York")] * 2


def test_only_the_right_referent_of_a_pronoun_is_right():
    pairs = [("Ann", {"label": 0, "targets": "Ann"}), ("Sue", {"label": 1, "targets": "Sue"})]
    assert rights("super_glue_wsc", *pairs) == rights("glue_wnli_simple", *pairs) == [("Sue",)]


def test_what_no_output_can_be_held_against_is_told():
    with pytest.raises(DataError, match="row 1: target='maybe': it is not one of entailment, neutral, contradiction"):
        rights("glue_mnli", ("maybe", {}))
    with pytest.raises(DataError, match=r"row 1: idx\.passage=None"):
        rights("super_glue_record", ("Leeds", {}))


def auc(name, targets, margins):
    task = get_task(name)
    return label_auc(task, referenced(task, [TextPair(inputs="", targets=t, context={}) for t in targets]), margins)


def test_two_labels_are_told_apart_wherever_the_line_between_them_lies():
    bad, good = "unacceptable", "acceptable"
    # log p(good) - log p(bad) is -3, -1, -2, 1: "bad" is the likelier one but for the last, and of the four pairs of a
    # bad and a good example three have more for the good one
    assert auc("doc_acceptability", [bad, good, bad, good], [3.0, -1.0, 2.0, 1.0]) == 100.0
    assert auc("doc_acceptability", [bad, good, good, bad], [3.0, -1.0, -2.5, 2.0]) == 75.0
    assert auc("doc_acceptability", [bad, good, good, bad], [2.0, -2.0, -2.0, 2.0]) == 50.0
    assert auc("doc_acceptability", [bad, good], [-1.0, -1.0]) == 0.0


@pytest.mark.parametrize(
    ("name", "targets", "margins"),
    [
        ("doc_acceptability", ["acceptable", "acceptable"], [1.0, -1.0]),
        ("doc_acceptability", [], []),
        ("doc_acceptability", ["acceptable", "unacceptable"], [1.0, math.nan]),
        ("doc_acceptability", ["acceptable", "unacceptable"], [1.0, math.inf]),
        ("glue_mnli", ["neutral", "entailment"], [1.0, 2.0]),
        ("doc_cloze", ["until", "since"], [1.0, 2.0]),
    ],
)
def test_what_cannot_be_told_apart_has_no_number(name, targets, margins):
    assert auc(name, targets, margins) is None
