r"""From markup to prose: what a docstring or a README says, without code, tables and links.

The result keeps just as much shape as the embedded tasks need. One line is one paragraph (wrapped lines are joined),
section titles keep a short underline, parameters keep their ``name : type`` line with the description indented below::

    Compute the mean along an axis.          first line: the summary

    Parameters
    ----
    axis : int, default: None
        Axis along which the mean is computed. By default the array is flattened.

Dropped: doctests, code fences, literal blocks, directives that hold no prose, tables, lines of links, ``See Also`` and
``References``, and lines that are not mostly English letters. Inline markup (roles, backquotes, links) leaves its text.

That is for what is harvested from packages. What a user gives is text in any language: see ``t5core.corpora.plain``.
"""

import inspect
import re
import string
from collections.abc import Iterator

from t5core.corpora.paragraphs import is_underline, joined
from t5core.corpora.plain import IMAGE, LINK

_TABLE_RULE = re.compile(r"(?:[=-]{2,}\s+)+[=-]{2,}$|\+[-=+]{3,}$")
_DIRECTIVE = re.compile(r"\.\. ([\w:.-]+?)::")
_PROSE_DIRECTIVES = {
    *("note", "warning", "tip", "important", "hint", "caution", "attention", "admonition"),
    *("versionadded", "versionchanged", "deprecated", "topic", "rubric"),
}
_LINK_LINE = re.compile(r"[-*<(\[\s]*(?:\[[^\]]*\]:?\s*)?<?https?://\S+$|\[[^\]]+\]:\s")
_OPTION = re.compile(r":[\w-]+:(?:\s\S+)?$")
_DROPPED_SECTIONS = {"see also", "references", "examples", "example", "usage", "attributes and methods"}

_ENTRY_LINE = re.compile(r"\s*\*{0,2}[A-Za-z_]\w*(?:, \*{0,2}\w+)* : \S")

_ROLE = re.compile(r":[\w:+.-]+:`([^`]+)`")
_TITLED_LINK = re.compile(r"`([^`<]+?)\s*<[^`>]*>`_{0,2}")
_BACKQUOTED = re.compile(r"(`{1,2})([^`]+)\1_{0,2}")
_FOOTNOTE = re.compile(r"\s?\[[\w#*-]{1,8}\]_")
_HTML = re.compile(r"</?[A-Za-z][^<>]{0,300}>|<!--.*?-->", re.S)
_URL = re.compile(r"\s?[<(]?\bhttps?://[^\s>)]+[>)]?")
_GAP = re.compile(r"(?<=\S) {2,}")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,2})([A-Za-z](?:[^*]*[\w.:])?)\1(?![\w*])")

_LETTERS = string.ascii_letters.encode() + b" "
_COMMON_WORDS = re.compile(r"\b(?:the|of|to|is|in|and|for|that|this|with|be|are|it|by|as)\b", re.I)
_MIN_LETTER_SHARE = 0.75
_JUDGED_FROM_CHARS = 40


def clean_docstring(raw: str) -> str:
    """Returns the prose of a docstring; "" when there is none. See the module's note for the form."""
    lines = joined(_prose_lines(inspect.cleandoc(raw).split("\n")))
    return _finished(_without_empty_sections([_inline(line) for line in lines]))


def clean_readme(raw: str) -> str:
    """Returns the prose of a README in Markdown or reStructuredText, in the form of ``clean_docstring``."""
    text = IMAGE.sub("", _HTML.sub("", raw.replace("\r", "")))
    text = re.sub(r"(?m)^#{1,6}\s*(.+?)\s*#*$", r"\1", LINK.sub(r"\1", text))
    return clean_docstring(text)


def is_entry(line: str) -> bool:
    """Says whether a line opens a parameter's entry: ``name : type``."""
    return _ENTRY_LINE.match(line) is not None


def is_english(text: str) -> bool:
    """Says whether at least every twelfth word is one of English's commonest: true for prose, false for lists."""
    return 12 * len(_COMMON_WORDS.findall(text)) >= text.count(" ")


def _is_prose(line: str) -> bool:
    if len(line) < _JUDGED_FROM_CHARS:
        return True
    other = len(line.encode("ascii", "replace").translate(None, _LETTERS))
    return other <= (1 - _MIN_LETTER_SHARE) * len(line)


def _prose_lines(lines: list[str]) -> Iterator[str]:
    """Drops code, tables and directives; keeps indentation."""
    deeper_than: int | None = None  # inside a block that is dropped: until a line at or left of this indentation
    until_blank = in_fence = False
    for line in lines:
        text = line.strip()
        if in_fence:
            in_fence = not text.startswith(("```", "~~~"))
            continue
        if not text:
            until_blank = False
            yield ""
            continue
        indent = len(line) - len(line.lstrip())
        if deeper_than is not None and indent > deeper_than:
            continue
        deeper_than = None
        if until_blank:
            continue
        first = text[0]
        if first in ">`~.|+=-:<*([h":
            if text.startswith(("```", "~~~")) and not is_underline(text):
                in_fence = True
                continue
            if text.startswith(">>>") or _TABLE_RULE.match(text):
                until_blank = True
                continue
            if text.startswith(".. "):
                name = _DIRECTIVE.match(text)
                if name is None or name[1] not in _PROSE_DIRECTIVES:
                    deeper_than = indent
                continue
            if first == "|" or _OPTION.match(text) or _LINK_LINE.match(text):
                continue
        if text.endswith("::"):
            deeper_than = indent
            text = text[:-2].rstrip() + ":"
            if text == ":":
                continue
        yield " " * indent + text


def _inline(line: str) -> str:
    if "`" in line:
        line = _ROLE.sub(lambda m: _shown(m[1]), line)
        line = _TITLED_LINK.sub(r"\1", line)
        line = _BACKQUOTED.sub(lambda m: _shown(m[2]), line)
    if "*" in line:
        line = _EMPHASIS.sub(r"\2", line)
    if "]_" in line:
        line = _FOOTNOTE.sub("", line)
    if "://" in line:
        line = _URL.sub("", line)
    return _GAP.sub(" ", line).rstrip()


def _shown(target: str) -> str:
    """What a role like ``:func:`~package.name``` shows."""
    if target.endswith(">") and "<" in target:
        return target[: target.rindex("<")].strip()
    if target.startswith("~"):
        return target[1:].rsplit(".", 1)[-1]
    return target.lstrip("!.") if target[1:2].isupper() else target


def _without_empty_sections(lines: list[str]) -> list[str]:
    """Drops sections of links and code, titles with nothing below, and lines that are no prose."""
    kept: list[str] = []
    dropping = False
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and lines[i + 1] == "----":
            dropping = line.strip().lower() in _DROPPED_SECTIONS
        if dropping or not (line == "----" or _is_prose(line) or is_entry(line)):
            continue
        kept.append(line)
    out: list[str] = []
    below = False  # whether something stands below, up to the next title
    for i in range(len(kept) - 1, -1, -1):
        line = kept[i]
        if line == "----":
            if below:
                out.append(line)
            continue
        is_title = i + 1 < len(kept) and kept[i + 1] == "----"
        if is_title:
            if below:
                out.append(line)
            below = False
            continue
        below = below or bool(line)
        out.append(line)
    return out[::-1]


def _finished(lines: list[str]) -> str:
    # a last line like "For example:" led to something that was dropped
    while lines and (not lines[-1].strip() or lines[-1].endswith(":")):
        lines.pop()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
