"""Noise is measured, and what is within it is called so."""

import math

import numpy as np
import pytest

from orchestrator.results.significance import (
    Sample,
    average,
    difference,
    kendall_tau,
    pooled_seed_variance,
    resampled_indices,
    sample,
    shared_ranks,
    standard_deviation,
)


def accuracy(scores_Nk):
    return 100 * scores_Nk.mean(axis=(-2, -1))


def sampled(right_N, resamples=2000):
    examples_Nk = np.asarray(right_N, dtype=np.float64)[:, None]
    indices_RN = resampled_indices("task", len(examples_Nk), resamples=resamples)
    return sample([accuracy(examples_Nk)], [examples_Nk], accuracy, indices_RN)


def test_the_bootstrap_gives_the_standard_error_of_a_proportion():
    right_N = np.arange(400) % 4 == 0
    exact = 100 * math.sqrt(0.25 * 0.75 / 400)
    assert standard_deviation(sampled(right_N)) == pytest.approx(exact, rel=0.05)


def test_the_bootstrap_is_paired():
    right_N = np.arange(400) % 2 == 0
    better_N = right_N.copy()
    better_N[1:17:2] = True  # 8 more examples right, none lost
    between = difference(sampled(better_N), sampled(right_N))
    exact = 100 * math.sqrt(0.02 * 0.98 / 400)  # of the 8 that differ, not of the 400
    assert between.value == pytest.approx(2.0)
    assert between.sd == pytest.approx(exact, rel=0.05)
    assert between.mark == "▲"


def test_a_row_against_itself_is_not_distinguishable():
    between = difference(sampled(np.arange(100) % 3 == 0), sampled(np.arange(100) % 3 == 0))
    assert (between.value, between.sd, between.mark) == (0.0, 0.0, "≈")


def test_equal_chances_are_told_apart_in_one_of_twenty_cases():
    rng = np.random.default_rng(0)
    told = sum(
        bool(difference(sampled(rng.random(200) < 0.5, 200), sampled(rng.random(200) < 0.5, 200)).distinguishable)
        for _ in range(200)
    )
    assert 2 <= told <= 22


def test_the_spread_of_seeds_is_added():
    one, other = Sample(seeds=(50.0, 52.0)), Sample(seeds=(53.0, 55.0))
    pooled = pooled_seed_variance([one, other])
    between = difference(other, one, pooled)
    assert pooled == pytest.approx(2.0)
    assert between.sd == pytest.approx(math.sqrt(2.0 / 2 + 2.0 / 2))
    assert between.mark == "▲"


def test_without_any_known_noise_there_is_no_mark():
    between = difference(Sample(seeds=(51.0,)), Sample(seeds=(50.0,)))
    assert (between.sd, between.distinguishable, between.mark) == (None, None, "")


def test_indices_depend_on_the_task_and_on_nothing_else():
    assert np.array_equal(resampled_indices("a", 50, resamples=3), resampled_indices("a", 50, resamples=3))
    assert not np.array_equal(resampled_indices("a", 50, resamples=3), resampled_indices("b", 50, resamples=3))


def test_the_average_keeps_what_tasks_share():
    replicates_R = np.array([10.0, 20.0, 30.0])
    both = average(
        [Sample(seeds=(20.0,), replicates_R=replicates_R), Sample(seeds=(40.0,), replicates_R=replicates_R + 20)]
    )
    assert both.score == 30.0
    assert both.replicates_R.tolist() == [20.0, 30.0, 40.0]


def test_rows_that_cannot_be_told_from_the_leader_share_its_rank():
    samples = {
        "a": Sample(seeds=(60.0,)),
        "b": Sample(seeds=(59.5,)),
        "c": Sample(seeds=(55.0,)),
        "d": Sample(seeds=(54.9,)),
    }
    ranks = shared_ranks(samples, seed_variance=0.5)  # standard deviation of a difference: 1
    assert ranks == {"a": (1, True), "b": (1, True), "c": (3, True), "d": (3, True)}
    assert shared_ranks(samples) == {"a": (1, False), "b": (2, False), "c": (3, False), "d": (4, False)}


def test_kendalls_tau_of_same_and_reversed_orders():
    assert kendall_tau([1, 2, 3], [10, 20, 30]) == pytest.approx(1.0)
    assert kendall_tau([1, 2, 3], [30, 20, 10]) == pytest.approx(-1.0)
    assert kendall_tau([1, 2], [1, 2]) is None
    assert kendall_tau([1, 1, 1], [1, 2, 3]) is None


def test_every_embedded_task_can_be_resampled():
    from t5core.tasks import EMBEDDED_TASKS

    rng = np.random.default_rng(0)
    targets = {"doc_similarity": ["1.0", "2.4", "5.0", "0.2"], "doc_pair": ["same", "different", "same", "same"]}
    for task in EMBEDDED_TASKS:
        answers = targets.get(task.name, ["a b", "c", "d e f", "g"]) * 25
        predictions = [answers[i] for i in rng.permutation(100)]
        examples_Nk = task.example_scores(answers, predictions)
        indices_RN = resampled_indices(task.name, 100, resamples=20)
        ours = sample([float(task.aggregate(examples_Nk))], [examples_Nk], task.aggregate, indices_RN)
        assert ours.replicates_R.shape == (20,)
        assert ours.replicates_R[3] == pytest.approx(float(task.aggregate(examples_Nk[indices_RN[3]])))
