r"""Tables as text, CSV and TSV: a header, then one example a line, or over several where a cell holds line ends.

    text,label                            {"text": "So, it said.", "label": "1"}
    "So, it said.",1               ──►    {"text": "So it\nsaid.", "label": "0"}
    "So it                                "train.csv:2" and "train.csv:3": where each begins
    said.",0

Nothing is guessed. A quote that opens a cell has to close it, and what is behind it is the next cell: a quote without a
partner would make one cell of all that follows.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from t5core.errors import DataError
from t5core.tasks.values import located, short, whole

Rows = Iterator[tuple[str, dict[str, Any]]]
Columns = Mapping[str, str]
"""Field name -> "text", "label", "integer", "number" or "json": how a cell of a CSV or TSV file is read."""

_MAX_CELL_CHARS = 1 << 30
_GLUE_COLA = r"source\tlabel\tmark\tsentence"


def table(lines: Iterable[str], name: str, columns: Columns, *, delimiter: str, quoting: Any) -> Rows:
    """Yields the examples of a table; empty lines are left out but counted.

    Args:
        lines: with their ends.
        name: of the file, for messages.
        columns: the fields that are looked for, at least one of which has to be in the header; none: any are taken.
        delimiter: between cells.
        quoting: ``csv.QUOTE_MINIMAL``, or ``csv.QUOTE_NONE`` where quotes are text.

    Raises:
        DataError: a quote that is not closed; a header without any of the columns, or with one twice; a row with more
            or fewer cells than the header; a cell that is not of its column's kind.
    """
    records = _records(lines, name, delimiter, quoting)
    where, header = next(records, ("", []))
    if header:
        _check_header(header, where, columns, delimiter)
    for where, cells in records:
        if len(cells) < len(header):  # which of them is missing is not to be seen
            way_out = f"this row has fewer cells than the header, {len(cells)} of {len(header)}"
            raise DataError(where, short(delimiter.join(cells)), f"{way_out}: give it all of them, or take it out")
        if len(cells) > len(header):
            way_out = "" if quoting == csv.QUOTE_NONE else ": put cells that hold a comma in quotes"
            raise DataError(where, cells[len(header) :], f"this row has more cells than the header{way_out}")
        yield (
            where,
            {field: _cell(cell, field, columns, header, where) for field, cell in zip(header, cells, strict=True)},
        )


def _records(lines: Iterable[str], name: str, delimiter: str, quoting: Any) -> Iterator[tuple[str, list[str]]]:
    """Yields the cells of each record that has any, and where it begins."""
    csv.field_size_limit(_MAX_CELL_CHARS)  # the default refuses long texts
    held: list[str] = []  # the lines of the record that is being read

    def kept() -> Iterator[str]:
        for line in lines:
            held.append(line)
            yield line

    reader = csv.reader(kept(), delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        first = reader.line_num + 1
        held.clear()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _broken(error, held, name, first, delimiter) from error
        if cells is None:
            return
        if cells:
            yield f"{name}:{first}", cells


def _broken(error: csv.Error, lines: Sequence[str], name: str, first: int, delimiter: str) -> DataError:
    """What is wrong with a record: mostly the quote that opens its last cell."""
    begin, close = _last_quoted(record := "".join(lines), delimiter)
    if begin < 0:
        return DataError(f"{name}:{first}", None, f"cannot be read: {error}")

    def line_of(place: int) -> int:
        end = 0
        for number, line in enumerate(lines, start=first):
            end += len(line)
            if place < end:
                return number
        return first

    where, shown = f"{name}:{line_of(begin)}", short(record[begin:].splitlines()[0])
    way_out = 'close it; a quote that is text is written "" in a cell in quotes'
    if close < 0:
        return DataError(where, shown, f"the quote that begins here is never closed: {way_out}")
    behind = f"closed in line {line_of(close)} with text right behind it"
    return DataError(where, shown, f"the quote that begins here is {behind}, or not at all: {way_out}")


def _last_quoted(record: str, delimiter: str) -> tuple[int, int]:
    """Where the first cell that is not rightly quoted opens and closes; -1 for nowhere."""
    place = 0
    while place < len(record):
        if record[place] != '"':
            place = record.find(delimiter, place) + 1
            if not place:
                break
            continue
        close = record.find('"', place + 1)
        while close >= 0 and record[close + 1 : close + 2] == '"':  # a doubled one is text
            close = record.find('"', close + 2)
        if close < 0 or record[close + 1 : close + 2] not in (delimiter, "\r", "\n", ""):
            return place, close
        place = close + 2
    return -1, -1


def _check_header(header: Sequence[str], where: str, columns: Columns, delimiter: str) -> None:
    """Raises DataError for a first line that is no header of these columns."""
    for column in columns:
        if header.count(column) > 1:
            raise DataError(where, column, "two columns have this name: rename one of them")
    if not columns or any(name in columns or name.partition(".")[0] in columns for name in header):
        return
    shown, wanted = ", ".join(header), ", ".join(columns)
    way_out = f"the first line has to be the header, and names none of {wanted}"
    if len(header) == 1 and (other := next((sign for sign in ",\t;|" if sign in shown), "")):
        raise DataError(where, short(shown), f"{way_out}: cells are cut at {delimiter!r} here, not at {other!r}")
    plain = {name.strip().lower() for name in header}
    if meant := next((name for name in columns if name.strip().lower() in plain), ""):
        way_out = (
            f"{way_out}, but for blanks and case (did you mean {meant!r}?): write the names as they are looked for"
        )
        raise DataError(where, short(shown), way_out)
    example = f" (above GLUE's CoLA: {_GLUE_COLA})" if delimiter == "\t" else ""
    way_out = f"{way_out}: put the columns' names above the first example{example}, or name fields that are there"
    raise DataError(where, short(shown), way_out)


_CELLS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "text": (str, "text"),
    "label": (str, "a label"),  # an id or a class' name: the form knows which there are
    "integer": (whole, "a whole number"),
    "number": (float, "a number"),
    "json": (json.loads, "JSON"),
}


def _cell(cell: str, name: str, columns: Columns, header: Sequence[str], where: str) -> Any:
    kind = columns.get(name, "text")
    if kind == "json" and any(other.startswith(f"{name}.") for other in header):
        kind = "text"  # "answers" beside "answers.text": what is looked for stands in a column of its own
    read, wanted = _CELLS[kind]
    try:
        value = read(cell)
    except (ValueError, RecursionError):
        value = None
    if value is None and not (kind == "json" and cell.strip() == "null"):
        reason = f"this cell {'is empty: it ' if not cell.strip() else ''}has to be {wanted}"
        raise located(DataError(name, short(cell), reason), where) from None
    return value
