import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t5core.errors import ConfigError
from t5core.mixing import GLUE_SIZES, PAPER_SIZES, SUPER_GLUE_SIZES, equal, leave_one_out, rates, share_rte
from t5core.tasks import get_task

SIZES = {"a": 100, "b": 1_000, "c": 100_000}


def test_the_limit_comes_before_the_temperature():
    got = rates(SIZES, maximum=400, temperature=2.0)
    assert got == pytest.approx({"a": 10 / 50, "b": 20 / 50, "c": 20 / 50})
    assert rates(SIZES, maximum=0) == rates(SIZES)
    assert rates(SIZES, temperature=1e6) == pytest.approx(equal(SIZES), rel=1e-4)


@given(
    st.dictionaries(st.text(), st.integers(0, 10**12), min_size=1).filter(lambda sizes: any(sizes.values())),
    st.none() | st.integers(0, 10**9),
    st.floats(1e-3, 1e3),
)
def test_rates_are_shares_that_keep_the_order_of_sizes(sizes, maximum, temperature):
    got = rates(sizes, maximum, temperature)
    assert math.fsum(got.values()) == pytest.approx(1.0) and all(0 <= rate <= 1 for rate in got.values())
    ordered = [got[name] for name in sorted(sizes, key=sizes.__getitem__)]
    assert ordered == sorted(ordered)
    assert all(got[name] == 0 for name, size in sizes.items() if size == 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "num_examples={}: give the size of at least one task"),
        (({"a": -1},), "num_examples.a=-1: give a number of examples"),
        (({"a": float("nan")},), "num_examples.a=nan"),
        (({"a": 0, "b": 0},), "give a size above 0"),
        ((SIZES, -5), "maximum=-5"),
        ((SIZES, None, 0.0), "temperature=0.0: give a number above 0"),
        ((SIZES, None, float("inf")), "temperature=inf"),
    ],
)
def test_what_cannot_be_mixed_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        rates(*arguments)


def test_a_group_is_left_out_as_one():
    rest = leave_one_out(PAPER_SIZES, "super_glue")
    assert set(PAPER_SIZES) - set(rest) == set(SUPER_GLUE_SIZES)
    assert set(leave_one_out(SIZES, "b")) == {"a", "c"}
    with pytest.raises(ConfigError, match=r"did you mean 'glue'"):
        leave_one_out(PAPER_SIZES, "gleu")
    with pytest.raises(ConfigError, match="no other task"):
        leave_one_out({"a": 1}, "a")


def test_rte_is_halved_where_both_benchmarks_are_mixed():
    shared = share_rte(PAPER_SIZES)
    assert shared["glue_rte"] == shared["super_glue_rte"] == 1245
    assert {name for name in PAPER_SIZES if shared[name] != PAPER_SIZES[name]} == {"glue_rte", "super_glue_rte"}
    assert share_rte(GLUE_SIZES) == dict(GLUE_SIZES)


def test_every_size_belongs_to_a_task_that_can_be_trained_on():
    for name in PAPER_SIZES:
        assert "train" in get_task(name).source.hub.splits
    assert sum(GLUE_SIZES.values()) == 949_101
