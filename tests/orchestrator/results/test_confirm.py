"""What one table tells apart, held against another one: confirmed, contradicted or open, never more than is known."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from orchestrator.results.compare import RowResult, TaskColumn, compare
from orchestrator.results.confirm import confirm
from orchestrator.results.confirm_shown import headline, notes, render, to_dict
from orchestrator.results.multiple import all_pairs

QA, PAIR = TaskColumn(task="qa", paper_column="SQuAD"), TaskColumn(task="pair", paper_column="GLUE")
NAMES = ("tiny", "desk")


def table(levels, *, spread=0.1, seeds=(0, 1, 2), tasks=(QA, PAIR), looks=1):
    """A table of rows whose scores lie ``spread`` apart between seeds, in another order for each row."""
    results = [
        RowResult(name=name, label=name, seed=seed, scores={t.task: level + _off(at, seed, spread) for t in tasks})
        for at, (name, level) in enumerate(levels.items())
        for seed in seeds
    ]
    return compare(results, tasks, baseline=next(iter(levels)), looks=looks)


def _off(at, seed, spread):
    """Of the n-th row, of a seed: no two rows go alike, so that pairing takes nothing away."""
    return spread * ((-1, 0, 1), (0, 1, -1), (1, -1, 0), (1, 0, -1))[at % 4][seed % 3]


def text_of(found, width=None):
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=width is not None, color_system=None, highlight=False)
    render(found, "trial", console)
    return out.getvalue()


def test_pairs_are_confirmed_contradicted_or_left_open():
    tiny = table({"a": 10.0, "b": 20.0, "c": 30.0, "d": 40.0})
    desk = table({"a": 10.0, "b": 60.0, "c": 50.0, "d": 50.05})
    found = confirm(tiny, desk, NAMES)
    assert {(p.better, p.worse): (p.verdict, p.leans) for p in found.standing.pairs} == {
        ("d", "c"): ("open", 1),
        ("d", "b"): ("contradicted", -1),
        ("d", "a"): ("confirmed", 1),
        ("c", "b"): ("contradicted", -1),
        ("c", "a"): ("confirmed", 1),
        ("b", "a"): ("confirmed", 1),
    }
    assert headline(found) == (
        "of 6 pairs of rows that tiny told apart, desk confirms 3, contradicts 2, leaves 1 open; "
        "of 0 that tiny left open desk tells 0"
    )
    assert [(line.by, line.of, len(line.pairs)) for line in found.lines] == [("qa", "score", 6), ("pair", "score", 6)]
    assert found.standing.agreement.tau == pytest.approx(1 / 3)  # 4 pairs the same way, 2 the other


def test_the_tables_say_it_in_words_what_contradicts_first_and_a_lean_as_a_lean():
    tiny = table({"a": 10.0, "b": 20.0, "c": 30.0, "d": 40.0})
    desk = table({"a": 10.0, "b": 60.0, "c": 50.0, "d": 50.05})
    lines = text_of(confirm(tiny, desk, NAMES)).splitlines()
    assert lines[0] == "trial" and lines[1].startswith("of 6 pairs of rows that tiny told apart, desk confirms 3, ")
    told = [line.split() for line in lines[4:10]]
    assert [(row[0], row[1], " ".join(row[4:])) for row in told] == [
        ("d", "b", "contradicts"),
        ("c", "b", "contradicts"),
        ("d", "a", "confirms"),
        ("c", "a", "confirms"),
        ("b", "a", "confirms"),
        ("d", "c", "open, leans the same way"),
    ]
    assert [row[2][-1] for row in told] == ["▲"] * 6 and [row[3][-1] for row in told] == [*"▼▼▲▲▲≈"]
    standing = next(line for line in lines if line.startswith("standing: "))
    assert standing.split()[-9:-4] == ["6", "3", "2", "1", "0"]  # tells; confirms, contradicts, open; alone


def test_what_the_second_table_alone_tells_is_counted():
    tiny = table({"a": 10.0, "b": 10.05, "c": 30.0})
    desk = table({"a": 10.0, "b": 20.0, "c": 30.0})
    found = confirm(tiny, desk, NAMES)
    assert (len(found.standing.pairs), found.standing.count("confirmed"), found.standing.told_by_second) == (2, 2, 1)
    assert headline(found).endswith("of 1 that tiny left open desk tells 1")
    back = confirm(desk, tiny, NAMES[::-1])
    assert (back.standing.count("confirmed"), back.standing.count("open"), back.standing.told_by_second) == (2, 1, 0)


def test_less_is_better_for_bits():
    def with_bits(levels):
        results = []
        for at, (name, bits) in enumerate(levels.items()):
            for seed in range(3):
                nats_N = (bits + _off(at, seed, 0.01)) * np.log(2) * np.full(50, 8.0)
                numbers = {"qa": np.stack([nats_N, np.full(50, 8.0)], axis=1)}
                results.append(RowResult(name=name, label="", seed=seed, scores={"qa": 5.0}, likelihoods=numbers))
        return compare(results, [QA], baseline="a")

    found = confirm(with_bits({"a": 1.0, "b": 2.0}), with_bits({"a": 2.0, "b": 1.0}), NAMES)
    (line,) = found.lines
    assert (line.of, [(p.better, p.worse, p.verdict) for p in line.pairs]) == (
        "bits per byte",
        [("a", "b", "contradicted")],
    )


@pytest.mark.parametrize(("first", "second"), [((0,), (0, 1, 2)), ((0, 1, 2), (0,)), ((0,), (0,))])
def test_with_one_seed_nothing_is_told_and_a_line_says_so(first, second):
    levels = {"a": 10.0, "b": 20.0, "c": 30.0}
    found = confirm(table(levels, seeds=first), table(levels, seeds=second), NAMES)
    text = text_of(found)
    assert not set("▲▼≈─") & set(text), "there is no table"
    assert "the noise of its training is not known (use --seeds 2 or more)" in headline(found)
    assert headline(found).startswith(
        "tiny tells no two of the 3 rows apart" if len(first) == 1 else "tiny told 3 of 3 pairs of rows apart; desk can"
    )
    assert "tau of the two standings +1.00 (?)" in text
    values = to_dict(found)["standing"]
    assert (values["confirmed"], values["contradicted"], values["open"]) == (None, None, None)
    assert {pair["verdict"] for pair in values["told"]} <= {None}
    assert "NaN" not in json.dumps(to_dict(found))


def test_rows_that_do_not_differ_are_no_pairs_to_confirm():
    same = {"a": 10.0, "b": 10.0, "c": 10.0, "d": 10.0}
    found = confirm(table(same), table({"a": 10.0, "b": 20.0, "c": 30.0, "d": 40.0}), NAMES)
    assert headline(found) == (
        "tiny told none of 6 pairs of rows apart, so desk confirms none; of 6 that tiny left open desk tells 6"
    )
    assert "better" not in text_of(found)


def test_rows_go_by_name_and_each_table_is_corrected_over_its_own_pairs():
    tiny = table({"a": 10.0, "b": 20.0, "x": 5.0})
    desk = table({"y": 90.0, "b": 20.0, "a": 10.0}, looks=4)
    found = confirm(tiny, desk, NAMES)
    assert (found.standing.rows, found.only) == (("b", "a"), (("x",), ("y",)))
    assert found.levels == (0.05, 0.0125)
    said = notes(found)
    assert "only in tiny: x" in said and "only in desk: y" in said
    assert any("at levels 0.05 and 0.0125" in note for note in said)
    assert [(p.better, p.worse, p.verdict) for p in found.standing.pairs] == [("b", "a", "confirmed")]


def test_the_correction_is_over_all_rows_of_a_table_as_its_ranks_are():
    """The two rows of both tables alone would be told apart; among ten they are not."""
    tiny = table({"a": 10.0, "b": 10.2, **{f"x{n}": 10.0 + n / 40 for n in range(8)}})
    assert all_pairs(["b", "a"], tiny.standing.difference)["b", "a"].told
    found = confirm(tiny, table({"a": 10.0, "b": 20.0}), NAMES)
    assert (found.standing.rows, found.standing.pairs, found.standing.told_by_second) == (("b", "a"), (), 1)


def test_a_row_without_a_standing_is_named_and_not_compared():
    desk = table({"a": 10.0, "b": 20.0, "c": 30.0})
    part = [RowResult(name="c", label="", status="failed", reason="no memory")]
    results = [
        RowResult(name=n, label="", seed=s, scores=dict.fromkeys(("qa", "pair"), v + _off(i, s, 0.1)))
        for i, (n, v) in enumerate({"a": 10.0, "b": 20.0}.items())
        for s in range(3)
    ]
    found = confirm(compare([*results, *part], [QA, PAIR], baseline="a"), desk, NAMES)
    assert (found.standing.rows, found.unranked) == (("b", "a"), (("c",), ()))
    assert "without a standing in tiny: c" in notes(found)


def test_other_tasks_of_one_of_the_papers_columns_are_compared_by_their_means():
    others = (QA, TaskColumn(task="cola", paper_column="GLUE"), TaskColumn(task="mrpc", paper_column="GLUE"))
    levels = {"a": 10.0, "b": 20.0, "c": 30.0}
    found = confirm(table(levels), table(levels, tasks=others), NAMES)
    assert [(line.by, line.of, line.count("confirmed")) for line in found.lines] == [
        ("qa", "score", 3),
        ("GLUE", "score of pair against mean score of cola, mrpc", 3),
    ]
    assert "GLUE: score of pair against mean score of cola, mrpc" in text_of(found)


def test_runs_behind_both_tables_are_told():
    levels = {"a": 10.0, "b": 20.0}
    found = confirm(table(levels), table(levels), NAMES, shared_runs=4)
    assert "4 trainings are behind both tables, so of their rows desk is no independent word" in notes(found)


def test_fewer_than_two_rows_in_common_are_refused():
    with pytest.raises(ValueError, match="1 rows have a standing in both"):
        confirm(table({"a": 1.0, "b": 2.0}), table({"b": 1.0, "c": 2.0}), NAMES)


def test_a_narrow_terminal_keeps_what_is_told():
    levels = {"a": 10.0, "b": 20.0, "c": 30.0}
    lines = text_of(confirm(table(levels), table(levels), NAMES), width=60).splitlines()
    assert max(map(len, lines)) <= 60
    assert any(line.split()[:2] == ["c", "b"] and line.rstrip().endswith("confirms") for line in lines)
