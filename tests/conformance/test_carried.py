"""Every open case that is carried here is carried whole and unaltered; skipped where the open folder is absent."""

import json

import pytest
from reference_cases import DATA, SHARED, rows

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared folder of open cases is not beside the repository"
)


@needs_shared
@pytest.mark.parametrize("name", ["objectives", "splitting", "schedules", "packing", "feature_converter"])
def test_rows_are_the_open_ones(name):
    assert rows(DATA / f"{name}.jsonl") == rows(SHARED / f"{name}.jsonl")


@needs_shared
def test_the_optimizers_cases_are_the_open_ones():
    assert json.loads((DATA / "adafactor.json").read_text()) == json.loads((SHARED / "adafactor.json").read_text())


@needs_shared
def test_the_bucket_tables_are_the_open_ones_in_runs():
    carried = json.loads((DATA / "relative_position.json").read_text())
    opened = json.loads((SHARED / "relative_position.json").read_text())
    for mine, theirs in zip(carried["tables"], opened["tables"], strict=True):
        buckets = [bucket for bucket, count in mine["runs"] for _ in range(count)]
        assert buckets == theirs["expected"]
        assert [carried["first_offset"] + i for i in range(len(buckets))] == opened["offsets"]
        for name in ("num_buckets", "max_distance", "bidirectional"):
            assert mine[name] == theirs[name]
