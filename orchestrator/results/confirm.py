"""Do two tables of the same rows say the same? What one tells apart, and what the other says of it.

A small scale is cheap, a large one is what one wants to know about. The first table decides: its pairs of rows that can
be told from noise, corrected for all pairs of that table, exactly as its ranks are. Of each of them the second one,
held to the same of its own, confirms it (told, the same way round), contradicts it (told, the other way round) or
leaves it open. To lean one way or the other is no finding.

What is compared: the standing, and line by line the tasks that both tables have. Where a paper's column holds other
tasks in one table than in the other, the means of their scores stand for the column. The pairs of all lines but the
standing's are corrected together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, TypeVar

from orchestrator.results.agreement import Agreement, agreement_of_two
from orchestrator.results.multiple import all_pairs, told
from orchestrator.results.noise import Measured
from orchestrator.results.samples import average_of_scores
from orchestrator.results.signal import Measure
from orchestrator.results.significance import Difference
from orchestrator.results.values import STANDING, Comparison

Verdict = Literal["confirmed", "contradicted", "open"]
VERDICTS: tuple[Verdict, ...] = ("confirmed", "contradicted", "open")

T = TypeVar("T")
_Pair = tuple[str, str]
_ROWS_WANTED = 2


@dataclass(frozen=True, kw_only=True)
class ToldPair:
    """Two rows that the first table tells apart.

    Attributes:
        better, worse: as the first table has them.
        first: the difference ``better - worse`` there.
        second: the same in the second table.
    """

    better: str
    worse: str
    first: Difference
    second: Difference

    @property
    def verdict(self) -> Verdict:
        """What the second table says of it."""
        if not self.second.told:
            return "open"
        return "confirmed" if self.leans > 0 else "contradicted"

    @property
    def leans(self) -> int:
        """The sign of the second table's difference: 1 the same way round, -1 the other, 0 neither; no finding."""
        return _sign(self.second)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that both tables compare rows by.

    Attributes:
        by: STANDING, a task or a paper's column.
        of: what is compared, in words.
        rows: that both have a number of.
        known: whether the noise of any pair is known in the first table, and in the second one.
        pairs: that the first table tells apart, best first.
        told_by_second: how many pairs the second table tells and the first leaves open.
        agreement: of the two orders.
    """

    by: str
    of: str
    rows: tuple[str, ...]
    known: tuple[bool, bool]
    pairs: tuple[ToldPair, ...]
    told_by_second: int
    agreement: Agreement

    @property
    def all_pairs(self) -> int:
        """How many pairs of rows there are."""
        return len(self.rows) * (len(self.rows) - 1) // 2

    def count(self, verdict: Verdict) -> int:
        """Returns how many of the first table's pairs the second one says this of."""
        return sum(pair.verdict == verdict for pair in self.pairs)


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """Two tables beside each other.

    Attributes:
        names: of the first and of the second.
        standing: what the tables rank by.
        lines: by task or paper's column.
        only: rows that stand in the first table only, and in the second only.
        unranked: rows of both that the first one has no standing of, and the second one.
        levels: that each table's pairs are held to.
        seeds: the fewest and the most of a compared row, in each table.
        shared_runs: trainings that are behind both tables.
        remarks: on each table, how its rows were come to.
    """

    names: tuple[str, str]
    standing: Line
    lines: tuple[Line, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    unranked: tuple[tuple[str, ...], tuple[str, ...]]
    levels: tuple[float, float]
    seeds: tuple[tuple[int, int], tuple[int, int]]
    shared_runs: int
    remarks: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


def confirm(
    first: Comparison,
    second: Comparison,
    names: tuple[str, str],
    *,
    shared_runs: int = 0,
    remarks: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
) -> Confirmation:
    """Holds what the first table tells apart against the second one.

    Args:
        first: decides which pairs there are.
        second: says what it makes of them.
        names: of the two.
        shared_runs: trainings that are behind both.
        remarks: on each, for the notes.

    Raises:
        ValueError: fewer than two rows have a standing in both.
    """
    tables = (first, second)
    ranked = [[row.name for row in c.rows if row.name in c.standing] for c in tables]
    common = [name for name in ranked[0] if name in ranked[1]]
    if len(common) < _ROWS_WANTED:
        raise ValueError(f"{len(common)} rows have a standing in both tables")
    differences = [
        all_pairs(of_table, c.standing.difference, c.level) for of_table, c in zip(ranked, tables, strict=True)
    ]
    standing = _line(STANDING, "what rows are ranked by", common, (first.standing, second.standing), differences)
    in_both = {row.name for row in first.rows} & {row.name for row in second.rows}
    seeds = [[row.seeds for row in c.rows if row.name in common] for c in tables]
    return Confirmation(
        names=names,
        standing=standing,
        lines=_lines(first, second),
        only=_two([tuple(row.name for row in c.rows if row.name not in in_both) for c in tables]),
        unranked=_two(
            [tuple(r.name for r in c.rows if r.name in in_both and r.name not in c.standing) for c in tables]
        ),
        levels=(first.level, second.level),
        seeds=_two([(min(counts), max(counts)) for counts in seeds]),
        shared_runs=shared_runs,
        remarks=remarks,
    )


def _lines(first: Comparison, second: Comparison) -> tuple[Line, ...]:
    """Task by task and column by column; each table's pairs of all of them are corrected together."""
    found = [*_shared_tasks(first, second), *_shared_columns(first, second)]
    differences = [
        told(
            {
                (number, *pair): both[at].difference(*pair)
                for number, (_, _, both) in enumerate(found)
                for pair in combinations(both[at].samples, 2)
            },
            table.level,
        )
        for at, table in enumerate((first, second))
    ]
    lines = []
    for number, (by, of, both) in enumerate(found):
        rows = [row for row in _best_first(both[0]) if row in both[1]]
        if len(rows) >= _ROWS_WANTED:
            of_line = [{(a, b): d for (line, a, b), d in table.items() if line == number} for table in differences]
            lines.append(_line(by, of, rows, both, of_line))
    return tuple(lines)


def _shared_tasks(first: Comparison, second: Comparison) -> list[tuple[str, str, tuple[Measured, Measured]]]:
    """The tasks of both tables, by what both rank them by, or by scores where that differs."""
    out = []
    for task in first.signals:
        if task not in second.signals:
            continue
        measures = {first.signals[task].measure, second.signals[task].measure}
        measure: Measure = "bits" if measures == {"bits"} else "score"
        of = "bits per byte" if measure == "bits" else "score"
        out.append((task, of, (first.columns[task][measure], second.columns[task][measure])))
    return out


def _shared_columns(first: Comparison, second: Comparison) -> list[tuple[str, str, tuple[Measured, Measured]]]:
    """The paper's columns of both tables whose tasks differ."""
    out = []
    for column in first.paper_columns:
        tasks = [[t.task for t in c.tasks if t.paper_column == column and t.task in c.signals] for c in (first, second)]
        if not tasks[0] or not tasks[1] or set(tasks[0]) == set(tasks[1]):
            continue
        means = (average_of_scores(first.columns, tasks[0]), average_of_scores(second.columns, tasks[1]))
        of = " against ".join(
            f"mean score of {', '.join(names)}" if names[1:] else f"score of {names[0]}" for names in tasks
        )
        out.append((column, of, means))
    return out


def _line(
    by: str,
    of: str,
    rows: Sequence[str],
    columns: tuple[Measured, Measured],
    differences: Sequence[Mapping[_Pair, Difference]],
) -> Line:
    pairs = []
    told_by_second = 0
    for pair in combinations(rows, 2):
        first, second = (_of(pair, of_table) for of_table in differences)
        if first.told:
            better, worse = pair if _sign(first) > 0 else pair[::-1]
            turned = [d if _sign(first) > 0 else replace(d, value=-d.value) for d in (first, second)]
            pairs.append(ToldPair(better=better, worse=worse, first=turned[0], second=turned[1]))
        else:
            told_by_second += bool(second.told)
    return Line(
        by=by,
        of=of,
        rows=tuple(rows),
        known=_two([any(_of(p, of_table).known for p in combinations(rows, 2)) for of_table in differences]),
        pairs=tuple(pairs),
        told_by_second=told_by_second,
        agreement=agreement_of_two(columns[0], columns[1], rows),
    )


def _best_first(column: Measured) -> list[str]:
    return sorted(column.samples, key=lambda row: -column.better * column.samples[row].value)


def _of(pair: _Pair, differences: Mapping[_Pair, Difference]) -> Difference:
    """The difference of two rows, in whichever order they were compared."""
    if pair in differences:
        return differences[pair]
    d = differences[pair[::-1]]
    return replace(d, value=-d.value)


def _sign(difference: Difference) -> int:
    better = difference.value * difference.better
    return (better > 0) - (better < 0)


def _two(values: Sequence[T]) -> tuple[T, T]:
    one, other = values
    return one, other
