"""What of the embedded source stands for the corpora of Table 8: it has no URLs, no news and no encyclopedia.

c4                docstrings and READMEs by C4's rules; their language was told at the harvest
unfiltered        docstrings and READMEs as they were harvested, entries of parameters and all
realnews_like     what C4's rules leave of PUBLISHERS, whose texts are edited by a common guide to style, as news are
webtext_like      what they leave of documents of functions and classes that the prose of 3 or more other source files
                  names: others found them worth a link
wikipedia         READMEs and the docstrings of whole modules: each describes one subject to newcomers
wikipedia_books   the same and every document of BOOK_CHARS or more: long connected text

They let the study run anywhere. What comes out there says that it works, and nothing about news or encyclopedias.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from t5core.config import CorpusVariant
from t5core.corpora.c4.config import NO_LANGUAGE
from t5core.corpora.c4.listing import MIN_SCORE
from t5core.corpora.c4.recipes import declared
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.documents import SourceDocument

BOOK_CHARS = 4_000
"""An embedded document of so many characters stands in for a book."""

PUBLISHERS = ("matplotlib", "networkx", "nltk", "numpy", "pandas", "scikit-learn", "scipy", "sympy")
"""The distributions whose documents stand in for pages of news."""

_RULES: Mapping[CorpusVariant, CorpusVariant] = {"realnews_like": "c4", "webtext_like": "c4"}
_WORD = re.compile(r"[A-Za-z_]\w{3,}")

Read = Callable[[], Iterator[SourceDocument]]
Keep = Callable[[SourceDocument], bool]


def stand_in_rules(variant: CorpusVariant) -> Rules:
    """Returns a variant's rules, but for which pages it takes: ``stand_ins`` says that by other means than URLs."""
    rules = declared(_RULES.get(variant, variant), language=NO_LANGUAGE)
    return Rules(config=rules.config.replace(listing=""), words=rules.words)


def stand_ins(variant: CorpusVariant, read: Read) -> Iterator[SourceDocument]:
    """Yields the documents that a variant of the embedded source is made of.

    Args:
        variant: which.
        read: gives all documents, anew each time.
    """
    return filter(_keep(variant, read), read())


def links(read: Read) -> dict[str, set[str]]:
    """Returns name of a function or class -> groups whose text names it.

    Only names that are no English words count: with an underscore or a capital letter inside.
    """
    names = {name for name in map(_name, read()) if "_" in name or any(c.isupper() for c in name[1:])}
    named_by: dict[str, set[str]] = defaultdict(set)
    for document in read():
        for word in names.intersection(_WORD.findall(document.text)):
            named_by[word].add(document.group)
    return named_by


def _keep(variant: CorpusVariant, read: Read) -> Keep:
    if variant == "realnews_like":
        return lambda document: document.source.partition(":")[0] in PUBLISHERS
    if variant == "webtext_like":
        named_by = links(read)
        return lambda document: len(named_by.get(_name(document), set()) - {document.group}) >= MIN_SCORE
    if variant == "wikipedia":
        return _describes
    if variant == "wikipedia_books":
        return lambda document: _describes(document) or len(document.text) >= BOOK_CHARS
    return lambda document: True


def _describes(document: SourceDocument) -> bool:
    """Whether a document is a README or about a whole module."""
    return document.source.endswith((":README", ":"))


def _name(document: SourceDocument) -> str:
    return document.source.rpartition(":")[2]
