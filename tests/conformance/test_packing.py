"""Packing against rows computed by seqio (``data/packing.jsonl``, ``data/feature_converter.jsonl``)."""

import numpy as np
import pytest
from reference_cases import cases

from t5core.feeds import convert, pack


def as_lists(rows):
    assert all(array.dtype == np.int32 for row in rows for array in row.values())
    return [{name: array.tolist() for name, array in row.items()} for row in rows]


@pytest.mark.parametrize("case", cases("packing.jsonl", "trim_and_pack_dataset"))
def test_examples_are_packed_as_by_the_reference(case):
    assert as_lists(pack(case["examples"], case["feature_lengths"])) == case["expected"]


@pytest.mark.parametrize("case", cases("feature_converter.jsonl", "enc_dec_feature_converter"))
def test_pairs_become_the_references_model_features(case):
    rows = convert(case["examples"], case["feature_lengths"], packed=case["pack"])
    assert as_lists(rows) == case["expected"]
