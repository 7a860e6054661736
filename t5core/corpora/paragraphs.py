r"""From lines to paragraphs: what a person wrapped by hand becomes one line, in any script.

    Der Hafen erwacht          Der Hafen erwacht vor der Sonne.
    vor der Sonne.             - Boote
    - Boote                    - Körbe voll Brot
    - Körbe
      voll Brot

A line too long to be wrapped is a paragraph by itself. Titles, lists and documented parameters keep their lines. Lines
of scripts that part no words (Chinese, Japanese, Thai, ...) are joined without a blank, all others with one.
"""

import re
from collections.abc import Iterable, Iterator

from t5core.scripts import gap_between

_UNDERLINE = re.compile(r"([-=~^*#\"'])\1{2,}$")
_BULLET = re.compile(r"(?:[-*+•]|\(?\d{1,2}[.)])\s")
_NUMPY_ENTRY = re.compile(r"\*{0,2}[A-Za-z_][\w.]*(?:, \*{0,2}\w+)* ?:(?: |$)")
_HANGING_ENTRY = re.compile(r"(?::\w+[^:]*:\s|@\w+ |\*{0,2}\w+(?: \([^)]*\))?: )")
_MAX_WRAPPED_CHARS = 130  # a longer line was not wrapped by a person: it is a paragraph by itself


def is_underline(text: str) -> bool:
    """Says whether a line is three or more of one sign, as below a title."""
    return _UNDERLINE.match(text) is not None


def joined(lines: Iterable[str], *, keeps_rules: bool = False) -> Iterator[str]:
    """Joins wrapped lines; indentation becomes none or four spaces, underlines four dashes, blanks come singly.

    Args:
        lines: as they come.
        keeps_rules: whether a line of one sign stays where no title stands above it, as between two scenes.
    """
    held, held_indent, hanging, wrapped = "", 0, False, True
    blank = True
    for line in lines:
        text = " ".join(line.split())
        if not text:
            if held:
                yield held
                held = ""
            if not blank:
                yield ""
            blank = True
            continue
        blank = False
        indent = len(line) - len(line.lstrip())
        if is_underline(text):
            if held:
                yield held
                yield "----"
                held = ""
            elif keeps_rules:
                yield text
            continue
        starts = bool(_BULLET.match(text) or _NUMPY_ENTRY.match(text) or _HANGING_ENTRY.match(text))
        continues = wrapped and (indent == held_indent or (hanging and indent > held_indent))
        wrapped = len(text) <= _MAX_WRAPPED_CHARS
        if held and wrapped and continues and not starts:
            held += gap_between(held, text) + text
            held_indent = max(held_indent, indent) if hanging else held_indent
            continue
        if held:
            yield held
        held, held_indent = ("    " if indent else "") + text, indent
        hanging = bool(_BULLET.match(text) or _HANGING_ENTRY.match(text))
    if held:
        yield held
