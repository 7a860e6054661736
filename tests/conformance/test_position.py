"""The bucket function in the forms that others call it in; the values are held in ``tests/t5core/model``."""

import json

import numpy as np
import pytest
import torch
from reference_cases import DATA

from t5core.model import relative_position_bucket

TABLES = json.loads((DATA / "relative_position.json").read_text())


@pytest.mark.parametrize("table", TABLES["tables"], ids=lambda t: f"{t['num_buckets']}-{t['bidirectional']}")
@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_offsets_come_in_any_form(table, kind):
    expected = [bucket for bucket, count in table["runs"] for _ in range(count)]
    offsets = kind(list(range(TABLES["first_offset"], TABLES["first_offset"] + len(expected))))
    buckets = relative_position_bucket(offsets, table["bidirectional"], table["num_buckets"], table["max_distance"])
    assert buckets.tolist() == expected
