"""In which language a page is, by langdetect, as for the paper's corpus.

langdetect draws at random; every page is asked about with the same seed, so its answer depends on its text alone. The
profiles are loaded in the order of their names, since sums in another order end in other last digits.
"""

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


def check_language(language: str) -> str:
    """Returns ``language`` if pages can be told to be in it.

    Raises:
        ConfigError: langdetect does not know it.
    """
    choices = (NO_LANGUAGE, *_names())
    if language not in choices:
        raise ConfigError("language", language, f"choose one of {', '.join(choices)}", choices=choices)
    return language


def identified(text: str) -> tuple[str, float]:
    """Returns the likeliest language of a text, by its two letters, and its probability; ("", 0) without letters."""
    from langdetect.lang_detect_exception import LangDetectException

    detector = _factory().create()
    detector.append(text)
    try:
        found = detector.get_probabilities()
    except LangDetectException:
        return "", 0.0
    return (found[0].lang, found[0].prob) if found else ("", 0.0)


def language_verdict(text: str, config: C4Config) -> str | None:
    """Returns the name of the rule by which a page's language drops it, None when it may stay."""
    if config.language == NO_LANGUAGE:
        return None
    language, probability = identified(text)
    if not language:
        return NO_WORDS
    if probability < config.min_language_probability:
        return UNSURE
    return None if language == config.language else OTHER_LANGUAGE


def _profiles() -> Path:
    from langdetect.detector_factory import PROFILES_DIRECTORY

    return Path(PROFILES_DIRECTORY)


@cache
def _names() -> Sequence[str]:
    return sorted(path.name for path in _profiles().iterdir() if path.is_file() and not path.name.startswith("."))


@cache
def _factory() -> Any:
    from langdetect.detector_factory import DetectorFactory

    factory = DetectorFactory()
    factory.seed = 0
    factory.load_json_profile([(_profiles() / name).read_text(encoding="utf-8") for name in _names()])
    return factory
