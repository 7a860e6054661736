"""A vocabulary from several corpora: what ``--vocabulary-mix 10:corpus 1:german/`` asks for and what a report says."""

from collections.abc import Sequence

from t5core.arguments import parts_and_path, said_of
from t5core.config import CorpusConfig, VocabularySource
from t5core.corpora import corpus_at, identify
from t5core.corpora.places import place_of
from t5core.errors import ConfigError

OWN_CORPUS = "corpus"
"""Stands for the study's own text in place of a path."""

FIELD = "vocabulary_mix"


def sources_of(given: Sequence[str]) -> tuple[VocabularySource, ...]:
    """Returns the corpora behind ``PARTS:PATH`` each, identified.

    A path is a file, a folder or a glob of text, read as ``--corpus`` is; "corpus" is the study's own text, and
    "./corpus" a folder of that name.

    Raises:
        ConfigError: no parts or no path, parts that are no number above 0, a path without text.
    """
    sources = []
    for text in given:
        parts, path = parts_and_path(FIELD, text)
        corpus = None if path == OWN_CORPUS else _corpus(path, text.partition(":")[0])
        sources.append(VocabularySource(corpus=corpus, parts=parts))
    return tuple(sources)


def _corpus(path: str, parts: str) -> CorpusConfig:
    address = place_of(path).address  # workers have other working directories
    try:
        return identify(corpus_at((address,)))
    except ConfigError as error:
        raise said_of(error, FIELD, parts, path, [OWN_CORPUS]) from error
