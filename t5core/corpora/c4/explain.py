"""Why a page is kept or dropped, line by line, in words."""

from collections.abc import Iterator
from dataclasses import dataclass

from t5core.corpora.c4 import rules
from t5core.corpora.c4.bad_words import BadWords
from t5core.corpora.c4.config import NO_LANGUAGE, C4Config
from t5core.corpora.c4.language import language_verdict, why_language
from t5core.corpora.c4.listing import ALL_PAGES, Listing
from t5core.corpora.c4.markup import marked_lines
from t5core.corpora.c4.rules import judged_lines
from t5core.corpora.c4.sentences import has_sentences, sentences
from t5core.corpora.c4.tally import MARKUP, NOT_LISTED, TOO_LONG_PAGE, TRIMMED, judged_page
from t5core.scripts import words_of


@dataclass(frozen=True)
class Explained:
    """A verdict on a line, or on a page.

    Attributes:
        verdict: name of the rule, or LINE_PASSED or PAGE_PASSED.
        why: what it found; "" where nothing was.
        line: as it came, without outer spaces; None for a page.
    """

    verdict: str
    why: str
    line: str | None = None


def explained(
    text: str, config: C4Config, bad_words: BadWords | None, *, url: str = "", listing: Listing = ALL_PAGES
) -> Iterator[Explained]:
    """Yields the verdict on each line of a page up to one that ends it, and last the verdict on the page.

    The rules that compare pages, by URL and by span, are not asked.

    Args:
        text: of the page.
        config: of the rules.
        bad_words: as ``bad_words.finder`` makes it; without it, that rule is off.
        url: of the page, "" where it has none.
        listing: which pages are taken.
    """
    if len(text) > config.max_page_chars:
        why = f"{len(text):,} characters, {config.max_page_chars:,} at most"
        yield Explained(TOO_LONG_PAGE, why)
        return
    if not listing.takes(url):
        yield Explained(NOT_LISTED, f"{url!r} is not on the list" if url else "it has no URL to be listed by")
        return
    lines, by_rule = _by_rules(text, config, bad_words) if config.rules else _without_rules(text, config)
    yield from lines
    if by_rule is not None:
        yield by_rule
        return
    cleaned = judged_page(text, config.replace(language=NO_LANGUAGE), bad_words).text or ""
    by_language = language_verdict(cleaned, config)
    if by_language is not None:
        asked = f"{config.language} with {config.min_language_probability} or more is asked for"
        yield Explained(by_language, f"{why_language(cleaned, config)}; {asked}")
        return
    yield Explained(rules.PAGE_PASSED, f"{len(cleaned.splitlines())} lines")


def _by_rules(text: str, config: C4Config, bad_words: BadWords | None) -> tuple[list[Explained], Explained | None]:
    """The verdicts of C4's rules on lines, and on the page where they drop it."""
    lines, kept = [], []
    for raw, verdict, line in judged_lines(text, config, bad_words):
        why = _why(verdict, line, config, bad_words)
        if verdict == rules.LINE_PASSED:
            kept.append(line)
            why = f"kept as {line!r}" if line != raw.strip() else ""
        lines.append(Explained(verdict, why, raw.strip()))
        if verdict in rules.ENDS_PAGE:
            return lines, Explained(verdict, "by the line above")
    if has_sentences(kept, config.min_sentences, config.end_marks):
        return lines, None
    count = sum(len(sentences(line, config.end_marks)) for line in kept)
    return lines, Explained(rules.TOO_FEW_SENTENCES, f"{count} left, {config.min_sentences} or more are asked for")


def _without_rules(text: str, config: C4Config) -> tuple[list[Explained], Explained | None]:
    """The same where lines are kept as they are, but for an encyclopedia's marks; empty ones are not spoken of."""
    marked = marked_lines(text) if config.prose else ((line, line, "") for line in text.split("\n"))
    lines = []
    for line, kept, why in marked:
        if kept is not None and kept != line:
            why = f"kept as {kept.strip()!r}"
        if line.strip():
            lines.append(Explained(MARKUP if kept is None else rules.LINE_PASSED, why, line.strip()))
    if judged_page(text, config.replace(language=NO_LANGUAGE), None).text is not None:
        return lines, None
    return lines, Explained(MARKUP if config.prose else TRIMMED, "nothing is left")


def _why(verdict: str, line: str, config: C4Config, bad_words: BadWords | None) -> str:
    match verdict:
        case rules.TOO_LONG_WORD:
            longest = max(map(len, words_of(line, spaced=config.spaced)))
            return f"a word of {longest:,} characters, {config.max_word_chars:,} at most"
        case rules.NO_END_MARK:
            if line.endswith("..."):
                return "it ends in ..."
            ending = f"it ends in {line[-1]!r}" if line else "it is empty"
            return f"{ending}, not in one of {' '.join(config.end_marks)}"
        case rules.TOO_SHORT:
            return f"{len(words_of(line, spaced=config.spaced))} words, {config.min_words} or more are asked for"
        case rules.JAVASCRIPT | rules.LOREM_IPSUM:
            return _found(line.lower(), "javascript" if verdict == rules.JAVASCRIPT else "lorem ipsum")
        case rules.CURLY_BRACKET:
            return _found(line, "{")
        case rules.POLICY:
            return _found(line.lower(), *config.policy_phrases)
        case rules.BAD_WORD:
            match = bad_words.search(line.lower()) if bad_words else None
            return f"it holds {match[0]!r}" if match else ""
    return ""


def _found(text: str, *phrases: str) -> str:
    return f"it holds {next((phrase for phrase in phrases if phrase in text), '')!r}"
