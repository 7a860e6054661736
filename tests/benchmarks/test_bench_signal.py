"""The verdict on two sets of seeds, on made-up results whose truth is known."""

import math

import numpy as np
import pytest

from orchestrator.results.compare import RowResult, TaskColumn
from tests.benchmarks.bench_signal import main, verdict

ROWS = ("replace-spans", "no-pretraining", "bert", "drop", "mass", "span-3")
TASKS = [TaskColumn(task=f"task{n}") for n in range(5)]


def results(*, apart: float, noise: float) -> list[RowResult]:
    """Returns four seeds of each row; row n is ``apart`` bits per byte worse than row n - 1, no pre-training worst."""
    rng = np.random.default_rng(0)
    made = []
    for place, row in enumerate(ROWS):
        for seed in range(4):
            worse = apart * (len(ROWS) if row == "no-pretraining" else place)
            bits = {t.task: 2.0 + worse + noise * rng.standard_normal() for t in TASKS}
            likelihoods = {task: np.full((50, 2), (value * math.log(2) * 8, 8.0)) for task, value in bits.items()}
            scores = {task: 90.0 - 10 * value for task, value in bits.items()}
            made.append(RowResult(name=row, label=row, seed=seed, scores=scores, likelihoods=likelihoods))
    return made


def found(marks: list) -> dict[str, bool]:
    return {mark.what: mark.met for mark in marks}


def test_rows_that_differ_by_far_more_than_their_noise_meet_every_mark() -> None:
    marks = verdict(results(apart=1.0, noise=0.01), TASKS, "replace-spans")
    assert all(found(marks).values()), [str(mark) for mark in marks]
    assert len(marks) == 3 + len(TASKS)
    assert str(marks[0]) == "tau of the two orders: 1.00, wanted 0.85: met"


def test_rows_that_do_not_differ_miss_what_says_that_they_do() -> None:
    marks = found(verdict(results(apart=0.0, noise=0.1), TASKS, "replace-spans"))
    assert not marks["tau of the two orders"]
    assert not marks["tasks that take part"]
    assert not marks["pairs told by both, reversed"]  # nothing is told, so there is nothing that could be the same


def test_a_row_that_failed_is_no_proof() -> None:
    some = [r for r in results(apart=1.0, noise=0.01) if r.name != "no-pretraining"]
    lost = [RowResult(name="no-pretraining", label="", status="failed", reason="x", seed=seed) for seed in range(4)]
    marks = found(verdict([*some, *lost], TASKS, "replace-spans"))
    assert not marks["pre-training on task0"]


@pytest.mark.parametrize("argv", [["--rows", "spam"], ["--seeds", "1"], ["--json"]])
def test_what_cannot_be_asked_for_is_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert capsys.readouterr().err.count("\n") == 1
