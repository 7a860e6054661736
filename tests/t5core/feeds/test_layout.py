import numpy as np
import pytest

from t5core.feeds.layout import NOWHERE, best_fit, in_rows

RNG = np.random.default_rng(0)
NEEDS = np.stack([RNG.integers(1, 60, 3000), RNG.integers(1, 9, 3000)], axis=1)
COLUMNS = np.array([64, 40])


def used(needs, rows, num_rows):
    return np.stack([np.bincount(rows, weights=column, minlength=num_rows) for column in needs.T], axis=1)


def test_examples_that_complete_each_other_share_a_row():
    rows, found = best_fit(np.array([[7, 1], [3, 1], [6, 1], [4, 1], [5, 1], [5, 1]]), np.array([10, 10]))
    assert found == 3
    assert sorted(sorted(np.flatnonzero(rows == row).tolist()) for row in range(3)) == [[0, 1], [2, 3], [4, 5]]


def test_no_row_is_overfull_in_either_feature_and_few_are_more_than_needed():
    rows, found = best_fit(NEEDS, COLUMNS)
    assert (used(NEEDS, rows, found) <= COLUMNS).all()
    assert found <= 1.04 * NEEDS[:, 0].sum() / 64
    other_way, found_too = best_fit(NEEDS[:, ::-1], COLUMNS[::-1])
    assert found_too == found and np.array_equal(other_way, rows)


def test_rows_get_full_where_either_feature_may_be_the_scarce_one():
    needs = np.stack([RNG.lognormal(3.4, 0.6, 9000), RNG.lognormal(3.4, 0.6, 9000)], axis=1).clip(2, 256).astype(int)
    _, found = best_fit(needs, np.array([256, 256]))
    assert found <= 1.12 * needs.sum(axis=0).max() / 256


def test_a_single_feature_is_packed_too_and_what_needs_nothing_goes_anywhere():
    rows, found = best_fit(np.array([[4], [6], [0], [10]]), np.array([10]))
    assert found == 2 and rows[0] == rows[1] != rows[3]


@pytest.mark.parametrize("more", [0, 1, 500, 1400])
def test_more_rows_are_made_by_halving_and_none_stays_empty(more):
    _, found = best_fit(NEEDS, COLUMNS)
    rows = in_rows(NEEDS, COLUMNS, found + more)
    assert set(rows) == set(range(found + more))
    assert (used(NEEDS, rows, found + more) <= COLUMNS).all()


def test_as_many_rows_as_examples_hold_one_each():
    assert sorted(in_rows(NEEDS, COLUMNS, len(NEEDS))) == list(range(len(NEEDS)))


def test_with_too_few_rows_the_emptiest_are_given_up():
    needs, columns = np.array([[9, 1], [9, 1], [2, 1]]), np.array([10, 10])
    rows = in_rows(needs, columns, 2)
    assert sorted(rows[:2]) == [0, 1] and rows[2] == NOWHERE
