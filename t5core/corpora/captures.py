"""Raw pages from files: web captures (WARC, WET), JSON Lines, Parquet, data sets and plain text.

Every page is text with where and when it was found. A damaged record, a page that is no text or one that is too large
for any rule to keep is left out and counted, never an error: one broken file does not stop a crawl of thousands. What
does stop is what a user can mend: no such file, an empty folder, a file of no known kind.

============================  ===================================================================================
``.warc .wet`` (``.gz``)      see ``t5core.corpora.warc``
``.jsonl`` (``.gz``)          one object a line: ``text``, and ``url`` and ``timestamp`` where it has them
``.json.gz``                  the same, as the published C4 is
``.parquet``                  the same, as columns
``.arrow``                    the same, as ``datasets`` saves sets
``.txt`` (``.gz``)            the file is one page
``hf:NAME``                   the same as columns, see ``t5core.corpora.hub``
============================  ===================================================================================

JSON, columns and plain text are UTF-8; bytes that are not become U+FFFD, and such pages are counted.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from t5core.corpora.columns import COLUMNS, DAMAGED, WRONG_ENCODING, Tell, arrow_rows, parquet_rows
from t5core.corpora.finding import find_places
from t5core.corpora.hub import HubDamage, HubPart
from t5core.corpora.places import Place, place_of
from t5core.corpora.streams import Stretches, bounded_content, bounded_lines
from t5core.errors import ConfigError

MAX_PAGE_BYTES = 32 << 20
"""A larger page is not read: it takes 190,000 characters to be dropped, and memory to read it."""

HUB = "hf"
"""The kind of a part of a set on the hub."""

PAGES = "pages"
TOO_LARGE = "skipped:too_large"
NOT_TEXT = "skipped:not_text"
EMPTY = "skipped:empty"


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was found; text that UTF-8 can hold, in all its parts.

    Attributes:
        text: plain text, lines as they were.
        url: "" when it has none.
        timestamp: as the file states it, for captures ISO 8601; "" when it has none.
        source: for people: the file's name and the number of the record in it, from 1.
    """

    text: str
    url: str
    timestamp: str
    source: str


def find_captures(paths: Sequence[str]) -> tuple[Place, ...]:
    """Returns the files with pages that ``paths`` (files, folders, globs, URIs, hub sets) stand for, sorted, each once.

    Raises:
        ConfigError: a path that matches nothing, or no file of a known kind.
    """
    way_out = f"give files of these kinds, a folder or a glob of them, or hf:NAME: {', '.join(_READERS)}"
    return find_places(paths, lambda name: bool(_kind_by_name(name)), "files", "pages", way_out)


def read_pages(path: Path | Place, counts: "Counter[str]") -> Iterator[Page]:
    """Yields the pages of one file in their order.

    Args:
        path: of a kind that ``find_captures`` finds.
        counts: gets PAGES, and what was skipped and why.

    Raises:
        ConfigError: the file is of no known kind, or cannot be opened or fetched.
    """
    kind = kind_of(path)
    if not kind:
        raise ConfigError("files", str(path), f"no known kind: {', '.join(_READERS)}")
    try:
        reader = _read_hub if kind == HUB else _READERS[kind]
        for page in map(partial(_written, counts=counts), reader(place_of(path), counts)):
            if page.text.strip():
                counts[PAGES] += 1
                yield page
            else:
                counts[EMPTY] += 1
    except OSError as error:
        raise ConfigError("files", str(path), f"cannot be read: {error.strerror or error}") from error


def decoded(data: bytes, counts: "Counter[str]") -> str:
    """Returns text from UTF-8, with U+FFFD for what is not, which is counted."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        counts[WRONG_ENCODING] += 1
        return data.decode("utf-8-sig", "replace")


def _read_warc(path: Place, counts: "Counter[str]") -> Iterator[Page]:
    from t5core.corpora.warc import read_records

    yield from read_records(path, counts)


def _read_json_lines(path: Place, counts: "Counter[str]") -> Iterator[Page]:
    number = 0
    with Stretches(path) as stretch:
        while True:
            for line in bounded_lines(stretch, MAX_PAGE_BYTES):
                number += 1
                if line is None:
                    counts[TOO_LARGE] += 1
                elif line.strip():
                    yield from _row_page(_json_object(line, counts), f"{path.name}:{number}", counts)
            if not stretch.resume():
                break
        counts[DAMAGED] += stretch.damaged


def _json_object(line: bytes, counts: "Counter[str]") -> Any:
    try:
        return json.loads(decoded(line, counts), strict=False)
    except (ValueError, RecursionError):
        return None


def _read_parquet(path: Place, counts: "Counter[str]") -> Iterator[Page]:
    from pyarrow import parquet  # type: ignore[import-untyped]

    yield from _read_rows(path, lambda raw, tell: parquet_rows(parquet.ParquetFile(raw), COLUMNS, tell), counts)


def _read_arrow(path: Place, counts: "Counter[str]") -> Iterator[Page]:
    yield from _read_rows(path, lambda raw, tell: arrow_rows(raw, COLUMNS, tell), counts)


def _read_rows(
    path: Place, rows: Callable[[BinaryIO, Tell], Iterator[tuple[int, Any]]], counts: "Counter[str]"
) -> Iterator[Page]:
    import pyarrow

    with path.open() as raw:
        try:
            for number, row in rows(raw, _counting(counts)):
                yield from _row_page(row, f"{path.name}:{number}", counts)
        except (pyarrow.ArrowException, OSError):  # the file is open: it is what is in it
            counts[DAMAGED] += 1


def _counting(counts: "Counter[str]") -> Tell:
    return lambda flaw: counts.update({flaw.name: flaw.rows})


def _read_hub(path: Place, counts: "Counter[str]") -> Iterator[Page]:
    assert isinstance(path, HubPart)
    try:
        for number, row in path.rows(_counting(counts)):
            yield from _row_page(row, f"{path.name}:{number}", counts)
    except HubDamage:
        counts[DAMAGED] += 1


def _row_page(row: Any, source: str, counts: "Counter[str]") -> Iterator[Page]:
    text = row.get("text") if isinstance(row, dict) else None
    if not isinstance(text, str):
        counts[DAMAGED] += 1
        return
    url, timestamp = (row.get(name) for name in ("url", "timestamp"))
    yield Page(text, url if isinstance(url, str) else "", "" if timestamp is None else str(timestamp), source)


def _written(page: Page, counts: "Counter[str]") -> Page:
    """The page without half surrogate pairs, which no UTF-8 can hold and no shard; they become U+FFFD.

    JSON can write them, some encodings of captures too, and a file's name is decoded to them where it is no UTF-8.
    """
    parts = (page.text, page.url, page.timestamp, page.source)
    written = tuple(map(without_surrogates, parts))
    if written == parts:  # nearly always, and then they are the same objects
        return page
    counts[WRONG_ENCODING] += sum(a != b for a, b in zip(parts[:3], written[:3], strict=True))
    return Page(*written)


def without_surrogates(text: str) -> str:
    """Returns text that UTF-8 can hold: with U+FFFD for each half of a surrogate pair."""
    if text.isascii():  # known without looking at it
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _read_text(path: Place, counts: "Counter[str]") -> Iterator[Page]:
    with Stretches(path) as stretch:
        data = bounded_content(stretch, MAX_PAGE_BYTES)
        counts[DAMAGED] += stretch.damaged
    if data is None:
        counts[TOO_LARGE] += 1
    elif not data.strip():
        counts[EMPTY] += 1
    else:
        yield Page(decoded(data, counts), "", "", path.name)


_READERS: dict[str, Callable[[Place, "Counter[str]"], Iterator[Page]]] = {
    ".warc": _read_warc,
    ".warc.gz": _read_warc,
    ".wet": _read_warc,
    ".wet.gz": _read_warc,
    ".jsonl": _read_json_lines,
    ".jsonl.gz": _read_json_lines,
    ".json.gz": _read_json_lines,
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".txt": _read_text,
    ".txt.gz": _read_text,
}


def kind_of(path: Path | Place) -> str:
    """Returns the ending that says how a file is read, HUB for a part of a hub's set, "" for what is not read."""
    return HUB if isinstance(path, HubPart) else _kind_by_name(path.name)


def _kind_by_name(name: str) -> str:
    return next((ending for ending in _READERS if name.lower().endswith(ending)), "")
