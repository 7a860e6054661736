"""Text and tasks in one batch, feeds that start later, and rows cut from the line that batches are cut from."""

import math
from collections import Counter
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t5core.config import MixtureConfig, ObjectiveConfig, TaskWeight
from t5core.errors import ConfigError
from t5core.feeds import Batch, ExampleFeed, MixedFeed, PretrainFeed, ShiftedFeed
from t5core.mixing import UNSUPERVISED, mixture_rates

FIRST_TASK_ID = 1000
"""Text has ids below, sentinels included; the first input id of a task's example is not."""

MARKER = (800, 801)
RNG = np.random.default_rng(2)
OFFSETS = np.concatenate([[0], np.cumsum(RNG.integers(1, 200, 60))])
TOKENS = RNG.integers(3, 800, OFFSETS[-1]).astype(np.uint16)
EXAMPLES = {
    name: [([FIRST_TASK_ID + 100 * t + j] + [700] * (j % 5), [710 + t] * (1 + j % 3)) for j in range(size)]
    for t, (name, size) in enumerate([("cola", 10), ("rte", 37)])
}
SPANS = ObjectiveConfig(mean_noise_span_length=3.0)


def text_feed(objective=SPANS, *, batch_size=8, inputs_length=32, joined_by=None):
    return PretrainFeed(
        TOKENS,
        OFFSETS,
        objective,
        vocab_size=1000,
        num_sentinels=100,
        batch_size=batch_size,
        inputs_length=inputs_length,
        seed=5,
        joined_by=joined_by,
    )


def example_feed(*, batch_size=8, inputs_length=24, targets_length=6, packed=False, joined_by=None):
    return ExampleFeed(
        EXAMPLES,
        batch_size=batch_size,
        inputs_length=inputs_length,
        targets_length=targets_length,
        seed=5,
        packed=packed,
        joined_by=joined_by,
    )


def same(a: Batch, b: Batch) -> bool:
    """Whether all fields are there in both or in neither, and equal."""
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(Batch)]
    return all(
        x is y is None or (x is not None and y is not None and x.dtype == y.dtype and np.array_equal(x, y))
        for x, y in pairs
    )


def concatenated(feed, batches):
    """Each field of several batches below one another."""
    parts = [feed.batch(i) for i in batches]
    values = {f.name: [getattr(part, f.name) for part in parts] for f in fields(Batch)}
    return {name: None if arrays[0] is None else np.concatenate(arrays) for name, arrays in values.items()}


def text_rows(batch):
    """Which rows are text, of batches for an encoder-decoder."""
    return batch.inputs[:, 0] < FIRST_TASK_ID


def unlabeled_rows(i, row_share):
    """How many rows of batch ``i`` of 8 rows are text."""
    share = round(row_share * 2**32)  # shares are told apart to 2^-32
    return (i + 1) * 8 * share // 2**32 - i * 8 * share // 2**32


# the share


def test_the_first_batches_hold_what_the_share_says():
    feed = MixedFeed(text_feed(), example_feed(), 0.3)
    counts = [int(text_rows(feed.batch(i)).sum()) for i in range(10)]
    assert counts == [2, 2, 3, 2, 3, 2, 2, 3, 2, 3] and sum(counts) == 24


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 999), st.integers(1, 13), st.integers(0, 200))
def test_the_share_is_exact_over_all_batches_and_to_within_one_row_in_each(thousandths, batch_size, first):
    feed = MixedFeed(text_feed(batch_size=batch_size), example_feed(batch_size=batch_size), thousandths / 1000)
    share = round(thousandths / 1000 * 2**32)  # shares are told apart to 2^-32
    seen = first * batch_size * share // 2**32
    for i in range(first, first + 12):
        here = int(text_rows(feed.batch(i)).sum())
        assert abs(here - batch_size * thousandths / 1000) < 1
        seen += here
        assert seen == (i + 1) * batch_size * share // 2**32
        assert abs(seen - (i + 1) * batch_size * thousandths / 1000) <= 1


@pytest.mark.parametrize("share", [0.25, 0.5, 0.875])
def test_a_share_of_whole_rows_is_the_same_in_every_batch(share):
    feed = MixedFeed(text_feed(), example_feed(), share)
    assert {int(text_rows(feed.batch(i)).sum()) for i in range(40)} == {round(8 * share)}


@pytest.mark.parametrize(("share", "rows"), [(0.001, 1), (0.999, 1006)])
def test_the_rarer_kind_comes_as_often_as_it_should(share, rows):
    feed = MixedFeed(text_feed(), example_feed(), share)
    assert sum(int(text_rows(feed.batch(i)).sum()) for i in range(126)) == rows


def sized_feed(rates, *, packed):
    """Tasks of 12, 60 and 400 examples, of a few tokens to many."""
    longest = {"a": 3, "b": 9, "c": 20}
    examples = {
        name: [([1000 * t + j] + [700] * (j % longest[name]), [710] * (1 + j % 3)) for j in range(size)]
        for t, (name, size) in enumerate(SIZES.items(), start=1)
    }
    return ExampleFeed(
        examples, rates=rates, batch_size=256, inputs_length=64, targets_length=24, seed=5, packed=packed
    )


SIZES = {"a": 12, "b": 60, "c": 400}
WEIGHTS = {"a": 1.0, "b": 2.0, "c": 3.0, UNSUPERVISED: 6.0}


@pytest.mark.parametrize(
    ("mixture", "shares"),
    [
        (MixtureConfig(maximum=60.0, unsupervised=1e9), [12 / 192, 60 / 192, 60 / 192, 60 / 192]),
        (MixtureConfig(unsupervised=472.0), [12 / 944, 60 / 944, 400 / 944, 472 / 944]),
        (MixtureConfig(temperature=2.0, unsupervised=1200.0), [0.05261, 0.11763, 0.30372, 0.52605]),
        (MixtureConfig(kind="equal", unsupervised=1.0), [0.25, 0.25, 0.25, 0.25]),
        (
            MixtureConfig(
                kind="weights",
                weights=tuple(TaskWeight(name=name, weight=weight) for name, weight in WEIGHTS.items()),
                unsupervised=1.0,
            ),
            [1 / 12, 2 / 12, 3 / 12, 6 / 12],
        ),
    ],
)
def test_packed_rows_hold_as_many_examples_of_each_task_and_of_text_as_the_mixture_says(mixture, shares):
    rates = mixture_rates(mixture, SIZES)
    assert [rates[name] for name in (*SIZES, UNSUPERVISED)] == pytest.approx(shares, abs=1e-4)
    tasks = sized_feed({name: rates[name] for name in SIZES}, packed=True)
    assert tasks.examples_per_row > 3
    mixed = MixedFeed(text_feed(batch_size=256, inputs_length=64), tasks, rates[UNSUPERVISED])
    # until the tasks' rows of one block are through: of these each task has its rate exactly
    text_rows = 2**16 * rates[UNSUPERVISED] / (1 - rates[UNSUPERVISED])
    batches = math.ceil((2**16 / tasks.examples_per_row + text_rows) / 256)
    counts = Counter()
    for i in range(batches):
        batch = mixed.batch(i)
        begins_BL = np.diff(batch.input_segments, axis=1, prepend=0) > 0
        counts.update((batch.inputs[begins_BL] // 1000).tolist())
    found = [counts[kind] / counts.total() for kind in (1, 2, 3, 0)]
    assert found == pytest.approx(shares, abs=0.004)


def test_of_rows_that_hold_one_example_the_share_is_that_of_the_rows_to_the_bit():
    for share in (0.1, 0.3, 1 / 3, 0.7):
        assert MixedFeed(text_feed(), example_feed(), share).row_share == share


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_shares_that_leave_one_kind_out_are_refused(share):
    with pytest.raises(ConfigError, match=f"share={share}: give the unlabeled share of the examples, between 0 and 1"):
        MixedFeed(text_feed(), example_feed(), share)


def test_feeds_with_batches_of_different_sizes_are_refused():
    with pytest.raises(ConfigError, match="batch_size=8: the tasks' batches have 4 rows"):
        MixedFeed(text_feed(), example_feed(batch_size=4), 0.5)


# the rows


@pytest.mark.parametrize("share", [0.03, 0.3, 0.97])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("joined_by", [None, MARKER])
def test_rows_are_those_of_both_lines_in_turn_none_left_out(share, packed, joined_by):
    text, examples = text_feed(joined_by=joined_by), example_feed(packed=packed, joined_by=joined_by)
    mixed = MixedFeed(text, examples, share)
    inputs, targets = text.lengths.inputs, text.lengths.targets
    assert (inputs, targets) == ((32, 8) if joined_by is None else (0, 31 + 2 + 8))
    at = {"text": 0, "tasks": 0}
    for i in range(9):
        batch = mixed.batch(i)
        unlabeled = unlabeled_rows(i, mixed.row_share)
        assert batch.inputs.shape == (8, inputs) and batch.targets.shape == (8, targets)
        assert (batch.target_segments is not None) == packed
        assert (batch.input_segments is not None) == (packed and joined_by is None)
        assert (batch.prefix is not None) == (joined_by is not None)
        for kind, feed, part in (
            ("text", text, batch.part(0, unlabeled)),
            ("tasks", examples, batch.part(unlabeled, 8)),
        ):
            count = len(part.targets)
            if not count:
                continue
            alone = feed.rows(at[kind], count)
            at[kind] += count
            for name in ("inputs", "targets", "prefix", "input_segments", "target_segments"):
                got, own = getattr(part, name), getattr(alone, name)
                if own is not None:
                    assert np.array_equal(got[:, : own.shape[1]], own)
                    assert not got[:, own.shape[1] :].any(), "what is added is padding"
            if kind == "text" and packed:  # one example a row
                assert np.array_equal(part.target_segments, part.targets != 0)
                if joined_by is None:
                    assert np.array_equal(part.input_segments, part.inputs != 0)
    assert at["text"] + at["tasks"] == 72


def test_rows_of_text_are_widened_where_the_tasks_are_wider():
    text, examples = text_feed(), example_feed(inputs_length=40, targets_length=20)
    batch = MixedFeed(text, examples, 0.5).batch(3)
    assert batch.inputs.shape == (8, 40) and batch.targets.shape == (8, 20)
    assert batch.inputs.dtype == batch.targets.dtype == np.int32
    assert np.array_equal(batch.inputs[:4, :32], text.rows(12, 4).inputs) and not batch.inputs[:4, 32:].any()


@pytest.mark.parametrize(("packed", "share"), [(False, 0.06), (True, 0.02)])
def test_language_modelling_gives_nothing_and_the_tasks_beside_it_do(packed, share):
    text = text_feed(ObjectiveConfig(kind="lm"), joined_by=MARKER)
    mixed = MixedFeed(text, example_feed(packed=packed, joined_by=MARKER), share)
    shapes = set()
    for i in range(8):
        batch = mixed.batch(i)
        unlabeled = unlabeled_rows(i, mixed.row_share)
        shapes.add((batch.inputs.shape, batch.targets.shape, unlabeled))
        assert not batch.prefix[:unlabeled].any() and batch.prefix[unlabeled:].any(axis=1).all()
    assert shapes == {((8, 0), (8, 32), 0), ((8, 0), (8, 32), 1)}


def test_a_batch_of_text_alone_has_the_fields_of_all_others():
    text = text_feed(ObjectiveConfig(kind="lm"), joined_by=MARKER)
    mixed = MixedFeed(text, example_feed(packed=True, joined_by=MARKER), 0.99)
    first = mixed.batch(1)  # of the first 16 rows, 15 are text: 7 + 8
    assert first.prefix is not None and first.prefix.shape == (8, 32) and not first.prefix.any()
    assert np.array_equal(first.target_segments, first.targets != 0)


@pytest.mark.parametrize("packed", [False, True])
def test_a_mixed_batch_is_the_same_whenever_it_is_asked_for(packed):
    walking = MixedFeed(text_feed(), example_feed(packed=packed), 0.4)
    walked = [walking.batch(i) for i in range(40)]
    for i in (39, 0, 17, 39):
        assert same(MixedFeed(text_feed(), example_feed(packed=packed), 0.4).batch(i), walked[i])
        assert same(walking.batch(i), walked[i])
    assert not same(walked[0], walked[1])


def test_a_shifted_feed_goes_on_where_another_ended():
    feed = MixedFeed(text_feed(), example_feed(), 0.3)
    shifted = ShiftedFeed(feed, 7)
    for i in (5, 0, 1):
        assert same(shifted.batch(i), feed.batch(7 + i))
    assert same(ShiftedFeed(shifted, 2).batch(0), feed.batch(9))
    assert same(ShiftedFeed(feed, 0).batch(3), feed.batch(3))


# rows of one line

FEEDS = {
    "text": text_feed(),
    "text, each document by itself": text_feed(ObjectiveConfig(kind="prefix_lm")),
    "text, joined": text_feed(joined_by=MARKER),
    "examples": example_feed(),
    "examples, joined": example_feed(joined_by=MARKER),
    "packed examples": example_feed(packed=True),
    "packed examples, joined": example_feed(packed=True, joined_by=MARKER),
}


def check_rows(feed, first, count):
    got = feed.rows(first, count)
    batches = range(first // 8, (first + count - 1) // 8 + 1)
    expected = concatenated(feed, batches)
    for name, array in expected.items():
        if array is None:
            assert getattr(got, name) is None
        else:
            skipped = first - 8 * batches[0]
            assert np.array_equal(getattr(got, name), array[skipped : skipped + count])


@pytest.mark.parametrize("name", FEEDS)
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 500), st.integers(1, 40))
def test_rows_are_cut_from_the_line_that_batches_are_cut_from(name, first, count):
    check_rows(FEEDS[name], first, count)


@pytest.mark.parametrize("name", [name for name in FEEDS if "examples" in name])
def test_rows_of_examples_go_on_across_blocks(name):
    feed = FEEDS[name]
    end = round(2**16 / feed.examples_per_row)  # where the first block's rows end
    for first, count in ((end - 3, 6), (end - 1, 1), (end, 1), (end - 20, 45)):
        check_rows(feed, first, count)
