"""Wikipedia's text as the paper has it: the prose of an article, without marks and references."""

import re

from t5core.corpora.c4.rules import without_citations
from t5core.corpora.cleaning import is_entry

_LAST_SECTIONS = {"references", "see also", "external links", "further reading", "notes", "bibliography"}
_UNDERLINE = re.compile(r"([-=~^*#\"'])\1{2,}$")


def without_markup(text: str) -> str:
    """Returns prose without citation marks, underlines, entries, and all from the first title like "References"."""
    kept: list[str] = []
    for line in text.split("\n"):
        bare = line.strip()
        if bare.strip("= ").lower() in _LAST_SECTIONS:
            break
        if not _UNDERLINE.match(bare) and not is_entry(line):
            kept.append(without_citations(line))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
