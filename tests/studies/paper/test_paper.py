"""The paper's numbers are in the project as they were published."""

import json
import statistics
from pathlib import Path

import pytest

from studies.paper import baseline_standard_deviation, paper_table, paper_tables, published
from t5core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
ROWS_PER_TABLE = (3, 10, 7, 3, 4, 4, 5, 6, 5, 6, 11, 5, 7, 6, 3, 69)


def test_every_table_has_all_its_rows():
    assert tuple(len(table.rows) for table in paper_tables()) == ROWS_PER_TABLE
    assert [table.number for table in paper_tables()] == list(range(1, 17))
    assert sum(ROWS_PER_TABLE) == 154


def test_every_score_stands_in_a_column_of_its_table_and_every_column_is_explained():
    explained = set(json.loads((ROOT / "studies" / "paper" / "tables.json").read_text())["columns"])
    for table in paper_tables():
        for row in table.rows:
            assert set(row.scores) <= set(table.columns), row
            assert set(row.bold) <= set(table.columns), row
            assert set(row.printed) <= set(table.columns), row
            if table.number != 3:
                assert set(row.scores) == set(table.columns), row
                assert set(row.scores) <= explained


@pytest.mark.parametrize(
    ("number", "name", "column", "score"),
    [
        (1, "No pre-training", "SQuAD", 50.31),
        (2, "Prefix LM / Denoising", "GLUE", 81.82),
        (4, "Deshuffling", "GLUE", 73.17),
        (5, "Drop corrupted tokens", "GLUE", 84.44),
        (6, "50%", "GLUE", 81.27),
        (7, "3", "SQuAD", 81.84),
        (8, "C4, unfiltered", "CNNDM", 19.14),
        (11, "Temperature-scaled, T=2", "GLUE", 81.90),
        (13, "2x size, 2x training steps", "GLUE", 86.18),
        (14, "T5-11B", "SGLUE avg", 88.9),
        (15, "T5-Base", "CNNDM", 20.90),
    ],
)
def test_numbers_are_the_published_ones(number, name, column, score):
    assert paper_table(number).row(name).scores[column] == score


def test_averages_of_table_16_are_the_means_of_their_tasks():
    pairs = (("MRPC F1", "MRPC acc"), ("STS-B Pearson", "STS-B Spearman"), ("QQP F1", "QQP acc"))
    pairs += (("MNLI-m acc", "MNLI-mm acc"),)
    single = ("CoLA MCC", "SST-2 acc", "QNLI acc", "RTE acc (GLUE)")
    checked = 0
    for row in paper_table(16).rows:
        if row.name == "Baseline standard deviation":
            continue
        tasks = [statistics.mean(row.scores[c] for c in pair) for pair in pairs] + [row.scores[c] for c in single]
        assert row.scores["GLUE"] == pytest.approx(statistics.mean(tasks), abs=0.015), row.name
        checked += 1
    assert checked == 68


def test_table_16_agrees_with_the_tables_it_repeats_up_to_one_rounding():
    for row in paper_table(16).rows:
        number, name = row.of
        main = paper_table(number).row(name)
        for theirs, ours in {"GLUE": "GLUE", "CNNDM": "CNNDM ROUGE-2", "SQuAD": "SQuAD EM", "SGLUE": "SGLUE"}.items():
            assert main.scores[theirs] == pytest.approx(row.scores[ours], abs=0.0101), (row.name, theirs)
        assert main.scores["EnRo"] == row.scores["EnRo"], row.name


def test_a_known_misprint_is_replaced_and_what_was_printed_is_kept():
    row = paper_table(10).row("Adapter layers, d=2048")
    assert (row.scores["GLUE"], row.printed["GLUE"]) == (82.62, 81.51)
    assert "Table 16" in row.note


def test_the_baseline_and_its_noise():
    assert baseline_standard_deviation()["GLUE"] == 0.235


def test_table_3_shows_strings():
    row = paper_table(3).row("Random spans")
    assert row.targets == "<X> for inviting me <Y> your party last <Z>"


@pytest.mark.parametrize(
    ("ask", "hint"),
    [
        (lambda: paper_table(17), "1 to 16"),
        (lambda: paper_table(4).row("Deshufling"), "did you mean 'Deshuffling'"),
        (lambda: published(7, "Baselin (i.i.d.)"), "did you mean 'Baseline"),
    ],
)
def test_a_wrong_name_gets_the_right_one(ask, hint):
    with pytest.raises(ConfigError, match=hint):
        ask()


def test_scores_cannot_be_changed():
    with pytest.raises(TypeError):
        paper_table(4).row("Deshuffling").scores["GLUE"] = 0.0
