"""What is still open after some seeds."""

import numpy as np
import pytest

from orchestrator.results.multiple import all_pairs, shared_ranks
from orchestrator.results.noise import Measured, Sample
from orchestrator.results.sequential import decide
from orchestrator.results.significance import LEVEL


def rows(seeds=3, sd=1.0, seed=0, **means):
    rng = np.random.default_rng(seed)
    return Measured({n: Sample(runs=dict(enumerate(m + sd * rng.normal(size=seeds)))) for n, m in means.items()})


def decided(column, looks):
    return decide(column, list(column.samples), "base", looks=looks)


def test_clear_orders_are_decided_and_close_ones_open():
    column = rows(base=0.0, far=100.0, near=0.3, low=-100.0)
    decision = decided(column, 4)
    assert [{p.better, p.worse} for p in decision.pairs] == [{"base", "near"}]
    assert set(decision.rows) == {"base", "near"}
    assert decision.level == pytest.approx(0.0125)


def test_neighbours_are_to_be_told_apart_too():
    column = rows(base=0.0, one=100.0, two=100.2)
    assert [{p.better, p.worse} for p in decided(column, 1).pairs] == [{"one", "two"}]


@pytest.mark.parametrize("seed", range(8))
def test_an_order_that_is_told_has_ranks_of_its_own_in_the_table(seed):
    column = rows(seed=seed, base=0.0, a=3.0, b=6.0, c=9.0, d=12.0)
    order = sorted(column.samples, key=lambda row: -column.samples[row].value)
    ranks = shared_ranks(order, all_pairs(order, column.difference, LEVEL))
    assert decided(column, 1).decided == all(not shared for _, shared, _ in ranks.values())


def test_the_level_is_shared_by_all_looks():
    column = rows(base=0.0, a=15.0, b=-15.0)
    few, many = (decided(column, looks) for looks in (1, 10_000))
    assert few.decided and not many.decided
    with pytest.raises(ValueError, match="looks=0"):
        decided(column, 0)


def test_without_any_noise_every_order_is_open():
    decision = decided(rows(seeds=1, base=0.0, a=3.0, b=100.0), 4)
    assert decision.rows == ("b", "a", "base")


def test_a_row_without_a_standing_is_not_decided():
    column = rows(base=0.0, a=100.0)
    decision = decide(column, ["base", "a", "lost"], "base", looks=1)
    assert (decision.pairs, decision.unranked, decision.decided) == ((), ("lost",), False)
    assert decide(Measured({}), ["base"], "base", looks=4).unranked == ("base",)


def test_equal_rows_are_rarely_called_different_at_any_of_several_looks():
    rng = np.random.default_rng(5)
    wrong, studies = 0, 60
    for _ in range(studies):
        runs = rng.normal(size=(6, 5))
        for seeds in (2, 3, 4, 5):
            column = Measured({str(r): Sample(runs=dict(enumerate(runs[r, :seeds]))) for r in range(6)})
            if any(d.told for d in all_pairs(list(column.samples), column.difference, LEVEL / 4).values()):
                wrong += 1
                break
    assert wrong <= 6  # at 5 %, more than 6 of 60 come in 2 of 100 studies of studies


def test_seeds_decide_what_they_can():
    few, many = (decided(rows(seeds=s, seed=3, base=0.0, a=2.0, b=-2.0), 4) for s in (2, 30))
    assert not few.decided and many.decided
