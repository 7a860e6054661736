"""Tokens that were added to a vocabulary after SentencePiece made it, as Hugging Face folders have them.

SentencePiece does not know them: a text is cut where they stand in it, and what lies between is encoded by itself.
Of several that match at a place the longest is taken. They are looked for in the text as it is written, before
anything is normalised, which is how a line break can be one.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from t5core.errors import ConfigError

_FLAGS = ("lstrip", "rstrip", "single_word", "special", "normalized")


@dataclass(frozen=True, kw_only=True)
class AddedToken:
    """One of them.

    Attributes:
        content: how it is written.
        id: in the vocabulary.
        lstrip, rstrip: whether white space before or behind it belongs to it.
        single_word: whether it has to stand alone, with no letter or digit beside it.
        special, normalized: kept for the way back; it is found and shown either way.
        source: the file that named it, for people.
    """

    content: str
    id: int
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    special: bool = False
    normalized: bool = True
    source: str = field(default="", compare=False)

    @classmethod
    def from_dict(cls, values: Any, source: str, token: Any = None) -> "AddedToken":
        """Reads one from JSON, where ``token`` is its id if that does not stand with the rest.

        Raises:
            ConfigError: names the file and what is no added token.
        """
        values = {"content": values} if isinstance(values, str) else values
        if not isinstance(values, dict):
            raise _refused(values, source, "is no object with content and id")
        content, token = values.get("content"), values.get("id", token)
        if isinstance(token, str) and token.isdecimal():
            token = int(token[:10])
        if not isinstance(content, str) or not content:
            raise _refused(content, source, "is no text")
        if type(token) is not int or not 0 <= token < 1 << 31:
            raise _refused(content, source, f"has no id but {token!r}")
        special = values.get("special", False)
        flags = {"special": special, "normalized": not special} | {n: values[n] for n in _FLAGS if n in values}
        for name, value in flags.items():
            if not isinstance(value, bool):
                raise _refused(content, source, f"has {name} {value!r}, not true or false")
        return cls(content=content, id=token, source=source, **flags)

    def to_dict(self) -> dict[str, Any]:
        """Returns its JSON form."""
        return {name: value for name, value in asdict(self).items() if name != "source"}

    def described(self) -> str:
        """Returns how errors speak of it."""
        return f"{self.content!r} (id {self.id:,}{f' in {self.source}' if self.source else ''})"

    def refused(self, reason: str) -> ConfigError:
        """Returns the error that says why it cannot be used."""
        place = f" in {self.source}" if self.source else ""
        return ConfigError("added token", self.content, f"it has id {self.id:,}{place}, {reason}")


def merged(tokens: Sequence[AddedToken]) -> tuple[AddedToken, ...]:
    """Returns the tokens of several files, each once, in the order of their ids; the first to name one says its flags.

    Raises:
        ConfigError: two tokens with one id, or one token with two.
    """
    by_content: dict[str, AddedToken] = {}
    by_id: dict[int, AddedToken] = {}
    for token in tokens:
        for known in (by_content.get(token.content), by_id.get(token.id)):
            if known is not None and (known.content, known.id) != (token.content, token.id):
                raise token.refused(f"but {known.described()} is there too: take the wrong one out of its file")
        by_content.setdefault(token.content, token)
        by_id.setdefault(token.id, token)
    return tuple(by_id[i] for i in sorted(by_id))


class Splitter:
    """Cuts texts where added tokens stand.

    Args:
        tokens: at least one.
    """

    def __init__(self, tokens: Sequence[AddedToken]) -> None:
        longest_first = sorted(tokens, key=lambda token: -len(token.content))
        self._ids = [token.id for token in longest_first]
        self._pattern = re.compile("|".join(map(_pattern, longest_first)))

    def finds(self, text: str) -> bool:
        """Whether one of them stands in a text."""
        return self._pattern.search(text) is not None

    def parts(self, text: str) -> Iterator[str | int]:
        """Gives a text's parts in order: text, and the ids of the tokens between."""
        end = 0
        for match in self._pattern.finditer(text):
            yield text[end : match.start()]
            assert match.lastindex is not None
            yield self._ids[match.lastindex - 1]
            end = match.end()
        yield text[end:]


def _pattern(token: AddedToken) -> str:
    content = re.escape(token.content)
    if token.single_word:
        content = rf"(?<!\w){content}(?!\w)"
    before, behind = (r"\s*" if strips else "" for strips in (token.lstrip, token.rstrip))
    return f"({before}{content}{behind})"


def _refused(token: Any, source: str, reason: str) -> ConfigError:
    return ConfigError("added token", token, f"it {reason} in {source}: write it as Hugging Face does")
