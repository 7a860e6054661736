"""Ensembles of neighbouring seeds share members: what their runs tell of noise, and what they do not."""

import math
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.results.agreement import agreement
from orchestrator.results.compare import RowResult, TaskColumn, compare
from orchestrator.results.deviation import baseline_deviations
from orchestrator.results.noise import PRIOR_DEGREES, Measured, Sample, average
from orchestrator.results.signal import signal_to_noise


def members_of(seed, size=4):
    return frozenset(f"trained-{seed + number}" for number in range(size))


def ensembles(*values):
    """A row whose run of a seed is of four members, of that seed and the three behind it."""
    return Sample(runs=dict(enumerate(values)), members={seed: members_of(seed) for seed in range(len(values))})


def singles(*values):
    return Sample(runs=dict(enumerate(values)))


def test_only_runs_without_a_common_member_are_independent():
    row = ensembles(*range(9))
    assert list(row.independent) == [0, 4, 8]
    assert dict(singles(1.0, 2.0).independent) == {0: 1.0, 1: 2.0}
    assert list(row.scaled(1.0, 2.0).independent) == list(average([row, row]).independent) == [0, 4, 8]


@pytest.mark.parametrize(("runs", "counted"), [(1, 1.0), (2, 1.0), (4, 1.0), (5, 1.25), (8, 2.0)])
def test_a_mean_over_overlapping_runs_moves_no_more_than_what_it_is_taken_for(runs, counted):
    row = ensembles(*range(runs))
    assert row.counted(list(row.runs)) == counted
    assert singles(*range(runs)).counted(list(range(runs))) == runs
    trained_DN = np.random.default_rng(0).normal(size=(20_000, runs + 3))
    for averaged in (np.mean, np.max):  # whatever an ensemble makes of its members
        windows_DR = np.stack([averaged(trained_DN[:, n : n + 4], axis=1) for n in range(runs)], axis=1)
        of_one = float(np.var(windows_DR[:, 0]))
        assert float(np.var(windows_DR.mean(axis=1))) <= 1.03 * of_one / counted


def test_two_overlapping_runs_tell_no_noise_and_borrow_it():
    column = Measured({"base": singles(1.0, 3.0), "other": singles(2.0, 6.0), "ensemble": ensembles(5.0, 5.1)})
    pooled = (2 + 8) / 2
    own = {"base": 2.0, "other": 8.0}
    assert column.own["ensemble"].borrowed and column.own["ensemble"].value == pytest.approx(pooled)
    found = column.difference("ensemble", "base")
    base = (PRIOR_DEGREES * pooled + own["base"]) / (PRIOR_DEGREES + 1)
    assert found.value == pytest.approx(5.05 - 2.0)
    assert found.sd == pytest.approx(math.sqrt(pooled / 1 + base / 2))
    assert found.borrowed
    assert column.sd("ensemble") == pytest.approx(math.sqrt(pooled))


def test_runs_without_a_common_member_tell_noise_of_their_own():
    column = Measured({"base": singles(0.0, 2.0), "ensemble": ensembles(1.0, 9.0, 9.0, 9.0, 3.0)})
    assert not column.own["ensemble"].borrowed
    pooled = (2.0 + 2.0) / 2  # of the seeds 0 and 4, as of the baseline
    assert column.own["ensemble"].value == pytest.approx(pooled)


def test_what_a_seed_does_to_all_rows_is_not_taken_out_of_an_ensembles_difference():
    """Its members have other seeds than the run of the other row."""
    common = (0.0, 10.0, -10.0)
    rows = {name: singles(*(value + at for at, value in enumerate(common))) for name in ("base", "other")}
    paired = Measured({**rows, "ensemble": singles(*common)})
    column = Measured({**rows, "ensemble": ensembles(*common)})
    assert column.difference("ensemble", "base").sd > 5 > 1 > paired.difference("ensemble", "base").sd
    assert column.difference("other", "base").sd == Measured(rows).difference("other", "base").sd


def test_the_signal_to_noise_of_a_task_rests_on_independent_runs():
    rows = {"base": singles(1.0, 3.0), "other": singles(2.0, 6.0)}
    column = Measured({**rows, "ensemble": ensembles(5.0, 5.1)})
    deviation = float(np.std([2.0, 4.0, 5.05], ddof=1))
    assert signal_to_noise(column) == pytest.approx(deviation / math.sqrt((2 + 8) / 2))


def test_tau_moves_an_ensemble_by_noise_that_no_seed_is_taken_out_of():
    common = (0.0, 40.0, -40.0)
    rows = {name: singles(*(value + step for step in common)) for name, value in (("a", 1.0), ("b", 2.0), ("c", 4.0))}
    paper = {"a": 1.0, "b": 2.0, "c": 4.0, "ensemble": 6.0}
    known = agreement(Measured({**rows, "ensemble": singles(*(6.0 + step for step in common))}), paper)
    unsure = agreement(Measured({**rows, "ensemble": ensembles(*(6.0 + step for step in common))}), paper)
    assert known.interval == (1.0, 1.0) and known.tau == unsure.tau == 1.0
    assert unsure.interval is not None and unsure.interval[0] < 0.7


def test_how_far_overlapping_runs_of_a_baseline_lie_apart_is_not_told_as_that_of_runs():
    tasks = [TaskColumn(task="qa")]
    rows = [RowResult(name="base", label="", seed=s, scores={"qa": 1.0 + s}, members=members_of(s)) for s in range(3)]
    assert baseline_deviations(rows, tasks) == {}
    apart = [replace(row, members=members_of(4 * row.seed)) for row in rows]
    assert baseline_deviations(apart, tasks)["qa"].sd == pytest.approx(1.0)


def test_a_table_with_overlapping_ensembles_says_so():
    def result(name, seed, value, members=frozenset()):
        scores = {"qa": value + value * 0.1 * seed}
        return RowResult(name=name, label=name, seed=seed, scores=scores, members=members)

    rows = [result(name, seed, value) for name, value in (("base", 1.0), ("other", 2.0)) for seed in (0, 1)]
    together = [result("ensemble", seed, 30.0, members_of(seed)) for seed in (0, 1)]
    table = compare([*rows, *together], [TaskColumn(task="qa")], baseline="base")
    (note,) = [note for note in table.notes if note.startswith("ensembles of neighbouring seeds share members")]
    assert "the runs of ensemble count as fewer than they are" in note
    assert [note for note in table.notes if "or ensembles that share members" in note]
    marks = {row.name: row.cells["qa"].mark for row in table.rows}
    assert marks["ensemble"].endswith("?") and not marks["other"].endswith("?")
    alone = compare([*rows, together[0]], [TaskColumn(task="qa")], baseline="base")
    assert not [note for note in alone.notes if note.startswith("ensembles of")]
