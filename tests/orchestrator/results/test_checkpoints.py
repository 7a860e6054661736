"""Bits of the last checkpoints: their mean, and noise within runs, told as the lower bound that it is."""

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.results.compare import RowResult, TaskColumn, compare, to_json
from orchestrator.results.noise import Measured, Sample, average
from orchestrator.results.rows import _whole_run
from orchestrator.results.sequential import decide
from orchestrator.results.table import mark_style, render
from orchestrator.results.values import Checkpoints
from t5core.config import ScheduleConfig, TrainConfig

TASKS = (TaskColumn(task="qa", paper_column="SQuAD"),)
BASE = {630: 2.0, 665: 2.2, 700: 2.1}
BETTER = {630: 1.0, 665: 1.1, 700: 1.3}
APART = [-1.0, -1.1, -0.8]
"""The differences of these two, step by step."""


def table(bits, examples=8):
    """Per-example numbers of so many bits per byte; all alike, so that examples add no noise."""
    return np.tile([bits * math.log(2) * 10, 10.0], (examples, 1))


def run(name, at, *, seed=0, steady=True, score=50.0):
    """A run with bits per byte by step; a single number is of the end alone."""
    by_step = at if isinstance(at, dict) else {700: at}
    likelihoods = {step: {"qa": table(bits)} for step, bits in by_step.items()}
    return RowResult(
        name=name,
        label=name.title(),
        seed=seed,
        scores={"qa": score},
        likelihoods=likelihoods[max(by_step)],
        checkpoints=Checkpoints(likelihoods=likelihoods, steady=steady) if isinstance(at, dict) else None,
        paper={"SQuAD": {"base": 80.0, "better": 81.0}.get(name, 70.0)},
    )


def compared(*results, **more):
    return compare(results, TASKS, baseline="base", **more)


def bits_of(comparison, name):
    return next(row for row in comparison.rows if row.name == name).cells["qa"].bits


def text_of(comparison):
    out = io.StringIO()
    render(comparison, Console(file=out, color_system=None, width=400))
    return out.getvalue()


def test_bits_are_the_mean_over_the_checkpoints_and_their_deviation_is_kept():
    c = compared(run("base", BASE), run("better", BETTER))
    assert bits_of(c, "base").value == pytest.approx(2.1)
    assert bits_of(c, "better").value == pytest.approx(3.4 / 3)
    cells = {row["name"]: row["cells"]["qa"] for row in json.loads(to_json(c))["rows"]}
    assert cells["base"]["bits"]["checkpoint_sd"] == 0.1
    assert cells["better"]["bits"]["checkpoint_sd"] == pytest.approx(np.std([1.0, 1.1, 1.3], ddof=1), abs=5e-5)
    assert any(n == "bits per byte: the mean over the last 3 checkpoints of a run; scores are of its end unless said"
               for n in c.notes)  # fmt: skip


def test_bits_of_the_end_alone_stay_what_they_were():
    c = compared(run("base", 2.0), run("better", 1.0))
    assert (bits_of(c, "better").value, bits_of(c, "better").mark) == (pytest.approx(1.0), "?")
    assert json.loads(to_json(c))["rows"][0]["cells"]["qa"]["bits"]["checkpoint_sd"] is None
    assert not any("checkpoint" in note for note in c.notes)


def test_rows_are_compared_step_by_step_and_the_variance_is_not_divided_by_the_checkpoints():
    c = compared(run("base", BASE), run("better", BETTER))
    difference = bits_of(c, "better").difference
    assert difference.value == pytest.approx(np.mean(APART))
    assert difference.sd == pytest.approx(np.std(APART, ddof=1))
    assert difference.degrees == pytest.approx(2.0)
    assert (difference.within_run, difference.borrowed) == (True, False)


def test_rows_of_other_seeds_are_compared_unpaired():
    c = compared(run("base", BASE), run("better", BETTER, seed=7))
    variances = [np.var(list(at.values()), ddof=1) for at in (BASE, BETTER)]
    assert bits_of(c, "better").difference.sd == pytest.approx(math.sqrt(sum(variances)))


def test_marks_and_ranks_by_it_have_a_question_mark_and_the_footer_says_lower_bound():
    far = {step: bits - 1.5 for step, bits in zip(BASE, (2.0, 2.201, 2.1), strict=True)}
    near = {step: bits + moved for (step, bits), moved in zip(BASE.items(), (0.01, -0.02, 0.02), strict=True)}
    c = compared(run("base", BASE), run("better", far), run("near", near))
    assert [bits_of(c, name).mark for name in ("better", "near")] == ["▲?", "≈?"]
    assert [(row.name, row.rank, row.rank_known, row.rank_within_run) for row in c.rows] == [
        ("better", 1, True, True),
        ("base", 2, True, True),
        ("near", 2, True, True),
    ]
    values = json.loads(to_json(c))
    assert [row["rank_within_run"] for row in values["rows"]] == [True] * 3
    assert values["rows"][0]["cells"]["qa"]["bits"]["within_run"] is True
    assert values["rows"][0]["cells"]["qa"]["mark"] == "?", "scores have no noise within runs"
    text = text_of(c)
    assert "2≈?" in text and "1? " in text and "▲?" in text
    assert "such noise is a lower bound: what another initialisation or order of the data would move" in text
    assert "has any arrow with a chance of at most" not in text
    assert "n?: can, but that noise is a lower bound, or is not known" in text


def test_where_a_row_has_two_seeds_its_noise_is_taken_instead():
    two = [run("base", BASE), run("base", {step: bits + 0.5 for step, bits in BASE.items()}, seed=1)]
    c = compared(*two, run("better", BETTER))
    found = bits_of(c, "better")
    assert (found.difference.within_run, found.difference.borrowed) == (False, True)
    assert found.difference.sd == pytest.approx(math.sqrt(0.125 * 1.5))
    assert "last checkpoints of each row's own run" not in text_of(c)


def test_a_rate_that_falls_tells_no_noise_and_the_mark_stays_a_question_mark():
    c = compared(run("base", BASE), run("better", BETTER), run("falls", BETTER, steady=False))
    assert [bits_of(c, name).mark for name in ("better", "falls")][1] == "?"
    assert bits_of(c, "better").difference.within_run and not bits_of(c, "falls").difference.within_run
    assert bits_of(c, "falls").value == pytest.approx(3.4 / 3), "the mean is taken all the same"
    assert any(note.startswith("no noise within runs of falls: the learning rate falls") for note in c.notes)
    of_all = compared(run("base", BASE, steady=False), run("better", BETTER, steady=False))
    assert bits_of(of_all, "better").mark == "?" and not any("lower bound" in note for note in of_all.notes)


def test_what_rests_on_noise_within_a_run_has_the_colour_of_no_finding():
    c = compared(run("base", BASE), run("better", BETTER))
    assert bits_of(c, "better").mark == "▲?"
    assert mark_style(bits_of(c, "better")) == "dim"
    moved = (0.0, 0.01, -0.01, 0.02, -0.02)
    base = [run("base", 2.1 + by, seed=seed) for seed, by in enumerate(moved)]
    better = [run("better", 1.1 + by, seed=seed) for seed, by in enumerate(moved[::-1])]
    between = compared(*base, *better)
    assert bits_of(between, "better").mark == "▲" and mark_style(bits_of(between, "better")) == "green"


@pytest.mark.parametrize(("kind", "steady"), [("constant", True), ("inverse_sqrt", False), ("linear", False)])
def test_a_training_in_parts_is_steady_as_the_whole_of_it_is(kind, steady):
    """By its last part alone, the rate of the third of three falls by a fifth; by all of them, to a ninth."""
    train = TrainConfig(steps=700, schedule=ScheduleConfig(kind=kind, warmup_steps=25))
    parts = []
    for number in range(3):
        inputs = {"earlier": parts[-1]} if parts else {}
        parts.append(Stage.of("multitask", f"part-{number}", inputs=inputs, train=train))
    plan = Plan.of("trial", "tiny", [(PlannedRow(name="row"), {p.name: p for p in parts})])
    assert _whole_run(plan, parts[-1]) == (0, 2100)
    assert train.schedule.kept_up(*_whole_run(plan, parts[-1])) is steady
    tuned = Stage.of("finetune", "after", inputs={"pretrain": parts[-1]}, train=train)
    assert _whole_run(plan, tuned) == (2100, 700)


def test_nothing_but_marks_and_ranks_rests_on_it():
    """Neither what a table says it sees, nor an interval of tau, nor what seeds are added by."""
    c = compared(run("base", BASE), run("better", BETTER), run("worse", {step: 4 + b for step, b in BASE.items()}))
    assert c.signals["qa"].smallest == {"score": None, "bits": None} and c.signals["qa"].ratio is None
    assert c.agreement["standing"].tau is not None and c.agreement["standing"].interval is None
    pairs = decide(c.standing, [row.name for row in c.rows], "base", looks=1).pairs
    assert len(pairs) == 2 and all(pair.difference.sd is None for pair in pairs)


def test_samples_keep_their_checkpoints_when_scaled_and_averaged_over_the_same_steps():
    one = Sample(runs={0: 3.0}, checkpoints={5: 2.0, 10: 4.0})
    assert one.scaled(1.0, -2.0).checkpoints == {5: -2.0, 10: -6.0}
    assert average([one, Sample(runs={0: 1.0}, checkpoints={5: 0.0, 10: 2.0})]).checkpoints == {5: 1.0, 10: 3.0}
    assert average([one, Sample(runs={0: 1.0}, checkpoints={6: 0.0, 10: 2.0})]).checkpoints is None
    assert average([one, Sample(runs={0: 1.0})]).checkpoints is None
    assert Measured({"a": one, "b": one}).difference("a", "b", within_runs=True).sd == 0.0
