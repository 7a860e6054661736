"""Wikipedia's text as the paper has it: the prose of an article, without marks and references.

A title like "References" is not always where an article ends: contents list it, chapters of a book have notes of their
own. So it ends the text only where it is the one line of its name, or the second of two, and what it would take along
is no more than half of the text, or 1,000 characters: an article of three sentences has more links than prose.
"""

import re
from collections import defaultdict
from collections.abc import Iterator

from t5core.corpora.c4.rules import without_citations
from t5core.corpora.cleaning import is_entry

_LAST_SECTIONS = {"references", "see also", "external links", "further reading", "notes", "bibliography"}
_SHORT_END_CHARS = 1_000
_MOST_OF_A_NAME = 2  # in the contents and above the section
_UNDERLINE = re.compile(r"([-=~^*#\"'])\1{2,}$")


def without_markup(text: str) -> str:
    """Returns prose without citation marks, underlines, entries, and the end from a title like "References"."""
    kept = "\n".join(kept for _, kept, _ in marked_lines(text) if kept is not None)
    return re.sub(r"\n{3,}", "\n\n", kept).strip()


def marked_lines(text: str) -> Iterator[tuple[str, str | None, str]]:
    """Yields (line, what is kept of it or None, why it goes) for each line of a text."""
    lines = text.split("\n")
    end = _end(lines, len(text))
    for i, line in enumerate(lines):
        if i >= end:
            yield line, None, f"at the end, from {lines[end].strip()!r}"
        elif _UNDERLINE.match(line.strip()):
            yield line, None, "an underline"
        elif is_entry(line):
            yield line, None, "an entry"
        else:
            yield line, without_citations(line), ""


def _end(lines: list[str], chars: int) -> int:
    """The index of the line that the end begins with."""
    left = chars
    titles: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for i, line in enumerate(lines):
        title = without_citations(line).strip().strip("= ").lower()
        if title in _LAST_SECTIONS:
            titles[title].append((i, left))
        left -= len(line) + 1
    most = max(chars / 2, _SHORT_END_CHARS)
    ends = [found[-1] for found in titles.values() if len(found) <= _MOST_OF_A_NAME]
    return min((i for i, taken in ends if taken <= most), default=len(lines))
