"""In which language a page is: by langdetect, as for the paper's corpus, or by Resiliparse, a hundred times faster.

langdetect draws at random; every page is asked about with the same seed, so its answer depends on its text alone. The
profiles are loaded in the order of their names, since sums in another order end in other last digits. Resiliparse
compares a text's n-grams with those of 101 languages and gives a distance, where lower is surer; its makers take more
than 1,200 for a false find. How often the two decide alike is measured by

    python -m tests.benchmarks.bench_languages FILE ...

On 2,005 pages they do on 99.5 % of those of 1,000 characters or more and on 94 % of the 1,067 shorter ones; nearly
always it is langdetect alone that keeps the page.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from t5core.corpora.c4.config import NO_LANGUAGE, C4Config
from t5core.errors import ConfigError

UNSURE = "filtered:low_confidence"
OTHER_LANGUAGE = "filtered:ignored_language"
NO_WORDS = "filtered:langdetect_exception"
LANGUAGE_RULES = (NO_WORDS, UNSURE, OTHER_LANGUAGE)


def check_language(language: str, identifier: str = "langdetect") -> str:
    """Returns ``language`` if the identifier can tell it.

    Raises:
        ConfigError: it does not know it.
    """
    choices = (NO_LANGUAGE, *(_names() if identifier == "langdetect" else _fast_names()))
    if language not in choices:
        raise ConfigError("language", language, f"choose one of {', '.join(choices)}", choices=choices)
    return language


def identified(text: str) -> tuple[str, float]:
    """Returns langdetect's likeliest language of a text, by its code, and its probability; ("", 0) for no letters."""
    from langdetect.lang_detect_exception import LangDetectException

    detector = _factory().create()
    detector.append(text)
    try:
        found = detector.get_probabilities()
    except LangDetectException:
        return "", 0.0
    return (found[0].lang, found[0].prob) if found else ("", 0.0)


def identified_fast(text: str) -> tuple[str, int]:
    """Returns Resiliparse's nearest language of a text, by its code, and its distance; ("", 0) for none near."""
    from resiliparse.parse.lang import detect_fast

    language, distance = detect_fast(unicodedata.normalize("NFC", text))
    return ("", 0) if language == "unknown" else (language, distance)


def language_verdict(text: str, config: C4Config) -> str | None:
    """Returns the name of the rule by which a page's language drops it, None when it may stay."""
    if config.language == NO_LANGUAGE:
        return None
    if config.identifier == "resiliparse":
        language, _ = identified_fast(text)
        probability = 1.0 if language else 0.0
    else:
        language, probability = identified(text)
        if not language:
            return NO_WORDS
    if probability < config.min_language_probability:
        return UNSURE
    return None if language == config.language else OTHER_LANGUAGE


def why_language(text: str, config: C4Config) -> str:
    """Returns what the identifier says about a text, in words."""
    if config.identifier == "resiliparse":
        language, distance = identified_fast(text)
        return f"{language} at distance {distance}" if language else "no language is near"
    language, probability = identified(text)
    return f"{language} with probability {probability:.3f}" if language else "no letters to tell by"


def _profiles() -> Path:
    from langdetect.detector_factory import PROFILES_DIRECTORY

    return Path(PROFILES_DIRECTORY)


@cache
def _names() -> Sequence[str]:
    return sorted(path.name for path in _profiles().iterdir() if path.is_file() and not path.name.startswith("."))


@cache
def _fast_names() -> Sequence[str]:
    from resiliparse.parse.lang import supported_langs

    return sorted(supported_langs())


@cache
def _factory() -> Any:
    from langdetect.detector_factory import DetectorFactory

    factory = DetectorFactory()
    factory.seed = 0
    factory.load_json_profile([(_profiles() / name).read_text(encoding="utf-8") for name in _names()])
    return factory
