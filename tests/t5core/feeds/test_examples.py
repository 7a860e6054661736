import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from t5core.errors import ConfigError, DataError
from t5core.feeds import ExampleFeed, padded_batches

# example j of task t has inputs [100 t + j] and targets [j, t]
SETS = {
    name: [([100 * t + j + 3], [j + 3, t + 3]) for j in range(size)]
    for t, (name, size) in enumerate([("cola", 10), ("rte", 30), ("sst2", 60)])
}


def feed(examples=None, *, batch_size=16, inputs_length=8, targets_length=4, seed=3, rates=None):
    return ExampleFeed(
        examples or SETS,
        batch_size=batch_size,
        inputs_length=inputs_length,
        targets_length=targets_length,
        seed=seed,
        rates=rates,
    )


def drawn(source, batches):
    """First input token of every row, in order."""
    return [int(token) for i in range(batches) for token in source.batch(i).inputs[:, 0]]


def test_rows_are_ended_padded_and_kept_as_pairs():
    batch = feed().batch(0)
    assert batch.inputs.shape == (16, 8) and batch.targets.shape == (16, 4)
    assert batch.inputs.dtype == batch.targets.dtype == np.int32
    assert (batch.inputs[:, 1] == 1).all() and not batch.inputs[:, 2:].any()
    assert (batch.targets[:, 2] == 1).all() and not batch.targets[:, 3:].any()
    task, j = np.divmod(batch.inputs[:, 0] - 3, 100)
    assert (batch.targets[:, 0] == j + 3).all() and (batch.targets[:, 1] == task + 3).all()


def test_long_rows_are_cut_and_keep_their_end():
    source = feed({"a": [(list(range(10, 30)), [7, 8, 9, 10, 1])]}, batch_size=1)
    batch = source.batch(0)
    assert batch.inputs.tolist() == [[10, 11, 12, 13, 14, 15, 16, 1]]
    assert batch.targets.tolist() == [[7, 8, 9, 1]]


def test_an_end_that_is_already_there_is_not_doubled():
    assert feed({"a": [([5, 1], [6, 1])]}, batch_size=1).batch(0).inputs.tolist() == [[5, 1, 0, 0, 0, 0, 0, 0]]


def test_one_task_is_gone_through_in_whole_epochs_each_in_a_new_order():
    source = feed({"sst2": SETS["sst2"]}, batch_size=6)
    first, second = drawn(source, 10), drawn(source, 20)[60:]
    assert sorted(first) == sorted(second) == [203 + j for j in range(60)]
    assert first != second


def test_each_task_of_a_mixture_is_gone_through_in_whole_epochs_too():
    seen = {t: [token for token in drawn(feed(), 200) if (token - 3) // 100 == t] for t in range(3)}
    for t, size in enumerate((10, 30, 60)):
        for start in range(0, len(seen[t]) - size, size):
            assert len(set(seen[t][start : start + size])) == size


def test_rates_are_in_proportion_to_the_sizes_by_default():
    source = feed(batch_size=4096)
    assert source.rates == {"cola": 0.1, "rte": 0.3, "sst2": 0.6}
    counts = Counter((token - 3) // 100 for token in drawn(source, 16))  # exactly one block of 2^16 slots
    assert [counts[t] for t in range(3)] == [6554, 19661, 39321]


def test_given_rates_are_kept_and_need_not_sum_to_one():
    source = feed(rates={"sst2": 1, "cola": 3, "rte": 0}, batch_size=4096)
    counts = Counter((token - 3) // 100 for token in drawn(source, 16))
    assert counts == {0: 49152, 2: 16384}


def test_a_tiny_task_is_not_forgotten():
    source = feed(rates={"sst2": 10**9, "cola": 1}, batch_size=4096)
    assert Counter((token - 3) // 100 for token in drawn(source, 16)) == {0: 1, 2: 65535}


def test_a_batch_is_the_same_by_jumping_and_by_walking_across_blocks():
    walking, at = feed(batch_size=48), 65536 // 48  # batch `at` lies in two blocks
    walked = [walking.batch(i) for i in range(at - 3, at + 4)]
    for i in (at + 3, at, at - 3):
        jumped = feed(batch_size=48).batch(i)
        assert (jumped.inputs == walked[i - at + 3].inputs).all()
        assert (jumped.targets == walked[i - at + 3].targets).all()


def test_the_order_in_which_tasks_are_given_does_not_matter():
    backwards = dict(reversed(SETS.items()))
    assert (feed(backwards).batch(9).inputs == feed().batch(9).inputs).all()


SCRIPT = """
import sys
from t5core.feeds import ExampleFeed
examples = {"b": [([j + 3], [4]) for j in range(50)], "a": [([j + 103], [5]) for j in range(20)]}
batch = ExampleFeed(examples, batch_size=16, inputs_length=8, targets_length=4, seed=3).batch(100_000)
sys.stdout.buffer.write(batch.inputs.tobytes())
"""


def test_a_new_process_gives_the_same_bits():
    runs = [subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True).stdout for _ in range(2)]
    examples = {"a": [([j + 103], [5]) for j in range(20)], "b": [([j + 3], [4]) for j in range(50)]}
    assert runs[0] == runs[1] == feed(examples).batch(100_000).inputs.tobytes()


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"rates": {"stt2": 1}}, ConfigError, "rates='stt2': no such task.*did you mean 'sst2'"),
        ({"rates": {"sst2": -1}}, ConfigError, r"rates\[sst2\]=-1"),
        ({"rates": {"sst2": 0}}, ConfigError, "a rate above 0"),
        ({"examples": {"a": [], "b": [([3], [3])]}, "rates": {"a": 1}}, DataError, r"examples\[a\]=0"),
        ({"examples": {"a": []}}, ConfigError, "at least one task with examples"),
        ({"seed": -1}, ConfigError, "seed=-1"),
    ],
)
def test_mixtures_that_cannot_be_drawn_are_refused(kwargs, error, message):
    with pytest.raises(error, match=message):
        feed(**kwargs)


def test_evaluation_rows_come_in_order_at_one_shape():
    rows = [[j + 3] * j for j in range(7)]
    batches = list(padded_batches(rows, 3, 5))
    assert [real for _, real in batches] == [3, 3, 1]
    assert all(ids.shape == (3, 5) and ids.dtype == np.int32 for ids, _ in batches)
    real = np.concatenate([ids[:real] for ids, real in batches])
    assert real[2].tolist() == [5, 5, 1, 0, 0] and real[6].tolist() == [9, 9, 9, 9, 1]
    assert batches[2][0][1].tolist() == [1, 0, 0, 0, 0]
    assert list(padded_batches([], 3, 5)) == []


# packed rows

RNG = np.random.default_rng(5)
LONG = {  # ids tell task, example and place apart: 10,000 t + 40 j + place + 2
    name: [
        ([10_000 * t + 40 * j + p + 2 for p in range(n)], [10_000 * t + 40 * j + p + 32 for p in range(m)])
        for j, (n, m) in enumerate(zip(RNG.integers(1, 24, size), RNG.integers(1, 6, size), strict=True))
    ]
    for t, (name, size) in enumerate([("cola", 40), ("rte", 150)])
}


def packed_feed(examples=None, *, batch_size=16, seed=3, rates=None):
    return ExampleFeed(
        examples or LONG,
        batch_size=batch_size,
        inputs_length=64,
        targets_length=24,
        seed=seed,
        rates=rates,
        packed=True,
    )


def segments_of(batch):
    """Inputs and targets of every segment, as tuples, row by row."""
    rows = zip(batch.inputs, batch.input_segments, batch.targets, batch.target_segments, strict=True)
    for inputs, input_numbers, targets, target_numbers in rows:
        assert input_numbers.max() == target_numbers.max() >= 1
        for number in range(1, input_numbers.max() + 1):
            yield tuple(inputs[input_numbers == number].tolist()), tuple(targets[target_numbers == number].tolist())


def test_packed_rows_hold_whole_pairs_numbered_from_the_left():
    pairs = {((*inputs, 1), (*targets, 1)) for task in LONG.values() for inputs, targets in task}
    batch = packed_feed().batch(2)
    for name in ("inputs", "input_segments"):
        assert getattr(batch, name).shape == (16, 64) and getattr(batch, name).dtype == np.int32
    for name in ("targets", "target_segments"):
        assert getattr(batch, name).shape == (16, 24) and getattr(batch, name).dtype == np.int32
    assert batch.prefix is None
    assert set(segments_of(batch)) <= pairs
    for tokens, numbers in ((batch.inputs, batch.input_segments), (batch.targets, batch.target_segments)):
        assert np.array_equal(tokens == 0, numbers == 0)
        steps = np.diff(numbers, axis=1)
        assert np.isin(steps[:, :1], [0, 1]).all()
        assert ((steps == 0) | (steps == 1) | (numbers[:, 1:] == 0)).all() and (numbers[:, 0] == 1).all()


def test_a_packed_batch_is_a_function_of_its_index_alone():
    ahead, straight = packed_feed(), packed_feed()
    rows_per_block = round((1 << 16) / ahead.examples_per_row)
    across = rows_per_block // 16  # this batch ends in the next block
    later = ahead.batch(across)
    for i in (0, 1, across - 1):
        straight.batch(i)
    for name in ("inputs", "targets", "input_segments", "target_segments"):
        assert np.array_equal(getattr(later, name), getattr(straight.batch(across), name))
    assert not np.array_equal(packed_feed(seed=4).batch(0).inputs, straight.batch(0).inputs)


def test_a_packed_block_draws_every_example_as_often_as_an_unpacked_one():
    feed = packed_feed(batch_size=64)
    rows_per_block = round((1 << 16) / feed.examples_per_row)
    assert feed.examples_per_row == (1 << 16) / rows_per_block
    seen = Counter()
    for i in range(2 * rows_per_block // 64):
        seen.update(segments_of(feed.batch(i)))
    counts = {name: [seen[(*inputs, 1), (*targets, 1)] for inputs, targets in LONG[name]] for name in LONG}
    for name, expected in feed.rates.items():
        assert sum(counts[name]) / sum(seen.values()) == pytest.approx(expected, rel=0.01)
        assert max(counts[name]) - min(counts[name]) <= 10  # the two blocks' epochs, and rows behind the last batch


def test_packed_batches_are_samples_of_the_mixture():
    feed = packed_feed(batch_size=64, rates={"cola": 1.0, "rte": 1.0})
    of_cola = [np.mean([inputs[0] < 10_000 for inputs, _ in segments_of(feed.batch(i))]) for i in range(20)]
    assert np.mean(of_cola) == pytest.approx(0.5, abs=0.03)
    assert np.std(of_cola) < 0.1


def test_the_fill_told_is_the_fill_found_and_nearly_full():
    feed = packed_feed(batch_size=64)
    one_block = [feed.batch(i) for i in range(int((1 << 16) / feed.examples_per_row / 64))]
    told = feed.fill()
    assert told["inputs"] == pytest.approx(np.mean([batch.inputs != 0 for batch in one_block]), abs=1e-3)
    assert told["targets"] == pytest.approx(np.mean([batch.targets != 0 for batch in one_block]), abs=1e-3)
    assert told["inputs"] > 0.97
    assert feed.steps_per_epoch == pytest.approx(190 / (64 * feed.examples_per_row))


def test_the_fill_of_one_example_per_row_is_its_mean_length():
    assert feed().fill() == {"inputs": pytest.approx(2 / 8), "targets": pytest.approx(3 / 4)}
