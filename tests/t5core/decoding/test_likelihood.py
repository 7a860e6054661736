"""The likelihood of right answers: tables that are computed by hand, and every kind of task and of bad input."""

import math

import numpy as np
import pytest
import torch
from measured import CPU, model_of, unigram

from t5core.config import LikelihoodConfig
from t5core.decoding.likelihood import label_columns, task_likelihood
from t5core.errors import ConfigError, DataError
from t5core.metrics import Accuracy, Answers, Classes, ExactMatch, Pearson, Referents, Rouge, SameText
from t5core.tasks import DataSet, Task, TextPair
from t5core.tasks.references import label_set

WORDS = ("<pad>", "</s>", "a", "b", "é")
PROBABILITIES = (0.05, 0.25, 0.4, 0.2, 0.1)
END, A, B, E_ACUTE = (-math.log(p) for p in PROBABILITIES[1:])


class Words:
    """A vocabulary of whole words; what it does not know has no ids."""

    def __init__(self, words=WORDS):
        self.words = words

    def encode(self, text):
        return [self.words.index(word) for word in text.split() if word in self.words]

    def encode_batch(self, texts):
        return [self.encode(text) for text in texts]

    def decode(self, ids):
        return " ".join(self.words[i] for i in ids if i > 1)


def task_of(metric):
    return Task(name="trial", source=DataSet(folder="nowhere"), form=lambda _: [], metrics=(metric,))


def pair(target, inputs="a b", **context):
    return TextPair(inputs=inputs, targets=target, context=context)


def measured(task, pairs, model=None, limit=1024, vocabulary=None):
    config = LikelihoodConfig(max_target_tokens=limit, batch_size=3)
    model = model or unigram(*PROBABILITIES)
    return task_likelihood(model, vocabulary or Words(), task, pairs, config, CPU, inputs_length=6)


def test_an_answer_costs_its_pieces_and_its_end_over_its_bytes():
    found = measured(task_of(Rouge("rouge1")), [pair("a b"), pair("é"), pair("b")])
    expected = [[A + B + END, 3], [E_ACUTE + END, 2], [B + END, 1]]
    np.testing.assert_allclose(found.per_example_Nk, expected, atol=1e-6)
    assert found.per_example_Nk.dtype == np.float64
    nats = A + 2 * B + E_ACUTE + 3 * END
    assert found.bits_per_byte == pytest.approx(nats / 6 / math.log(2), abs=1e-6)
    assert (found.truncated, found.label_accuracy, found.label_nats, found.label_auc) == (0, None, None, None)


def test_labels_are_weighed_against_each_other_as_whole_sequences():
    # "a" begins "a b", and ends differently
    task = task_of(Accuracy(Classes(("a", "a b"))))
    found = measured(task, [pair("a"), pair("a b")])
    p, q = 0.4 * 0.25, 0.4 * 0.2 * 0.25
    expected = [
        [-math.log(p), 1, -math.log(p / (p + q)), math.log(p / q)],
        [-math.log(q), 3, -math.log(q / (p + q)), math.log(q / p)],
    ]
    np.testing.assert_allclose(found.per_example_Nk, expected, atol=1e-6)
    assert found.label_accuracy == 50.0


def test_the_margin_is_over_the_best_wrong_label():
    columns = label_columns([2.0, 1.0, 4.0], right=0)
    assert columns == pytest.approx((2 + math.log(math.exp(-2) + math.exp(-1) + math.exp(-4)), -1.0))
    assert label_columns([1000.0, 2000.0], right=0) == (0.0, 1000.0)  # far below the smallest float
    assert label_columns([2000.0, 1000.0], right=0) == (1000.0, -1000.0)


def test_labels_that_a_vocabulary_cannot_tell_apart_are_a_draw_and_a_draw_is_not_right():
    found = measured(task_of(Accuracy(Classes(("a", "a  ?")))), [pair("a")])
    np.testing.assert_allclose(found.per_example_Nk[0, 2:], [math.log(2), 0.0], atol=1e-6)
    assert found.label_accuracy == 0.0


def test_of_several_accepted_answers_the_likeliest_counts_over_the_bytes_of_the_first():
    task = task_of(ExactMatch())
    found = measured(task, [pair("a b b", answers=["a b b", "é", "é"]), pair("b", answers=[]), pair("b")])
    expected = [[E_ACUTE + END, 5], [B + END, 1], [B + END, 1]]
    np.testing.assert_allclose(found.per_example_Nk, expected, atol=1e-6)


def test_copies_of_a_query_are_measured_once():
    task = task_of(ExactMatch(Answers(unit=("idx.query",))))
    pairs = [pair(target, answers=["a", "b"], idx={"query": n}) for n, target in ((3, "a"), (3, "b"), (4, "a"))]
    np.testing.assert_allclose(measured(task, pairs).per_example_Nk, [[A + END, 1]] * 2, atol=1e-6)


def test_a_candidate_that_is_wrong_is_no_answer():
    task = task_of(Accuracy(Referents()))
    found = measured(task, [pair("a", label=0), pair("b", label=1), pair("x", label=1, targets="é")])
    np.testing.assert_allclose(found.per_example_Nk, [[B + END, 1], [E_ACUTE + END, 2]], atol=1e-6)
    none = measured(task, [pair("a", label=0)])
    assert none.per_example_Nk.shape == (0, 2) and none.bits_per_byte is None and none.label_accuracy is None


def test_an_answer_without_bytes_counts_as_one_and_costs_its_end():
    found = measured(task_of(Accuracy(SameText())), [pair("")])
    np.testing.assert_allclose(found.per_example_Nk, [[END, 1]], atol=1e-6)
    assert found.bits_per_byte == pytest.approx(2.0, abs=1e-6)


def test_of_an_answer_that_is_too_long_the_beginning_is_measured_and_counted():
    task = task_of(ExactMatch())
    long = "a b b é"
    found = measured(task, [pair(long), pair("a b"), pair(long, answers=[long, "b"])], limit=3)
    expected = [[A + 2 * B, 5], [A + B + END, 3], [B + END, 8]]
    np.testing.assert_allclose(found.per_example_Nk, expected, atol=1e-6)
    assert found.truncated == 1
    assert measured(task, [pair(long)], limit=5).truncated == 0


def test_no_examples_are_no_number():
    found = measured(task_of(Accuracy(Classes(("a", "b")))), [])
    assert found.per_example_Nk.shape == (0, 4)
    assert (found.bits_per_byte, found.label_accuracy, found.truncated) == (None, None, 0)


def test_a_target_that_is_no_label_is_told_with_its_row():
    with pytest.raises(DataError, match="row 2: target='é': it is not one of a, b"):
        measured(task_of(Accuracy(Classes(("a", "b")))), [pair("a"), pair("é")])


def test_labels_are_those_of_the_metric_that_ranks_and_one_label_is_no_choice():
    assert label_set(task_of(Accuracy(Classes(("a", "b", "a"))))) == ("a", "b")
    assert label_set(task_of(Accuracy(Classes(("a",))))) == ()
    assert label_set(task_of(Pearson())) == ()


@pytest.mark.parametrize("architecture", ["encoder_decoder", "prefix_lm", "language_model"])
def test_decoder_only_models_answer_behind_the_marker_that_decoding_gives_them(architecture):
    words = (*WORDS, "target:", *map(str, range(42)))
    model, vocabulary = model_of(architecture), Words(words)
    task = task_of(Accuracy(Classes(("3 4", "9"))))
    pairs = [pair("9", inputs="5 6 7 8 9 10 11 12"), pair("3 4", inputs="20")]
    found = measured(task, pairs, model, vocabulary=vocabulary)
    costs = []
    for one in pairs:
        given = vocabulary.encode(one.inputs)[:5] + (vocabulary.encode("target:") if model.config.decoder_only else [1])
        for label in ("3 4", "9"):
            ids = [*vocabulary.encode(label), 1]
            with torch.no_grad():
                loss = model(torch.tensor([given]), labels=torch.tensor([ids])).loss
            costs.append(loss.item() * len(ids))
    expected = [[costs[1], 1, *label_columns(costs[:2], 1)], [costs[2], 3, *label_columns(costs[2:], 0)]]
    np.testing.assert_allclose(found.per_example_Nk, expected, atol=2e-5)


def test_settings_that_measure_nothing_are_refused():
    with pytest.raises(ConfigError, match="max_target_tokens=0: give a number above 0"):
        LikelihoodConfig(max_target_tokens=0)
    assert LikelihoodConfig(batch_size=7).fingerprint() == {"max_target_tokens": 1024}
