"""The paper's tasks beyond what ``tests/conformance`` holds against the released code."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from t5core.errors import ConfigError, DataError
from t5core.metrics import Accuracy, Classes, Pearson
from t5core.tasks import EMBEDDED_TASKS, PAPER_TASKS, DataSet, Task, get_task
from t5core.tasks.forms import Labelled

NAMES = [task.name for task in PAPER_TASKS]
TEXT = st.text(st.characters())  # half surrogate pairs and null bytes, too
JSON_FIELDS = {
    "idx": st.fixed_dictionaries({name: st.integers() for name in ("paragraph", "question", "answer", "query")}),
    "entities": st.lists(TEXT),
    "candidates": st.lists(TEXT, min_size=2, max_size=2),
    "translation": st.fixed_dictionaries(dict.fromkeys(("en", "de", "fr", "ro"), TEXT)),
}
KINDS = {
    "text": TEXT,
    "label": st.integers(-1, 1),
    "integer": st.integers(-1, 1),
    "number": st.just(-1.0) | st.floats(0, 5, allow_subnormal=False),
}


def examples(task):
    """Examples with arbitrary text in the fields that the task's set declares."""
    if task.embedded:
        return st.fixed_dictionaries({"inputs": TEXT, "targets": TEXT})
    fields = {name: KINDS[kind] for name, kind in task.source.columns.items() if kind != "json"}
    for name in task.source.columns:
        if name in JSON_FIELDS and name not in fields:
            fields[name] = JSON_FIELDS[name]
    if "answers" in task.source.columns:
        answers = st.lists(TEXT)
        in_squad = st.fixed_dictionaries({"text": answers, "answer_start": st.just([])})
        fields["answers"] = in_squad if task.name.startswith("squad") else answers
    return st.fixed_dictionaries(fields)


def test_every_task_of_the_paper_is_there():
    assert len(NAMES) == len(set(NAMES)) == 32
    assert {task.paper_column for task in PAPER_TASKS} == {
        *("", "GLUE", "SGLUE", "SQuAD", "CNNDM", "EnDe", "EnFr", "EnRo"),
    }
    for task in PAPER_TASKS:
        assert get_task(task.name) is task and not task.embedded
        assert re.fullmatch("[0-9a-f]{40}", task.source.hub.revision), task.name
        assert task.max_inputs_tokens == 512


@pytest.mark.parametrize("task", [*PAPER_TASKS, *EMBEDDED_TASKS], ids=lambda task: task.name)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_arbitrary_text_becomes_text(task, data):
    example = data.draw(examples(task))
    try:
        pairs = task.to_text(example)
    except DataError as error:
        # the one thing that cannot be shown: a pronoun that is not in the text
        assert task.name.startswith("super_glue_wsc") and error.field == "span2_text"
        return
    for pair in pairs:
        assert set(pair) == {"inputs", "targets"} and all(isinstance(text, str) for text in pair.values())
        assert task.embedded or pair["inputs"].startswith(task.prefix)


@pytest.mark.parametrize("task", PAPER_TASKS, ids=lambda task: task.name)
def test_a_field_that_is_missing_or_of_another_kind_is_named(task):
    for wrong in ({}, dict.fromkeys(task.source.columns, 1.5), dict.fromkeys(task.source.columns)):
        with pytest.raises(DataError) as caught:
            task.to_text(wrong)
        assert caught.value.field.split(".")[0] in task.source.columns
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("label", [2, -2, 7, "2", "one", "0.5", 0.5, None])
def test_a_label_outside_the_set_is_refused(label):
    with pytest.raises(DataError, match=r"^label="):
        get_task("glue_cola").to_text({"sentence": "x", "label": label})


def test_labels_may_be_whole_numbers_of_any_kind():
    import numpy as np

    task = get_task("glue_cola")
    for label in (1, 1.0, True, np.float64(1)):
        assert task.to_text({"sentence": "x", "label": label})[0]["targets"] == "acceptable"


@pytest.mark.parametrize("label", [-0.5, 5.1, float("nan"), "3", None, True])
def test_stsb_takes_scores_from_0_to_5(label):
    with pytest.raises(DataError, match=r"^label="):
        get_task("glue_stsb").to_text({"sentence1": "", "sentence2": "", "label": label})


def test_stsb_rounds_to_the_nearest_fifth_in_single_precision():
    def target(label):
        return get_task("glue_stsb").to_text({"sentence1": "", "sentence2": "", "label": label})[0]["targets"]

    given = (0, 0.05, 0.1, 0.3, 2.57, 3.25, 3.3, 4.9, 5, -1.0)
    assert [target(x) for x in given] == ["0.0", "0.0", "0.0", "0.4", "2.6", "3.2", "3.2", "4.8", "5.0", "-1.0"]


def wsc(text, pronoun, index, name="super_glue_wsc", label=1):
    example = {"text": text, "span1_text": "Ann", "span2_text": pronoun, "span1_index": 0, "span2_index": index}
    return [pair["inputs"] for pair in get_task(name).to_text(example | {"label": label, "idx": 0})]


def test_wsc_marks_the_pronoun_wherever_it_is():
    assert wsc("Ann said she won.", "she", 2) == ["wsc: Ann said *she* won."]
    assert wsc("She won, said Ann.", "She", 0) == ["wsc: *She* won, said Ann."]
    assert wsc("Ann won, said she, twice.", "she", 3) == ["wsc: Ann won, said *she* , twice."]
    assert wsc('"she won," said Ann', "she", 0) == ['wsc: "*she* won," said Ann']
    # off by one: the nearest
    assert wsc("she said she will use it , but", "it", 4) == ["wsc: she said she will use *it* , but"]
    # an X of the text's own stays
    assert wsc("Malcolm X said he X won", "he", 3) == ["wsc: Malcolm X said *he* X won"]
    with pytest.raises(DataError, match=r"span2_text='they': the text has no such word at or near span2_index 2"):
        wsc("Ann said she won.", "they", 2)


def test_only_true_candidates_are_trained_on():
    assert wsc("Ann said she won.", "she", 2, "super_glue_wsc_train", label=0) == []
    assert len(wsc("Ann said she won.", "she", 2, "super_glue_wsc_train", label=-1)) == 1


def test_a_span_that_is_not_where_its_index_says_stays_unmarked():
    assert wsc("Ann said she won.", "(she", 2, "super_glue_wsc_marked") == ["wsc text: * Ann * said she won."]
    assert wsc("Ann said she won.", "she", 10**12, "super_glue_wsc_marked") == ["wsc text: * Ann * said she won."]


def test_dpr_marks_the_first_pronoun_only():
    example = {"sentence": "Bo saw it, so it ran. a.b", "pronoun": "it", "candidates": ["a", "b"], "label": 0}
    (pair,) = get_task("dpr").to_text(example)
    assert pair == {"inputs": "wsc: Bo saw *it*, so it ran. a.b", "targets": "a"}
    assert get_task("dpr").to_text(example | {"pronoun": "."})[0]["inputs"] == "wsc: Bo saw it, so it ran. a.b"
    assert get_task("dpr").to_text(example | {"label": -1})[0]["targets"] == "<unk>"


def wnli(sentence1, sentence2):
    (pair,) = get_task("glue_wnli_simple").to_text({"sentence1": sentence1, "sentence2": sentence2, "label": 0})
    return pair["inputs"].removeprefix("wsc: "), pair["targets"]


def test_wnli_becomes_a_winograd_schema():
    sentence = "John couldn't see the stage with Billy in front of him because he is so short."
    marked = sentence.replace("he is", "*he* is")
    assert wnli(sentence, "Billy is so short.") == (marked, "Billy")
    assert (
        wnli("Lily spoke to Donna, breaking her concentration.", "Lily spoke to Donna, breaking Lily's concentration.")[
            1
        ]
        == "Lily"
    )
    # doubled spaces do not move the mark
    assert wnli("The  fish ate  the worm. It was tasty.", "The worm was tasty.")[0].endswith("worm. *It* was tasty.")
    # nothing to go by
    assert wnli("No pronouns here.", "The worm was tasty.") == ("No pronouns here.", "")
    assert wnli("So it goes.", "Bees (sleep).")[1] == ""


def test_squads_answers_come_with_the_pair_for_the_scorer():
    task = get_task("squad")
    example = {"question": "q?", "context": "a\v b", "answers": {"text": [], "answer_start": []}}
    (pair,) = task.form(example)
    assert (pair.inputs, pair.targets, pair.context) == ("question: q ? context: a\v b", "<unk>", {"answers": []})


@pytest.mark.parametrize("name", ["super_glue_multirc", "super_glue_record", "super_glue_wsc"])
def test_a_scorer_that_needs_contexts_says_so(name):
    with pytest.raises(
        DataError, match=r"^row 1: (idx\.question|idx\.passage|label)=None: the metric needs this field"
    ):
        get_task(name).score(["True"], ["True"])


def test_what_cannot_be_scored_is_refused():
    task = get_task("glue_mnli")
    with pytest.raises(DataError, match=r"predictions=1: there are 2 targets"):
        task.score(["neutral", "neutral"], ["neutral"])
    with pytest.raises(DataError, match=r"contexts=1: there are 2 targets"):
        task.score(["neutral", "neutral"], ["neutral", "neutral"], [{}])
    with pytest.raises(DataError, match=r"row 2: target='neutrall': .*did you mean 'neutral'"):
        task.score(["neutral", "neutrall"], ["neutral", "neutral"])
    with pytest.raises(DataError, match=r"row 1: target='x': it is not a number"):
        get_task("glue_stsb").score(["x"], ["1.0"])
    with pytest.raises(DataError, match=r"row 1: label='yes'"):
        get_task("super_glue_wsc").score(["Ann"], ["Ann"], [{"label": "yes"}])
    assert task.invalid(["neutral", "Neutral", ""]) == 2


def test_two_metrics_rank_as_their_mean():
    task = get_task("glue_mrpc")
    targets, predictions = ["equivalent"] * 3 + ["not_equivalent"], ["equivalent"] * 2 + ["x", "not_equivalent"]
    scores = task.score(targets, predictions)
    assert task.main.name == "mean of f1 and accuracy"
    assert task.main_score(scores) == pytest.approx((scores["f1"] + scores["accuracy"]) / 2)
    assert task.aggregate(task.example_scores(targets, predictions)) == pytest.approx(task.main_score(scores))
    with pytest.raises(ConfigError, match="metrics of one kind"):
        Task(
            name="x",
            source=DataSet(),
            form=Labelled("x", ("a",), ("b", "c")),
            metrics=(Accuracy(Classes(("b", "c"))), Pearson()),
            ranked_by=("accuracy", "pearson_corrcoef"),
        )
    with pytest.raises(ConfigError, match="ranked_by='f2': choose from f1, accuracy"):
        Task(name="x", source=DataSet(), form=task.form, metrics=task.metrics, ranked_by=("f2",))
