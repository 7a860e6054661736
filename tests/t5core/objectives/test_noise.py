import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from t5core.objectives.noise import (
    iid_noise_mask,
    iid_noise_masks,
    random_prefix_noise_mask,
    random_spans_noise_mask,
    random_spans_noise_masks,
    span_counts,
)

densities = st.floats(0.01, 0.99)
means = st.floats(1, 20)


def runs(mask):
    """The mask as [(is noise, length), ...]."""
    return [(bool(value), len(list(group))) for value, group in itertools.groupby(mask)]


@given(length=st.integers(2, 300), density=densities, mean=means, seed=st.integers(0, 2**32))
def test_span_masks_have_exact_counts_start_kept_and_end_in_noise(length, density, mean, seed):
    mask = random_spans_noise_mask(length, density, mean, np.random.default_rng(seed))
    noise, spans = span_counts(np.array([length]), density, mean)
    assert mask.sum() == noise[0] == np.clip(np.round(np.float32(length) * np.float32(density)), 1, length - 1)
    parts = runs(mask)
    assert [value for value, _ in parts] == [False, True] * spans[0]


@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=8),
    extra=st.integers(0, 5),
    density=densities,
    mean=means,
    seed=st.integers(0, 2**32),
)
def test_rows_of_different_length_each_get_their_own_counts(lengths, extra, density, mean, seed):
    width = max(lengths) + extra
    masks = random_spans_noise_masks(np.array(lengths), width, density, mean, np.random.default_rng(seed))
    assert masks.shape == (len(lengths), width)
    noise, spans = span_counts(np.array(lengths), density, mean)
    for row, length in enumerate(lengths):
        assert not masks[row, length:].any()
        if length < 2:  # as in the released code: nothing to corrupt
            assert not masks[row].any()
        else:
            assert masks[row].sum() == noise[row]
            assert [value for value, _ in runs(masks[row, :length])] == [False, True] * spans[row]


@pytest.mark.parametrize("uniform_rows", [True, False])
def test_every_way_to_place_the_spans_is_equally_likely(uniform_rows):
    # 7 tokens, 3 noise in 2 spans: 2 ways to cut 3 noise tokens times 3 ways to cut 4 kept ones
    rows = 60_000
    lengths = np.full(rows, 7) if uniform_rows else np.concatenate([np.full(rows, 7), [12]])
    masks = random_spans_noise_masks(lengths, 12, 0.43, 1.5, np.random.default_rng(0))[:rows, :7]
    _, counts = np.unique(masks, axis=0, return_counts=True)
    assert len(counts) == 6
    assert np.abs(counts - rows / 6).max() < 5 * np.sqrt(rows * (1 / 6) * (5 / 6))


@pytest.mark.parametrize("density", [0, 0.0, -0.0])
def test_density_zero_corrupts_nothing(density):
    rng = np.random.default_rng(0)
    lengths = np.array([0, 1, 2, 10, 12])
    assert not random_spans_noise_masks(lengths, 12, density, 3.0, rng).any()
    assert not iid_noise_masks(lengths, 12, density, rng).any()
    assert [random_spans_noise_mask(length, density, 1.0, rng).tolist() for length in (0, 1, 3)] == [
        [],
        [False],
        [False] * 3,
    ]
    noise, spans = span_counts(lengths, density, 3.0)
    assert not noise.any() and not spans.any()


def test_a_density_that_rounds_to_no_token_corrupts_the_last_one():
    mask = random_spans_noise_mask(32, 1e-9, 3.0, np.random.default_rng(0))
    assert runs(mask) == [(False, 31), (True, 1)]
    assert [random_spans_noise_mask(length, 1e-9, 3.0, np.random.default_rng(0)).tolist() for length in (0, 1, 2)] == [
        [],
        [False],
        [False, True],
    ]


def test_density_one_leaves_a_span_mask_one_token_and_an_iid_mask_none():
    assert runs(random_spans_noise_mask(9, 1.0, 3.0, np.random.default_rng(0))) == [(False, 1), (True, 8)]
    assert iid_noise_mask(512, 1.0, np.random.default_rng(0)).all()


def test_spans_longer_than_the_text_are_one_span():
    mask = random_spans_noise_mask(20, 0.15, 100.0, np.random.default_rng(0))
    assert runs(mask) == [(False, 17), (True, 3)]


def test_more_spans_than_fit_are_cut_back():
    assert [c.tolist() for c in span_counts(np.array([10]), 0.9, 1.0)] == [[9], [1]]  # one kept token, one span
    assert [c.tolist() for c in span_counts(np.array([10]), 0.5, 1.0)] == [[5], [5]]
    assert runs(random_spans_noise_mask(10, 0.5, 1.0, np.random.default_rng(0))) == [(False, 1), (True, 1)] * 5


def test_counts_are_rounded_to_even():
    noise, _ = span_counts(np.array([10, 30, 50, 70]), 0.15, 3.0)  # 1.5, 4.5, 7.5, 10.5
    assert noise.tolist() == [2, 4, 8, 10]


@pytest.mark.parametrize("density", [0.1, 0.15, 0.25, 0.5])
def test_iid_noise_has_its_density_and_its_span_lengths(density):
    masks = iid_noise_masks(np.full(400, 512), 512, density, np.random.default_rng(0))
    total = masks.size
    assert abs(masks.mean() - density) < 5 * np.sqrt(density * (1 - density) / total)
    starts = masks[:, 1:] & ~masks[:, :-1]
    assert masks.sum() / starts.sum() == pytest.approx(1 / (1 - density), rel=0.02)


def test_iid_noise_stays_within_its_rows():
    masks = iid_noise_masks(np.array([0, 3, 10]), 10, 0.99, np.random.default_rng(0))
    assert not masks[0].any() and not masks[1, 3:].any() and masks[2].sum() >= 8


def test_a_prefix_mask_is_cut_anywhere_but_never_empty_on_either_side():
    cuts = [int(np.argmax(random_prefix_noise_mask(10, np.random.default_rng(seed)))) for seed in range(400)]
    assert set(cuts) == set(range(1, 10))
    mask = random_prefix_noise_mask(10, np.random.default_rng(3))
    assert runs(mask)[0][0] is False and len(runs(mask)) == 2


def test_one_text_is_a_batch_of_one():
    one = random_spans_noise_mask(100, 0.15, 3.0, np.random.default_rng(5))
    batch = random_spans_noise_masks(np.array([100]), 100, 0.15, 3.0, np.random.default_rng(5))
    assert (one == batch[0]).all()
    assert (
        iid_noise_mask(100, 0.15, np.random.default_rng(5))
        == iid_noise_masks(np.array([100]), 100, 0.15, np.random.default_rng(5))[0]
    ).all()
