"""What the C4 rules are set to. The defaults are the paper's, section 2.2, with the details of its released code."""

from dataclasses import dataclass
from typing import Literal

from t5core.config import Config, added
from t5core.corpora.c4.sentences import ENGLISH_MARKS
from t5core.errors import ConfigError

NO_LANGUAGE = "none"
Identifier = Literal["langdetect", "resiliparse"]
POLICY_PHRASES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


@dataclass(frozen=True, kw_only=True)
class C4Config(Config):
    """Thresholds and switches of the C4 rules.

    Attributes:
        max_page_chars: longer pages are dropped before anything else is asked of them.
        max_word_chars: a line with a longer word is dropped; words are what white space parts.
        end_marks: a line has to end in one of them, though not in "..."; () for no such rule, in languages where a
            blank ends a sentence.
        min_words: fewer in a line, and it is dropped.
        policy_phrases: a line that holds one is dropped; compared in lower case.
        min_sentences: a page with fewer is dropped, after the line rules and again after de-duplication.
        bad_words: digest of the list of words that drop a page, "" when there is no list and so no such rule.
        language: a page in another is dropped; "none" for no such rule.
        identifier: what tells languages: "langdetect", the paper's, or "resiliparse", a hundred times faster.
        min_language_probability: and so is one in it with less than this probability; "resiliparse" knows none.
        one_copy_per_url: keep the newest page of each URL only.
        span_sentences: length in sentences of the spans that are kept once over the whole corpus; 0 for no such rule.
        listing: digest of the pages that are taken by their URL (``t5core.corpora.c4.listing``), "" for all.
        rules: whether the rules for lines and pages are asked, between length and language.
        spaced: whether blanks part words; else two letters of a script that parts none count as one.
        prose: whether an encyclopedia's marks go: citations, entries and the end from a title like "References".
    """

    max_page_chars: int = 190_000
    max_word_chars: int = 1_000
    end_marks: tuple[str, ...] = ENGLISH_MARKS
    min_words: int = 5
    policy_phrases: tuple[str, ...] = POLICY_PHRASES
    min_sentences: int = 3
    bad_words: str = ""
    language: str = "en"
    identifier: Identifier = "langdetect"
    min_language_probability: float = 0.99
    one_copy_per_url: bool = True
    span_sentences: int = 3
    listing: str = added("")
    rules: bool = added(True)
    prose: bool = added(False)
    spaced: bool = added(True)

    def __post_init__(self) -> None:
        self._positive("max_page_chars", "max_word_chars")
        for name in ("min_words", "min_sentences", "span_sentences"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ConfigError(name, value, "give a whole number from 0 up")
        if not all(self.end_marks):
            raise ConfigError("end_marks", self.end_marks, 'give marks, like ".", or none at all for no such rule')
        self._one_of("identifier")
        if not 0 <= self.min_language_probability <= 1:
            raise ConfigError("min_language_probability", self.min_language_probability, "give a number from 0 to 1")
