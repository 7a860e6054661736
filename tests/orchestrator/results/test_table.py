"""The comparison: order, marks, the paper beside us, rows that did not get there."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from orchestrator.results.compare import AVERAGE, RowResult, TaskColumn, compare, to_json
from orchestrator.results.table import render
from t5core.readable import duration

NAMES = ("acceptability", "same_docstring", "similarity", "summary", "questions", "well_formed", "order")
COLUMNS = ("GLUE", "GLUE", "GLUE", "CNNDM", "SQuAD", "SGLUE", "SGLUE")


def accuracy(scores_Nk):
    return 100 * scores_Nk.mean(axis=(-2, -1))


TASKS = tuple(TaskColumn(task=t, paper_column=c, aggregate=accuracy) for t, c in zip(NAMES, COLUMNS, strict=True))


def row(name, right, *, seed=0, tasks=TASKS, paper=None, **more):
    """A row that has the first ``right`` of 200 examples of every task right."""
    examples_Nk = (np.arange(200) < right).astype(np.float64)[:, None]
    return RowResult(
        name=name,
        label=f"Row {name}",
        seed=seed,
        scores={t.task: accuracy(examples_Nk) for t in tasks},
        example_scores={t.task: examples_Nk for t in tasks},
        seconds=61.0,
        paper=dict.fromkeys(("GLUE", "CNNDM", "SQuAD", "SGLUE"), paper) if paper else {},
        **more,
    )


def compared(*results, **more):
    return compare(results, TASKS, baseline="base", **more)


def text_of(comparison, width=None):
    out = io.StringIO()
    render(comparison, Console(file=out, width=width, force_terminal=width is not None, color_system=None))
    return out.getvalue()


def test_rows_stand_in_the_order_of_our_average_with_marks_against_the_baseline():
    c = compared(row("worse", 60), row("base", 100), row("better", 140), row("same", 101))
    assert [r.name for r in c.rows] == ["better", "same", "base", "worse"]
    marks = {r.name: r.cells["summary"].mark for r in c.rows}
    assert marks == {"better": "▲", "same": "≈", "base": "", "worse": "▼"}
    assert {r.name: (r.rank, r.rank_shared) for r in c.rows}["same"] != (3, False)


def test_rows_within_the_noise_share_a_rank():
    c = compared(row("base", 100), row("same", 100), row("worse", 20))
    assert [(r.name, r.rank, r.rank_shared) for r in c.rows] == [
        ("base", 1, True),
        ("same", 1, True),
        ("worse", 3, False),
    ]
    assert " 1≈" in text_of(c)


def test_the_average_is_the_mean_over_tasks():
    one = row("base", 100)
    c = compared(RowResult(name="base", label="", scores=dict(zip(NAMES, range(7), strict=True)), example_scores=None))
    assert c.rows[0].cells[AVERAGE].score == 3.0
    assert compared(one).rows[0].cells[AVERAGE].score == 50.0


def test_the_papers_columns_and_the_agreement_of_orders():
    c = compared(row("base", 100, paper=80.0), row("a", 120, paper=81.0), row("b", 140, paper=82.0))
    assert c.paper_columns == ("GLUE", "CNNDM", "SQuAD", "SGLUE")
    assert [(r.name, r.paper_rank) for r in c.rows] == [("b", 1), ("a", 2), ("base", 3)]
    assert c.tau == pytest.approx(dict.fromkeys((*c.paper_columns, AVERAGE), 1.0))
    assert "GLUE +1.00" in text_of(c)


def test_a_failed_row_is_marked_with_its_reason_and_stands_last():
    failed = RowResult(name="bad", label="Bad", status="failed", reason="loss=nan at step 17: training stopped")
    c = compared(failed, row("base", 100))
    assert [r.name for r in c.rows] == ["base", "bad"]
    assert "✗ bad: loss=nan at step 17: training stopped" in text_of(c)
    assert c.rows[1].rank is None


def test_a_row_without_one_of_the_tasks_has_no_rank():
    partly = row("part", 150, tasks=TASKS[:3])
    c = compared(partly, row("base", 100))
    assert (c.rows[-1].name, c.rows[-1].rank, c.rows[-1].cells["similarity"].mark) == ("part", None, "▲")


def test_several_seeds_are_one_row_and_their_spread_counts():
    single = compared(row("base", 100), row("a", 112))
    spread = compared(row("base", 90), row("base", 110, seed=1), row("a", 100), row("a", 124, seed=1))
    assert [(r.name, r.seeds, r.cells["summary"].score) for r in spread.rows] == [("a", 2, 56.0), ("base", 2, 50.0)]
    assert single.rows[0].cells["summary"].mark == "▲"
    assert spread.rows[0].cells["summary"].mark == "≈"
    assert "2 seeds" in text_of(spread)
    assert "one seed per row" in text_of(single)


def test_without_a_baseline_nothing_is_compared_and_the_table_says_so():
    c = compared(RowResult(name="base", label="", status="failed", reason="x"), row("a", 100))
    assert c.rows[0].cells["summary"].difference is None
    assert "the baseline (base) has no result yet" in text_of(c)


def test_plain_output_is_as_wide_as_it_needs_to_be_and_cuts_no_number():
    results = [row(f"r{i}", 60 + 5 * i, paper=70.0 + i) for i in range(13)] + [row("base", 100, paper=83.28)]
    text = text_of(compared(*results, title="objectives, tiny"))
    table = text[: text.index("order of 14 rows")]
    assert max(map(len, table.splitlines())) == 135  # heads stand in several lines; no word of one is broken
    assert "acceptability" in table
    assert "…" not in table
    assert "\x1b" not in text
    for number in ("83.28", "82.00", "60.00", "1:01"):
        assert number in table


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_a_narrow_terminal_shows_fewer_columns_and_never_half_a_number(width):
    c = compared(row("base", 100, paper=80.0), row("a", 120, paper=81.0), title="t")
    lines = text_of(c, width=width).splitlines()
    end = next(at for at, line in enumerate(lines) if line.startswith(("no room for", "order of", "against the")))
    table = lines[1:end]
    rule = next(at for at, line in enumerate(table) if set(line) == {"─"})
    whole = {word for word in text_of(c).split() if re.fullmatch(r"[\d.:]+[▲▼≈]?", word)}
    numbers = [word for line in table[rule + 1 :] for word in line.split() if re.match(r"[\d]", word)]
    assert numbers and set(numbers) <= whole
    words = {word for line in text_of(c).splitlines()[1:4] for word in line.split()}
    heads = [word for line in table[:rule] for word in line.split()]
    assert all(head in words or (head.endswith(".") and any(w.startswith(head[:-1]) for w in words)) for head in heads)
    assert not any("…" in line for line in table) and max(map(len, table)) <= width
    assert {"average", "rank"} <= set(heads)  # what decides is shown in any width


def test_json_holds_what_the_table_shows():
    c = compared(row("base", 100, paper=80.0), row("a", 140, paper=81.0), title="t")
    content = json.loads(to_json(c))
    first = content["rows"][0]
    assert (first["name"], first["cells"]["summary"]["score"], first["cells"]["summary"]["mark"]) == ("a", 70.0, "▲")
    assert first["cells"]["summary"]["difference"] == 20.0
    assert content["rows"][1]["cells"]["average"]["sd"] > 0
    assert "difference" not in content["rows"][1]["cells"]["average"]


def test_what_the_commonest_answer_scores_stands_under_the_table_where_it_is_known():
    tasks = (
        replace(TASKS[0], majority=52.5, label="acceptability accuracy"),
        replace(TASKS[1], majority=0.0),
        *TASKS[2:6],
        replace(TASKS[6], majority=100 / 3),
    )
    c = compare([row("base", 100), row("a", 140)], tasks, baseline="base")
    line = "always training's commonest answer: acceptability accuracy 52.50, same_docstring 0.00, order 33.33"
    assert line in c.notes and line in text_of(c).splitlines()
    assert [t["majority"] for t in json.loads(to_json(c))["tasks"]] == [52.5, 0.0, None, None, None, None, 100 / 3]
    before = compared(row("base", 100), row("a", 140))
    assert c.rows == before.rows, "it is no row and takes no rank"


def test_nothing_is_said_of_commonest_answers_that_are_not_known():
    c = compared(row("base", 100))
    assert "commonest" not in text_of(c)
    assert {t["majority"] for t in json.loads(to_json(c))["tasks"]} == {None}


def test_notes_of_the_caller_stand_last():
    c = compare([row("base", 100)], [replace(TASKS[0], majority=1.0)], baseline="base", notes=("one", "two"))
    assert c.notes[-3:] == ("always training's commonest answer: acceptability 1.00", "one", "two")


def test_the_same_results_give_the_same_bytes():
    results = [row("base", 100), row("a", 104), row("b", 96)]
    assert to_json(compared(*results)) == to_json(compared(*results))


@pytest.mark.parametrize(("seconds", "text"), [(None, ""), (41.6, "42 s"), (187, "3:07"), (7387, "2:03:07")])
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text
