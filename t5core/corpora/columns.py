"""Rows of Parquet and Arrow, one by one where not all of them can be read.

A batch is turned into values at once. Where that fails, its rows are taken singly, so that one of them does not take
hundreds of others with it; and where a group of rows of a Parquet file is broken, the next group is read. What was
wrong is told to whom it concerns: readers of crawls count it, readers of a study's own text stop there.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

COLUMNS = ("text", "url", "timestamp")
"""Those of a page."""

DAMAGED = "skipped:damaged"
WRONG_ENCODING = "read:wrong_encoding"
WRONG_TIME = "read:wrong_timestamp"

_BATCH_ROWS = 256


class Flaw(NamedTuple):
    """Something that could not be read as it lies there.

    Attributes:
        name: DAMAGED for rows that are lost; WRONG_ENCODING for bytes that became U+FFFD; WRONG_TIME for a time that
            no calendar has, which is left out.
        rows: how many have it.
        number: of the first of them in the file, from 1.
        reason: for people.
    """

    name: str
    rows: int
    number: int
    reason: str


Tell = Callable[[Flaw], None]


def parquet_rows(file: Any, columns: Sequence[str], tell: Tell) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows of an opened ``ParquetFile`` with their numbers from 1.

    Args:
        file: the ``pyarrow.parquet.ParquetFile``.
        columns: those of them that there are.
        tell: gets what cannot be read; may raise.
    """
    import pyarrow  # type: ignore[import-untyped]

    names = [name for name in columns if name in file.schema_arrow.names]
    first = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        at = first
        batches = file.iter_batches(batch_size=_BATCH_ROWS, row_groups=[group], columns=names)
        while True:
            try:
                batch = next(batches, None)
            except (pyarrow.ArrowException, OSError) as error:
                tell(Flaw(DAMAGED, max(1, first + rows - at), at + 1, _reason(error)))
                break
            if batch is None:
                break
            yield from batch_rows(batch, at + 1, tell)
            at += batch.num_rows
        first += rows


def arrow_rows(raw: BinaryIO, columns: Sequence[str], tell: Tell) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows of a stream of Arrow, as ``datasets`` saves sets, with their numbers from 1; see above.

    Raises:
        pyarrow.ArrowException, OSError: the stream is none, or ends too early.
    """
    from pyarrow import ipc

    first = 1
    for batch in ipc.open_stream(raw):
        wanted = batch.select([name for name in columns if name in batch.schema.names])
        for start in range(0, wanted.num_rows, _BATCH_ROWS):
            yield from batch_rows(wanted.slice(start, _BATCH_ROWS), first + start, tell, is_checked=False)
        first += wanted.num_rows


def batch_rows(batch: Any, first: int, tell: Tell, *, is_checked: bool = True) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows of a record batch or a table with their numbers.

    Args:
        batch: of Arrow's.
        first: number of its first row.
        tell: gets what cannot be read; may raise.
        is_checked: False where the bytes lie in the file as they do in memory, so that damage may point anywhere.
    """
    import pyarrow

    try:
        if not is_checked:
            batch.validate(full=True)
        values = batch.to_pylist()
    except (pyarrow.ArrowException, ValueError, OverflowError):
        values = None
    if values is not None:
        yield from enumerate(values, first)
        return
    for index in range(batch.num_rows):
        number = first + index
        try:
            row = batch.slice(index, 1)
            yield number, {name: _value(row.column(name), number, tell) for name in row.schema.names}
        except pyarrow.ArrowException as error:
            tell(Flaw(DAMAGED, 1, number, _reason(error)))


def _value(column: Any, number: int, tell: Tell) -> Any:
    """The one value of a column; raises ArrowException where it is not inside the column's bytes."""
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_string(column.type) or types.is_large_string(column.type):
        column.cast(pyarrow.large_binary() if types.is_large_string(column.type) else pyarrow.binary()).validate(
            full=True
        )
    scalar = column[0]
    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        bytes_of = getattr(scalar, "as_buffer", None)
        if bytes_of is None:  # no column of a page's is of such a type
            raise pyarrow.ArrowInvalid(str(error)) from error
        tell(Flaw(WRONG_ENCODING, 1, number, "the text is not UTF-8"))
        return bytes_of().to_pybytes().decode("utf-8", "replace")
    except (ValueError, OverflowError) as error:
        tell(Flaw(WRONG_TIME, 1, number, _reason(error)))
        return None


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
