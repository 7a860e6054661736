"""Exchange files: what each part wrote for a bucket, and nothing of a part that did not end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t5core.corpora import spill
from t5core.corpora.spill import Spill, bucket_array, bucket_of, extents

RECORD = np.dtype([("value", "<u4"), ("part", "u1")])


@settings(deadline=None, max_examples=40)
@given(
    parts=st.lists(st.lists(st.integers(0, 6), max_size=60), max_size=4),
    held=st.sampled_from([1, 40, 1 << 20]),
)
def test_a_bucket_has_what_all_parts_wrote_for_it_in_order(tmp_path_factory, parts, held):
    folder = tmp_path_factory.mktemp("spill")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "_HELD_BYTES", held)
        for number, buckets in enumerate(parts):
            with Spill(folder, f"{number}", 7) as out:
                for value, bucket in enumerate(buckets):
                    out.add(bucket, np.array([(value, number)], RECORD).tobytes())
    assert len(list(folder.iterdir())) == len(parts)
    for bucket in range(7):
        wanted = [(value, n) for n, buckets in enumerate(parts) for value, b in enumerate(buckets) if b == bucket]
        assert bucket_array(folder, bucket, RECORD).tolist() == wanted


def test_lines_are_found_again_by_where_they_begin(tmp_path, monkeypatch):
    monkeypatch.setattr(spill, "_HELD_BYTES", 8)
    with Spill(tmp_path, "a", 2) as out:
        for number in range(9):
            out.add(number % 2, b"line %d\n" % number)
    found = [(extent.path, start, line) for extent in extents(tmp_path, 1) for start, line in extent.lines()]
    assert [line for _, _, line in found] == [b"line 1\n", b"line 3\n", b"line 5\n", b"line 7\n"]
    for path, start, line in found:
        assert path.read_bytes()[start : start + len(line)] == line


def test_a_part_that_failed_is_replaced_by_its_next_try(tmp_path):
    with pytest.raises(KeyError), Spill(tmp_path, "a", 3) as out:
        out.add(1, b"lost")
        raise KeyError
    with Spill(tmp_path, "a", 3) as out:
        out.add(1, b"kept")
    (extent,) = extents(tmp_path, 1)
    assert extent.path.read_bytes()[extent.start : extent.end] == b"kept"
    assert extents(tmp_path, 0) == [] and extents(tmp_path / "absent", 0) == []


def test_buckets_follow_the_order_of_keys():
    random = np.random.default_rng(0)
    keys = sorted(random.bytes(12) for _ in range(1000))
    buckets = [bucket_of(key, 5) for key in keys]
    assert buckets == sorted(buckets) and set(buckets) == set(range(5))
