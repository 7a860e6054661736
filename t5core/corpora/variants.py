r"""Table 8's corpora, as recipes over one source: which of its text is trained on.

A recipe is given the documents for training, already without anything that is held out, and leaves out some of them, or
parts of them. It never adds or rewrites a word, so nothing that is held out can come back, whatever the recipe: the
validation split is that of the plain corpus for all of them. Only the books are text from elsewhere, and they pass the
same comparison with what is held out first.

================  ===========================================================================================
plain             all of the source, repeated lines dropped: no row of the table
c4                C4's line and page rules, language, one copy per URL and of each span of three sentences
unfiltered        all of it, each document once, repeated lines and spans stay; language
realnews_like     what C4's rules leave of pages on the domains that the user lists
webtext_like      what they leave of URLs that the user's list gives a score of 3 or more
wikipedia         pages on wikipedia.org without citation marks, entries and lists of references; no rules
wikipedia_books   the same and the user's books
================  ===========================================================================================

The embedded source has no URLs. There, documents stand in for the real ones, as ``STAND_INS`` says; what they show is
that the study works, and nothing about news or encyclopedias.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from t5core.config import CorpusConfig
from t5core.corpora import files
from t5core.corpora.c4.bad_words import finder, published_words
from t5core.corpora.c4.config import NO_LANGUAGE, C4Config
from t5core.corpora.c4.language import check_language, language_verdict
from t5core.corpora.c4.rules import clean_page, without_citations
from t5core.corpora.c4.sentences import has_sentences
from t5core.corpora.c4.spans import span_hashes, without_spans
from t5core.corpora.cleaning import is_entry
from t5core.corpora.documents import SourceDocument
from t5core.corpora.urls import normalized_url
from t5core.errors import ConfigError, DataError

MIN_SCORE = 3
"""WebText's limit: pages that Reddit linked to with a score of 3 or more."""

BOOK_CHARS = 4_000
"""An embedded document of so many characters stands in for a book."""

PUBLISHERS = ("matplotlib", "networkx", "nltk", "numpy", "pandas", "scikit-learn", "scipy", "sympy")
"""The distributions whose documents stand in for pages of news."""

STAND_INS: Mapping[str, str] = MappingProxyType(
    {
        "c4": "docstrings and READMEs by C4's rules; they have no URLs, and their language was told at the harvest",
        "unfiltered": "docstrings and READMEs as they were harvested, entries of parameters and all",
        "realnews_like": f"what C4's rules leave of {', '.join(PUBLISHERS)}: a list of publishers, as news have, whose "
        "texts are edited by a common guide to style",
        "webtext_like": f"what they leave of documents of functions and classes that the prose of {MIN_SCORE} or more "
        "other source files names: others found them worth a link",
        "wikipedia": "READMEs and the docstrings of whole modules: each describes one subject to newcomers",
        "wikipedia_books": f"the same and every document of {BOOK_CHARS:,} characters or more: long connected text",
    }
)
"""What of the embedded source stands for what, and why."""

_BY_C4 = frozenset({"c4", "realnews_like", "webtext_like"})
_BOOK = "book"
_ENCYCLOPEDIA = ("wikipedia.org",)
_LAST_SECTIONS = {"references", "see also", "external links", "further reading", "notes", "bibliography"}
_UNDERLINE = re.compile(r"([-=~^*#\"'])\1{2,}$")
_WORD = re.compile(r"[A-Za-z_]\w{3,}")

Keep = Callable[[SourceDocument], bool]


def extra_digest(config: CorpusConfig) -> str:
    """Returns what stands for the files that a variant needs besides, "" when it needs none.

    Raises:
        ConfigError: they cannot be read.
    """
    if not config.extra:
        return ""
    if config.variant == "wikipedia_books":
        return files.content_digest(config.extra)
    return hashlib.sha256("\n".join(_lines(config.extra, config.variant)).encode()).hexdigest()[:16]


def read_books(config: CorpusConfig) -> Iterator[SourceDocument]:
    """Yields the documents that the variant adds to the source's."""
    if config.variant == "wikipedia_books" and config.source == "files":
        for document in files.read_files(config.extra, config.min_chars):
            yield replace(document, group=_BOOK)


def chosen(config: CorpusConfig, documents: Iterable[SourceDocument]) -> Iterator[SourceDocument]:
    """Yields what a recipe leaves of documents, in their order.

    Args:
        config: of the corpus; the variant is what counts, and where its text comes from.
        documents: for training; nothing that is held out is in them.

    Raises:
        ConfigError: a list that cannot be read, an unknown language.
        DataError: a list with a line that cannot be understood.
    """
    if config.variant == "plain":
        yield from documents
        return
    held = list(documents)
    language = "" if config.source == "embedded" else config.language
    rules = C4Config(language=check_language(language) if language else NO_LANGUAGE)
    if config.variant in _BY_C4:
        keep = _keep(config, held)
        yield from filter(keep, by_c4_rules(held, rules))
    elif config.variant == "unfiltered":
        yield from (d for d in held if language_verdict(d.text, rules) is None)
    else:
        keep = _keep(config, held)
        for document in filter(keep, held):
            yield replace(document, text=without_markup(document.text))


def by_c4_rules(documents: Sequence[SourceDocument], rules: C4Config) -> Iterator[SourceDocument]:
    """Yields what C4's rules leave of documents, in their order: the first that has a span keeps it."""
    language = "en" if rules.language == NO_LANGUAGE else rules.language
    bad_words = finder(published_words(language), language)
    newest: dict[str, SourceDocument] = {}
    for document in documents:
        if document.url:
            url = normalized_url(document.url)
            known = newest.get(url)
            if known is None or document.timestamp > known.timestamp:
                newest[url] = document
    seen: set[bytes] = set()
    for document in documents:
        if len(document.text) > rules.max_page_chars:
            continue
        if document.url and newest[normalized_url(document.url)] is not document:
            continue
        text, _ = clean_page(document.text, rules, bad_words)
        if text is None or language_verdict(text, rules) is not None:
            continue
        lost = set()
        for number, span in enumerate(span_hashes(text, rules.span_sentences)):
            if span in seen:
                lost.add(number)
            seen.add(span)
        if lost:
            text = without_spans(text, lost, rules.span_sentences).text
            if not has_sentences(text.split("\n"), rules.min_sentences):
                continue
        yield replace(document, text=text)


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


def read_domains(paths: Sequence[str]) -> tuple[str, ...]:
    """Returns the domains of text files, one a line: ``example.org`` stands for all hosts below it too.

    Raises:
        ConfigError: a file that cannot be read or holds none.
    """
    return tuple(normalized_url(line.lower()).partition("/")[0] for line in _lines(paths, "realnews_like"))


def read_scores(paths: Sequence[str]) -> dict[str, float]:
    """Returns normalised URL -> score of text files with a URL and a number a line, the highest of each URL.

    Raises:
        ConfigError: a file that cannot be read or holds none.
        DataError: a line that is no URL with a number.
    """
    scores: dict[str, float] = {}
    for line in _lines(paths, "webtext_like"):
        url, *rest = line.split()
        try:
            value = float(rest[0])
        except (ValueError, IndexError) as error:
            raise DataError("extra", line[:80], "give a URL, a space and its score on each line") from error
        url = normalized_url(url)
        scores[url] = max(value, scores.get(url, value))
    return scores


def on_domains(url: str, domains: Iterable[str]) -> bool:
    """Says whether a URL's host is one of the domains or below one."""
    host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").lower()
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def links(documents: Iterable[SourceDocument]) -> dict[str, set[str]]:
    """Returns, for the embedded source, name of a function or class -> groups whose text names it.

    Only names that are no English words count: with an underscore or a capital letter inside.
    """
    held = list(documents)
    names = {name for name in map(_name, held) if "_" in name or any(c.isupper() for c in name[1:])}
    named_by: dict[str, set[str]] = defaultdict(set)
    for document in held:
        for word in names.intersection(_WORD.findall(document.text)):
            named_by[word].add(document.group)
    return named_by


def _keep(config: CorpusConfig, documents: Sequence[SourceDocument]) -> Keep:
    """Returns which documents a recipe takes."""
    if config.variant == "c4":
        return lambda document: True
    if config.source == "embedded":
        return _embedded(config.variant, documents)
    if config.variant == "realnews_like":
        domains = read_domains(config.extra)
        return lambda document: on_domains(document.url, domains)
    if config.variant == "webtext_like":
        scores = read_scores(config.extra)
        return lambda document: scores.get(normalized_url(document.url), -1.0) >= MIN_SCORE
    return lambda document: document.group == _BOOK or on_domains(document.url, _ENCYCLOPEDIA)


def _embedded(variant: str, documents: Sequence[SourceDocument]) -> Keep:
    if variant == "realnews_like":
        return lambda document: document.source.partition(":")[0] in PUBLISHERS
    if variant == "webtext_like":
        named_by = links(documents)
        return lambda document: len(named_by.get(_name(document), set()) - {document.group}) >= MIN_SCORE
    long = BOOK_CHARS if variant == "wikipedia_books" else None
    return lambda document: _describes(document) or (long is not None and len(document.text) >= long)


def _describes(document: SourceDocument) -> bool:
    """Whether an embedded document is a README or about a whole module."""
    return document.source.endswith((":README", ":"))


def _name(document: SourceDocument) -> str:
    return document.source.rpartition(":")[2]


def _lines(paths: Sequence[str], variant: str) -> list[str]:
    lines: list[str] = []
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
        except OSError as error:
            raise ConfigError("extra", path, f"{variant} cannot read it: {error.strerror}") from error
        lines += (line.strip() for line in text.splitlines())
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise ConfigError("extra", ", ".join(paths), f"{variant} finds no line in it")
    return lines
