"""Which text should a model be pre-trained on? Table 8 of the paper.

    c4                C4: web pages by the rules of section 2.2
    unfiltered        the same pages without the rules
    realnews-like     C4's pages on a list of news domains
    webtext-like      C4's pages that a list of links gives a score of 3 or more
    wikipedia         an encyclopedia
    wikipedia-books   the same and books

On text of your own (JSON Lines or Parquet with `url`) the rows are these, and take your lists and books. On the
embedded corpus other documents stand in for the real ones: well-kept packages for news, docstrings whose subject others
name for linked pages, READMEs and modules' docstrings for Wikipedia, the longest documents for books
(`t5core.corpora.stand_ins`). What comes out there says that the study works, and nothing about news or books.

All rows have one vocabulary, made from C4's text, and the same tasks. Embedded tasks are made from the whole source,
and what it holds out is held out of every row.

    python studies/corpora.py --scale tiny
    python studies/corpora.py --scale tiny --corpus crawl/ --domains news.txt --scores links.txt --books books/
    python studies/corpora.py --scale tiny --corpus crawl/ --rows unfiltered
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.commands.flags import Options
from orchestrator.commands.study import main
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.study import Row, Study
from studies.paper import baseline_standard_deviation, published
from studies.scales import C4, SCALES
from t5core.arguments import OneLineParser
from t5core.config import EXTRA_OF_VARIANTS, CorpusConfig, ObjectiveConfig
from t5core.corpora.build import identify_extra
from t5core.corpora.places import address_of
from t5core.errors import ConfigError

TITLE = "Pre-training data sets (Table 8)"
VARIANTS: Mapping[str, str] = {
    "c4": "C4",
    "unfiltered": "C4, unfiltered",
    "realnews_like": "RealNews-like",
    "webtext_like": "WebText-like",
    "wikipedia": "Wikipedia",
    "wikipedia_books": "Wikipedia + TBC",
}
"""Variant -> the paper's row."""


def study(extra: Mapping[str, tuple[str, ...]] | None = None, language: str = "en") -> Study:
    """Returns the six corpora with the published scores.

    Args:
        extra: variant -> absolute paths of what it needs besides a user's own text.
        language: that pages of such text have to be in, "none" for any.
    """
    given = extra or {}

    def changes(scale: Experiment) -> Mapping[str, Any]:
        c4 = variant_of(scale.corpus, "c4", (), language)
        return {
            "objective": ObjectiveConfig(),
            "corpus": c4,
            "vocabulary_corpus": c4,
            "tasks_corpus": scale.corpus,
        }

    return Study(
        name="corpora",
        title=TITLE,
        baseline="c4",
        baseline_sd=baseline_standard_deviation(),
        changes=changes,
        rows=tuple(_row(variant, given.get(variant, ()), language) for variant in VARIANTS),
    )


def variant_of(corpus: CorpusConfig, variant: str, extra: tuple[str, ...], language: str) -> CorpusConfig:
    """Returns a variant of a corpus, ``extra_content`` filled in.

    Raises:
        ConfigError: it needs something besides the corpus, which is not given, or takes nothing.
    """
    if corpus.paths == (C4,):
        way_out = "C4 on the hub is what the rules left; the rows need pages as they were: give --corpus"
        raise ConfigError("corpus", corpus.paths[0], way_out)
    flag = EXTRA_OF_VARIANTS.get(variant, "extra")
    if corpus.source != "embedded" and variant in EXTRA_OF_VARIANTS and not extra:
        way_out = f"row {variant.replace('_', '-')} needs it: give --{flag}, or choose other rows by --rows"
        raise ConfigError(flag, None, way_out)
    if corpus.source == "embedded" and extra:
        raise ConfigError(flag, ", ".join(extra), "the embedded corpus has stand-ins: give it with --corpus only")
    language = CorpusConfig().language if corpus.source == "embedded" else language
    return identify_extra(corpus.replace(variant=variant, extra=extra, extra_content="", language=language))


def _row(variant: str, extra: tuple[str, ...], language: str) -> Row:
    def changes(baseline: Experiment) -> Mapping[str, Any]:
        return {} if variant == "c4" else {"corpus": variant_of(baseline.corpus, variant, extra, language)}

    label = VARIANTS[variant].replace("TBC", "books")
    return Row(name=variant.replace("_", "-"), label=label, changes=changes, **published(8, VARIANTS[variant]))


def flags(parser: OneLineParser) -> None:
    """Adds what the study needs besides the corpus."""
    add = parser.add_argument
    add("--domains", metavar="FILE", help="news domains, one a line, for RealNews-like of your own text")
    add("--scores", metavar="FILE", help="a URL and its score a line, for WebText-like of your own text")
    add("--books", nargs="+", default=(), metavar="PATH", help="files or folders of books beside your own text")
    add("--language", default="en", metavar="L", help="of your own text, by two letters, or none (default: en)")


def study_of(options: Options) -> Study:
    """Returns the study with what the command line gives besides the corpus."""
    more = options.more
    given = {variant: more[flag] for variant, flag in EXTRA_OF_VARIANTS.items() if more[flag]}
    paths = {variant: (value,) if isinstance(value, str) else tuple(value) for variant, value in given.items()}
    extra = {variant: tuple(map(address_of, value)) for variant, value in paths.items()}
    return study(extra, more["language"])


def run(argv: Sequence[str] | None = None) -> int:
    """Runs the study from the command line; returns the exit code."""
    return main(study_of, SCALES, argv, title=TITLE, flags=flags)


if __name__ == "__main__":
    sys.exit(run())
