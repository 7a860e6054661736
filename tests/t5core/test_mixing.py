import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t5core.config import MixtureConfig, TaskWeight
from t5core.errors import ConfigError
from t5core.mixing import (
    GLUE_SIZES,
    PAPER_MAXIMUMS,
    PAPER_SIZES,
    PAPER_TEMPERATURES,
    UNSUPERVISED,
    equal,
    mixture_rates,
    rates,
    share_rte,
    size_between,
)
from t5core.tasks import get_task

SIZES = {"a": 100, "b": 1_000, "c": 100_000}


def weights(**given):
    return tuple(TaskWeight(name=name, weight=weight) for name, weight in given.items())


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


def test_rte_is_halved_where_both_benchmarks_are_mixed():
    shared = share_rte(PAPER_SIZES)
    assert shared["glue_rte"] == shared["super_glue_rte"] == 1245
    assert {name for name in PAPER_SIZES if shared[name] != PAPER_SIZES[name]} == {"glue_rte", "super_glue_rte"}
    assert share_rte(GLUE_SIZES) == dict(GLUE_SIZES)


def test_every_size_belongs_to_a_task_that_can_be_trained_on():
    for name in PAPER_SIZES:
        assert "train" in get_task(name).source.hub.splits
    assert sum(GLUE_SIZES.values()) == 949_101


# mixtures as configs

TASKS = {"cola": 1_000, "rte": 4_000, "sst2": 16_000}


@pytest.mark.parametrize(
    ("mixture", "expected"),
    [
        (MixtureConfig(), {"cola": 1 / 21, "rte": 4 / 21, "sst2": 16 / 21}),
        (MixtureConfig(maximum=3_000), {"cola": 1 / 7, "rte": 3 / 7, "sst2": 3 / 7}),
        (MixtureConfig(maximum=500), {"cola": 1 / 3, "rte": 1 / 3, "sst2": 1 / 3}),
        (MixtureConfig(maximum_between=0.25), {"cola": 1 / 5, "rte": 2 / 5, "sst2": 2 / 5}),
        (MixtureConfig(maximum_between=0.0), {"cola": 1 / 3, "rte": 1 / 3, "sst2": 1 / 3}),
        (MixtureConfig(maximum_between=1.0), {"cola": 1 / 21, "rte": 4 / 21, "sst2": 16 / 21}),
        (MixtureConfig(temperature=2.0), {"cola": 1 / 7, "rte": 2 / 7, "sst2": 4 / 7}),
        (MixtureConfig(maximum=4_000, temperature=2.0), {"cola": 1 / 5, "rte": 2 / 5, "sst2": 2 / 5}),
        (MixtureConfig(kind="equal"), {"cola": 1 / 3, "rte": 1 / 3, "sst2": 1 / 3}),
        (
            MixtureConfig(kind="weights", weights=weights(cola=2, rte=0, sst2=6)),
            {"cola": 1 / 4, "rte": 0.0, "sst2": 3 / 4},
        ),
    ],
)
def test_every_kind_of_mixture_gives_its_rates(mixture, expected):
    got = mixture_rates(mixture, TASKS)
    assert list(got) == list(TASKS) and got == pytest.approx(expected)
    assert math.fsum(got.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("mixture", "share", "cola"),
    [
        (MixtureConfig(unsupervised=21_000), 1 / 2, 1 / 42),
        # the paper's: the text's size is beyond every limit, so that it counts as the largest set does
        (MixtureConfig(unsupervised=2.0**40, maximum=2_000), 2 / 7, 1 / 7),
        (MixtureConfig(unsupervised=2.0**40, maximum_between=0.5), 4 / 13, 1 / 13),
        (MixtureConfig(unsupervised=2.0**40, maximum=16_000, temperature=2.0), 4 / 11, 1 / 11),
        (MixtureConfig(kind="equal", unsupervised=5), 1 / 4, 1 / 4),
        (
            MixtureConfig(kind="weights", weights=weights(unsupervised=1, cola=1, rte=1, sst2=5), unsupervised=9),
            1 / 8,
            1 / 8,
        ),
    ],
)
def test_unlabeled_text_takes_part_as_a_task_of_the_size_it_is_given(mixture, share, cola):
    got = mixture_rates(mixture, TASKS)
    assert set(got) == {*TASKS, UNSUPERVISED}
    assert (got[UNSUPERVISED], got["cola"]) == (pytest.approx(share), pytest.approx(cola))
    assert math.fsum(got.values()) == pytest.approx(1.0)


def test_the_papers_mixtures_of_its_own_sizes():
    for maximum in PAPER_MAXIMUMS:
        got = mixture_rates(MixtureConfig(maximum=maximum, unsupervised=2.0**40), PAPER_SIZES)
        at_the_limit = {name for name, size in PAPER_SIZES.items() if size >= maximum} | {UNSUPERVISED}
        assert len({got[name] for name in at_the_limit}) == 1
        half = 2_490 / 2  # its examples stand in two benchmarks
        assert got["glue_rte"] / got[UNSUPERVISED] == pytest.approx(half / maximum)
    for temperature in PAPER_TEMPERATURES:
        got = mixture_rates(MixtureConfig(maximum=2**21, temperature=temperature, unsupervised=2.0**40), PAPER_SIZES)
        assert got["glue_rte"] / got[UNSUPERVISED] == pytest.approx((half / 2**21) ** (1 / temperature))


@pytest.mark.parametrize(
    ("sizes", "place", "expected"),
    [
        ({"a": 1_000, "b": 16_000}, 0.25, 2_000),
        ({"a": 1_000, "b": 16_000}, 0.0, 1_000),
        ({"a": 1_000, "b": 16_000}, 1.0, 16_000),
        ({"a": 16_000, "b": 1_000, "c": 3}, 0.0, 3),
        ({"only judged": 0, "a": 10, "b": 1_000}, 0.5, 100),
        ({"a": 7}, 0.6, 7),
    ],
)
def test_a_place_between_the_sizes_is_on_a_logarithmic_scale(sizes, place, expected):
    assert size_between(sizes, place) == pytest.approx(expected)


def test_there_is_no_place_between_no_sizes():
    with pytest.raises(ConfigError, match="give a size above 0 to at least one task"):
        size_between({"a": 0}, 0.5)
    with pytest.raises(ConfigError, match="give a size above 0 to at least one task"):
        mixture_rates(MixtureConfig(maximum_between=0.5, unsupervised=10.0), {})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (weights(cola=1, rte=1), "weights='sst2': has no weight: give every task one, 0 to leave it out"),
        (
            weights(cola=1, rte=1, sst=1, sst2=1),
            "weights='sst': no such task here; there are cola, rte, sst2 (did you mean 'sst2'?)",
        ),
        (
            weights(cola=1, rte=1, sst2=1, unsupervised=1),
            "weights='unsupervised': no such task here; there are cola, rte, sst2",
        ),
        (weights(cola=0, rte=0, sst2=0), "num_examples={'cola': 0, 'rte': 0, 'sst2': 0}: give a size above 0"),
        (weights(cola=-1, rte=0, sst2=1), "num_examples.cola=-1: give a number of examples, 0 or more"),
    ],
)
def test_weights_name_every_task_and_no_other(given, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        mixture_rates(MixtureConfig(kind="weights", weights=given), TASKS)
    assert "\n" not in str(caught.value)


def test_unlabeled_text_that_takes_part_needs_a_weight_too():
    mixture = MixtureConfig(kind="weights", weights=weights(cola=1, rte=1, sst2=1), unsupervised=1.0)
    with pytest.raises(ConfigError, match=r"weights='unsupervised': has no weight"):
        mixture_rates(mixture, TASKS)
