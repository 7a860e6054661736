import itertools
import subprocess
import sys

import numpy as np
import pytest

from t5core.config import ObjectiveConfig
from t5core.errors import ConfigError, DataError
from t5core.feeds import PretrainFeed

KINDS = ("prefix_lm", "bert_style", "deshuffling", "mass_style", "replace_spans", "drop_tokens")
SPAN = ObjectiveConfig(mean_noise_span_length=3.0)


def corpus(documents=60, seed=0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 200, documents)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return rng.integers(3, 900, offsets[-1]).astype(np.uint16), offsets


def feed(objective=SPAN, *, seed=5, batch_size=8, inputs_length=32, data=None, **kwargs):
    tokens, offsets = data or corpus()
    return PretrainFeed(
        tokens,
        offsets,
        objective,
        vocab_size=1000,
        num_sentinels=100,
        batch_size=batch_size,
        inputs_length=inputs_length,
        seed=seed,
        **kwargs,
    )


def same(a, b):
    return (a.inputs == b.inputs).all() and (a.targets == b.targets).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_the_same_by_jumping_and_by_walking(kind):
    walking = feed(ObjectiveConfig(kind=kind))
    walked = [walking.batch(i) for i in range(60)]
    jumped = feed(ObjectiveConfig(kind=kind))
    for i in (59, 0, 31, 59):
        assert same(jumped.batch(i), walked[i])
    assert not same(walked[0], walked[1])


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from t5core.config import ObjectiveConfig
from t5core.feeds import PretrainFeed, TokenStore
store = TokenStore.open(Path(sys.argv[1]), "train")
feed = PretrainFeed(store.tokens, store.offsets, ObjectiveConfig(mean_noise_span_length=3.0), vocab_size=1000,
                    num_sentinels=100, batch_size=8, inputs_length=32, seed=5)
batch = feed.batch(1_000_003)
sys.stdout.buffer.write(batch.inputs.tobytes() + batch.targets.tobytes())
"""


def test_a_new_process_that_maps_the_stored_tokens_gives_the_same_bits(tmp_path):
    tokens, offsets = corpus()
    np.save(tmp_path / "train.tokens.npy", tokens)
    np.save(tmp_path / "train.offsets.npy", offsets)
    out = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, check=True).stdout
    batch = feed(data=(tokens, offsets)).batch(1_000_003)
    assert out == batch.inputs.tobytes() + batch.targets.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_batch_has_the_same_shape_and_type(kind):
    objective = ObjectiveConfig(kind=kind)
    source = feed(objective)
    for i in (0, 7, 123):
        batch = source.batch(i)
        assert batch.inputs.shape == (8, 32) and batch.targets.shape == (8, source.lengths.targets)
        assert batch.inputs.dtype == batch.targets.dtype == np.int32
        assert ((batch.inputs == 1).sum(axis=1) == 1).all() and ((batch.targets == 1).sum(axis=1) == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_reads_every_segment_once_in_an_order_of_its_own(kind):
    source = feed(ObjectiveConfig(kind=kind), batch_size=1)
    orders = []
    for epoch in range(2):
        rows = [source.raw(epoch * source.num_segments + i) for i in range(source.num_segments)]
        orders.append([tuple(tokens[0, : lengths[0]].tolist()) for tokens, lengths in rows])
    assert sorted(orders[0]) == sorted(orders[1]) and orders[0] != orders[1]
    assert len(set(orders[0])) == source.num_segments


def test_a_batch_may_span_several_epochs():
    tokens = np.arange(3, 103)
    source = feed(ObjectiveConfig(kind="mass_style"), data=(tokens, np.array([0, 100])), batch_size=16)
    assert source.num_segments == 3 and source.steps_per_epoch == 3 / 16
    starts = source.raw(0)[0][:15, 0].reshape(5, 3)
    assert (np.sort(starts, axis=1) == [3, 35, 67]).all()


def test_joined_segments_run_over_document_ends_and_drop_the_rest():
    source = feed(SPAN)
    tokens, _ = corpus()
    raw = source.lengths.raw_tokens
    assert source.num_segments == len(tokens) // raw
    rows = np.concatenate([source.raw(i)[0] for i in range(source.num_segments // 8)])
    stream = {tuple(tokens[i * raw : (i + 1) * raw].tolist()) for i in range(source.num_segments)}
    assert {tuple(row.tolist()) for row in rows} <= stream


def test_documents_cut_alone_stay_alone_and_lose_only_short_pieces():
    tokens, offsets = corpus()
    source = feed(ObjectiveConfig(kind="prefix_lm"), batch_size=1)
    expected = set()
    for start, end in itertools.pairwise(offsets):
        pieces = [tokens[i : min(i + 32, end)] for i in range(start, end, 32)]
        expected |= {tuple(piece.tolist()) for piece in pieces if len(piece) >= 8}
    got = set()
    for i in range(source.num_segments):
        tokens_BL, lengths_B = source.raw(i)
        got.add(tuple(tokens_BL[0, : lengths_B[0]].tolist()))
    assert got == expected


def test_seed_changes_order_and_noise():
    assert not same(feed(seed=1).batch(0), feed(seed=2).batch(0))


def test_sizes_are_counted():
    source = feed(SPAN, batch_size=128, inputs_length=512, data=(np.full(600_000, 5), np.array([0, 600_000])))
    assert source.lengths.raw_tokens == 568 and source.tokens_per_batch == 2**16
    assert source.raw_tokens_per_batch == 128 * 568
    assert source.num_segments == 600_000 // 568


def test_given_targets_length_is_kept():
    assert feed(SPAN, targets_length=20).batch(0).targets.shape == (8, 20)


@pytest.mark.parametrize("kind", ["replace_spans", "prefix_lm"])
def test_too_little_text_is_said_in_one_line(kind):
    with pytest.raises(DataError, match=r"tokens=5: .*not enough text for one segment"):
        feed(ObjectiveConfig(kind=kind), data=(np.arange(5), np.array([0, 5])))


def test_a_negative_seed_is_refused():
    with pytest.raises(ConfigError, match="seed=-1"):
        feed(seed=-1)
