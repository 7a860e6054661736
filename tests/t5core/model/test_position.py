"""Relative position buckets against a table computed by the T5 authors' released code.

The table holds runs of equal buckets, ``[bucket, count]``, over the offsets from ``first_offset`` up.
"""

import json
from pathlib import Path

import pytest
import torch

from t5core.model import relative_position_bucket
from t5core.model.kernels import expanded
from t5core.model.position import PositionBias

GOLDEN = json.loads((Path(__file__).parents[2] / "conformance" / "data" / "relative_position.json").read_text())


@pytest.mark.parametrize(
    "table", GOLDEN["tables"], ids=lambda t: f"{t['num_buckets']}-{t['max_distance']}-{t['bidirectional']}"
)
def test_buckets_are_the_released_codes_at_every_offset(table):
    expected = [bucket for bucket, count in table["runs"] for _ in range(count)]
    offsets = torch.arange(len(expected)) + GOLDEN["first_offset"]
    buckets = relative_position_bucket(offsets, table["bidirectional"], table["num_buckets"], table["max_distance"])
    assert buckets.tolist() == expected
    assert buckets.dtype == torch.int64


def test_the_drawing_in_the_docstring_is_true():
    offsets = torch.tensor([-9, -8, -7, -1, 0, 1, 7, 8, 9])
    assert relative_position_bucket(offsets).tolist() == [8, 8, 7, 1, 0, 17, 23, 24, 24]


def test_a_stack_that_looks_back_puts_all_that_is_ahead_into_bucket_0():
    buckets = relative_position_bucket(torch.arange(-40, 300), bidirectional=False)
    assert buckets[40:].eq(0).all()
    assert buckets[:40].min() > 0
    assert relative_position_bucket(torch.tensor([-10_000]), bidirectional=False).item() == 31


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_bias_is_one_number_per_head_and_offset(bidirectional):
    bias = PositionBias(32, 128, 3)
    torch.nn.init.normal_(bias.weight)
    offsets_HR = bias(5, 9, bidirectional=bidirectional)
    assert offsets_HR.shape == (3, 13)
    bias_1HQK = expanded(offsets_HR, 5, 9)
    assert bias_1HQK.shape == (1, 3, 5, 9)
    for query, key in [(0, 0), (4, 0), (0, 8), (2, 3)]:
        bucket = relative_position_bucket(torch.tensor(key - query), bidirectional)
        assert torch.equal(bias_1HQK[0, :, query, key], bias.weight[bucket])


def test_what_decoding_looked_up_first_training_may_use():
    bias = PositionBias(32, 128, 3)
    with torch.inference_mode():
        bias(4, 4, bidirectional=False)
    bias(4, 4, bidirectional=False).sum().backward()
    assert bias.weight.grad[0, 0] == 4  # the offsets 0 to 3 ahead share a bucket


def test_buckets_of_a_tensor_are_worked_out_where_it_is_whatever_the_default_device():
    with torch.device("meta"):
        buckets = relative_position_bucket(torch.tensor([-1, 0, 1], device="cpu"))
    assert buckets.tolist() == [1, 0, 17]
