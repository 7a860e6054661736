"""Documents as they come from a source, and the JSON Lines that a built corpus is made of."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from t5core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class SourceDocument:
    """A cleaned document on its way into a corpus.

    Attributes:
        text: prose, paragraphs on lines of their own.
        source: where it came from, for people: ``dist:module.path:name`` or ``file:line``.
        group: documents of one group fall into the same split: the source file, or "" for each by itself.
    """

    text: str
    source: str
    group: str = ""


def open_text(path: Path) -> TextIO:
    """Opens a text file for reading as UTF-8, through gzip when its name ends in ``.gz``."""
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8", errors="replace"))
    return path.open(encoding="utf-8", errors="replace")


def read_documents(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the documents of a JSON Lines file (also ``.gz``), as dicts with at least ``text`` and ``source``.

    Raises:
        DataError: a line is not a JSON object with a string ``text``; names the file and the line.
    """
    with open_text(Path(path)) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                document = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError("corpus", f"{path}:{number}", f"this line is not JSON ({error.msg})") from error
            if not isinstance(document, dict) or not isinstance(document.get("text"), str):
                raise DataError("corpus", f"{path}:{number}", 'each line has to be an object with a string "text"')
            document.setdefault("source", f"{Path(path).name}:{number}")
            yield document
