r"""Examples in files: JSON Lines, Parquet, CSV, TSV and SQuAD's own JSON, row by row.

Every reader yields ``(where, example)``, where being "file:line" for messages. Nothing but SQuAD's JSON is held in
memory as a whole. Text is UTF-8, a byte-order mark is ignored, and a line ends at "\n", "\r\n" or "\r" and nowhere
else: U+2028 within a text is text. Null bytes within a text are text too; a line of nothing else is empty.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from t5core.errors import DataError
from t5core.tasks.delimited import Columns, Rows, table
from t5core.tasks.values import located, short

__all__ = ["READERS", "Columns", "Reader", "Rows", "json_lines", "json_object", "located", "read_json_lines"]

_T = TypeVar("_T")
_EMPTY = b" \t\r\n\0"
_MARK = b"\xef\xbb\xbf"


def json_lines(lines: Iterable[bytes], name: str) -> Rows:
    r"""Yields the objects of a JSON Lines stream; empty lines are left out but counted.

    Args:
        lines: of bytes, cut at "\n" or not at all.
        name: of the file, for messages.

    Raises:
        DataError: a line that is not UTF-8, not JSON, or no object.
    """
    number = 0
    for block in lines:
        for line in block.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n").split(b"\n"):
            number += 1
            if number == 1:
                line = line.removeprefix(_MARK)
            if line.strip(_EMPTY):
                yield f"{name}:{number}", json_object(line, f"{name}:{number}")


def json_object(line: bytes, where: str) -> dict[str, Any]:
    """Returns the JSON object that a line is.

    Raises:
        DataError: it is not UTF-8, not JSON, or no object.
    """
    try:
        value = json.loads(line.decode("utf-8"), strict=False)
    except UnicodeDecodeError as error:
        shown = line[max(0, error.start - 10) : error.start + 10]
        raise DataError(where, shown, f"this line is not UTF-8 (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise DataError(where, short(line), f"this line is not JSON ({reason})") from error
    if not isinstance(value, dict):
        raise DataError(where, short(line), "this line has to be a JSON object, one example")
    return value


def read_json_lines(path: Path, columns: Columns) -> Rows:
    """Yields the examples of a JSON Lines file, also ``.gz``."""
    with _opened(path) as file:
        yield from json_lines(file, str(path))


def read_parquet(path: Path, columns: Columns) -> Rows:
    """Yields the examples of a Parquet file."""
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}:{number}", row
    except pyarrow.ArrowException as error:
        raise DataError("file", str(path), f"this is no Parquet file ({_first_line(error)})") from error


def read_csv(path: Path, columns: Columns) -> Rows:
    """Yields the examples of a CSV file with a header, also ``.gz``; cells may be in quotes and hold line ends."""
    yield from _table(path, columns, delimiter=",", quoting=csv.QUOTE_MINIMAL)


def read_tsv(path: Path, columns: Columns) -> Rows:
    """Yields the examples of a TSV file with a header, also ``.gz``; quotes are text, as in GLUE's files."""
    yield from _table(path, columns, delimiter="\t", quoting=csv.QUOTE_NONE)


def read_squad_json(path: Path, columns: Columns) -> Rows:
    """Yields the questions of SQuAD's published JSON in the hub's fields, also ``.gz``."""
    with _opened(path) as file:
        content = file.read().removeprefix(_MARK)
    given = json_object(content, str(path))
    try:
        for article in given["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    answers = question.get("answers", [])
                    yield (
                        f"{path}:{question['id']}",
                        {
                            "id": question["id"],
                            "title": article.get("title", ""),
                            "context": paragraph["context"],
                            "question": question["question"],
                            "answers": {
                                "text": [answer["text"] for answer in answers],
                                "answer_start": [answer["answer_start"] for answer in answers],
                            },
                        },
                    )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError("file", str(path), f"this is not SQuAD's JSON: data/paragraphs/qas ({error})") from error


Reader = Callable[[Path, Columns], Rows]

READERS: Mapping[str, Reader] = {
    ".jsonl": read_json_lines,
    ".jsonl.gz": read_json_lines,
    ".parquet": read_parquet,
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".tsv": read_tsv,
    ".tsv.gz": read_tsv,
    ".json": read_squad_json,
    ".json.gz": read_squad_json,
}
"""By the ending of a file's name."""


@contextmanager
def _opened(path: Path) -> Iterator["_Bytes"]:
    with closing(_Bytes(path)) as file:
        yield file


class _Bytes:
    """A binary file, through gzip when its name ends in ``.gz``, whose read errors become DataError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = self._guarded(lambda: _binary(path))

    def __iter__(self) -> Iterator[bytes]:
        while line := self._guarded(self._file.readline):
            yield line

    def read(self) -> bytes:
        """Returns all that is left."""
        return self._guarded(self._file.read)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _guarded(self, act: Callable[[], _T]) -> _T:
        try:
            return act()
        except (OSError, EOFError, zlib.error) as error:  # the last two: a broken .gz
            reason = getattr(error, "strerror", None) or error
            raise DataError("file", str(self._path), f"cannot be read: {reason}") from error


def _binary(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(path)) if path.suffix == ".gz" else path.open("rb")


def _table(path: Path, columns: Columns, *, delimiter: str, quoting: Any) -> Rows:
    return table(_text_lines(path), str(path), columns, delimiter=delimiter, quoting=quoting)


def _text_lines(path: Path) -> Iterator[str]:
    """Yields a file's lines as text, with their ends as they are."""
    number = 0
    with _opened(path) as file:
        for block in file:
            block = block if number else block.removeprefix(_MARK)
            try:
                text = block.decode("utf-8")
            except UnicodeDecodeError as error:
                line_ends = block.count(b"\r", 0, error.start)
                raise DataError(
                    f"{path}:{number + 1 + line_ends}", block[error.start : error.start + 10], "this is not UTF-8"
                ) from error
            for line in io.StringIO(text, newline="") if "\r" in text else (text,):
                number += 1
                yield line


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
