"""The table: a comparison as people read it.

A cell shows our score and a mark against the baseline: ``▲`` better, ``▼`` worse, ``≈`` no telling (see
``orchestrator.results.significance``). Rows are in the order of our average; those that cannot be told from the leader
of their group share its rank (``1≈``). The paper's columns stand right of the tasks that stand for them.
"""

import textwrap
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.results.compare import AVERAGE, ComparedRow, Comparison
from t5core.readable import duration

PLAIN_WIDTH = 140
_STYLES = {"▲": "green", "▼": "red", "≈": "dim"}
_NO_RESULT = {"failed": "✗", "done": "–"}


def render(comparison: Comparison, console: Console | None = None) -> None:
    """Prints the table with its footer; plain text of 140 columns when the output is not a terminal."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=PLAIN_WIDTH, no_color=True, highlight=False)
    console.print(_rich_table(comparison, console.width))
    for row in comparison.rows:
        if row.reason:
            console.print(Text(f"{_NO_RESULT[row.status]} {row.name}: {row.reason}"))
    for line in footer(comparison):
        console.print(Text(line, style="dim"))


def footer(comparison: Comparison) -> tuple[str, ...]:
    """Returns the lines under the table: how well the orders agree, and the notes."""
    taus = [f"{name} {value:+.2f}" for name, value in comparison.tau.items() if value is not None]
    agreement = [
        f"order of {comparison.tau_rows} rows, ours against the paper's, Kendall's tau (1 same, -1 reversed): "
        + ", ".join(taus)
    ]
    return (*(agreement if taus else ()), *comparison.notes)


def _rich_table(c: Comparison, width: int) -> Table:
    """The table, as wide as ``width`` allows: numbers keep their width, the rows' labels get what is left."""
    heads, styles, lines = _grid(c)
    labels = [_label(row, c.baseline) for row in c.rows]
    longest = max([len("row"), *(label.cell_len for label in labels)])
    for head_width in (9, 8, 7, 6):
        wrapped = ["\n".join(textwrap.wrap(head.replace("_", " "), head_width)) for head in heads]
        widths = [
            max([*map(len, head.split("\n")), *(line[at].cell_len for line in lines)])
            for at, head in enumerate(wrapped)
        ]
        left = width - sum(widths) - len(widths) - 2
        if left >= longest:
            break
    table = Table(box=box.SIMPLE_HEAD, padding=0, title=c.title or None, title_justify="left", pad_edge=False)
    table.add_column("row", no_wrap=True, overflow="ellipsis", vertical="bottom", width=max(12, min(left, longest)))
    for head, style, column_width in zip(wrapped, styles, widths, strict=True):
        table.add_column(head, justify="right", vertical="bottom", no_wrap=True, width=column_width, style=style)
    for label, line in zip(labels, lines, strict=True):
        table.add_row(label, *line)
    return table


def _grid(c: Comparison) -> tuple[list[str], list[str], list[list[Text]]]:
    """Heads, styles and cells of all columns but the first; the paper's columns right of the tasks they are for."""
    order = [*c.paper_columns, *([""] if any(not t.paper_column for t in c.tasks) else [])]
    heads, styles = [], []
    lines: list[list[Text]] = [[] for _ in c.rows]

    def add(head: str, style: str, cells: Iterable[Text]) -> None:
        heads.append(head)
        styles.append(style)
        for line, cell in zip(lines, cells, strict=True):
            line.append(cell)

    for column in order:
        for task in (t for t in c.tasks if t.paper_column == column):
            add(task.label or task.task, "", [_score(row, task.task) for row in c.rows])
        if column:
            papers = [f"{row.paper[column]:.2f}" if column in row.paper else "" for row in c.rows]
            add(f"paper {column}", "cyan", map(Text, papers))
    add("our average", "bold", [_score(row, AVERAGE) for row in c.rows])
    ranks = ["" if row.rank is None else f"{row.rank}{'≈' if row.rank_shared else ' '}" for row in c.rows]
    add("our rank", "bold", map(Text, ranks))
    add("paper rank", "cyan", [Text("" if row.paper_rank is None else str(row.paper_rank)) for row in c.rows])
    add("time", "", [Text(duration(row.seconds)) for row in c.rows])
    return heads, styles, lines


def _label(row: ComparedRow, baseline: str) -> Text:
    text = row.label or row.name
    return Text(f"{text} (baseline)" if row.name == baseline else text, style="bold" if row.name == baseline else "")


def _score(row: ComparedRow, column: str) -> Text:
    if column not in row.cells:
        return Text(_NO_RESULT[row.status] + " ", style="red" if row.status == "failed" else "dim")
    cell = row.cells[column]
    return Text.assemble(f"{cell.score:.2f}", (cell.mark or " ", _STYLES.get(cell.mark, "")))
