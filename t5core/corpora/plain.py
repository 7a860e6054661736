r"""A user's own plain text and Markdown, in paragraphs: whatever its script, its words are kept.

What a person gives is text. Nothing here judges whether a line is prose, or English: lines of numbers, of Russian or of
Thai stay. Markdown is markup around text: headings, emphasis, links and quotations leave their words, and what holds
none (fenced code, tables, images, comments and tags of HTML, lines of nothing but an address) goes and is counted.

    # Der Hafen           Der Hafen
    Ein *stiller* Ort,    Ein stiller Ort, wie alle sagen.
    wie [alle](x) sagen.
"""

import re
from collections import Counter

from t5core.corpora.paragraphs import joined

CODE_LINES = "left-out:markdown_code_lines"
TABLE_LINES = "left-out:markdown_table_lines"
LINK_LINES = "left-out:markdown_link_lines"
TAGS = "left-out:markdown_html_tags"
IMAGES = "left-out:markdown_images"

_FENCE = re.compile(r"(`{3,}(?!.*`)|~{3,})")  # of backticks: with one behind it, it is code in a line
_TABLE_LINE = re.compile(r"\|.*\|$")
_REFERENCE = re.compile(
    r"[-*<(\[\s]*(?:\[[^\]]*\]:?\s*)?<?https?://\S+$|\[[^\]^]+\]:\s+<?(?:\S*[/#.]\S*|\S+>)(?:\s+[\"'(].*)?$"
)
_TAG = re.compile(
    r"<!--.*?-->|</?(?:a|abbr|address|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|col|dd|del|"
    r"details|dfn|div|dl|dt|em|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|"
    r"label|li|link|main|mark|meta|nav|ol|option|p|picture|pre|q|s|samp|script|section|select|small|source|span|strike|"
    r"strong|style|sub|summary|sup|svg|table|tbody|td|textarea|tfoot|th|thead|tr|tt|u|ul|var|video)"
    r"(?:\s[^<>]{0,300})?/?>",
    re.S | re.I,
)
_AUTOLINK = re.compile(r"<(?=https?://|[\w.+-]+@)([^<>\s]+)>")
IMAGE = re.compile(r"\[?!\[[^\]]*\]\([^)]*\)(?:\]\([^)]*\))?")
LINK = re.compile(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$")
_QUOTATION = re.compile(r"^(?:>[ \t]?)+")
_CODE_SPAN = re.compile(r"(`{1,2})([^`]+)\1")
_STRESS = re.compile(r"(?<![\w*])(\*{1,3})(?=\S)([^*\n]+?)(?<=\S)\1(?![\w*])")


def plain_text(raw: str) -> str:
    """Returns plain text with white space squeezed and wrapped lines joined; nothing else is changed.

    Titles, lists and documented parameters keep their lines; see ``t5core.corpora.paragraphs``.
    """
    lines = joined(raw.replace("\r", "").expandtabs().split("\n"), keeps_rules=True)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def markdown_text(raw: str, counts: "Counter[str]") -> str:
    """Returns the text of Markdown with its lines as they are, without markup.

    Args:
        raw: of a file.
        counts: gets what was left out: CODE_LINES, TABLE_LINES, LINK_LINES, TAGS and IMAGES.
    """
    text = "\n".join(_outside_code(raw.replace("\r", ""), counts))
    text, images = IMAGE.subn("", text)
    text, tags = _TAG.subn("", _AUTOLINK.sub(r"\1", text))
    text = _STRESS.sub(r"\2", _CODE_SPAN.sub(r"\2", LINK.sub(r"\1", text)))
    for name, count in ((IMAGES, images), (TAGS, tags)):
        counts[name] += count
    kept = []
    for line in text.split("\n"):
        stripped = line.strip()
        if _TABLE_LINE.match(stripped):
            counts[TABLE_LINES] += 1
        elif _REFERENCE.match(stripped):
            counts[LINK_LINES] += 1
        else:
            unquoted = _QUOTATION.sub("", line.lstrip()) if stripped.startswith(">") else line
            kept.append(_HEADING.sub(r"\1", unquoted))
    return "\n".join(kept)


def _outside_code(raw: str, counts: "Counter[str]") -> list[str]:
    """The lines outside fences; a fence that is never closed is none."""
    lines = raw.split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at].strip())
        end = _end_of_fence(lines, at, fence[1]) if fence else None
        if end is None:
            kept.append(lines[at])
            at += 1
        else:
            counts[CODE_LINES] += end + 1 - at
            at = end + 1
    return kept


def _end_of_fence(lines: list[str], start: int, fence: str) -> int | None:
    """The line that closes a fence: the same sign, at least as often, and nothing else."""
    for number in range(start + 1, len(lines)):
        text = lines[number].strip()
        if len(text) >= len(fence) and not text.strip(fence[0]):
            return number
    return None
