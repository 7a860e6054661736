"""The published numbers of every table of the T5 paper, as data.

Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
JMLR 21(140), 2020 (arXiv 1910.10683). The numbers lie beside this file in ``tables.json``, one row of a
table per line; this module puts frozen values and names around them:

    >>> paper_table(4).row("Deshuffling").scores["GLUE"]
    73.17
    >>> baseline_standard_deviation()["GLUE"]
    0.235
    >>> cells_for(objective_row("random_spans", mean_span_length=3))["SQuAD"]
    81.84

All scores are times 100. Where the paper contradicts itself, ``scores`` holds the value to use, ``printed`` what
stands in that table instead, and ``note`` why; the notes cover every contradiction we know of.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from t5core.errors import ConfigError

ENGLISH_COLUMNS = ("GLUE", "CNNDM", "SQuAD", "SGLUE")
"""The columns of the ablation tables that need no translation data."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """One row of one table.

    Attributes:
        table: number of the table, 1 to 16.
        name: as printed.
        baseline: whether this row is the paper's baseline (the mean of 10 runs; all other rows are one run).
        scores: column -> score x100, the value to use. Empty for Table 3.
        config: what differs from, or matters beside, ``baseline_config()``: objective, rates, steps, sizes.
        bold: columns printed in bold: within two baseline standard deviations of the column's best (Table 14: best).
        printed: column -> what the table prints where that is not the value to use.
        note: why, or what else to know; "" mostly.
        of: Table 16 only: number of the table and name of the row whose scores these are.
        inputs, targets: Table 3 only: what the objective makes of the table's sentence.
    """

    table: int
    name: str
    baseline: bool = False
    scores: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    config: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    bold: tuple[str, ...] = ()
    printed: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    note: str = ""
    of: tuple[int, str] | None = None
    inputs: str = ""
    targets: str = ""


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """One table.

    Attributes:
        number: 1 to 16.
        study: which part of the paper it belongs to: "objectives", "architectures", ...
        title: what it compares, in our words.
        split: "validation" or "test"; "" for Table 3, which has no scores.
        columns: names of the scores, in the table's order; ``column_meaning`` explains them.
        rows: in the table's order.
        notes: what to know before using the numbers.
    """

    number: int
    study: str
    title: str
    split: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    notes: str = ""

    def row(self, name: str) -> PaperRow:
        """Returns the row called ``name``, or, if no row is called so, the only one whose name starts with it.

        Raises:
            ConfigError: no such row, or several (Table 16 repeats the baseline under other names).
        """
        exact = [row for row in self.rows if row.name == name]
        found = exact or [row for row in self.rows if name and row.name.startswith(name)]
        if len(found) == 1 or (exact and all(row.scores == exact[0].scores for row in exact)):
            return found[0]
        names = tuple(dict.fromkeys(row.name for row in self.rows))
        if found:
            raise ConfigError("row", name, f"several rows of Table {self.number} begin so: write the whole name")
        raise ConfigError("row", name, f"Table {self.number} has {', '.join(names)}", choices=names)


def paper_table(number: int) -> PaperTable:
    """Returns the paper's table of that number; raises ConfigError unless it is 1 to 16."""
    tables = _load()
    if number not in tables:
        raise ConfigError("table", number, f"the paper's tables are {min(tables)} to {max(tables)}")
    return tables[number]


def paper_tables() -> tuple[PaperTable, ...]:
    """Returns all tables, 1 to 16."""
    return tuple(_load().values())


def baseline_config() -> Mapping[str, Any]:
    """Returns the settings of the paper's baseline (section 3.1): what a row's ``config`` is relative to."""
    return MappingProxyType(_read()["baseline"])


def baseline_standard_deviation() -> Mapping[str, float]:
    """Returns column -> standard deviation x100 over the paper's 10 baseline runs (Table 1)."""
    return paper_table(1).row("Baseline standard deviation").scores


def column_meaning(column: str) -> str:
    """Returns what a column of the paper's tables measures, like "SQuAD v1.1 exact match".

    Raises:
        ConfigError: no table has such a column.
    """
    columns: dict[str, str] = _read()["columns"]
    if column not in columns:
        raise ConfigError("column", column, "no table has it", choices=columns)
    return columns[column]


def cells_for(row: PaperRow) -> dict[str, float]:
    """Returns what a comparison shows of a row: its GLUE, CNNDM, SQuAD and SGLUE scores x100, where it has them."""
    return {column: row.scores[column] for column in ENGLISH_COLUMNS if column in row.scores}


def objective_rows() -> tuple[PaperRow, ...]:
    """Returns the thirteen distinct objectives of Tables 4 to 7, each once, in the order in which they appear."""
    distinct: dict[tuple[Any, ...], PaperRow] = {}
    for number in (4, 5, 6, 7):
        for row in paper_table(number).rows:
            distinct.setdefault(_objective(row), row)
    return tuple(distinct.values())


def objective_row(objective: str, *, corruption_rate: float = 0.15, mean_span_length: int | None = None) -> PaperRow:
    """Returns the row of Tables 4 to 7 that ran an objective.

    Args:
        objective: "prefix_lm", "bert_style", "deshuffling", "mass_style", "iid_replace_spans", "iid_drop_tokens" or
            "random_spans".
        corruption_rate: share of corrupted tokens; not looked at for prefix_lm and deshuffling.
        mean_span_length: tokens, for random_spans only.

    Raises:
        ConfigError: the paper has no such run.
    """
    rate = None if objective in ("prefix_lm", "deshuffling") else corruption_rate
    rows = {_objective(row): row for row in reversed(objective_rows())}
    wanted = (objective, rate, mean_span_length)
    if wanted not in rows:
        names = tuple(dict.fromkeys(key[0] for key in rows))
        known = "; ".join(" ".join(str(part) for part in key if part is not None) for key in reversed(rows))
        raise ConfigError("objective", objective, f"the paper ran {known} (rate, mean span length)", choices=names)
    return rows[wanted]


def _objective(row: PaperRow) -> tuple[str, float | None, int | None]:
    """What makes two rows of Tables 4 to 7 the same run: the objective, its rate and its span length."""
    kind = row.config["objective"]
    rate = None if kind in ("prefix_lm", "deshuffling") else row.config["corruption_rate"]
    return kind, rate, row.config.get("mean_span_length")


@cache
def _read() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(__file__).with_name("tables.json").read_text(encoding="utf-8"))
    return content


@cache
def _load() -> dict[int, PaperTable]:
    return {entry["table"]: _table(entry) for entry in _read()["tables"]}


def _table(entry: dict[str, Any]) -> PaperTable:
    columns = tuple(entry["columns"])
    return PaperTable(
        number=entry["table"],
        study=entry["study"],
        title=entry["title"],
        split=entry["split"],
        columns=columns,
        rows=tuple(_row(entry["table"], columns, row) for row in entry["rows"]),
        notes=entry.get("notes", ""),
    )


def _row(number: int, columns: tuple[str, ...], entry: dict[str, Any]) -> PaperRow:
    scores = entry.get("scores", [])
    bold = entry.get("bold", [])
    return PaperRow(
        table=number,
        name=entry["name"],
        baseline=entry.get("baseline", False),
        scores=MappingProxyType({c: s for c, s in zip(columns, scores, strict=False) if s is not None}),
        config=MappingProxyType(entry.get("config", {})),
        bold=columns if bold == "all" else tuple(bold),
        printed=MappingProxyType(entry.get("printed", {})),
        note=entry.get("note", ""),
        of=(entry["of"][0], entry["of"][1]) if "of" in entry else None,
        inputs=entry.get("inputs", ""),
        targets=entry.get("targets", ""),
    )
