"""What verbs share: JSON Lines from a file or from standard input, each with its place for messages, and notes.

Results go to stdout, and what is to be said about them to stderr.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from t5core.errors import DataError


@contextmanager
def rows(file: str | None) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
    """Gives the objects of a JSON Lines file or of standard input, at least one, each with where it stands.

    Raises:
        DataError: nothing is there, it cannot be read, or a line is no JSON object.
    """
    from t5core.tasks.files import json_lines, read_json_lines

    if file is None and sys.stdin.isatty():
        note("reading JSON Lines from the keyboard; end them with Ctrl-D")
    name = "stdin" if file is None else file
    found = json_lines(sys.stdin.buffer, name) if file is None else read_json_lines(Path(file), {})
    yield _some(found, name)


def print_json(value: object) -> None:
    """Prints a value as one line of JSON, in signs that stdout can write."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, or a terminal of few signs
        line = json.dumps(value)
    print(line)


def note(message: str) -> None:
    """Says something beside the results, on stderr."""
    print(f"t5core: {message}", file=sys.stderr)


def _some(found: Iterator[tuple[str, dict[str, Any]]], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    empty = True
    for row in found:
        empty = False
        yield row
    if empty:
        raise DataError("file", name, "there is nothing in it: give one JSON object a line")
