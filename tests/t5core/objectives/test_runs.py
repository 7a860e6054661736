"""Copying runs gives the bits that masks and encodings give."""

import numpy as np
import pytest

from t5core.config import ObjectiveConfig
from t5core.objectives import corrupt_batch, encode_batch, lengths
from t5core.objectives.corruption import finish
from t5core.objectives.noise import random_span_cuts, random_spans_noise_masks, random_subsets, span_masks
from t5core.objectives.runs import fits

VOCAB = 32_100


def by_masks(objective, tokens, inputs_length, targets_length, extra_ids, seed):
    rng = np.random.default_rng(seed)
    row_lengths = np.full(len(tokens), tokens.shape[1])
    density, mean = objective.noise_density, objective.mean_noise_span_length
    noise = random_spans_noise_masks(row_lengths, tokens.shape[1], density, mean, rng)
    sides = (("noise_span_to_unique_sentinel", inputs_length), ("nonnoise_span_to_unique_sentinel", targets_length))
    for fn, width in sides:
        ids, sizes = encode_batch(fn, tokens, noise, row_lengths, vocab_size=VOCAB, extra_ids=extra_ids)
        yield finish(ids, sizes, width)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
@pytest.mark.parametrize(
    ("density", "mean", "inputs_length", "extra_ids"),
    [(0.15, 3.0, 512, 100), (0.15, 10.0, 64, 100), (0.5, 1.0, 40, 100), (0.5, 1.5, 512, 100), (0.3, 2.0, 17, 3)],
)
def test_both_ways_give_the_same_bits(density, mean, inputs_length, extra_ids, dtype):
    objective = ObjectiveConfig(noise_density=density, mean_noise_span_length=mean)
    size = lengths(objective, inputs_length)
    tokens = np.random.default_rng(1).integers(3, 32_000, (7, size.raw_tokens)).astype(dtype)
    for extra in (0, 5, -2):  # as long as needed, longer, and too short: then rows are cut
        widths = size.inputs + extra, size.targets + extra
        pair = corrupt_batch(
            objective,
            tokens,
            np.full(7, size.raw_tokens),
            vocab_size=VOCAB,
            extra_ids=extra_ids,
            inputs_length=widths[0],
            targets_length=widths[1],
            rng=np.random.default_rng(4),
        )
        for found, expected in zip(pair, by_masks(objective, tokens, *widths, extra_ids, 4), strict=True):
            assert found.dtype == np.int32
            assert np.array_equal(found, expected)


def test_runs_are_copied_where_nothing_has_to_be_cut():
    rng = np.random.default_rng(0)
    cuts = random_span_cuts(np.full(3, 568), 0.15, 3.0, rng)
    assert fits(cuts, 512, 114) and fits(cuts, 600, 200)
    assert not fits(cuts, 511, 114) and not fits(cuts, 512, 113)


def test_very_long_rows_are_cut_at_places_drawn_from_all_of_them():
    row_lengths = np.full(40, 20_000)
    cuts = random_span_cuts(row_lengths, 0.15, 3.0, np.random.default_rng(0))
    for cuts_BS, total in zip(cuts, (17_000, 3000), strict=True):
        assert (np.diff(cuts_BS) >= 1).all() and (cuts_BS[:, -1] == total).all()
        assert cuts_BS.shape == (40, 1001)
        assert cuts_BS[:, 500].mean() == pytest.approx(total / 2, rel=0.02)
    assert (span_masks(row_lengths, 20_000, cuts).sum(axis=1) == 3000).all()


@pytest.mark.parametrize("size", [5, 40])  # by keys, and by drawing more than needed
def test_every_subset_comes_equally_often(size):
    chosen = random_subsets(100_000, size, 2, np.random.default_rng(5))
    ways, counts = np.unique(chosen, axis=0, return_counts=True)
    assert (np.diff(chosen) > 0).all() and len(ways) == size * (size - 1) // 2
    expected = 100_000 / len(ways)
    assert np.sum((counts - expected) ** 2) / expected < len(ways) + 4 * np.sqrt(2 * len(ways))  # chi squared


def test_rows_whose_draws_repeat_too_much_are_drawn_anew():
    class FewPlaces:
        """Draws the same place again and again at first."""

        def __init__(self):
            self.rng = np.random.default_rng(0)

        def random(self, shape):
            drawn = self.rng.random(shape)
            drawn[3] = 0.5
            return drawn

        def integers(self, *arguments, **options):
            return self.rng.integers(*arguments, **options)

    chosen = random_subsets(6, 400, 20, FewPlaces())
    assert chosen.shape == (6, 20) and (np.diff(chosen) > 0).all()


def test_every_way_to_cut_comes_equally_often():
    # 6 kept and 3 noise tokens, in 3 spans
    kept_cuts, _ = random_span_cuts(np.full(60_000, 9), 0.34, 1.0, np.random.default_rng(3))
    ways, counts = np.unique(kept_cuts, axis=0, return_counts=True)
    assert len(ways) == 10  # 2 of 5 places
    assert counts.min() > 0.96 * 6000 and counts.max() < 1.04 * 6000
