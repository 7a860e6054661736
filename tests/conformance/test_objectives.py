"""Objectives against numbers computed by the T5 authors' released code (``objectives.jsonl``, ``splitting.jsonl``)."""

import numpy as np
import pytest
from reference_cases import cases

from t5core.config import ObjectiveConfig
from t5core.feeds import PretrainFeed
from t5core.objectives import (
    encode,
    random_spans_lengths,
    random_spans_noise_mask,
    reduce_concat_tokens,
    split_tokens,
)

TOKEN_FUNCTIONS = (
    "noise_span_to_unique_sentinel",
    "nonnoise_span_to_unique_sentinel",
    "noise_token_to_sentinel",
    "noise_span_to_sentinel",
    "nonnoise_span_to_sentinel",
    "drop_noise_tokens",
    "drop_nonnoise_tokens",
)


@pytest.mark.parametrize("case", cases("objectives.jsonl", *TOKEN_FUNCTIONS))
def test_token_functions_give_the_released_codes_tokens(case):
    out = encode(
        case["fn"], case["tokens"], case["noise_mask"], vocab_size=case["vocab_size"], extra_ids=case["extra_ids"]
    )
    assert out.tolist() == case["expected"]


@pytest.mark.parametrize("case", cases("objectives.jsonl", "random_spans_helper"))
def test_span_lengths_are_the_released_codes(case):
    assert case["extra_tokens_per_span_inputs"] == case["extra_tokens_per_span_targets"] == 1
    tokens_length, targets_length = random_spans_lengths(
        case["inputs_length"], case["noise_density"], case["mean_noise_span_length"]
    )
    assert {"tokens_length": tokens_length, "targets_length": targets_length} == case["expected"]


@pytest.mark.parametrize("case", cases("objectives.jsonl", "random_spans_noise_mask_counts"))
def test_span_masks_have_the_released_codes_counts_for_any_seed(case):
    for seed in range(50):
        mask = random_spans_noise_mask(
            case["length"], case["noise_density"], case["mean_noise_span_length"], np.random.default_rng(seed)
        )
        starts = mask & ~np.concatenate([[False], mask[:-1]])
        assert {"num_noise_tokens": mask.sum(), "num_noise_spans": starts.sum()} == case["expected"]


@pytest.mark.parametrize("case", cases("splitting.jsonl", "split_tokens"))
def test_texts_are_split_as_in_the_released_code(case):
    segments = split_tokens(case["tokens"], case["max_tokens_per_segment"])
    assert [segment.tolist() for segment in segments] == case["expected"]


@pytest.mark.parametrize("case", cases("splitting.jsonl", "reduce_concat_tokens"))
def test_documents_are_joined_as_in_the_released_code(case):
    joined = reduce_concat_tokens(case["documents"], case["batch_size"])
    assert [document.tolist() for document in joined] == case["expected"]


@pytest.mark.parametrize("case", cases("splitting.jsonl", "split_tokens"))
def test_documents_cut_alone_are_split_as_in_the_released_code(case):
    """Every token is repeated four times, as the feed drops pieces of fewer than 8 tokens."""
    tokens, length = np.repeat(case["tokens"], 4), 4 * case["max_tokens_per_segment"]
    feed = PretrainFeed(
        tokens,
        np.array([0, len(tokens)]),
        ObjectiveConfig(kind="deshuffling"),
        vocab_size=1000,
        num_sentinels=100,
        batch_size=len(case["expected"]),
        inputs_length=length,
    )
    tokens_BL, lengths_B = feed.raw(0)
    pieces = [row[:length].tolist() for row, length in zip(tokens_BL, lengths_B, strict=True)]
    assert sorted(pieces) == sorted(np.repeat(expected, 4).tolist() for expected in case["expected"])
