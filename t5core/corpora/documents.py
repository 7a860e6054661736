"""Documents as they come from a source: JSON Lines, which a built corpus is made of too, and Parquet."""

import codecs
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from t5core.corpora.columns import COLUMNS, WRONG_ENCODING, WRONG_TIME, Flaw, parquet_rows
from t5core.corpora.places import Place, place_of
from t5core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class SourceDocument:
    """A cleaned document on its way into a corpus.

    Attributes:
        text: prose, paragraphs on lines of their own.
        source: where it came from, for people: ``dist:module.path:name`` or ``file:line``.
        group: documents of one group fall into the same split: the source file, or "" for each by itself.
        url: where it was found, "" when that is not known.
        timestamp: when, as its file states it.
    """

    text: str
    source: str
    group: str = ""
    url: str = ""
    timestamp: str = ""


_BY_MARK = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
MAX_WRONG_SHARE = 0.01
"""Of a document's characters that are no UTF-8: with more, its file is taken to be in another encoding."""


def open_text(path: Path | Place) -> TextIO:
    """Opens a text file for reading, through gzip when its name ends in ``.gz``.

    It is UTF-8, or what the mark at its beginning says; what is not becomes U+FFFD.
    """
    place = place_of(path)
    opened = place.open()
    file = cast(BinaryIO, _Unpacked(opened) if place.name.lower().endswith(".gz") else opened)
    buffered = file if hasattr(file, "peek") else cast(BinaryIO, io.BufferedReader(file))
    try:
        start = buffered.peek(4)[:4]  # type: ignore[attr-defined]
    except BaseException:
        buffered.close()
        raise
    encoding = next((name for mark, name in _BY_MARK.items() if start.startswith(mark)), "utf-8")
    return io.TextIOWrapper(buffered, encoding=encoding, errors="replace")


def check_encoding(text: str, where: str, counts: "Counter[str]") -> None:
    """Counts a document with bytes that are no text; raises DataError where there are too many for slips."""
    wrong = text.count("\ufffd")
    if wrong > MAX_WRONG_SHARE * len(text):
        way_out = f"this is not UTF-8 ({wrong:,} of {len(text):,} characters): save it as UTF-8, for example with iconv"
        raise DataError("corpus", where, way_out)
    if wrong:
        counts[WRONG_ENCODING] += 1


class _Unpacked(gzip.GzipFile):
    """Closes the packed file with itself."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        super().__init__(fileobj=packed, mode="rb")

    def close(self) -> None:
        super().close()
        self._packed.close()


def read_documents(path: Path | Place) -> Iterator[dict[str, Any]]:
    """Yields the documents of a JSON Lines file (also ``.gz``), as dicts with at least ``text`` and ``source``.

    Raises:
        DataError: a line is not a JSON object with a string ``text``; names the file and the line.
        OSError, EOFError, zlib.error: the file cannot be opened, or is broken as gzip.
    """
    place = place_of(path)
    with open_text(place) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                document = json.loads(line)
            except (ValueError, RecursionError) as error:  # also numbers without end, and lists in lists
                reason = str(getattr(error, "msg", error))
                raise DataError("corpus", f"{place}:{number}", f"this line is not JSON ({reason})") from error
            if not isinstance(document, dict) or not isinstance(document.get("text"), str):
                raise DataError("corpus", f"{place}:{number}", _why_no_text(document))
            document.setdefault("source", f"{place.name}:{number}")
            yield document


def read_parquet(path: Path | Place) -> Iterator[dict[str, Any]]:
    """Yields the rows of a Parquet file like ``read_documents``; a text that is null is "".

    Raises:
        DataError: it is no Parquet file, has no column of strings named ``text``, or is broken; names the row.
        OSError: it cannot be opened.
    """
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    def stop(flaw: Flaw) -> None:
        if flaw.name != WRONG_TIME:  # the text is there
            way_out = f"row {flaw.number:,} cannot be read ({flaw.reason}): give a whole copy, or the file without it"
            raise DataError("corpus", str(path), way_out)

    with place_of(path).open() as raw:
        try:
            file = parquet.ParquetFile(raw)
            schema = file.schema_arrow
            if "text" not in schema.names:
                way_out = f"there is no column of strings named text, only {', '.join(schema.names)}"
                raise DataError("corpus", str(path), way_out)
            if not _is_text(schema.field("text").type):
                way_out = f"its column text holds {schema.field('text').type}, not strings: write them as text"
                raise DataError("corpus", str(path), way_out)
            for number, row in parquet_rows(file, (*COLUMNS, "source"), stop):
                source = row.get("source") or f"{path.name}:{number}"
                yield {**row, "text": row["text"] or "", "source": source}
        except (pyarrow.ArrowException, OSError) as error:  # the file is open: it is what is in it
            reason = str(error).partition("\n")[0]
            raise DataError("corpus", str(path), f"this is no Parquet file ({reason})") from error


def _why_no_text(document: Any) -> str:
    wanted = 'each line has to be an object with a string "text"'
    if not isinstance(document, dict):
        return wanted
    if "text" not in document:
        return f"{wanted}; this one has {', '.join(document) or 'nothing'}"
    return f"{wanted}; in this one it is {'null' if document['text'] is None else type(document['text']).__name__}"


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):  # each value once, as pandas writes categories
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
