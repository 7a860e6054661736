"""A vocabulary from several corpora: what ``--vocabulary-mix 10:corpus 1:german/`` asks for and what a report says."""

from collections.abc import Sequence

from orchestrator.engine.outcomes import Finished, Outcomes
from orchestrator.plan.plan import Plan
from t5core.arguments import parts_and_path, said_of
from t5core.config import CorpusConfig, VocabularySource
from t5core.corpora import identify
from t5core.corpora.places import place_of
from t5core.errors import ConfigError
from t5core.uris import masked

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
        return identify(CorpusConfig(source="files", paths=(address,)))
    except ConfigError as error:
        raise said_of(error, FIELD, parts, path, [OWN_CORPUS]) from error


def short_sources(plan: Plan, outcomes: Outcomes) -> tuple[str, ...]:
    """Returns a line for each corpus that had less text than its part of the vocabulary's."""
    told = []
    for key, stage in plan.stages.items():
        outcome = outcomes[key]
        if stage.kind != "vocabulary" or not isinstance(outcome, Finished):
            continue
        drawn = outcome.manifest.result.get("sources", ())
        used, wanted = (sum(source[name] for source in drawn) for name in ("chars", "wanted_chars"))
        for source in drawn:
            if source["found_chars"] < source["wanted_chars"]:
                corpus = plan.stages[source["corpus"]].settings["corpus"]
                where = ", ".join(map(masked, corpus["paths"])) or corpus["source"]
                told.append(
                    f"vocabulary: {where} has {source['found_chars']:,} characters where its part would be "
                    f"{source['wanted_chars']:,}; to keep the proportions, {used:,} of {wanted:,} were trained on"
                )
    return tuple(told)
