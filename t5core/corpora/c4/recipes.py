"""Table 8's corpora as declared recipes: rules and lists, whatever the pages they are applied to.

===============  ================================================================================================
c4               C4's line and page rules, language, one copy per URL and of each span of three sentences
unfiltered       one copy per URL and language, as in the paper; nothing else
realnews-like    C4's rules for pages on the domains that the user lists
webtext-like     C4's rules for the URLs that the user's list gives a score of 3 or more
wikipedia        Wikipedia's pages in the language, without citation marks, entries and references; no rules
wikipedia-books  the same, and books, which are taken as they are but for such marks
===============  ================================================================================================

Pages are chosen before any rule sees them, as in the released code: a span that stands on a page that is not taken does
not make the one on a page that is a copy.
"""

import re
from collections.abc import Sequence

from t5core.config import EXTRA_OF_VARIANTS, CorpusVariant
from t5core.corpora.c4.bad_words import digest, published_words
from t5core.corpora.c4.config import NO_LANGUAGE, C4Config, Identifier
from t5core.corpora.c4.language import check_language
from t5core.corpora.c4.listing import ALL_PAGES, encyclopedia, read_domains, read_scores
from t5core.corpora.c4.rule_set import Rules
from t5core.errors import ConfigError
from t5core.scripts import end_marks_of, parts_words
from t5core.uris import masked

RECIPES: tuple[CorpusVariant, ...] = (
    "c4",
    "unfiltered",
    "realnews_like",
    "webtext_like",
    "wikipedia",
    "wikipedia_books",
)
_WHOLE_BOOK_CHARS = 32 << 20
_BY_C4 = ("c4", "realnews_like", "webtext_like")
_ENCYCLOPEDIAS = ("wikipedia", "wikipedia_books")
_SUBDOMAIN = re.compile(r"[a-z]+(?:-[a-z]+)*")


def recipe_name(given: str) -> CorpusVariant:
    """Returns the recipe that a user names, with dashes or underscores; raises ConfigError for none."""
    for name in RECIPES:
        if given.replace("-", "_") == name:
            return name
    names = [name.replace("_", "-") for name in RECIPES]
    raise ConfigError("recipe", masked(given), f"choose one of {', '.join(names)}", choices=names)


def declared(
    recipe: CorpusVariant,
    *,
    language: str = "en",
    identifier: Identifier = "langdetect",
    words: tuple[str, ...] | None = None,
    domains: Sequence[str] = (),
    scores: Sequence[str] = (),
) -> Rules:
    """Returns a recipe of RECIPES with its lists.

    Args:
        recipe: its name.
        language: that pages have to be in, "none" for any; for Wikipedia the letters before its domain.
        identifier: what tells languages.
        words: bad ones, for recipes with C4's rules; None for the published ones of the language.
        domains: text files, for "realnews_like".
        scores: text files, for "webtext_like".

    Raises:
        ConfigError: an unknown language, a list that is missing, cannot be read or that the recipe has no use for.
        DataError: a line of a list that cannot be understood.
    """
    for flag, paths in {"domains": domains, "scores": scores}.items():
        needed = EXTRA_OF_VARIANTS.get(recipe) == flag
        name = recipe.replace("_", "-")
        if needed and not paths:
            raise ConfigError(flag, None, f"{name} needs it: give --{flag} FILE")
        if paths and not needed:
            raise ConfigError(
                flag, masked(", ".join(paths)), f"{name} takes none: leave it out, or choose another recipe"
            )
    if recipe not in _ENCYCLOPEDIAS:
        check_language(language, identifier)
    elif not _SUBDOMAIN.fullmatch(language):
        raise ConfigError(
            "language", language, "give Wikipedia's letters for it, like en, de or zh-yue, or none for all"
        )
    common = C4Config(language=language, identifier=identifier)
    if recipe in _BY_C4:
        if words is None:
            words = published_words("en" if language == NO_LANGUAGE else language)
        listing = read_domains(domains) if domains else read_scores(scores) if scores else ALL_PAGES
        marks = end_marks_of(language, common.end_marks)
        config = common.replace(
            bad_words=digest(words), listing=listing.digest, end_marks=marks, spaced=parts_words(language)
        )
        return Rules(config=config, words=words, listing=listing)
    common = common.replace(rules=False, span_sentences=0)
    if recipe == "unfiltered":
        return Rules(config=common)
    listing = encyclopedia(language)  # its hosts tell languages
    config = common.replace(max_page_chars=_WHOLE_BOOK_CHARS, prose=True, language=NO_LANGUAGE, listing=listing.digest)
    return Rules(config=config, listing=listing)
