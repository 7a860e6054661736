"""The comparison: order, marks, the paper beside us, rows that did not get there."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from orchestrator.results.compare import AVERAGE, STANDING, RowResult, TaskColumn, compare, to_json
from orchestrator.results.sequential import decide
from orchestrator.results.table import render
from t5core.readable import duration

NAMES = ("acceptability", "same_docstring", "similarity", "summary", "questions", "well_formed", "order")
COLUMNS = ("GLUE", "GLUE", "GLUE", "CNNDM", "SQuAD", "SGLUE", "SGLUE")


def accuracy(scores_Nk):
    return 100 * scores_Nk.mean(axis=(-2, -1))


TASKS = tuple(TaskColumn(task=t, paper_column=c, aggregate=accuracy) for t, c in zip(NAMES, COLUMNS, strict=True))


def examples_of(right):
    return (np.arange(200) < right).astype(np.float64)[:, None]


def row(name, right, *, seed=0, tasks=TASKS, paper=None, **more):
    """A row that has the first ``right`` of 200 examples of every task right."""
    examples_Nk = examples_of(right)
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


def seeds(name, right, *, spread=2, **more):
    """Two runs of a row, the second with ``spread`` more examples right."""
    return [row(name, right, **more), row(name, right + spread, seed=1, **more)]


def compared(*results, **more):
    return compare(results, TASKS, baseline="base", **more)


def text_of(comparison, width=None):
    out = io.StringIO()
    render(comparison, Console(file=out, width=width, force_terminal=width is not None, color_system=None))
    return out.getvalue()


def heads_of(comparison):
    """Returns the words over the columns."""
    lines = text_of(comparison, width=400).splitlines()
    return " ".join(lines[: next(i for i, line in enumerate(lines) if "Row " in line)]).split()


def test_rows_stand_in_the_order_of_their_standing_with_marks_against_the_baseline():
    c = compared(*seeds("worse", 40), *seeds("base", 100), *seeds("better", 160), *seeds("same", 100))
    assert [r.name for r in c.rows] == ["better", "base", "same", "worse"]
    marks = {r.name: r.cells["summary"].mark for r in c.rows}
    assert marks == {"better": "▲", "same": "≈", "base": "", "worse": "▼"}
    assert {r.name: r.standing.mark for r in c.rows} == marks
    assert [(r.rank, r.rank_shared) for r in c.rows] == [(1, False), (2, True), (2, True), (4, False)]


def test_rows_within_the_noise_share_a_rank():
    c = compared(*seeds("base", 100), *seeds("same", 100), *seeds("worse", 20))
    assert [(r.name, r.rank, r.rank_shared) for r in c.rows] == [
        ("base", 1, True),
        ("same", 1, True),
        ("worse", 3, False),
    ]
    assert " 1≈" in text_of(c)


def test_a_table_of_single_runs_says_nothing_of_any_difference():
    c = compared(row("base", 100, paper=80.0), row("a", 190, paper=81.0), row("b", 10, paper=82.0))
    numbers = [number for r in c.rows if r.name != "base" for number in (*r.cells.values(), r.standing)]
    assert {n.mark for n in numbers} == {"?"}
    assert [(r.name, r.rank, r.rank_known) for r in c.rows] == [("a", 1, False), ("base", 2, False), ("b", 3, False)]
    text = text_of(c)
    table = text[: text.index("order of 3 rows")]
    assert not set("▲▼≈") & set(table) and " 1?" in table
    assert "the noise of training is not known: use --seeds 2 or more" in text
    assert all(a.tau is not None and a.interval is None for a in c.agreement.values())
    assert not any(cell.bold for r in c.rows for cell in r.cells.values())


def test_a_single_run_borrows_noise_where_others_have_several():
    c = compared(*seeds("base", 100), *seeds("b", 101), row("a", 199))
    first = c.rows[0]
    assert (first.name, first.cells["summary"].mark, c.rows[1].cells["summary"].mark) == ("a", "▲?", "≈")
    assert "99.50▲?" in text_of(c) and "its noise of training is borrowed" in text_of(c)
    assert json.loads(to_json(c))["rows"][0]["cells"]["summary"]["borrowed"] is True


def test_a_seed_that_one_row_misses_leaves_clear_cells():
    c = compared(*seeds("base", 100), *seeds("a", 160), row("b", 20, seed=1))
    assert {r.name: r.seeds for r in c.rows} == {"a": 2, "base": 2, "b": 1}
    assert {r.name: r.cells["summary"].mark for r in c.rows} == {"a": "▲", "base": "", "b": "▼?"}
    assert c.rows[-1].cells["summary"].difference.value == pytest.approx(10.0 - 51.0)  # seed 1 against seed 1
    assert "1 to 2 seeds" in text_of(c)
    assert "seeds" in heads_of(c) and "seeds" not in heads_of(compared(*seeds("base", 100), *seeds("a", 160)))


def test_what_a_study_says_of_its_rows_stands_in_columns_of_its_own_and_in_the_json():
    facts = {"d": 2_048, "trained_parameters": 75_563_520, "bytes_per_task": 302_254_080, "how": "adapters"}
    none = {"d": None, "trained_parameters": 9, "bytes_per_task": 36, "how": ""}
    c = compared(*seeds("base", 100, facts=none), *seeds("a", 160, facts=facts), row("b", 20))
    assert [r["facts"] for r in json.loads(to_json(c))["rows"]] == [facts, none, {}]
    assert " ".join(heads_of(c)).partition("time")[0].endswith("paper rank d trained parameters bytes per task how ")
    of_a, of_base, of_b = [line.split() for line in text_of(c, width=400).splitlines() if line.startswith("Row ")]
    assert of_a[-6:] == ["2,048", "75.6M", "302.3", "MB", "adapters", "2:02"]
    assert of_base[-4:] == ["9", "36", "B", "2:02"] and "B" not in of_b


def test_two_results_of_one_row_and_seed_are_refused():
    with pytest.raises(ValueError, match="two results of row 'base' have seed 0"):
        compared(row("base", 100), row("base", 90))


def test_rows_that_are_all_the_same_share_the_first_rank():
    c = compared(*seeds("base", 100, spread=0), *seeds("a", 100, spread=0), *seeds("b", 100, spread=0))
    assert [(r.rank, r.rank_shared, r.standing.value) for r in c.rows] == [(1, True, 0.0)] * 3
    assert {r.cells["summary"].mark for r in c.rows} == {"", "≈"}
    assert "standing 0: all rows are the same on every task" in text_of(c)
    assert "nan" not in to_json(c).lower() and "nan" not in text_of(c)


def grey_study():
    """Summary is the same in all rows; order is noise; the other tasks tell the rows apart."""
    results = []
    for name, right in (("base", 100), ("a", 150), ("b", 50)):
        for seed in (0, 1):
            one = row(name, right + 2 * seed, seed=seed, paper=80.0)
            other = {"summary": examples_of(60), "order": examples_of(right // 10 + 90 + 20 * (-1) ** seed)}
            results.append(
                replace(
                    one,
                    scores={**one.scores, **{task: accuracy(e) for task, e in other.items()}},
                    example_scores={**one.example_scores, **other},
                )
            )
    return compared(*results)


def test_tasks_that_tell_nothing_are_grey_and_not_in_the_standing():
    c = grey_study()
    assert {task for task, signal in c.signals.items() if not signal.takes_part} == {"summary", "order"}
    assert [r.name for r in c.rows] == ["a", "base", "b"]
    assert "signal-to-noise below 3, so shown grey and not in standing: order" in c.notes
    assert "the same in all rows, so nothing is ranked by it: summary" in c.notes
    out = io.StringIO()
    render(c, Console(file=out, width=400, force_terminal=True, color_system="standard", no_color=False))
    assert "\x1b[90m" in out.getvalue() and "30.00" in out.getvalue()
    tasks = {t["task"]: t for t in json.loads(to_json(c))["tasks"]}
    assert (tasks["summary"]["takes_part"], tasks["summary"]["signal_to_noise"]) == (False, {"score": 0.0})
    assert tasks["questions"]["takes_part"] and tasks["questions"]["signal_to_noise"]["score"] > 3
    assert tasks["questions"]["smallest_difference"]["score"] > 0


def likelihoods(bits, size=8.0, spread=0.0):
    """200 targets of 8 bytes each, of about so many bits per byte."""
    nats_N = bits * np.log(2) * 8.0 * (1 + spread * np.sin(np.arange(200)))
    return np.stack([nats_N, np.full(200, size)], axis=1)


def with_bits(name, right, bits, *, seed=0, size=8.0, **more):
    return row(name, right, seed=seed, likelihoods=dict.fromkeys(NAMES, likelihoods(bits, size)), **more)


def bits_study(**more):
    return compared(
        *(with_bits("base", 100 + s, 2.0 + 0.01 * s, seed=s) for s in (0, 1)),
        *(with_bits("a", 101 + s, 1.0 + 0.02 * s, seed=s) for s in (0, 1)),
        *(with_bits("b", 102 + s, 3.0, seed=s, **more) for s in (0, 1)),
    )


def test_bits_per_byte_stand_beside_scores_and_less_is_better():
    c = bits_study()
    bits = {r.name: r.cells["summary"].bits for r in c.rows}
    assert {name: (round(b.value, 6), b.mark) for name, b in bits.items()} == {
        "a": (1.01, "▲"),
        "base": (2.005, ""),
        "b": (3.0, "▼"),
    }
    assert [r.name for r in c.rows] == ["a", "base", "b"], "ranked by bits, not by scores"
    assert {r.cells["summary"].mark for r in c.rows} == {"", "≈"}
    assert "1.010▲" in text_of(c) and "summary bits" in " ".join(text_of(c).split())
    first = json.loads(to_json(c))["rows"][0]["cells"]["summary"]["bits"]
    assert (first["value"], first["mark"], first["difference"]) == (1.01, "▲", -0.995)
    assert "bits" not in text_of(compared(*seeds("base", 100), *seeds("a", 120)))


def test_bits_are_over_all_bytes_not_a_mean_of_ratios():
    of_two = np.array([[8 * np.log(2), 1.0], [2 * np.log(2), 9.0]])
    runs = [
        RowResult(name=n, label="", seed=s, scores={"t": 1.0}, likelihoods={"t": of_two}) for n in "ab" for s in (0, 1)
    ]
    c = compare(runs, [TaskColumn(task="t")], baseline="a")
    assert c.rows[0].cells["t"].bits.value == pytest.approx(1.0)


def labelled(name, right, label_nats, auc, *, seed=0, columns=4):
    """A run with labels on one task, and with an answer alone on another."""
    numbers = np.concatenate([likelihoods(2.0), np.full((200, 1), label_nats), np.ones((200, 1))], axis=1)
    by_task = {"same_docstring": numbers[:, :columns], "summary": likelihoods(2.0)}
    return row(name, right, seed=seed, likelihoods=by_task, label_auc={} if auc is None else {"same_docstring": auc})


def test_what_tells_labels_apart_stands_beside_bits_and_ranks_nothing():
    base = [labelled("base", 100, 0.75, 70.0), labelled("base", 102, 0.5, 72.0, seed=1)]
    one_class = [labelled("a", 140, 0.25, None), labelled("a", 142, 0.5, 90.0, seed=1)]
    without = [labelled("b", 50, 0.0, None, seed=s, columns=2) for s in (0, 1)]
    c = compared(*base, *one_class, *without)
    found = {r.name: r.cells["same_docstring"] for r in c.rows}
    assert {name: (cell.label_nats, cell.label_auc) for name, cell in found.items()} == {
        "a": (0.375, None),
        "base": (0.625, 71.0),
        "b": (None, None),
    }
    cells = {r["name"]: r["cells"] for r in json.loads(to_json(c))["rows"]}
    assert [cells["base"]["same_docstring"][name] for name in ("label_nats", "label_auc")] == [0.625, 71.0]
    assert [cells["a"]["same_docstring"][name] for name in ("label_nats", "label_auc")] == [0.375, None]
    for name in ("summary", "average"):
        assert (cells["base"][name]["label_nats"], cells["base"][name]["label_auc"]) == (None, None)
    plain = compared(*(replace(run, label_auc={}) for run in (*base, *one_class, *without)))
    assert [(r.name, r.rank, r.standing) for r in c.rows] == [(r.name, r.rank, r.standing) for r in plain.rows]


def test_a_label_that_is_not_finite_leaves_no_number():
    c = compared(*(labelled("base", 100 + s, np.inf if s else 0.5, 70.0, seed=s) for s in (0, 1)))
    assert c.rows[0].cells["same_docstring"].label_nats is None
    assert "nan" not in to_json(c).lower() and "infinity" not in to_json(c).lower()


def test_targets_without_bytes_leave_a_clear_cell_and_a_line():
    c = bits_study(size=0.0)
    assert {r.name: r.cells["summary"].bits is None for r in c.rows} == {"a": False, "base": False, "b": True}
    assert "no bits per byte on summary for b (its targets have no bytes)" in c.notes
    assert {s.measure for s in c.signals.values()} == {"score"}, "rows are ranked by what all of them have"
    assert "nan" not in to_json(c).lower() and "nan" not in text_of(c)


def test_a_score_that_is_no_number_leaves_a_clear_cell_and_a_line():
    broken = [replace(run, scores={**run.scores, "summary": float("nan")}) for run in seeds("a", 140)]
    c = compared(*seeds("base", 100), *broken)
    assert "summary" not in next(r for r in c.rows if r.name == "a").cells
    assert "no score on summary for a: it is not finite" in c.notes
    assert "nan" not in to_json(c).lower() and "nan" not in text_of(c)


def test_bold_follows_the_papers_rule_on_scores():
    c = compared(*seeds("base", 100, spread=8), *seeds("a", 102, spread=8), *seeds("b", 60, spread=8))
    assert {r.name: r.cells["summary"].bold for r in c.rows} == {"a": True, "base": True, "b": False}
    assert any(note.startswith("bold, by the paper's rule: within 2 standard deviations") for note in c.notes)
    assert json.loads(to_json(c))["rows"][0]["cells"]["summary"]["bold"] is True


def test_a_comparison_says_what_more_seeds_would_decide():
    c = compared(*seeds("base", 100), *seeds("far", 190), *seeds("near", 100))
    decision = decide(c.standing, [row.name for row in c.rows], c.baseline, looks=4)
    assert [{p.better, p.worse} for p in decision.pairs] == [{"base", "near"}]


def test_looks_share_the_level():
    runs = [*seeds("base", 100), *seeds("a", 140), *seeds("b", 104)]
    assert compared(*runs).level == 0.05
    five = compared(*runs, looks=5)
    assert five.level == pytest.approx(0.01)
    assert "at most 0.01, shared by up to 5 looks" in text_of(five)


def test_the_average_is_the_mean_over_tasks():
    one = row("base", 100)
    c = compared(RowResult(name="base", label="", scores=dict(zip(NAMES, range(7), strict=True)), example_scores=None))
    assert c.rows[0].cells[AVERAGE].score == 3.0
    assert compared(one).rows[0].cells[AVERAGE].score == 50.0
    assert (c.rows[0].rank, c.rows[0].standing.value) == (1, 0.0)


def test_the_papers_columns_and_the_agreement_of_orders():
    c = compared(*seeds("base", 60, paper=80.0), *seeds("a", 120, paper=81.0), *seeds("b", 180, paper=82.0))
    assert c.paper_columns == ("GLUE", "CNNDM", "SQuAD", "SGLUE")
    assert [(r.name, r.paper_rank) for r in c.rows] == [("b", 1), ("a", 2), ("base", 3)]
    assert c.tau == pytest.approx(dict.fromkeys((*c.paper_columns, AVERAGE, STANDING), 1.0))
    assert "GLUE +1.00 (+1.00 to +1.00)" in text_of(c)
    assert "two unrelated orders lie within ±1.00 in 19 of 20 cases" in text_of(c)
    assert json.loads(to_json(c))["tau_interval"]["standing"] == [1.0, 1.0]


def test_a_failed_row_is_marked_with_its_reason_and_stands_last():
    failed = RowResult(name="bad", label="Bad", status="failed", reason="loss=nan at step 17: training stopped")
    c = compared(failed, row("base", 100))
    assert [r.name for r in c.rows] == ["base", "bad"]
    assert "✗ bad: loss=nan at step 17: training stopped" in text_of(c)
    assert c.rows[1].rank is None


def test_a_row_without_one_of_the_tasks_has_no_rank():
    c = compared(*seeds("part", 150, tasks=TASKS[:3]), *seeds("base", 100), *seeds("a", 40))
    assert (c.rows[-1].name, c.rows[-1].rank, c.rows[-1].cells["similarity"].mark) == ("part", None, "▲")


def test_several_seeds_are_one_row_and_their_spread_counts():
    narrow = compared(*seeds("base", 99), *seeds("a", 147), *seeds("b", 50))
    wide = compared(*seeds("base", 80, spread=40), *seeds("a", 168, spread=-40), *seeds("b", 31, spread=40))
    assert [(r.name, r.seeds, r.cells["summary"].score) for r in wide.rows] == [
        ("a", 2, 74.0),
        ("base", 2, 50.0),
        ("b", 2, 25.5),
    ]
    assert narrow.rows[0].cells["summary"].mark == "▲"
    assert wide.rows[0].cells["summary"].mark == "≈"
    assert "the spread over 2 seeds of each row" in text_of(wide)
    assert "one seed per row" in text_of(compared(row("base", 100), row("a", 112)))


def test_without_a_baseline_nothing_is_compared_and_the_table_says_so():
    c = compared(RowResult(name="base", label="", status="failed", reason="x"), row("a", 100))
    assert c.rows[0].cells["summary"].difference is None
    assert "the baseline (base) has no result yet" in text_of(c)


def test_plain_output_is_as_wide_as_it_needs_to_be_and_cuts_no_number():
    results = [row(f"r{i}", 60 + 5 * i, paper=70.0 + i) for i in range(13)] + [row("base", 100, paper=83.28)]
    text = text_of(compared(*results, title="objectives, tiny"))
    table = text[: text.index("order of 14 rows")]
    assert max(map(len, table.splitlines())) == 144  # heads stand in several lines; no word of one is broken
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
    whole = {word for word in text_of(c).split() if re.fullmatch(r"[\d.:]+[▲▼≈?]*", word)}
    numbers = [word for line in table[rule + 1 :] for word in line.split() if re.match(r"[\d]", word)]
    assert numbers and set(numbers) <= whole
    words = {word for line in text_of(c).splitlines()[1:4] for word in line.split()}
    heads = [word for line in table[:rule] for word in line.split()]
    assert all(head in words or (head.endswith(".") and any(w.startswith(head[:-1]) for w in words)) for head in heads)
    assert not any("…" in line for line in table) and max(map(len, table)) <= width
    assert "rank" in heads and {"standing", "stand."} & set(heads)  # what decides is shown in any width


def test_json_holds_what_the_table_shows():
    c = compared(*seeds("base", 100, paper=80.0), *seeds("a", 160, paper=81.0), *seeds("b", 40), title="t")
    content = json.loads(to_json(c))
    first = content["rows"][0]
    assert (first["name"], first["cells"]["summary"]["score"], first["cells"]["summary"]["mark"]) == ("a", 80.5, "▲")
    assert first["cells"]["summary"]["difference"] == 30.0
    assert (first["standing"]["mark"], first["rank_known"], content["level"]) == ("▲", True, 0.05)
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
