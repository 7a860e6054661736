"""Table 8's corpora as variants of one source: which of its text is trained on.

A variant is given the documents for training, already without anything that is held out, and leaves out some of them,
or parts of them, by its recipe (``t5core.corpora.c4.recipes``) and the same steps that clean a crawl. It never adds or
rewrites a word, so nothing that is held out can come back, whatever the recipe: the validation split is that of the
plain corpus for all of them. Only the books are text from elsewhere, and they pass the same comparison with what is
held out first.

``plain`` is all of the source, with repeated lines dropped, and no row of the table.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from t5core.config import EXTRA_OF_VARIANTS, CorpusConfig
from t5core.corpora import files
from t5core.corpora.c4.recipes import declared, recipe_name
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.c4.stages import Work, clean_pages, settle_spans, settle_urls, shard_rows
from t5core.corpora.c4.tally import Tally
from t5core.corpora.captures import Page
from t5core.corpora.documents import SourceDocument
from t5core.corpora.stand_ins import Read, stand_in_rules, stand_ins

VARIANTS_VERSION = 4
"""Raise it when a variant comes to hold other text: it is part of the identity of what is made from one."""

BOOK = "book"
"""Group of the documents that are books."""


def extra_digest(config: CorpusConfig) -> str:
    """Returns what stands for the files that a variant needs besides, "" when it needs none.

    Raises:
        ConfigError: they cannot be read.
        DataError: a line of a list that cannot be understood.
    """
    if not config.extra:
        return ""
    return (
        files.content_digest(config.extra) if config.variant == "wikipedia_books" else rules_of(config).listing.digest
    )


def rules_of(config: CorpusConfig) -> Rules:
    """Returns the rules of a variant, with its lists.

    Raises:
        ConfigError: a list that cannot be read, an unknown language.
        DataError: a line of a list that cannot be understood.
    """
    recipe = recipe_name(config.variant)
    if config.source == "embedded":
        return stand_in_rules(recipe)
    return declared(
        recipe,
        language=config.language,
        domains=config.extra if EXTRA_OF_VARIANTS.get(recipe) == "domains" else (),
        scores=config.extra if EXTRA_OF_VARIANTS.get(recipe) == "scores" else (),
    )


def chosen(config: CorpusConfig, read: Read, folder: Path, partitions: int) -> Iterator[SourceDocument]:
    """Yields what a recipe leaves of documents, by the hash of their URL or text.

    Args:
        config: of the corpus; the variant is what counts, and where its text comes from.
        read: gives the documents for training, anew each time; nothing that is held out is in them.
        folder: for the files between the steps.
        partitions: of pages; about one for 64 MB of text. Their number changes no result.

    Raises:
        ConfigError: a list that cannot be read, an unknown language.
        DataError: a line of a list that cannot be understood.
    """
    rules = rules_of(config)
    work = Work(folder, rules, partitions)
    source = stand_ins(recipe_name(config.variant), read) if config.source == "embedded" else read()
    clean_pages(work, _pages(source, books=False), "source", Tally())
    if config.variant == "wikipedia_books":
        clean_pages(work, _pages(read(), books=True), "books", Tally(), listed=False)
    for partition in range(partitions):
        settle_urls(work, partition)
    if rules.config.span_sentences:
        for bucket in range(partitions):
            settle_spans(work, bucket)
    for partition in range(partitions):
        for row in shard_rows(work, partition, Tally()):
            yield SourceDocument(text=row["text"], source=row["source"])


def _pages(documents: Iterable[SourceDocument], *, books: bool) -> Iterator[Page]:
    for document in documents:
        if (document.group == BOOK) == books:
            yield Page(document.text, document.url, document.timestamp, document.source)
