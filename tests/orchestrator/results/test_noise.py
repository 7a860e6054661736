"""Noise is measured: over examples, between seeds, and what is borrowed is known to be."""

import math

import numpy as np
import pytest

from orchestrator.results.noise import PRIOR_DEGREES, Measured, Sample, average, resampled_indices, sample


def accuracy(scores_Nk):
    return 100 * scores_Nk.mean(axis=(-2, -1))


def sampled(right_N, resamples=2000, seeds=(0,)):
    examples_Nk = np.asarray(right_N, dtype=np.float64)[:, None]
    indices_RN = resampled_indices("task", len(examples_Nk), resamples=resamples)
    runs = dict.fromkeys(seeds, accuracy(examples_Nk))
    return sample(runs, dict.fromkeys(seeds, examples_Nk), accuracy, indices_RN)


def runs(**rows):
    """Rows whose seeds count from 0."""
    return Measured({name: Sample(runs=dict(enumerate(values))) for name, values in rows.items()})


def test_the_bootstrap_gives_the_standard_error_of_a_proportion():
    exact = 100 * math.sqrt(0.25 * 0.75 / 400)
    assert Measured({"a": sampled(np.arange(400) % 4 == 0)}).sd("a") == pytest.approx(exact, rel=0.05)


def test_the_bootstrap_is_paired():
    right_N = np.arange(400) % 2 == 0
    better_N = right_N.copy()
    better_N[1:17:2] = True  # 8 more examples right, none lost
    column = Measured({"a": sampled(better_N, seeds=(0, 1)), "b": sampled(right_N, seeds=(0, 1))})
    between = column.difference("a", "b")
    exact = 100 * math.sqrt(0.02 * 0.98 / 400)  # of the 8 that differ, not of the 400
    assert between.value == pytest.approx(2.0)
    assert between.sd == pytest.approx(exact, rel=0.05)


def test_examples_and_seeds_are_both_in_the_noise_and_neither_twice():
    rng = np.random.default_rng(0)
    examples = {s: (rng.random(400) < p).astype(float)[:, None] for s, p in ((0, 0.5), (1, 0.6))}
    scores = {s: float(accuracy(e)) for s, e in examples.items()}
    one = sample(scores, examples, accuracy, resampled_indices("t", 400))
    column = Measured({"a": one})
    by_examples = float(np.var(np.mean(list(one.replicates_R.values()), axis=0), ddof=1))
    by_seeds = (scores[0] - scores[1]) ** 2 / 2
    assert column.sd("a") == pytest.approx(math.sqrt(by_examples + by_seeds / 2))


def test_a_row_against_itself_is_not_told_from_itself():
    column = Measured({name: sampled(np.arange(100) % 3 == 0, seeds=(0, 1)) for name in "ab"})
    between = column.difference("a", "b")
    assert (between.value, between.sd, between.p) == (0.0, 0.0, 1.0)


def test_a_rows_variance_is_drawn_towards_that_of_all_rows():
    column = runs(quiet=[1.0, 1.0], loud=[0.0, 4.0], other=[0.0, 2.0])
    pooled = (0 + 8 + 2) / 3
    wanted = {name: (PRIOR_DEGREES * pooled + own) / (PRIOR_DEGREES + 1) for name, own in
              (("quiet", 0.0), ("loud", 8.0), ("other", 2.0))}  # fmt: skip
    assert {name: v.value for name, v in column.own.items()} == pytest.approx(wanted)
    assert [v.degrees for v in column.own.values()] == pytest.approx([3.0] * 3)  # not more than all rows together have
    assert not any(v.borrowed for v in column.own.values())


def test_what_a_seed_does_to_all_rows_is_no_noise_of_a_difference():
    column = runs(a=[1.0, 11.0, 6.0], b=[2.0, 12.0, 7.0], c=[0.0, 10.0, 5.0])
    between = column.difference("a", "b")
    assert between.value == -1.0
    assert between.sd == pytest.approx(0.0, abs=1e-9)
    assert column.sd("a") == pytest.approx(5 / math.sqrt(3))


def test_two_rows_of_shared_seeds_make_the_paired_t_test():
    from scipy.stats import ttest_rel

    ours, others = [3.1, 4.0, 5.2, 4.4], [2.0, 3.5, 3.9, 3.8]
    between = runs(a=ours, b=others).difference("a", "b")
    assert between.degrees == pytest.approx(3.0)
    assert between.p == pytest.approx(ttest_rel(ours, others).pvalue)


def test_two_rows_of_other_seeds_are_compared_unpaired():
    from scipy.stats import ttest_ind

    ours, others = [3.1, 4.0, 5.2], [2.0, 3.4, 3.9]
    column = Measured({"a": Sample(runs=dict(enumerate(ours))), "b": Sample(runs=dict(enumerate(others, start=10)))})
    between = column.difference("a", "b")
    s2 = [np.var(v, ddof=1) for v in (ours, others)]
    moderated = [(PRIOR_DEGREES * np.mean(s2) + 2 * s) / (PRIOR_DEGREES + 2) for s in s2]
    assert between.value == pytest.approx(np.mean(ours) - np.mean(others))
    assert between.sd == pytest.approx(math.sqrt(sum(moderated) / 3))
    assert between.degrees == pytest.approx(4.0, abs=0.1)
    assert between.p == pytest.approx(ttest_ind(ours, others).pvalue, rel=0.1)


def test_a_seed_that_one_row_misses_is_left_out_of_its_difference_and_of_no_other():
    column = Measured(
        {
            "base": Sample(runs={0: 10.0, 1: 20.0, 2: 31.0}),
            "a": Sample(runs={0: 11.0, 1: 21.1, 2: 32.0}),
            "b": Sample(runs={0: 12.0, 1: 21.9}),
        }
    )
    assert column.difference("a", "base").value == pytest.approx(31.1 / 3 * 1 + 33.0 / 3 - 61.0 / 3)
    assert column.difference("b", "base").value == pytest.approx(1.95)  # over seeds 0 and 1, not 16.95 - 20.33
    assert column.difference("b", "base").sd < 1


def test_many_seeds_of_one_row_are_all_used_against_the_single_run_of_another():
    ten = dict(enumerate([5.0, 6.0, 7.0, 5.5, 6.5, 6.0, 5.0, 7.0, 6.2, 5.8]))
    column = Measured({"base": Sample(runs=ten), "a": Sample(runs={0: 9.0})})
    between = column.difference("a", "base")
    assert between.value == pytest.approx(3.0)
    assert between.sd == pytest.approx(np.std(list(ten.values()), ddof=1) * math.sqrt(1.1))
    assert between.borrowed


def test_a_single_run_borrows_the_variance_of_the_others_and_says_so():
    several = {"base": Sample(runs={0: 1.0, 1: 3.0}), "b": Sample(runs={0: 2.0, 1: 5.0})}
    column = Measured({**several, "a": Sample(runs={0: 9.0})})
    assert column.own["a"].value == pytest.approx((2.0 + 4.5) / 2)
    assert (column.own["a"].borrowed, column.own["b"].borrowed) == (True, False)
    assert column.difference("a", "base").borrowed and not column.difference("b", "base").borrowed


def test_without_any_noise_of_training_nothing_is_known_whatever_the_examples_say():
    column = Measured({"a": sampled(np.arange(100) < 90), "b": sampled(np.arange(100) < 10)})
    between = column.difference("a", "b")
    assert (between.sd, between.p, between.told, between.mark) == (None, None, None, "?")
    assert column.sd("a") > 0, "the examples' part is still shown"


def test_a_difference_that_has_no_noise_at_all_is_not_believed():
    column = runs(a=[50.0, 50.0], b=[50.0, 50.0], c=[60.0, 60.0])
    assert column.difference("a", "b").p == 1.0
    assert (column.difference("a", "c").p, column.difference("a", "c").mark) == (None, "?")


def test_a_resampled_set_on_which_a_score_is_not_defined_is_left_out():
    replicates_R = np.array([1.0, np.nan, 3.0])
    column = Measured({"a": Sample(runs={0: 2.0}, replicates_R={0: replicates_R})})
    assert column.sd("a") == pytest.approx(math.sqrt(2.0))


def test_indices_depend_on_the_task_and_on_nothing_else():
    assert np.array_equal(resampled_indices("a", 50, resamples=3), resampled_indices("a", 50, resamples=3))
    assert not np.array_equal(resampled_indices("a", 50, resamples=3), resampled_indices("b", 50, resamples=3))


def test_the_average_keeps_what_tasks_share():
    replicates_R = np.array([10.0, 20.0, 30.0])
    both = average(
        [
            Sample(runs={0: 20.0}, replicates_R={0: replicates_R}),
            Sample(runs={0: 40.0}, replicates_R={0: replicates_R + 20}),
        ]
    )
    assert both.value == 30.0
    assert both.replicates_R[0].tolist() == [20.0, 30.0, 40.0]


def test_every_embedded_task_can_be_resampled():
    from t5core.tasks import EMBEDDED_TASKS

    rng = np.random.default_rng(0)
    targets = {"doc_similarity": ["1.0", "2.4", "5.0", "0.2"], "doc_pair": ["same", "different", "same", "same"]}
    for task in EMBEDDED_TASKS:
        answers = targets.get(task.name, ["a b", "c", "d e f", "g"]) * 25
        predictions = [answers[i] for i in rng.permutation(100)]
        examples_Nk = task.example_scores(answers, predictions)
        indices_RN = resampled_indices(task.name, 100, resamples=20)
        ours = sample({0: float(task.aggregate(examples_Nk))}, {0: examples_Nk}, task.aggregate, indices_RN)
        assert ours.replicates_R[0].shape == (20,)
        assert ours.replicates_R[0][3] == pytest.approx(float(task.aggregate(examples_Nk[indices_RN[3]])))
