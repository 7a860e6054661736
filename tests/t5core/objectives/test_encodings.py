import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from t5core.errors import ConfigError
from t5core.objectives.encodings import (
    encode,
    encode_batch,
    noise_token_to_random_token_or_sentinel,
    permute,
)

VOCAB, SENTINELS = 1000, 100
FUNCTIONS = (
    "noise_span_to_unique_sentinel",
    "nonnoise_span_to_unique_sentinel",
    "noise_token_to_sentinel",
    "noise_span_to_sentinel",
    "nonnoise_span_to_sentinel",
    "drop_noise_tokens",
    "drop_nonnoise_tokens",
)
texts = st.lists(st.tuples(st.integers(3, VOCAB - SENTINELS - 1), st.booleans()), max_size=80)


def naive(fn, tokens, noise, sentinels=SENTINELS):
    """Token by token, straight from the descriptions."""
    replace_noise = not (fn.startswith("nonnoise") or fn == "drop_nonnoise_tokens")
    out, spans, before = [], 0, False
    for token, is_noise in zip(tokens, noise, strict=True):
        replaced = is_noise == replace_noise
        if not replaced:
            out.append(token)
        elif fn == "noise_token_to_sentinel":
            out.append(VOCAB - 1)
        elif not fn.startswith("drop") and not before:
            spans += 1
            out.append(VOCAB - (min(spans, sentinels) if "unique" in fn else 1))
        before = replaced
    return out


@pytest.mark.parametrize("fn", FUNCTIONS)
@given(rows=st.lists(texts, min_size=1, max_size=6), extra=st.integers(0, 4))
def test_a_batch_equals_the_naive_loop_over_each_row(fn, rows, extra):
    lengths = np.array([len(row) for row in rows])
    width = max(lengths.max() + extra, 1)
    # what stands behind a row's end must not matter
    tokens, noise = np.full((len(rows), width), 7), np.ones((len(rows), width), dtype=bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = [token for token, _ in row]
        noise[i, : len(row)] = [is_noise for _, is_noise in row]
    out, out_lengths = encode_batch(fn, tokens, noise, lengths, vocab_size=VOCAB, extra_ids=SENTINELS)
    assert out.dtype == np.int32
    for i, row in enumerate(rows):
        expected = naive(fn, [token for token, _ in row], [is_noise for _, is_noise in row])
        assert out[i, : out_lengths[i]].tolist() == expected


def rebuilt(inputs, targets, sentinels):
    """Lays kept runs (from the inputs) and noise runs (from the targets) out in turns, by order alone."""

    def parts(ids):
        split = [[]]
        for token in ids:
            if token >= VOCAB - sentinels:
                split.append([])
            else:
                split[-1].append(token)
        return split

    kept, noise = parts(inputs), parts(targets)
    # a side that starts with a sentinel has an empty first part, and the other side starts the text
    first, second = (noise, kept) if targets and not kept[0] else (kept, noise)
    turns = [first[0], *itertools.chain(*itertools.zip_longest(second[1:], first[1:], fillvalue=[]))]
    return list(itertools.chain(*turns))


@given(text=texts, sentinels=st.sampled_from([1, 3, 100]))
def test_inputs_and_targets_together_rebuild_the_text_however_few_sentinels(text, sentinels):
    tokens, noise = [token for token, _ in text], [is_noise for _, is_noise in text]
    inputs = encode("noise_span_to_unique_sentinel", tokens, noise, vocab_size=VOCAB, extra_ids=sentinels)
    targets = encode("nonnoise_span_to_unique_sentinel", tokens, noise, vocab_size=VOCAB, extra_ids=sentinels)
    assert rebuilt(inputs.tolist(), targets.tolist(), sentinels) == tokens


@given(text=texts)
def test_dropped_and_kept_tokens_are_all_tokens(text):
    tokens, noise = [token for token, _ in text], [is_noise for _, is_noise in text]
    kept = iter(encode("drop_noise_tokens", tokens, noise, vocab_size=VOCAB).tolist())
    dropped = iter(encode("drop_nonnoise_tokens", tokens, noise, vocab_size=VOCAB).tolist())
    assert [next(dropped if is_noise else kept) for is_noise in noise] == tokens
    assert next(kept, None) is None and next(dropped, None) is None


def test_spans_beyond_the_last_sentinel_share_it():
    tokens, noise = list(range(10, 20)), [0, 1] * 5
    out = encode("noise_span_to_unique_sentinel", tokens, noise, vocab_size=100, extra_ids=3)
    assert out.tolist() == [10, 99, 12, 98, 14, 97, 16, 97, 18, 97]


def test_without_a_number_of_sentinels_ids_go_on_downwards_as_in_the_released_code():
    out = encode("noise_span_to_unique_sentinel", list(range(10, 20)), [0, 1] * 5, vocab_size=100)
    assert out.tolist() == [10, 99, 12, 98, 14, 97, 16, 96, 18, 95]


def test_an_unknown_function_is_named_with_its_neighbour():
    with pytest.raises(ConfigError, match=r"fn='drop_noise_token'.*did you mean 'drop_noise_tokens'"):
        encode("drop_noise_token", [3], [1], vocab_size=100)


@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_permuting_keeps_each_rows_tokens_and_its_padding(lengths, seed):
    tokens = np.arange(len(lengths) * 30).reshape(len(lengths), 30)
    out = permute(tokens, np.array(lengths), np.random.default_rng(seed))
    for row, length in enumerate(lengths):
        assert sorted(out[row, :length]) == tokens[row, :length].tolist()
        assert (out[row, length:] == tokens[row, length:]).all()


def test_permutations_are_uniform():
    out = permute(np.tile(np.arange(3), (60_000, 1)), np.full(60_000, 3), np.random.default_rng(0))
    _, counts = np.unique(out, axis=0, return_counts=True)
    assert len(counts) == 6
    assert np.abs(counts - 10_000).max() < 500


def test_a_tenth_of_the_masked_tokens_becomes_a_random_ordinary_piece():
    tokens = np.full((200, 500), 5)
    noise = np.random.default_rng(1).random(tokens.shape) < 0.5
    out = noise_token_to_random_token_or_sentinel(
        tokens,
        noise,
        random_fraction=0.1,
        vocab_size=VOCAB,
        extra_ids=SENTINELS,
        rng=np.random.default_rng(0),
    )
    assert (out[~noise] == 5).all()
    drawn = out[noise][out[noise] != VOCAB - 1]
    assert len(drawn) / noise.sum() == pytest.approx(0.1, abs=0.01)
    assert drawn.min() >= 3 and drawn.max() < VOCAB - SENTINELS and len(np.unique(drawn)) > 800
