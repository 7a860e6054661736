import numpy as np

from t5core.config import ObjectiveConfig
from t5core.feeds import Batch, ExampleFeed, PretrainFeed, join, joined_length, marker_ids, padded_batches
from t5core.objectives.shown import Words

MARKER = (50, 51)
PAIRS = {"a": [([5, 6, 7], [8]), ([9], [10, 11]), ([12, 13, 14, 15, 16, 17], [18, 19, 20, 21])]}


def example_feed(**options):
    return ExampleFeed(PAIRS, batch_size=3, inputs_length=5, targets_length=4, seed=1, **options)


def pretrain_feed(objective, joined_by=None, targets_length=None):
    tokens = np.arange(3, 3 + 40 * 60) % 60 + 3
    return PretrainFeed(
        tokens,
        np.arange(0, len(tokens) + 1, 60),
        objective,
        vocab_size=200,
        num_sentinels=100,
        batch_size=4,
        inputs_length=32,
        targets_length=targets_length,
        seed=2,
        joined_by=joined_by,
    )


def test_a_pair_is_joined_by_the_marker_and_loses_the_end_of_its_inputs():
    inputs = np.array([[5, 6, 7, 1, 0], [9, 1, 0, 0, 0], [2, 3, 4, 5, 1]], dtype=np.int32)
    targets = np.array([[8, 1, 0], [10, 11, 1], [1, 0, 0]], dtype=np.int32)
    batch = join(Batch(inputs=inputs, targets=targets), MARKER)
    assert batch.inputs.shape == (3, 0)
    assert batch.targets.dtype == np.int32
    assert batch.targets.tolist() == [
        [5, 6, 7, 50, 51, 8, 1, 0, 0],
        [9, 50, 51, 10, 11, 1, 0, 0, 0],
        [2, 3, 4, 5, 50, 51, 1, 0, 0],
    ]
    assert batch.prefix.sum(axis=1).tolist() == [5, 3, 6]
    assert batch.prefix[:, 0].all() and not batch.prefix[:, 6:].any()


def test_the_joined_width_holds_the_longest_pair():
    assert joined_length(5, 4, MARKER) == 4 + 2 + 4
    batch = join(Batch(inputs=np.array([[2, 3, 4, 5, 1]]), targets=np.array([[6, 7, 8, 1]])), MARKER)
    assert batch.targets.tolist() == [[2, 3, 4, 5, 50, 51, 6, 7, 8, 1]]


def test_an_example_feed_joins_what_it_would_have_paired():
    pairs, joined = example_feed(), example_feed(joined_by=MARKER)
    for i in range(3):
        expected, found = join(pairs.batch(i), MARKER), joined.batch(i)
        assert found.inputs.shape == (3, 0)
        assert np.array_equal(found.targets, expected.targets)
        assert np.array_equal(found.prefix, expected.prefix)
    assert joined.tokens_per_batch == 3 * 10


def test_a_packed_example_feed_joins_each_pair_of_a_row():
    feed = ExampleFeed(PAIRS, batch_size=2, inputs_length=20, targets_length=10, packed=True, joined_by=MARKER)
    wanted = {(tuple(inputs), tuple(targets)) for inputs, targets in PAIRS["a"]}
    batches = [feed.batch(i) for i in range(20)]
    assert batches[0].input_segments is None and batches[0].inputs.shape == (2, 0)
    found = set()
    rows = [row for b in batches for row in zip(b.targets, b.target_segments, b.prefix, strict=True)]
    for row, segments, prefix in rows:
        assert not (prefix & (segments == 0)).any()
        for number in range(1, segments.max() + 1):
            given, asked = row[(segments == number) & prefix], row[(segments == number) & ~prefix]
            assert tuple(given[-2:]) == MARKER and asked[-1] == 1
            found.add((tuple(given[:-2].tolist()), tuple(asked[:-1].tolist())))
    assert found == wanted


def test_a_corrupted_text_is_joined_as_its_pair():
    objective = ObjectiveConfig(mean_noise_span_length=3.0)
    pairs, joined = pretrain_feed(objective), pretrain_feed(objective, MARKER)
    assert joined.lengths.raw_tokens == pairs.lengths.raw_tokens
    assert joined.lengths.inputs == 0
    batch = joined.batch(5)
    assert batch.targets.shape == (4, joined.lengths.targets) == (4, 31 + 2 + pairs.lengths.targets)
    assert np.array_equal(batch.targets, join(pairs.batch(5), MARKER).targets)
    assert joined.tokens_per_batch == 4 * joined.lengths.targets


def test_a_language_model_reads_the_text_itself_without_marker_or_prefix():
    feed = pretrain_feed(ObjectiveConfig(kind="lm"), MARKER)
    batch = feed.batch(0)
    raw, lengths = feed.raw(0)
    assert raw.shape == (4, 31) and (lengths == 31).all()
    assert batch.inputs.shape == (4, 0) and batch.prefix is None
    assert np.array_equal(batch.targets[:, :-1], raw)
    assert (batch.targets[:, -1] == 1).all()
    assert np.array_equal(batch.targets, pretrain_feed(ObjectiveConfig(kind="lm")).batch(0).targets)


def test_prompts_end_with_the_marker_and_fill_up_with_markers_alone():
    (prompts, real), (last, last_real) = padded_batches([[5, 6], [7, 1], [8, 9, 10, 11, 12]], 2, 5, MARKER)
    assert (real, last_real) == (2, 1)
    assert prompts.tolist() == [[5, 6, 50, 51, 0, 0], [7, 50, 51, 0, 0, 0]]
    assert last.tolist() == [[8, 9, 10, 11, 50, 51], [50, 51, 0, 0, 0, 0]]


def test_prompts_are_the_given_part_of_training_rows():
    batch = example_feed(joined_by=MARKER).batch(0)
    prompts, _ = next(iter(padded_batches([inputs for inputs, _ in PAIRS["a"]], 3, 5, MARKER)))
    given = {tuple(row[prefix].tolist()) for row, prefix in zip(batch.targets, batch.prefix, strict=True)}
    assert given == {tuple(row[row != 0].tolist()) for row in prompts}


def test_the_marker_is_told_by_the_vocabulary():
    assert marker_ids(Words("a target: b")) == (4,)
