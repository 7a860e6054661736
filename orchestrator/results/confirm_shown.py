"""What one table says of another one's pairs, for people and as JSON.

The counts stand on top; then the pairs that the first table tells apart, what contradicts first; then the same counts
by task and column, with how well the two orders agree.
"""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestrator.results.agreement import unrelated
from orchestrator.results.confirm import VERDICTS, Confirmation, Line, ToldPair
from orchestrator.results.footnotes import BORROWED
from orchestrator.results.significance import Difference
from orchestrator.results.table import MARK_STYLES, shown_tau
from t5core.tables import Column, Output, print_line, print_table

_DIGITS = 4
_ORDER = ("contradicted", "confirmed", "open")
_LEANS = {1: "open, leans the same way", -1: "open, leans the other way", 0: "open"}
_NOT_KNOWN = "the noise of its training is not known (use --seeds 2 or more)"


def render(found: Confirmation, title: str = "", console: Console | None = None) -> None:
    """Prints the counts, the pairs and the lines; what would be an empty table is a line instead."""
    console = console or Output(highlight=False)
    if title:
        print_line(title, style="table.title", console=console)
    print_line(headline(found), console=console)
    if found.standing.pairs and found.standing.known[1]:
        _print_pairs(found, console)
    lines = [found.standing, *found.lines]
    if any(all(line.known) for line in lines):
        _print_lines(found, lines, console)
    elif found.standing.agreement.tau is not None:
        print_line(f"tau of the two standings {shown_tau(found.standing.agreement)}", console=console)
    for note in notes(found):
        print_line(note, style="dim", console=console)


def headline(found: Confirmation) -> str:
    """Returns the counts in a sentence, or why there are none."""
    (first, second), line = found.names, found.standing
    if not line.known[0]:
        return f"{first} tells no two of the {len(line.rows)} rows apart: {_NOT_KNOWN}"
    if not line.known[1]:
        told = f"{first} told {len(line.pairs)} of {line.all_pairs} pairs of rows apart"
        return f"{told}; {second} can say nothing of them: {_NOT_KNOWN}"
    left = line.all_pairs - len(line.pairs)
    more = f"of {left} that {first} left open {second} tells {line.told_by_second}"
    if not line.pairs:
        return f"{first} told none of {line.all_pairs} pairs of rows apart, so {second} confirms none; {more}"
    confirmed, contradicted, still_open = (line.count(verdict) for verdict in VERDICTS)
    return (
        f"of {len(line.pairs)} pairs of rows that {first} told apart, {second} confirms {confirmed}, contradicts "
        f"{contradicted}, leaves {still_open} open; {more}"
    )


def notes(found: Confirmation) -> tuple[str, ...]:
    """Returns the lines that the tables should be read with."""
    first, second = found.names
    levels = sorted(set(found.levels), reverse=True)
    held = f"level {levels[0]:.4g}" if len(levels) == 1 else "levels " + " and ".join(f"{x:.4g}" for x in found.levels)
    seeds = [f"{low}" if low == high else f"{low} to {high}" for low, high in found.seeds]
    out = [f"seeds of each row: {first} {seeds[0]}, {second} {seeds[1]}"]
    lines = (found.standing, *found.lines)
    if any(all(line.known) for line in lines):
        out += [
            f"told apart: by more than noise, each table by its own runs and with Holm's correction over all pairs of "
            f"its rows, at {held}; those of tasks and columns are corrected all together",
            "open: within the noise, which is no contradiction; to lean one way or the other is no finding",
        ]
    if found.standing.pairs and found.standing.known[1]:
        out.append("differences are of standing, in each table's own standard deviations of rows")
    pairs = [pair for line in lines for pair in line.pairs]
    if any(pair.first.borrowed or pair.second.borrowed for pair in pairs):
        out.append(BORROWED)
    around_0 = unrelated(len(found.standing.rows))
    if around_0 is not None:
        out.append(
            "tau: Kendall's, of the two orders (1 same, -1 reversed), and its interval over the noise of both; two "
            f"unrelated orders of {len(found.standing.rows)} rows lie within ±{around_0:.2f} in 19 of 20 cases"
        )
    if found.shared_runs:
        runs = f"{found.shared_runs} trainings are" if found.shared_runs > 1 else "1 training is"
        out.append(f"{runs} behind both tables, so of their rows {second} is no independent word")
    for name, rows in zip(found.names, found.only, strict=True):
        out += [f"only in {name}: {', '.join(rows)}"] if rows else []
    for name, rows in zip(found.names, found.unranked, strict=True):
        out += [f"without a standing in {name}: {', '.join(rows)}"] if rows else []
    for name, remarks in zip(found.names, found.remarks, strict=True):
        out += [f"{name}: {remark}" for remark in remarks]
    return tuple(out)


def to_dict(found: Confirmation) -> dict[str, Any]:
    """Returns everything as JSON values; what a table cannot tell, since its noise is not known, is null."""
    return {
        "first": _side_dict(found, 0),
        "second": _side_dict(found, 1),
        "summary": headline(found),
        "standing": _line_dict(found.standing),
        "lines": [_line_dict(line) for line in found.lines],
        "shared_runs": found.shared_runs,
        "notes": list(notes(found)),
    }


def _print_pairs(found: Confirmation, console: Console) -> None:
    first, second = found.names
    pairs = sorted(found.standing.pairs, key=lambda pair: _ORDER.index(pair.verdict))
    columns = [
        Column(head="better", kind="name", priority=0),
        Column(head="than", kind="name", priority=0),
        Column(head=f"in {first}"),
        Column(head=f"in {second}"),
        Column(head=f"{second} says", kind="name", priority=0),
    ]
    numbers = [_marked([pair.first for pair in pairs]), _marked([pair.second for pair in pairs])]
    rows = [
        (pair.better, pair.worse, one, other, _says(pair)) for pair, one, other in zip(pairs, *numbers, strict=True)
    ]
    print_table(columns, rows, see_all="| cat, or --json", console=console)


def _marked(differences: Sequence[Difference]) -> list[Text]:
    """Differences and their marks, these as wide as the widest, so that the numbers stand under each other."""
    width = max(len(d.mark) for d in differences)
    return [
        Text.assemble(f"{d.value:+.2f}", (d.mark.ljust(width), MARK_STYLES.get(d.mark[0], ""))) for d in differences
    ]


def _says(pair: ToldPair) -> Text:
    if pair.verdict == "confirmed":
        return Text("confirms", style="green")
    if pair.verdict == "contradicted":
        return Text("contradicts", style="red")
    return Text(_LEANS[pair.leans], style="dim")


def _print_lines(found: Confirmation, lines: Sequence[Line], console: Console) -> None:
    first, second = found.names
    columns = [
        Column(head="compared by", kind="text", priority=0),
        Column(head="pairs", priority=3),
        Column(head=f"{first} tells", priority=0),
        Column(head=f"{second} confirms", priority=0),
        Column(head="contradicts", priority=0),
        Column(head="leaves open", priority=1),
        Column(head=f"{second} alone tells", priority=1),
        Column(head="tau of the orders", short="tau", priority=2),
    ]
    rows = []
    for line in lines:
        counts = [len(line.pairs) if line.known[0] else None, *_counts(line).values()]
        shown = ["?" if count is None else str(count) for count in counts]
        rows.append((f"{line.by}: {line.of}", str(line.all_pairs), *shown, shown_tau(line.agreement)))
    print_table(columns, rows, see_all="| cat, or --json", console=console)


def _counts(line: Line) -> dict[str, int | None]:
    """What the second table says, by name; None where one of the two tables knows no noise."""
    counts = {verdict: line.count(verdict) for verdict in VERDICTS} | {"told_by_second_alone": line.told_by_second}
    return {name: count if all(line.known) else None for name, count in counts.items()}


def _side_dict(found: Confirmation, at: int) -> dict[str, Any]:
    return {
        "name": found.names[at],
        "level": found.levels[at],
        "seeds": list(found.seeds[at]),
        "only": list(found.only[at]),
        "unranked": list(found.unranked[at]),
    }


def _line_dict(line: Line) -> dict[str, Any]:
    agreement = line.agreement
    return {
        "by": line.by,
        "of": line.of,
        "rows": list(line.rows),
        "pairs": line.all_pairs,
        "told_by_first": len(line.pairs) if line.known[0] else None,
        **_counts(line),
        "tau": _rounded(agreement.tau),
        "tau_interval": None if agreement.interval is None else [_rounded(end) for end in agreement.interval],
        "told": [_pair_dict(pair, second_known=line.known[1]) for pair in line.pairs],
    }


def _pair_dict(pair: ToldPair, *, second_known: bool) -> dict[str, Any]:
    leans = {1: "same", -1: "other", 0: None}[pair.leans]
    return {
        "better": pair.better,
        "worse": pair.worse,
        "verdict": pair.verdict if second_known else None,
        "leans": leans if pair.verdict == "open" else None,
        "first": _difference_dict(pair.first),
        "second": _difference_dict(pair.second),
    }


def _difference_dict(difference: Difference) -> dict[str, Any]:
    return {
        "difference": _rounded(difference.value),
        "sd": _rounded(difference.sd),
        "mark": difference.mark,
        "borrowed": difference.borrowed,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
