"""What every rule removed, in documents, lines and bytes, so that input = removed + kept, to the byte.

A rule on lines removes lines, one on pages what the line rules had left of the page. Bytes are those of UTF-8, line
ends with them; what trimming takes (outer spaces, empty ends, citation marks) has a row of its own.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from t5core.corpora.c4.bad_words import BadWords
from t5core.corpora.c4.config import C4Config
from t5core.corpora.c4.language import LANGUAGE_RULES, language_verdict
from t5core.corpora.c4.markup import without_markup
from t5core.corpora.c4.rules import (
    BAD_WORD,
    ENDS_PAGE,
    LINE_PASSED,
    LINE_RULES,
    PAGE_RULES,
    TOO_FEW_SENTENCES,
    judged_lines,
)
from t5core.corpora.c4.sentences import has_sentences

TOO_LONG_PAGE = "filtered:too_long"
NOT_LISTED = "filtered:not_listed"
MARKUP = "line-filtered:markup"
OLDER_COPY = "filtered:url_duplicate"
TRIMMED = "trimmed"
COPIED_SPAN = "span-filtered:duplicate"
TOO_FEW_LEFT = "filtered:too_few_sentences_left"
RULES = (
    *(TOO_LONG_PAGE, NOT_LISTED, OLDER_COPY, MARKUP, *LINE_RULES, TRIMMED, *PAGE_RULES),
    *(*LANGUAGE_RULES, COPIED_SPAN, TOO_FEW_LEFT),
)
"""All rows of the table, in the order in which they are asked."""

OTHER_RECIPES_RULES = frozenset({NOT_LISTED, MARKUP})
"""Those of RULES that are not C4's: a table shows them where they are on."""

Amount = tuple[int, int, int]
"""Documents, lines, bytes."""


@dataclass
class Tally:
    """Counts of a part of a corpus, or of all of it.

    Attributes:
        read: what reading counted: pages, and records skipped by reason.
        removed: by rule.
        pages: all that were read.
        kept: what is left.
    """

    read: "Counter[str]" = field(default_factory=Counter)
    removed: dict[str, Amount] = field(default_factory=dict)
    pages: Amount = (0, 0, 0)
    kept: Amount = (0, 0, 0)

    def remove(self, rule: str, amount: Amount) -> None:
        """Counts what a rule removed."""
        self.removed[rule] = added(self.removed.get(rule, (0, 0, 0)), amount)

    def add(self, other: "Tally") -> None:
        """Adds the counts of another part."""
        self.read.update(other.read)
        for rule, amount in other.removed.items():
            self.remove(rule, amount)
        self.pages = added(self.pages, other.pages)
        self.kept = added(self.kept, other.kept)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, rules in the order of RULES."""
        return {
            "read": {name: count for name, count in sorted(self.read.items()) if count},
            "pages": _named(self.pages),
            "removed": {rule: _named(self.removed[rule]) for rule in RULES if rule in self.removed},
            "kept": _named(self.kept),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuilds a tally from ``to_dict()``'s output."""
        amounts = {rule: _amount(given) for rule, given in values["removed"].items()}
        return cls(Counter(values["read"]), amounts, _amount(values["pages"]), _amount(values["kept"]))


@dataclass(frozen=True)
class Judgement:
    """What the rules that need nothing but a page say about it.

    Attributes:
        text: kept, None when the page is dropped.
        removed: by rule; with ``text`` it makes up the page.
    """

    text: str | None
    removed: dict[str, Amount]


def judged_page(text: str, config: C4Config, bad_words: BadWords | None) -> Judgement:
    """Applies the rules for lines and pages and for language, in this order; see ``clean_page`` for the former."""
    tally = Tally()
    cleaned = _by_rules(text, config, bad_words, tally) if config.rules else _prose(text, config, tally)
    if cleaned is None:
        return Judgement(None, tally.removed)
    dropped_by = language_verdict(cleaned, config)
    if dropped_by is not None:
        tally.remove(dropped_by, amount_of(cleaned))
        return Judgement(None, tally.removed)
    return Judgement(cleaned, tally.removed)


def _by_rules(text: str, config: C4Config, bad_words: BadWords | None, tally: Tally) -> str | None:
    """What the line and page rules keep of a page, None where they drop it."""
    lines = 0
    kept: list[str] = []
    dropped_by: str | None = None
    for lines, (raw, verdict, line) in enumerate(judged_lines(text, config, bad_words), start=1):  # noqa: B007
        if verdict == LINE_PASSED:
            kept.append(line)
        elif verdict in ENDS_PAGE:
            dropped_by = verdict
        else:
            tally.remove(verdict, (0, 1, size_of(raw)))
    if dropped_by is not None:
        lines = len(text.splitlines())
    elif not has_sentences(kept, config.min_sentences, config.end_marks):
        dropped_by = TOO_FEW_SENTENCES
    gone_lines = sum(amount[1] for amount in tally.removed.values())
    gone_bytes = sum(amount[2] for amount in tally.removed.values())
    if dropped_by is not None:
        tally.remove(dropped_by, (1, lines - gone_lines, size_of(text) - gone_bytes))
        return None
    cleaned = "\n".join(kept).strip()
    tally.remove(TRIMMED, (0, 0, size_of(text) - gone_bytes - size_of(cleaned)))
    return cleaned


def _prose(text: str, config: C4Config, tally: Tally) -> str | None:
    """A page without the rules, and without marks where the config asks for prose; None where that is nothing."""
    rule, kept = (MARKUP, without_markup(text)) if config.prose else (TRIMMED, text.strip())
    _, lines, size = amount_of(text)
    _, kept_lines, kept_size = amount_of(kept)
    tally.remove(rule, (int(not kept), lines - kept_lines, size - kept_size))
    return kept or None


def size_of(text: str) -> int:
    """Returns the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def amount_of(text: str) -> Amount:
    """Returns one document, its lines and its bytes."""
    return 1, len(text.splitlines()), size_of(text)


def added(one: Amount, other: Amount) -> Amount:
    """Returns the sums."""
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def unused_rules(config: C4Config) -> set[str]:
    """Returns the rules that the config switches off."""
    unused = set()
    if not config.listing:
        unused.add(NOT_LISTED)
    if not config.prose:
        unused.add(MARKUP)
    if not config.rules:
        unused.update((*LINE_RULES, *PAGE_RULES))
    if not config.bad_words:
        unused.add(BAD_WORD)
    if config.language == "none":
        unused.update(LANGUAGE_RULES)
    if not config.one_copy_per_url:
        unused.add(OLDER_COPY)
    if not config.span_sentences:
        unused.update((COPIED_SPAN, TOO_FEW_LEFT))
    return unused


def _named(amount: Amount) -> dict[str, int]:
    return dict(zip(("documents", "lines", "bytes"), amount, strict=True))


def _amount(given: Mapping[str, int]) -> Amount:
    return given["documents"], given["lines"], given["bytes"]
