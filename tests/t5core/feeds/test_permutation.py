import itertools

import numpy as np
import pytest

from t5core.feeds import permuted


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 1000, 4096, 4097])
def test_each_number_comes_exactly_once(n):
    for epoch in range(5):
        assert sorted(permuted(np.arange(n), n, 3, epoch)) == list(range(n))


def test_the_order_changes_with_every_key():
    orders = [tuple(permuted(np.arange(50), 50, seed, epoch)) for seed in range(4) for epoch in range(4)]
    assert len(set(orders)) == 16


def test_each_position_can_have_its_own_size_and_key():
    positions, sizes, epochs = np.array([4, 0, 9, 2]), np.array([5, 1, 100, 3]), np.array([0, 7, 2, 2])
    together = permuted(positions, sizes, 11, epochs)
    alone = [permuted(np.array([p]), int(n), 11, int(e))[0] for p, n, e in zip(positions, sizes, epochs, strict=True)]
    assert together.tolist() == alone


def test_a_place_in_a_huge_order_needs_no_huge_memory():
    n = 10**15 + 7
    out = permuted(np.arange(n - 1000, n), n, 1)
    assert len(set(out.tolist())) == 1000 and out.min() >= 0 and out.max() < n
    assert abs(out.mean() / n - 0.5) < 0.05


def test_the_order_is_always_the_same():
    assert permuted(np.arange(8), 8, 0, 0).tolist() == [5, 4, 2, 6, 0, 1, 7, 3]


def test_small_orders_are_all_reached_about_equally():
    orders = [tuple(permuted(np.arange(4), 4, 5, epoch)) for epoch in range(6000)]
    counts = [orders.count(order) for order in itertools.permutations(range(4))]
    assert min(counts) > 150 and max(counts) < 400  # 250 each, were the choice perfectly uniform


def test_neighbours_land_far_apart():
    out = permuted(np.arange(1000), 1000, 3)
    steps = np.diff(out)
    assert np.abs(steps).mean() == pytest.approx(1000 / 3, rel=0.1)
    assert abs(np.corrcoef(np.arange(1000), out)[0, 1]) < 0.1
