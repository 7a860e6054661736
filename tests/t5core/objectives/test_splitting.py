import numpy as np
import pytest

from t5core.errors import ConfigError
from t5core.objectives import reduce_concat_tokens, split_tokens


def lists(arrays):
    return [array.tolist() for array in arrays]


def test_the_last_segment_is_what_is_left():
    assert lists(split_tokens(np.arange(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert lists(split_tokens([5, 6], 3)) == [[5, 6]]
    assert split_tokens([], 3) == []


def test_joining_drops_padding_wherever_it_stands():
    assert lists(reduce_concat_tokens([[0, 3, 0, 4, 0], [], [5]])) == [[3, 4, 5]]
    assert lists(reduce_concat_tokens([[n + 1] for n in range(5)], 2)) == [[1, 2], [3, 4], [5]]
    assert reduce_concat_tokens([], 2) == []


def test_lengths_below_1_are_refused():
    with pytest.raises(ConfigError, match="max_tokens_per_segment=0"):
        split_tokens([1], 0)
    with pytest.raises(ConfigError, match="batch_size=0"):
        reduce_concat_tokens([[1]], 0)
