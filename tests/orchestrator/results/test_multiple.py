"""Marks are given by all differences of a table together."""

import pytest

from orchestrator.results.multiple import all_pairs, holm, shared_ranks, told
from orchestrator.results.significance import Difference


def test_holm_holds_each_p_value_against_what_is_left_of_the_level():
    p_values = {"a": 0.01, "b": 0.04, "c": 0.0125, "d": None, "e": 0.03}
    assert holm(p_values, 0.05) == {"a": True, "c": True, "e": False, "b": False, "d": None}  # .0125 .0166 .025
    assert holm({"a": 0.013, "b": 0.001, "c": 0.001, "d": 0.001}, 0.05) == dict.fromkeys("abcd", True)
    assert holm({}) == {}


def test_a_mark_takes_more_the_more_marks_there_are():
    one = Difference(value=2.5, sd=1.0)
    assert told({0: one})[0].mark == "▲"
    assert {d.mark for d in told(dict.fromkeys(range(20), one), 0.05).values()} == {"≈"}


@pytest.mark.parametrize(
    ("difference", "mark"),
    [
        (Difference(value=5.0, sd=1.0), "▲"),
        (Difference(value=-5.0, sd=1.0), "▼"),
        (Difference(value=-5.0, sd=1.0, better=-1), "▲"),
        (Difference(value=5.0, sd=1.0, better=-1, borrowed=True), "▼?"),
        (Difference(value=0.5, sd=1.0, borrowed=True), "≈?"),
        (Difference(value=5.0, sd=1.0, degrees=1.0), "≈"),
        (Difference(value=5.0), "?"),
        (Difference(value=5.0, sd=0.0), "?"),
        (Difference(value=0.0, sd=0.0), "≈"),
    ],
)
def test_marks(difference, mark):
    assert told({0: difference})[0].mark == mark


def test_the_smallest_difference_is_told_in_four_of_five_cases():
    from scipy.stats import norm

    smallest = Difference(value=1.0, sd=2.0).smallest(0.01)
    assert smallest == pytest.approx(2 * (2.5758 + 0.8416), rel=1e-4)
    assert norm.sf(2.5758 - smallest / 2) == pytest.approx(0.8, abs=1e-3)
    assert Difference(value=1.0).smallest(0.05) is None


def ranked(sd, **values):
    order = sorted(values, key=lambda name: -values[name])
    pairs = all_pairs(order, lambda a, b: Difference(value=values[a] - values[b], sd=sd))
    return shared_ranks(order, pairs)


def test_rows_that_cannot_be_told_from_the_leader_share_its_rank():
    ranks = ranked(1.0, a=60.0, b=59.5, c=55.0, d=54.9)
    assert ranks == {"a": (1, True, True), "b": (1, True, True), "c": (3, True, True), "d": (3, True, True)}


def test_without_known_noise_ranks_are_said_not_to_be_known():
    assert ranked(None, a=60.0, b=59.5, c=59.5) == {
        "a": (1, False, False),
        "b": (2, True, False),
        "c": (2, True, False),
    }
