"""The published numbers of every table of the T5 paper, as data.

Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
JMLR 21(140), 2020 (arXiv 1910.10683). The numbers lie beside this file in ``tables.json``, one row of a
table per line; this module puts frozen values and names around them:

    >>> paper_table(4).row("Deshuffling").scores["GLUE"]
    73.17
    >>> baseline_standard_deviation()["GLUE"]
    0.235
    >>> published(7, "3")["paper"]["SQuAD"]
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
from typing import Any, TypedDict

from t5core.errors import ConfigError

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """One row of one table.

    Attributes:
        table: number of the table, 1 to 16.
        name: as printed.
        baseline: whether this row is the paper's baseline (the mean of 10 runs; all other rows are one run).
        scores: column -> score x100, the value to use. Empty for Table 3.
        config: what differs from, or matters beside, the paper's baseline: objective, rates, steps, sizes.
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
        columns: names of the scores, in the table's order; ``tables.json`` says what each measures.
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


class Published(TypedDict):
    """What a study's row says of the paper, as keyword arguments of ``Row``."""

    paper: Mapping[str, float]
    paper_cell: str


def published(number: int, name: str) -> Published:
    """Returns the scores of a row of one of the paper's tables and where they stand.

    Raises:
        ConfigError: no such table, or no such row in it.
    """
    row = paper_table(number).row(name)
    return {"paper": row.scores, "paper_cell": f"Table {number}, {row.name}"}


def paper_tables() -> tuple[PaperTable, ...]:
    """Returns all tables, 1 to 16."""
    return tuple(_load().values())


def baseline_standard_deviation() -> Mapping[str, float]:
    """Returns column -> standard deviation x100 over the paper's 10 baseline runs (Table 1)."""
    return paper_table(1).row("Baseline standard deviation").scores


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
