"""The table: a comparison as people read it.

A cell shows our score and a mark against the baseline: ``▲`` better, ``▼`` worse, ``≈`` no telling, with ``?`` behind
for noise that is borrowed or from within runs and ``?`` alone for noise that is not known
(``orchestrator.results.significance``). Where a task's likelihoods are known, bits per byte stand beside its score.
Rows are in the order of their standing; those that cannot be told from the leader of their group share its rank
(``1≈``), with ``?`` behind where that rests on noise within runs. Tasks that tell too little to take part in the order
are grey. The paper's columns stand right of the tasks that stand for them. Where rows were trained at several learning
rates, ``rate`` is the one that a row's numbers are of (``orchestrator.results.rates``); where some have more seeds than
others, ``seeds`` says how many. What a study says of its rows beside their scores stands at the end.
"""

from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.text import Text

from orchestrator.plan.plan import Fact
from orchestrator.plan.rates import shown
from orchestrator.results.agreement import Agreement, unrelated
from orchestrator.results.values import AVERAGE, ComparedRow, Comparison, Number
from t5core.readable import duration, readable_bytes, readable_count
from t5core.tables import Column, Output, print_line, print_table

_WHOLE_WORD = 7
_IN_FULL = 10_000
MARK_STYLES = {"▲": "green", "▼": "red", "≈": "dim", "?": "dim"}
"""By the first sign of a mark."""
_GREY = "bright_black"
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
    taus = [f"{name} {shown_tau(found)}" for name, found in comparison.agreement.items() if found.tau is not None]
    around_0 = unrelated(comparison.tau_rows)
    chance = "" if around_0 is None else f"; two unrelated orders lie within ±{around_0:.2f} in 19 of 20 cases"
    agreement = [
        f"order of {comparison.tau_rows} rows, ours against the paper's, Kendall's tau (1 same, -1 reversed) and its "
        f"interval over our noise: {', '.join(taus)}{chance}"
    ]
    return (*(agreement if taus else ()), *comparison.notes)


def shown_tau(found: Agreement) -> str:
    """Returns tau and its interval; "–" where there are too few rows."""
    if found.tau is None:
        return "–"
    interval = "?" if found.interval is None else "{:+.2f} to {:+.2f}".format(*found.interval)
    return f"{found.tau:+.2f} ({interval})"


def _columns(c: Comparison) -> list[tuple[Column, list[Text]]]:
    """All columns but the first, each with its cells; the paper's stand right of the tasks they are for.

    Where there is little room standing and rank stay the longest, then scores; times go first, then bits and the
    paper's numbers.
    """
    out: list[tuple[Column, list[Text]]] = []

    def add(head: str, cells: Iterable[Text], priority: int, style: str = "") -> None:
        out.append((Column(head=head, short=_short(head), priority=priority, style=style), list(cells)))

    for paper in [*c.paper_columns, *([""] if any(not t.paper_column for t in c.tasks) else [])]:
        for task in (t for t in c.tasks if t.paper_column == paper):
            grey = _GREY if task.task in c.signals and not c.signals[task.task].takes_part else ""
            name = (task.label or task.task).replace("_", " ")
            add(name, _scores(c.rows, task.task, grey), 1, grey)
            if any(row.cells[task.task].bits for row in c.rows if task.task in row.cells):
                add(f"{name.split()[0]} bits", _bits(c.rows, task.task, grey), 2, grey)
        if paper:
            papers = [f"{row.paper[paper]:.2f}" if paper in row.paper else "" for row in c.rows]
            add(f"paper {paper}", map(Text, papers), 2, "cyan")
    add("our average", _scores(c.rows, AVERAGE), 1)
    if len({row.seeds for row in c.rows if row.seeds}) > 1:
        add("seeds", [Text(str(row.seeds)) for row in c.rows], 2)
    if c.rates is not None:
        add("rate", [Text(shown(row.rate)) for row in c.rows], 0)
    add("standing", _filled([(row, row.standing, "{:+.2f}") for row in c.rows]), 0, "bold")
    width = max([1, *(len(_told(row)) for row in c.rows)])
    ranks = ["" if row.rank is None else f"{row.rank}{_told(row).ljust(width)}" for row in c.rows]
    add("our rank", map(Text, ranks), 0, "bold")
    add("paper rank", [Text("" if row.paper_rank is None else str(row.paper_rank)) for row in c.rows], 2, "cyan")
    for fact in dict.fromkeys(name for row in c.rows for name in row.facts):
        add(fact.replace("_", " "), [Text(_fact(fact, row.facts.get(fact))) for row in c.rows], 2)
    add("time", [Text(duration(row.seconds)) for row in c.rows], 3)
    return out


def _fact(name: str, value: Fact) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if name.startswith("bytes"):
        return readable_bytes(value)
    return f"{value:,}" if value < _IN_FULL else readable_count(value)


def _short(head: str) -> str:
    """A head for narrow terminals: words of more than seven letters by their first five, ``accep. matth.``."""
    return " ".join(word if len(word) <= _WHOLE_WORD else f"{word[:5]}." for word in head.split())


def _label(row: ComparedRow, baseline: str) -> Text:
    text = row.label or row.name
    return Text(f"{text} (baseline)" if row.name == baseline else text, style="bold" if row.name == baseline else "")


def _told(row: ComparedRow) -> str:
    if not row.rank_known:
        return "?"
    return ("≈" if row.rank_shared else "") + ("?" if row.rank_within_run else "")


def _scores(rows: Sequence[ComparedRow], column: str, grey: str = "") -> list[Text]:
    bold = {row.name for row in rows if column in row.cells and row.cells[column].bold}
    return _filled([(row, row.cells.get(column), "{:.2f}") for row in rows], bold, grey)


def mark_style(number: Number) -> str:
    """Returns the style of a number's mark; noise within a run is a lower bound, so what rests on it is no finding."""
    within_run = number.difference is not None and number.difference.within_run
    return "dim" if within_run else MARK_STYLES.get(number.mark[:1], "")


def _bits(rows: Sequence[ComparedRow], column: str, grey: str) -> list[Text]:
    cells = [row.cells.get(column) for row in rows]
    return _filled([(row, cell and cell.bits, "{:.3f}") for row, cell in zip(rows, cells, strict=True)], (), grey)


def _filled(
    numbers: Sequence[tuple[ComparedRow, Number | None, str]], bold: Collection[str] = (), grey: str = ""
) -> list[Text]:
    """Cells of one column, their marks as wide as the widest of them, so that the numbers stand under each other."""
    width = max([1, *(len(number.mark) for _, number, _ in numbers if number)])
    out = []
    for row, number, form in numbers:
        if number is None:
            out.append(Text(_NO_RESULT[row.status] + " " * width, style="red" if row.status == "failed" else "dim"))
            continue
        mark = number.mark.ljust(width)
        shown = (form.format(number.value), "bold" if row.name in bold else "")
        out.append(Text.assemble(shown, (mark, grey or mark_style(number))))
    return out
