"""Rows at several learning rates: which one a row stands at, and which orders hang on the rate."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from orchestrator.results.compare import RowResult, TaskColumn, compare, to_json
from orchestrator.results.multiple import told
from orchestrator.results.noise import Measured, Sample
from orchestrator.results.table import render

TASKS = (TaskColumn(task="qa"),)
NOISE = (-0.1, 0.1, -0.15, 0.15)
"""Of four seeds: small beside most differences here."""


def row(name, scores, losses=None, *, noise=NOISE):
    """The runs of a row: score by rate, held-out loss by rate."""
    return [
        RowResult(
            name=name,
            label=name.title(),
            seed=seed,
            scores={"qa": score + turned(name) * moved},
            rate=rate,
            held_out_loss=None if losses is None else losses[rate],
        )
        for rate, score in scores.items()
        for seed, moved in enumerate(noise)
    ]


def turned(name):
    """Seeds do not move all rows alike, or nothing would be left as noise."""
    return 1 if len(name) % 2 else -1


def failed(results, rate, seed, reason="pretrain: loss=nan at step 3"):
    return [
        replace(r, status="failed", reason=reason, scores={}, held_out_loss=None)
        if (r.rate, r.seed) == (rate, seed)
        else r
        for r in results
    ]


def compared(*rows):
    return compare([result for of_row in rows for result in of_row], TASKS, baseline="base")


BASE = row("base", {0.5: 40.0, 1.0: 50.0, 2.0: 30.0}, {0.5: 3.0, 1.0: 2.0, 2.0: 2.5})


def chosen(comparison):
    return {name: (r.rate, r.by) for name, r in comparison.rates.rows.items()}


def text_of(comparison):
    out = io.StringIO()
    render(comparison, Console(file=out, color_system=None))
    return out.getvalue()


def test_a_row_stands_at_the_rate_of_its_lowest_held_out_loss_and_not_of_its_best_scores():
    c = compared(BASE, row("other", {0.5: 99.0, 1.0: 20.0, 2.0: 60.0}, {0.5: 9.0, 1.0: 8.0, 2.0: 7.0}))
    assert chosen(c) == {"base": (1.0, "held-out loss"), "other": (2.0, "held-out loss")}
    scores = {r.name: (r.rate, r.cells["qa"].score, r.seeds, r.rank) for r in c.rows}
    assert scores == {"other": (2.0, pytest.approx(60.0), 4, 1), "base": (1.0, pytest.approx(50.0), 4, 2)}
    assert c.rows[0].cells["qa"].mark == "▲"


def test_without_such_a_loss_it_stands_at_its_best_and_its_marks_pay_for_the_choice():
    never = row("never", {0.5: 50.1, 1.0: 50.2, 2.0: 50.4})
    c = compared(BASE, never)
    assert chosen(c)["never"] == (2.0, "standing")
    alone = compare(
        [*(r for r in [*BASE, *never] if (r.name, r.rate) in {("base", 1.0), ("never", 2.0)})], TASKS, baseline="base"
    )
    found, free = (next(r for r in table.rows if r.name == "never").cells["qa"] for table in (c, alone))
    assert found.score == free.score and found.difference.value == free.difference.value
    assert found.difference.p == pytest.approx(3 * free.difference.p)
    assert (found.difference.tries, free.difference.tries) == (3, 1)
    assert found.difference.smallest(0.05) > free.difference.smallest(0.05)
    assert any(
        "rate of never: no such loss, so the one with the best standing; the best of up to 3" in n for n in c.notes
    )


def test_one_rate_is_a_table_as_before():
    c = compared([r for r in BASE if r.rate == 1.0], row("other", {1.0: 60.0}, {1.0: 1.0}))
    assert c.rates is None and not any("rate" in note.split() for note in c.notes)
    (head,) = [line.split() for line in text_of(c).splitlines() if line.startswith("row ")]
    assert "standing" in head and "rate" not in head
    assert json.loads(to_json(c))["learning_rates"] is None


def test_of_equal_losses_the_rate_nearest_to_the_rows_own_is_taken():
    c = compared(BASE, row("flat", {0.5: 1.0, 1.0: 2.0, 2.0: 3.0}, {0.5: 2.0, 1.0: 2.0, 2.0: 2.0}))
    assert chosen(c)["flat"] == (1.0, "held-out loss")


def test_a_rate_at_which_a_run_failed_is_not_chosen_from_and_said():
    mad = failed(row("mad", {0.5: 10.0, 1.0: 20.0, 2.0: 90.0}, {0.5: 3.0, 1.0: 2.0, 2.0: 1.0}), 2.0, 1)
    c = compared(BASE, mad)
    assert chosen(c)["mad"] == (1.0, "held-out loss")
    assert next(r for r in c.rows if r.name == "mad").status == "done"
    assert "not chosen from, since a run failed or is not whole: mad at 2x (pretrain: loss=nan at step 3)" in c.notes


def test_a_rate_at_which_a_run_has_no_likelihoods_is_not_chosen_from_and_said():
    why = "seed 2 has its scores and no bits per byte: likelihood: no memory"
    other = row("other", {0.5: 10.0, 1.0: 20.0}, {0.5: 5.0, 1.0: 6.0})
    c = compared(BASE, [replace(r, reason=why) if (r.rate, r.seed) == (0.5, 2) else r for r in other])
    assert chosen(c)["other"] == (1.0, "held-out loss")
    assert any(note.endswith(f"is not whole: other at 0.5x ({why})") for note in c.notes)


def test_a_row_that_failed_at_all_rates_is_a_failed_row():
    lost = row("lost", {0.5: 1.0, 1.0: 1.0, 2.0: 1.0}, {0.5: 1.0, 1.0: 1.0, 2.0: 1.0})
    for rate in (0.5, 1.0, 2.0):
        lost = failed(lost, rate, 0)
    c = compared(BASE, lost)
    assert chosen(c)["lost"] == (1.0, "")
    assert next(r for r in c.rows if r.name == "lost").status == "failed"


def test_an_order_that_turns_round_by_more_than_noise_is_told():
    """Spans like the scale's rate, and what likes twice of it is better there than spans are anywhere."""
    c = compared(BASE, row("other", {0.5: 20.0, 1.0: 30.0, 2.0: 70.0}, {0.5: 3.0, 1.0: 2.0, 2.0: 1.0}))
    (pair,) = c.rates.pairs
    assert (pair.better, pair.worse, pair.at, pair.told, pair.known) == ("other", "base", (0.5, 1.0), (0.5, 1.0), True)
    assert "order depends on the learning rate, by more than noise: other over base, but not at 0.5x, 1x for both" in (
        c.notes
    )


def test_an_order_that_turns_round_within_the_noise_is_open():
    c = compared(BASE, row("other", {0.5: 40.0, 1.0: 49.98, 2.0: 70.0}, {0.5: 3.0, 1.0: 2.0, 2.0: 1.0}))
    (pair,) = c.rates.pairs
    assert (pair.at, pair.told, pair.known) == ((1.0,), (), True)
    assert not any(note.startswith("order depends") for note in c.notes)
    assert (
        "whether the order of 1 of 1 pair(s) depends on the learning rate is open, one of the two orders being within "
        "the noise: other over base, but not at 1x for both"
    ) in c.notes


def test_an_order_of_single_runs_is_not_known():
    one = {"noise": NOISE[:1]}
    c = compared(
        row("base", {1.0: 50.0, 2.0: 30.0}, {1.0: 2.0, 2.0: 2.5}, **one),
        row("other", {1.0: 30.0, 2.0: 70.0}, {1.0: 2.0, 2.0: 1.0}, **one),
    )
    assert [(p.told, p.known) for p in c.rates.pairs] == [((), False)]
    assert any("is not known, since the noise is not: use --seeds 2 or more: other over base" in n for n in c.notes)


def test_an_order_that_is_the_same_at_every_rate_is_said_to_be():
    c = compared(BASE, row("worse", {0.5: 30.0, 1.0: 40.0, 2.0: 20.0}, {0.5: 3.0, 1.0: 2.0, 2.0: 2.5}))
    assert (c.rates.pairs, c.rates.looked_at) == ((), 1)
    assert (
        "at no one rate for all do two rows stand the other way round (1 pair(s), where both are finished)" in c.notes
    )


def test_a_best_rate_at_the_end_of_those_tried_is_said():
    c = compared(BASE, row("fast", {0.5: 1.0, 1.0: 2.0, 2.0: 3.0}, {0.5: 3.0, 1.0: 2.0, 2.0: 1.0}))
    (note,) = [note for note in c.notes if note.startswith("at the end of the rates tried")]
    assert note.endswith(": fast (2x)")


def test_standings_at_all_rates_are_on_the_scale_of_the_table():
    c = compared(BASE, row("other", {0.5: 20.0, 1.0: 30.0, 2.0: 70.0}, {0.5: 3.0, 1.0: 2.0, 2.0: 1.0}))
    for r in c.rows:
        tried = {t.rate: t.standing for t in c.rates.rows[r.name].tried}
        assert tried[r.rate] == pytest.approx(r.standing.value)
    by_rate = {t.rate: t.standing for t in c.rates.rows["base"].tried}
    # the table's two numbers are 50 and 70: mean 60, deviation 10 times the root of 2
    assert by_rate == pytest.approx({rate: (n - 60) / 10 / 2**0.5 for rate, n in ((0.5, 40), (1.0, 50), (2.0, 30))})


def test_table_and_json_hold_the_rate_of_each_row():
    c = compared(BASE, row("other", {0.5: 20.0, 1.0: 30.0, 2.0: 70.0}, {0.5: 3.0, 1.0: 2.0, 2.0: 1.0}))
    lines = {line.split()[0]: line.split() for line in text_of(c).splitlines() if line.strip()}
    assert "rate" in lines["row"] and "2x" in lines["Other"] and "1x" in lines["Base"]
    values = json.loads(to_json(c))
    assert {r["name"]: r["rate"] for r in values["rows"]} == {"base": 1.0, "other": 2.0}
    rates = values["learning_rates"]
    assert rates["tried"] == [0.5, 1.0, 2.0] and rates["pairs"] == 1
    assert rates["rows"]["base"]["chosen_by"] == "held-out loss"
    assert [t["held_out_loss"] for t in rates["rows"]["base"]["tried"]] == [3.0, 2.0, 2.5]
    assert rates["reversed"] == [
        {
            "better": "other",
            "worse": "base",
            "reversed_at": [0.5, 1.0],
            "told_at": [0.5, 1.0],
            "noise_known": True,
        }
    ]


def test_the_best_of_three_equal_rates_is_told_no_more_often_than_the_level_allows():
    """Row and baseline differ in nothing, and the row takes the best of three; without paying it is told too often."""

    def told_better(tries, studies=1500, seeds=10):
        rng = np.random.default_rng(5)
        count = 0
        for _ in range(studies):
            base, *three = rng.normal(size=(4, seeds))
            best = max(three, key=np.mean)
            samples = {
                "base": Sample(runs=dict(enumerate(base.tolist()))),
                "row": Sample(runs=dict(enumerate(best.tolist())), tries=tries),
            }
            (difference,) = told({0: Measured(samples).difference("row", "base")}).values()
            count += bool(difference.told)
        return count / studies

    assert told_better(3) <= 0.03 < 0.055 < told_better(1)
