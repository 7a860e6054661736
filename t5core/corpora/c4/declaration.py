"""A corpus as a user declares it: a recipe, its source and its settings, as flags or as a file.

    {"recipe": "realnews-like", "files": ["crawl/*.wet.gz"], "domains": ["news.txt"], "language": "en"}

Paths in a file are taken from the file's folder.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

from t5core.config import Config
from t5core.corpora.c4.bad_words import digest, read_words
from t5core.corpora.c4.config import Identifier
from t5core.corpora.c4.recipes import NEEDS, Rules, declared, recipe_name
from t5core.corpora.c4.shards import Format
from t5core.errors import ConfigError

MAX_SHARDS = 100_000
NO_WORDS = "none"
_PATHS = ("files", "books", "domains", "scores")


@dataclass(frozen=True, kw_only=True)
class Declaration(Config):
    """What a corpus is made of and how.

    Attributes:
        recipe: one of ``t5core.corpora.c4.recipes``, with dashes.
        files: with pages: files, folders, globs, URIs.
        books: likewise, for "wikipedia-books": text that is no page.
        domains: text files with a domain a line, for "realnews-like".
        scores: text files with a URL and its score a line, for "webtext-like".
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
    identifier: str = "langdetect"
    bad_words: str | None = None
    dedup: bool = True
    format: str = "parquet"
    shards: int | None = None

    def __post_init__(self) -> None:
        needed = NEEDS.get(recipe_name(self.recipe))
        for name in ("domains", "scores", "books"):
            if needed == name and not getattr(self, name):
                raise ConfigError(name, None, f"{self.recipe} needs it: give --{name}")
            if needed != name and getattr(self, name):
                given = ", ".join(getattr(self, name))
                raise ConfigError(name, given, f"{self.recipe} takes none: leave it out, or choose another recipe")
        self._one_of("identifier", Identifier)
        self._one_of("format", Format)
        if self.shards is not None and not 0 < self.shards <= MAX_SHARDS:
            raise ConfigError("shards", self.shards, f"give a whole number from 1 to {MAX_SHARDS:,}")

    @property
    def form(self) -> Format:
        """The format, as the shards' room has it."""
        return cast(Format, self.format)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a declaration in JSON.

        Raises:
            ConfigError: the file cannot be read, is no such object, or a field cannot be used.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise ConfigError("recipe", str(path), f"cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise ConfigError("recipe", str(path), f"this is no JSON ({error})") from error
        if not isinstance(values, dict):
            raise ConfigError("recipe", str(path), 'give an object, like {"recipe": "c4", "files": ["crawl/"]}')
        for name in _PATHS:
            given = values.get(name, [])
            if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
                raise ConfigError(name, given, f'give a list, like {{"{name}": ["a", "b"]}}')
            values[name] = [_from_folder(item, path.parent) for item in given]
        words = values.get("bad_words")
        if isinstance(words, str) and words != NO_WORDS:
            values["bad_words"] = _from_folder(words, path.parent)
        return cls.from_dict(values)

    def rules(self) -> Rules:
        """Returns the recipe's rules with the lists that are named.

        Raises:
            ConfigError: a list that cannot be read, an unknown language, or one that the recipe has no use for.
            DataError: a line of a list that cannot be understood.
        """
        words = None
        if self.bad_words is not None:
            words = () if self.bad_words == NO_WORDS else read_words(Path(self.bad_words).expanduser())
        rules = declared(
            recipe_name(self.recipe),
            language=self.language,
            identifier=cast(Identifier, self.identifier),
            words=words,
            domains=self.domains,
            scores=self.scores,
        )
        if words and rules.config.bad_words != digest(words):
            raise ConfigError("bad_words", self.bad_words, f"{self.recipe} has no such rule: leave it out")
        if self.dedup:
            return rules
        config = rules.config.replace(one_copy_per_url=False, span_sentences=0)
        return Rules(config=config, words=rules.words, listing=rules.listing)


def _from_folder(given: str, folder: Path) -> str:
    if "://" in given or given.startswith("hf:"):
        return given
    return str(folder / Path(given).expanduser())
