"""Tables that cut no number, whatever they are printed into.

In a pipe or a file a table is as wide as it needs to be; heads of a wide one stand in several lines. In a terminal that
is too narrow for it, heads are broken between their words, then shortened where they have a short form; then columns of
text are wrapped; then columns are left out, the least important first, and a line says which, and how all are seen.
Never is a number cut, or a word of a head.

    >>> columns = [
    ...     Column(head="model", kind="name"),
    ...     Column(head="parameters", short="params", priority=0),
    ...     Column(head="weights in bytes", short="bytes"),
    ... ]
    >>> rows = [("small", "60,506,624", "242,026,496"), ("11B", "11,307,321,344", "45,229,285,376")]
    >>> print_table(columns, rows, title="Two models")
    Two models
    model      parameters  weights in bytes
    ───────────────────────────────────────
    small      60,506,624       242,026,496
    11B    11,307,321,344    45,229,285,376
    >>> print_table(columns, rows, console=Console(width=30, force_terminal=True, color_system=None))
    model      parameters
    ─────────────────────
    small      60,506,624
    11B    11,307,321,344
    no room for weights in bytes:
    see all with | cat

All command lines of the project print their tables by it. Cells are text as it is: brackets in it are no markup. A cell
with a style is a ``rich.text.Text``.
"""

import errno
import math
import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

Kind = Literal["number", "name", "text"]
Cell = str | Text

_NARROWEST = 16
_LONG_WORD = 24
"""Columns of text are wrapped down to the first, and further than their longest word only if that is longer than the
second: a path, say."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        head: in words, which may be broken between them.
        short: a head for narrow terminals, "" for none.
        kind: "number" stands right and is never broken; "name" stands left and is never broken; "text" stands left, and
            is wrapped where there is no room for it in one line.
        priority: 0 is always shown, as the first column is; of the others those with the largest number are left out
            first, the rightmost of them before the others.
        style: of rich, for the whole column.
    """

    head: str
    short: str = ""
    kind: Kind = "number"
    priority: int = 1
    style: str = ""


class Output(Console):
    """A console whose reader may leave, as ``head`` does: a BrokenPipeError, where rich's own ends the program."""

    def on_broken_pipe(self) -> None:
        """Writes nothing more, and says so."""
        self.quiet = True
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def print_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    *,
    title: str = "",
    totals: Sequence[Cell] = (),
    see_all: str = "| cat",
    console: Console | None = None,
) -> None:
    """Prints a table, as wide as it needs to be or as the terminal lets it.

    Args:
        columns: from left to right.
        rows: a cell for each column.
        title: a line above it.
        totals: a last row, set off from the others.
        see_all: what a user adds to the command line to see columns that are left out.
        console: where to; None: standard output.
    """
    console = console or Output(highlight=False)
    if title:
        print_line(title, style="table.title", console=console)
    lines = [*rows, totals] if totals else rows
    filled = [_Filled(column, [_text(line[at]) for line in lines]) for at, column in enumerate(columns)]
    shown = list(filled)
    room = console.width if console.is_terminal else math.inf
    layout = _layout(shown, room)
    while layout.width > room and (optional := [part for part in shown[:0:-1] if part.column.priority]):
        shown.remove(max(optional, key=lambda part: part.column.priority))
        layout = _layout(shown, room)
    table = _table(shown, layout, with_totals=bool(totals))
    console.print(Segments(console.render(table, console.options.update(width=layout.width))), crop=False)
    if len(shown) < len(filled):
        hidden = ", ".join(part.column.head for part in filled if part not in shown)
        print_line(f"no room for {hidden}: see all with {see_all}", style="dim", console=console)


def print_line(line: Cell, *, style: str = "", console: Console | None = None) -> None:
    """Prints a line above or below a table: broken between words in a terminal, and nowhere in a pipe.

    Args:
        line: text as it is.
        style: of rich.
        console: where to; None: standard output.
    """
    console = console or Output(highlight=False)
    console.print(_text(line), style=style, soft_wrap=not console.is_terminal)


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)


class _Filled:
    """A column and what is in it."""

    def __init__(self, column: Column, cells: list[Text]) -> None:
        self.column = column
        self.cells = cells
        self.width = max([0, *(cell.cell_len for cell in cells)])
        self.longest_word = max([0, *(cell_len(word) for cell in cells for word in cell.plain.split())])

    def head(self, form: str) -> list[str]:
        """Returns the lines of the head: "whole", "broken" between words, or "short" and broken."""
        head = self.column.short or self.column.head if form == "short" else self.column.head
        if form == "whole":
            return [head]
        width = max([self.width, *map(cell_len, head.split())])
        return textwrap.wrap(head, width, break_long_words=False, break_on_hyphens=False)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where everything goes.

    Attributes:
        heads: of each column, its lines.
        indents: of each column, the blanks before it, besides the one that is between all columns.
        widths: of each column.
    """

    heads: list[list[str]]
    indents: list[int]
    widths: list[int]

    @property
    def width(self) -> int:
        """Of the whole table."""
        return sum(self.widths) + sum(self.indents) + len(self.widths) - 1


_COMFORTABLE, _TIGHT = 1, 0
_FORMS = (
    ("whole", _COMFORTABLE, False),
    ("broken", _COMFORTABLE, False),
    ("broken", _TIGHT, False),
    ("short", _TIGHT, False),
    ("broken", _TIGHT, True),
    ("short", _TIGHT, True),
)
"""Of heads, of gaps between numbers, and whether text is wrapped: from the most comfortable to the narrowest."""
_PIPE_FORMS = _FORMS[:3]
_PIPE_WIDTH = 140
"""What a table in a pipe is kept to by breaking its heads between words; where that does not do, it is wider."""


def _layout(shown: Sequence[_Filled], room: float) -> _Layout:
    """Returns the most comfortable layout that there is room for, or else the narrowest.

    In a pipe there is room for everything: nothing is shortened or wrapped, but heads may stand in several lines.
    """
    wanted = min(room, _PIPE_WIDTH) if math.isinf(room) else room
    for form, gap, wraps in _FORMS if room == wanted else _PIPE_FORMS:
        heads = [part.head(form) for part in shown]
        kinds = pairwise(part.column.kind for part in shown)
        indents = [0, *(gap if before == kind == "number" else _COMFORTABLE for before, kind in kinds)]
        widths = [max([part.width, *map(cell_len, head)]) for part, head in zip(shown, heads, strict=True)]
        layout = _Layout(heads=heads, indents=indents, widths=widths)
        if wraps and layout.width > room:
            layout = replace(layout, widths=_narrowed(layout, shown, layout.width - room))
        if layout.width <= wanted:
            break
    return layout


def _narrowed(layout: _Layout, shown: Sequence[_Filled], excess: float) -> list[int]:
    """Returns widths with so many characters taken from columns of text, from the widest, as far as they have them."""
    widths = list(layout.widths)
    least = {
        at: max([_NARROWEST, min(part.longest_word, _LONG_WORD), *map(cell_len, head)])
        for at, (part, head) in enumerate(zip(shown, layout.heads, strict=True))
        if part.column.kind == "text"
    }
    while excess > 0 and (wide := [at for at in least if widths[at] > least[at]]):
        widths[max(wide, key=lambda at: widths[at])] -= 1
        excess -= 1
    return widths


def _table(shown: Sequence[_Filled], layout: _Layout, *, with_totals: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    tallest = max(map(len, layout.heads))
    for part, head, indent, width in zip(shown, layout.heads, layout.indents, layout.widths, strict=True):
        table.add_column(
            Padding(Text("\n".join([""] * (tallest - len(head)) + head)), (0, 0, 0, indent)),
            justify="right" if part.column.kind == "number" else "left",
            no_wrap=part.column.kind != "text",
            overflow="fold",
            width=indent + width,
            style=part.column.style,
        )
    for row in zip(*(part.cells for part in shown), strict=True):
        if with_totals and table.row_count == len(shown[0].cells) - 1:
            table.add_section()
        table.add_row(*(Padding(cell, (0, 0, 0, indent)) for cell, indent in zip(row, layout.indents, strict=True)))
    return table
