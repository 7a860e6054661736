import numpy as np
import pytest

from t5core.errors import ConfigError, DataError
from t5core.feeds import convert, pack
from t5core.feeds.pack import shifted_right


def lists(row):
    return {name: array.tolist() for name, array in row.items()}


def test_an_example_opens_a_row_when_one_of_its_features_does_not_fit():
    examples = [{"inputs": [5, 1], "targets": [6, 7, 1]}, {"inputs": [8, 1], "targets": [9, 1]}]
    assert len(pack(examples, {"inputs": 4, "targets": 5})) == 1
    assert len(pack(examples, {"inputs": 4, "targets": 4})) == 2
    assert len(pack(examples, {"inputs": 3, "targets": 5})) == 2


def test_a_closed_row_is_not_opened_again():
    rows = pack([{"a": [2, 2, 2]}, {"a": [3, 3, 3]}, {"a": [4]}], {"a": 5})
    assert [row["a"].tolist() for row in rows] == [[2, 2, 2, 0, 0], [3, 3, 3, 4, 0]]


def test_packing_starts_afresh_after_as_many_examples_as_the_longest_feature_has_columns():
    rows = pack([{"a": [n + 2]} for n in range(5)] + [{"a": [9, 9]}] * 3, {"a": 4})
    assert [row["a_segment_ids"].tolist() for row in rows] == [[1, 2, 3, 4], [1, 2, 2, 0], [1, 1, 2, 2]]


def test_any_number_of_features_is_packed_together():
    (row,) = pack([{"a": [2], "b": [3, 4], "c": [5]}, {"a": [6, 7], "b": [8], "c": [9]}], {"a": 3, "b": 3, "c": 3})
    assert lists(row)["a"] == [2, 6, 7]
    assert lists(row)["b_positions"] == [0, 1, 0]
    assert lists(row)["c_segment_ids"] == [1, 2, 0]


def test_an_example_has_one_number_in_all_features_even_where_one_is_empty():
    examples = [{"inputs": [], "targets": [4, 1]}, {"inputs": [2, 3], "targets": [5]}, {"inputs": [6], "targets": []}]
    (row,) = pack(examples, {"inputs": 4, "targets": 4})
    assert lists(row)["inputs_segment_ids"] == [2, 2, 3, 0]
    assert lists(row)["targets_segment_ids"] == [1, 1, 2, 0]


def test_padding_at_the_end_is_not_packed_and_a_zero_inside_cuts_nothing_off():
    (row,) = pack([{"a": [8, 7, 1, 0]}, {"a": [5, 0, 6]}], {"a": 8})
    assert lists(row) == {
        "a": [8, 7, 1, 5, 0, 6, 0, 0],
        "a_segment_ids": [1, 1, 1, 2, 2, 2, 0, 0],
        "a_positions": [0, 1, 2, 0, 1, 2, 0, 0],
    }


def test_examples_without_tokens_leave_no_trace():
    assert pack([], {"a": 4}) == []
    assert pack([{"a": []}, {"a": [0, 0]}], {"a": 4}) == []
    (row,) = pack([{"a": [3]}, {"a": []}, {"a": [4]}], {"a": 4})
    assert lists(row)["a_segment_ids"] == [1, 2, 0, 0]


def test_features_without_a_length_are_dropped_and_arrays_are_taken():
    (row,) = pack([{"a": np.array([3, 4], dtype=np.int64), "idx": 7}], {"a": 3})
    assert set(row) == {"a", "a_segment_ids", "a_positions"}
    assert row["a"].dtype == np.int32


def test_bad_input_is_named():
    with pytest.raises(ConfigError, match=r"lengths\[a\]=0"):
        pack([], {"a": 0})
    with pytest.raises(ConfigError, match="lengths"):
        pack([], {})
    with pytest.raises(DataError, match=r"examples\[1\].*there is no b"):
        pack([{"a": [3], "b": [3]}, {"a": [3]}], {"a": 4, "b": 4})
    with pytest.raises(DataError, match="one row of ids"):
        pack([{"a": [[3]]}], {"a": 4})
    with pytest.raises(ConfigError, match="targets"):
        convert([], {"inputs": 4})


def test_the_decoders_input_starts_every_segment_with_0():
    targets = np.array([[3, 8, 1, 9, 1, 5, 4, 1, 0, 0]], dtype=np.int32)
    segments = np.array([[1, 1, 1, 2, 2, 3, 3, 3, 0, 0]], dtype=np.int32)
    assert shifted_right(targets, segments).tolist() == [[0, 3, 8, 0, 9, 0, 5, 4, 0, 0]]
    assert shifted_right(targets).tolist() == [[0, 3, 8, 1, 9, 1, 5, 4, 1, 0]]


def test_random_examples_come_out_whole_in_order_and_in_one_segment_each():
    rng = np.random.default_rng(0)
    examples = [
        {name: rng.integers(2, 99, rng.integers(1, top)).tolist() for name, top in (("inputs", 14), ("targets", 6))}
        for _ in range(200)
    ]
    lengths = {"inputs": 32, "targets": 12}
    found = []
    for row in pack(examples, lengths):
        for number in range(1, row["inputs_segment_ids"].max() + 1):
            found.append({name: row[name][row[f"{name}_segment_ids"] == number].tolist() for name in lengths})
            for name in lengths:
                positions = row[f"{name}_positions"][row[f"{name}_segment_ids"] == number]
                assert positions.tolist() == list(range(len(found[-1][name])))
    assert found == examples
