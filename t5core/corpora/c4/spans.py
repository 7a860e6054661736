"""Spans of three sentences, of which the paper keeps one copy over the whole corpus.

A span is a window of ``size`` sentences that slides inside one line, compared in lower case; a line with fewer
sentences is one span by itself. A page's spans are numbered in its order, so that "span 7 of this page is a copy" says
it all: whoever compares spans of many pages needs hashes and numbers, and never a text.
"""

import hashlib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from t5core.corpora.c4.sentences import ENGLISH_MARKS, sentences
from t5core.scripts import gap_between

HASH_BYTES = 16
_SOLO_MARKS = frozenset((".", "?", "!", '"'))


@dataclass(frozen=True)
class Remainder:
    """What is left of a page without its lost spans.

    Attributes:
        text: lines that lost sentences hold the others, joined as their script does it; lines that lost all are gone.
        lines: how many are gone.
        sentences: how many are gone.
    """

    text: str
    lines: int
    sentences: int


def span_hashes(text: str, size: int = 3, end_marks: Sequence[str] = ENGLISH_MARKS) -> list[bytes]:
    """Returns a digest of HASH_BYTES bytes for each span of a cleaned page, in its order.

    Args:
        text: as ``clean_page`` keeps it.
        size: of a span, in sentences.
        end_marks: of the page's language, as in ``C4Config``.
    """
    hashes = []
    for line in text.split("\n"):
        lowered = [sentence.lower() for sentence in sentences(line, end_marks)]
        for first in _span_starts(lowered, size):
            joined = "\n".join(lowered[first : first + size])
            hashes.append(hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest())
    return hashes


def without_spans(
    text: str, lost: Container[int], size: int = 3, end_marks: Sequence[str] = ENGLISH_MARKS
) -> Remainder:
    """Returns a cleaned page without the sentences of the spans whose numbers are in ``lost``."""
    kept: list[str] = []
    number = lines = gone = 0
    for line in text.split("\n"):
        parts = sentences(line, end_marks)
        dropped: set[int] = set()
        for first in _span_starts([part.lower() for part in parts], size):
            if number in lost:
                dropped.update(range(first, min(first + size, len(parts))))
            number += 1
        gone += len(dropped)
        if not dropped:
            kept.append(line)
        elif len(dropped) < len(parts):
            kept.append(_joined(part for i, part in enumerate(parts) if i not in dropped))
        else:
            lines += 1
    return Remainder("\n".join(kept), lines, gone)


def _joined(parts: Iterable[str]) -> str:
    line = ""
    for part in parts:
        line += f"{gap_between(line, part) if line else ''}{part}"
    return line


def _span_starts(parts: list[str], size: int) -> Iterator[int]:
    """Where spans begin; none for what is nothing but marks ("! ! !"), which says nothing twice."""
    for first in range(len(parts) - min(len(parts), size) + 1):
        span = parts[first : first + size]
        if span and not all(part in _SOLO_MARKS for part in span):
            yield first
