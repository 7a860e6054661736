"""A corpus as a user declares it: a recipe, its source and its settings, as flags or as a file.

    {"recipe": "realnews-like", "files": ["crawl/*.wet.gz"], "domains": ["news.txt"], "language": "en"}

Paths in a file are taken from the file's folder. What is given besides the file takes the place of what it says.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from t5core.config import EXTRA_OF_VARIANTS, Config
from t5core.corpora.c4.bad_words import digest, read_words
from t5core.corpora.c4.config import Identifier
from t5core.corpora.c4.recipes import declared, recipe_name
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.c4.shards import Format
from t5core.corpora.places import is_uri
from t5core.errors import ConfigError
from t5core.uris import local_path, masked

MAX_SHARDS = 100_000
NO_WORDS = "none"
PATHS = ("files", "books", "domains", "scores")
"""Fields that are lists of paths and URIs."""


@dataclass(frozen=True, kw_only=True)
class Declaration(Config):
    """What a corpus is made of and how.

    Attributes:
        recipe: one of ``t5core.corpora.c4.recipes``, with dashes.
        files: with pages: files, folders, globs, URIs.
        books: likewise, for "wikipedia-books": text that is no page.
        domains: text files with a domain a line, for "realnews-like".
        scores: text files with a URL and its score a line, for "webtext-like". Lists may lie in a store too.
        language: that pages have to be in, by two letters, or "none".
        identifier: what tells languages: "langdetect" or "resiliparse".
        bad_words: a text file with one a line, "none" for no such rule, None for the published list.
        dedup: whether one page of each URL, and one copy of each span, is kept.
        format: of the shards: "parquet" or "jsonl".
        shards: how many; None leaves it to the size of the input.
    """

    recipe: str = "c4"
    files: tuple[str, ...] = ()
    books: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    language: str = "en"
    identifier: Identifier = "langdetect"
    bad_words: str | None = None
    dedup: bool = True
    format: Format = "parquet"
    shards: int | None = None

    def __post_init__(self) -> None:
        self._check_kinds()
        needed = EXTRA_OF_VARIANTS.get(recipe_name(self.recipe))
        for name in ("domains", "scores", "books"):
            if needed == name and not getattr(self, name):
                raise ConfigError(name, None, f"{self.recipe} needs it: give --{name}")
            if needed != name and getattr(self, name):
                given = masked(", ".join(getattr(self, name)))
                raise ConfigError(name, given, f"{self.recipe} takes none: leave it out, or choose another recipe")
        self._one_of("identifier", "format")
        if self.shards is not None and not 0 < self.shards <= MAX_SHARDS:
            raise ConfigError("shards", self.shards, f"give a whole number from 1 to {MAX_SHARDS:,}")

    def _check_kinds(self) -> None:
        """Of values from a file, which may be anything."""
        for name in PATHS:
            given = getattr(self, name)
            if not isinstance(given, tuple) or not all(_is_name(item) for item in given):
                raise ConfigError(name, _shown(given), f'give a list, like {{"{name}": ["a", "b"]}}')
        for name in ("recipe", "language", "identifier", "format"):
            if not _is_name(getattr(self, name)):
                raise ConfigError(name, _shown(getattr(self, name)), "give a word in quotation marks")
        if self.bad_words is not None and not _is_name(self.bad_words):
            raise ConfigError(
                "bad_words", _shown(self.bad_words), "give the name of one file, or none for no such rule"
            )
        if not isinstance(self.dedup, bool):
            raise ConfigError("dedup", _shown(self.dedup), "give true or false, without quotation marks")
        if self.shards is not None and type(self.shards) is not int:
            raise ConfigError("shards", _shown(self.shards), f"give a whole number from 1 to {MAX_SHARDS:,}")

    @classmethod
    def read(cls, path: Path, **given: Any) -> Self:
        """Reads a declaration in JSON.

        Args:
            path: of the file.
            given: fields that count in place of what the file says of them.

        Raises:
            ConfigError: the file cannot be read, is no such object, or a field cannot be used.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise ConfigError("recipe", str(path), f"cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise ConfigError("recipe", str(path), f"this is no JSON ({error})") from error
        if not isinstance(values, dict):
            raise ConfigError("recipe", str(path), 'give an object, like {"recipe": "c4", "files": ["crawl/"]}')
        for name in set(PATHS) & values.keys() - given.keys():
            if isinstance(values[name], list):
                values[name] = tuple(_from_folder(name, item, path.parent) for item in values[name])
        words = values.get("bad_words")
        if words != NO_WORDS and "bad_words" not in given:
            values["bad_words"] = _from_folder("bad_words", words, path.parent)
        unknown = values.keys() - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            return cls.from_dict({name: _shown(values[name]) for name in sorted(unknown)})  # which names the first
        return cls(**values | given)

    def rules(self) -> Rules:
        """Returns the recipe's rules with the lists that are named.

        Raises:
            ConfigError: a list that cannot be read, an unknown language, or one that the recipe has no use for.
            DataError: a line of a list that cannot be understood.
        """
        words = None
        if self.bad_words is not None:
            words = () if self.bad_words == NO_WORDS else read_words(self.bad_words)
        rules = declared(
            recipe_name(self.recipe),
            language=self.language,
            identifier=self.identifier,
            words=words,
            domains=self.domains,
            scores=self.scores,
        )
        if words and rules.config.bad_words != digest(words):
            raise ConfigError(
                "bad_words", masked(self.bad_words or ""), f"{self.recipe} has no such rule: leave it out"
            )
        if self.dedup:
            return rules
        config = rules.config.replace(one_copy_per_url=False, span_sentences=0)
        return Rules(config=config, words=rules.words, listing=rules.listing)


def _from_folder(field: str, given: Any, folder: Path) -> Any:
    """A path as seen from a folder; what is no path stays as it is, to be refused by its field's check."""
    if not _is_name(given) or is_uri(given):
        return given
    return str(folder / local_path(given, field))


def _is_name(given: Any) -> bool:
    return isinstance(given, str) and "\0" not in given


def _shown(given: Any) -> Any:
    """A value of any kind, as it may be shown."""
    return given if given is None or isinstance(given, int | float) else masked(str(given))
