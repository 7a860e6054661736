"""The table: a comparison as people read it.

A cell shows our score and a mark against the baseline: ``▲`` better, ``▼`` worse, ``≈`` no telling (see
``orchestrator.results.significance``). Rows are in the order of our average; those that cannot be told from the leader
of their group share its rank (``1≈``). The paper's columns stand right of the tasks that stand for them.
"""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from orchestrator.results.compare import AVERAGE, ComparedRow, Comparison
from t5core.readable import duration
from t5core.tables import Column, Output, print_line, print_table

_WHOLE_WORD = 7
_STYLES = {"▲": "green", "▼": "red", "≈": "dim"}
_NO_RESULT = {"failed": "✗", "done": "–"}


def render(comparison: Comparison, console: Console | None = None) -> None:
    """Prints the table with its footer; a terminal too narrow for it gets short heads, then fewer columns."""
    c = comparison
    console = console or Output(highlight=False)
    described = _columns(c)
    labels = [_label(row, c.baseline) for row in c.rows]
    columns = [Column(head="row", kind="text", priority=0), *(column for column, _ in described)]
    rows = list(zip(labels, *(cells for _, cells in described), strict=True))
    print_table(columns, rows, title=c.title, see_all="| cat, or --json", console=console)
    for row in c.rows:
        if row.reason:
            print_line(f"{_NO_RESULT[row.status]} {row.name}: {row.reason}", console=console)
    for line in footer(c):
        print_line(line, style="dim", console=console)


def footer(comparison: Comparison) -> tuple[str, ...]:
    """Returns the lines under the table: how well the orders agree, and the notes."""
    taus = [f"{name} {value:+.2f}" for name, value in comparison.tau.items() if value is not None]
    agreement = [
        f"order of {comparison.tau_rows} rows, ours against the paper's, Kendall's tau (1 same, -1 reversed): "
        + ", ".join(taus)
    ]
    return (*(agreement if taus else ()), *comparison.notes)


def _columns(c: Comparison) -> list[tuple[Column, list[Text]]]:
    """All columns but the first, each with its cells; the paper's stand right of the tasks they are for.

    Where there is little room our average and rank stay the longest, then the tasks; times go first.
    """
    out: list[tuple[Column, list[Text]]] = []

    def add(head: str, cells: Iterable[Text], priority: int, style: str = "") -> None:
        out.append((Column(head=head, short=_short(head), priority=priority, style=style), list(cells)))

    for paper in [*c.paper_columns, *([""] if any(not t.paper_column for t in c.tasks) else [])]:
        for task in (t for t in c.tasks if t.paper_column == paper):
            add((task.label or task.task).replace("_", " "), [_score(row, task.task) for row in c.rows], 1)
        if paper:
            papers = [f"{row.paper[paper]:.2f}" if paper in row.paper else "" for row in c.rows]
            add(f"paper {paper}", map(Text, papers), 2, "cyan")
    add("our average", [_score(row, AVERAGE) for row in c.rows], 0, "bold")
    ranks = ["" if row.rank is None else f"{row.rank}{'≈' if row.rank_shared else ' '}" for row in c.rows]
    add("our rank", map(Text, ranks), 0, "bold")
    add("paper rank", [Text("" if row.paper_rank is None else str(row.paper_rank)) for row in c.rows], 2, "cyan")
    add("time", [Text(duration(row.seconds)) for row in c.rows], 3)
    return out


def _short(head: str) -> str:
    """A head for narrow terminals: words of more than seven letters by their first five, ``accep. matth.``."""
    return " ".join(word if len(word) <= _WHOLE_WORD else f"{word[:5]}." for word in head.split())


def _label(row: ComparedRow, baseline: str) -> Text:
    text = row.label or row.name
    return Text(f"{text} (baseline)" if row.name == baseline else text, style="bold" if row.name == baseline else "")


def _score(row: ComparedRow, column: str) -> Text:
    if column not in row.cells:
        return Text(_NO_RESULT[row.status] + " ", style="red" if row.status == "failed" else "dim")
    cell = row.cells[column]
    return Text.assemble(f"{cell.score:.2f}", (cell.mark or " ", _STYLES.get(cell.mark, "")))
