"""How well an order agrees with the paper's, and how well that is known."""

import numpy as np
import pytest

from orchestrator.results.agreement import agreement, agreement_of_two, kendall_tau, unrelated
from orchestrator.results.noise import Measured, Sample


def column(rows, better=1):
    return Measured({n: Sample(runs=dict(enumerate(v))) for n, v in rows.items()}, better=better)


def test_kendalls_tau_of_same_and_reversed_orders():
    assert kendall_tau([1, 2, 3], [10, 20, 30]) == pytest.approx(1.0)
    assert kendall_tau([1, 2, 3], [30, 20, 10]) == pytest.approx(-1.0)
    assert kendall_tau([1, 2], [1, 2]) is None
    assert kendall_tau([1, 1, 1], [1, 2, 3]) is None


def test_kendalls_tau_is_tau_b_with_ties():
    from scipy.stats import kendalltau

    ours, papers = [1, 2, 2, 3, 5, 4], [2, 1, 3, 3, 4, 6]
    assert kendall_tau(ours, papers) == pytest.approx(kendalltau(ours, papers).statistic)


def test_little_noise_gives_a_narrow_interval_and_much_noise_a_wide_one():
    papers = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    clear = agreement(column({n: [10 * v, 10 * v + 0.1] for n, v in papers.items()}), papers)
    assert (clear.tau, clear.interval) == (1.0, (1.0, 1.0))
    dim = agreement(column({n: [v, v + 4.0 * (-1) ** i] for i, (n, v) in enumerate(papers.items())}), papers)
    low, high = dim.interval
    assert low < dim.tau < high and high - low > 0.6


def test_less_is_better_turns_the_order():
    papers = {"a": 1.0, "b": 2.0, "c": 3.0}
    assert agreement(column({n: [-v, 0.01 - v] for n, v in papers.items()}, -1), papers).tau == 1.0


def test_without_known_noise_there_is_no_interval():
    papers = {"a": 1.0, "b": 2.0, "c": 3.0}
    single = agreement(column({n: [v] for n, v in papers.items()}), papers)
    assert (single.tau, single.interval) == (1.0, None)
    assert agreement(column({n: [5.0, 5.0] for n in papers}), papers).tau is None


def test_how_far_from_nought_unrelated_orders_come():
    rng = np.random.default_rng(0)
    taus = [kendall_tau(rng.permutation(14).tolist(), list(range(14))) for _ in range(400)]
    assert np.mean(np.abs(taus) <= unrelated(14)) == pytest.approx(0.95, abs=0.03)
    assert unrelated(2) is None


def test_two_orders_of_ours_agree_within_the_noise_of_both():
    rows = ["a", "b", "c", "d"]
    clear = column({n: [10.0 * i, 10.0 * i + 0.1] for i, n in enumerate(rows)})
    dim = column({n: [i, i + 4.0 * (-1) ** i] for i, n in enumerate(rows)})
    assert agreement_of_two(clear, clear, rows).interval == (1.0, 1.0)
    assert agreement_of_two(clear, column({n: [-s.value] for n, s in clear.samples.items()}, -1), rows).tau == 1.0
    one, other = agreement_of_two(clear, dim, rows), agreement_of_two(dim, clear, rows)
    assert one.tau == other.tau == agreement(dim, {n: float(i) for i, n in enumerate(rows)}).tau
    for found in (one, other):
        low, high = found.interval
        assert low < found.tau < high and high - low > 0.6


def test_two_orders_have_no_interval_where_either_ones_noise_is_not_known():
    rows = ["a", "b", "c"]
    known, single = column({n: [i, i + 0.1] for i, n in enumerate(rows)}), column({n: [i] for i, n in enumerate(rows)})
    assert agreement_of_two(known, single, rows).interval is None
    assert agreement_of_two(single, known, rows).interval is None
    assert agreement_of_two(known, known, rows[:2]).tau is None
