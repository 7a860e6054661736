"""The line and page rules of C4, each a function with a name, in the order of the released code.

The order is part of the rules, since the first one that speaks decides: a page rule sees only lines that passed the
line rules before it, and ``{`` in a line without an end mark does no harm. What a rule removed is counted under the
name that the released code gives it: ``line-filtered:...`` for a line, ``filtered:...`` for a page.

Two things follow from the released code and are meant: a citation mark is cut out after the spaces around a line, so
``Text. [1]`` ends in a space, not in an end mark, and goes; and where cutting one mark forms another (``[[1]]``), that
one stays.
"""

import re
from collections.abc import Iterator

from t5core.corpora.c4.bad_words import BadWords
from t5core.corpora.c4.config import C4Config
from t5core.corpora.c4.sentences import has_sentences
from t5core.scripts import words_of

LINE_PASSED = "line-passed"
TOO_LONG_WORD = "line-filtered:too_long_word"
NO_END_MARK = "line-filtered:no_endmark"
TOO_SHORT = "line-filtered:too_short"
JAVASCRIPT = "line-filtered:javascript"
POLICY = "line-filtered:policy"
PAGE_PASSED = "passed"
LOREM_IPSUM = "filtered:loremipsum"
CURLY_BRACKET = "filtered:squigglybracket"
BAD_WORD = "filtered:badword"
TOO_FEW_SENTENCES = "filtered:too_few_sentences"

LINE_RULES = (TOO_LONG_WORD, NO_END_MARK, TOO_SHORT, JAVASCRIPT, POLICY)
PAGE_RULES = (LOREM_IPSUM, CURLY_BRACKET, BAD_WORD, TOO_FEW_SENTENCES)
ENDS_PAGE = frozenset(PAGE_RULES)
"""Verdicts on a line that drop its page."""

_CITATION = re.compile(r"\[(?:\d*|edit|citation needed)\]")
_ELLIPSIS = "..."
_DEFAULT = C4Config()


def clean_page(
    text: str, config: C4Config = _DEFAULT, bad_words: BadWords | None = None
) -> tuple[str | None, dict[str, int]]:
    """Applies the line and page rules to one page.

    Length, URL, language and repeated spans are not asked about here: the first three belong to a page with its
    origin, the last to a whole corpus.

    Args:
        text: of the page, lines as they come.
        config: thresholds; the paper's by default.
        bad_words: as ``bad_words.finder`` makes it; without it, that rule is off.

    Returns:
        The kept lines, joined by newlines, or None for a page that is dropped; and how often each rule spoke.
    """
    kept: list[str] = []
    counters: dict[str, int] = {}
    for _, verdict, line in judged_lines(text, config, bad_words):
        counters[verdict] = counters.get(verdict, 0) + 1
        if verdict == LINE_PASSED:
            kept.append(line)
        elif verdict in ENDS_PAGE:
            return None, counters
    if not has_sentences(kept, config.min_sentences, config.end_marks):
        counters[TOO_FEW_SENTENCES] = 1
        return None, counters
    counters[PAGE_PASSED] = 1
    return "\n".join(kept).strip(), counters


def judged_lines(text: str, config: C4Config, bad_words: BadWords | None) -> Iterator[tuple[str, str, str]]:
    """Yields (line with its end, verdict, trimmed line without citation marks), up to a line that ends the page."""
    for raw in text.splitlines(keepends=True):  # what ends a line is white space, and so stripped with it
        verdict, line = judged_line(raw, config, bad_words)
        yield raw, verdict, line
        if verdict in ENDS_PAGE:
            return


def judged_line(line: str, config: C4Config, bad_words: BadWords | None) -> tuple[str, str]:
    """Returns the name of the first rule that a line falls under, LINE_PASSED for none, and the line as it is kept."""
    line = line.strip()
    if has_too_long_word(line, config.max_word_chars, spaced=config.spaced):
        return TOO_LONG_WORD, line
    line = without_citations(line)
    if not ends_a_sentence(line, config.end_marks):
        return NO_END_MARK, line
    if has_too_few_words(line, config.min_words, spaced=config.spaced):
        return TOO_SHORT, line
    lowered = line.lower()
    if holds_lorem_ipsum(lowered):
        return LOREM_IPSUM, line
    if mentions_javascript(lowered):
        return JAVASCRIPT, line
    if holds_curly_bracket(line):
        return CURLY_BRACKET, line
    if is_about_policy(lowered, config.policy_phrases):
        return POLICY, line
    if bad_words is not None and bad_words.search(lowered):
        return BAD_WORD, line
    return LINE_PASSED, line


def has_too_long_word(line: str, max_chars: int, *, spaced: bool = True) -> bool:
    """Says whether a word has more than ``max_chars`` characters; see ``scripts.words_of`` for ``spaced``."""
    return len(line) > max_chars and any(len(word) > max_chars for word in words_of(line, spaced=spaced))


def without_citations(line: str) -> str:
    """Returns the line without ``[1]``, ``[]``, ``[edit]`` and ``[citation needed]``."""
    return _CITATION.sub("", line) if "[" in line else line


def ends_a_sentence(line: str, end_marks: tuple[str, ...]) -> bool:
    """Says whether the line ends in one of the marks, where there are any, and not in three full stops."""
    return (line.endswith(end_marks) if end_marks else bool(line)) and not line.endswith(_ELLIPSIS)


def has_too_few_words(line: str, minimum: int, *, spaced: bool = True) -> bool:
    """Says whether there are fewer than ``minimum`` words; see ``scripts.words_of`` for ``spaced``."""
    return len(line.split(None, minimum) if spaced else words_of(line, spaced=False)) < minimum


def holds_lorem_ipsum(lowered: str) -> bool:
    """Says whether the lower-cased line holds the printers' dummy text."""
    return "lorem ipsum" in lowered


def mentions_javascript(lowered: str) -> bool:
    """Says whether the lower-cased line mentions JavaScript, as warnings that it is switched off do."""
    return "javascript" in lowered


def holds_curly_bracket(line: str) -> bool:
    """Says whether the line holds ``{``, which stands in code and hardly in prose."""
    return "{" in line


def is_about_policy(lowered: str, phrases: tuple[str, ...]) -> bool:
    """Says whether the lower-cased line holds a phrase of the small print."""
    return any(phrase in lowered for phrase in phrases)
