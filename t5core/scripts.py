"""What differs from script to script: which parts no words by blanks, what ends a sentence, what belongs to a word.

    Chinese, Japanese     。 ！ ？ end a sentence, blank or not     words are not parted
    Thai, Lao             a blank ends a sentence, no mark does    words are not parted
    Khmer, Myanmar        ។ ။ end a sentence                       words are not parted
    Hindi, Bengali, ...   । ॥ end a sentence
    Arabic, Urdu, ...     ؟ ۔ end a sentence

Two letters of a script that parts no words count as a word, which is how long most words of Chinese are.
"""

import re
import unicodedata
from functools import cache

UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef"  # Chinese, Japanese
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
"""Letters and marks of scripts that part no words by blanks, to stand between the ``[]`` of a regular expression."""

END_MARKS = "。！？؟۔।॥։።፧។။"
"""What ends a sentence in scripts that do not use ``.``, ``!`` and ``?``, with or without a blank behind it."""

_CLOSING = "」』”’»）》\"')\\]"
_UNSPACED_WORD = re.compile(f"[{UNSPACED}]{{1,2}}|[^\\s{UNSPACED}]+")
_ENDS_UNSPACED = re.compile(f"[{UNSPACED}]$")
_BEGINS_UNSPACED = re.compile(f"[{UNSPACED}]")
_BEHIND_END_MARK = re.compile(f"(?<=[{END_MARKS}])(?![{END_MARKS}{_CLOSING}])|(?<=[{END_MARKS}][{_CLOSING}])")

_SENTENCE_GAP = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.) (?=[A-Z])")
# an initial is no sentence's end: "А. С. Пушкин"
_ANY_GAP = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!\b\w\.) (?=[^\W\d_])")
_ASCII_PUNCTUATION = re.compile(r"[^\w\s:]+")

_BY_LANGUAGE = {
    **dict.fromkeys(("zh", "zh-cn", "zh-tw", "zh-yue", "ja"), "。！？．」』”"),
    **dict.fromkeys(("ar", "fa", "ur", "ps", "sd", "ug", "ckb"), "؟۔”»"),
    **dict.fromkeys(("hi", "bn", "mr", "ne", "pa", "gu", "as", "or", "sa"), "।॥”"),
    **dict.fromkeys(("am", "ti"), "።፧”»"),
    **{"hy": "։՜՞»", "km": "។”»", "my": "။”", "el": ";\u037e”»"},
}
_NO_MARKS = frozenset(("th", "lo"))
_NO_BLANKS = frozenset(("zh", "zh-cn", "zh-tw", "zh-yue", "ja", "th", "lo", "km", "my"))


def end_marks_of(language: str, usual: tuple[str, ...]) -> tuple[str, ...]:
    """Returns what a line of a language may end in: ``usual`` and the language's own; () where no mark ends one.

    Args:
        language: by its letters, as those who tell languages give them.
        usual: the marks of languages that use the full stop.
    """
    return () if language in _NO_MARKS else (*usual, *_BY_LANGUAGE.get(language, ""))


def parts_words(language: str) -> bool:
    """Says whether a language parts its words by blanks."""
    return language not in _NO_BLANKS


def is_latin(text: str) -> bool:
    """Says whether half of a text's letters or more are Latin; true of a text without letters."""
    if text.isascii():
        return True
    letters = [char for char in text if char.isalpha()]
    return 2 * sum(char < "\u0250" or "\u1e00" <= char < "\u1f00" for char in letters) >= len(letters)


def is_unparted(text: str) -> bool:
    """Says whether more than half of a text's letters are of scripts that part no words by blanks."""
    if text.isascii():
        return False
    letters = sum(char.isalpha() for char in text)
    unspaced = sum(1 for char in text if char.isalpha() and _BEGINS_UNSPACED.match(char))
    return 2 * unspaced > letters


def words_of(text: str, *, spaced: bool) -> list[str]:
    """Returns the words of a text: what blanks part, or else pairs of letters where a script parts no words."""
    return text.split() if spaced else _UNSPACED_WORD.findall(text)


def tokens_of(text: str) -> list[str]:
    """Returns words as runs of letters and digits with the signs at them, or single letters of scripts without blanks.

    In lower case and NFKC, as vocabularies give text back.
    """
    return _token().findall(unicodedata.normalize("NFKC", text).lower())


def gap_between(before: str, after: str) -> str:
    """Returns what stands between two pieces of text that follow each other: a blank, or "" in scripts without."""
    return "" if _ENDS_UNSPACED.search(before) and _BEGINS_UNSPACED.match(after) else " "


def split_sentences(line: str) -> list[str]:
    """Returns the sentences of a paragraph of English: split where a capital letter follows a full stop, ! or ?."""
    return _SENTENCE_GAP.split(line)


def sentences_of(line: str) -> list[str]:
    """Returns the sentences of a paragraph in any script: where its own marks stand, or as ``split_sentences``.

    A letter behind a full stop begins a sentence unless its script knows small letters and it is one.
    """
    if line.isascii():
        return split_sentences(line)
    found = []
    for part in parted_at_marks(line):
        at = 0
        for gap in _ANY_GAP.finditer(part):
            if not part[gap.end()].islower():
                found.append(part[at : gap.start()])
                at = gap.end()
        found.append(part[at:])
    return found


def without_punctuation(text: str) -> str:
    """Returns a text without what is neither letter, digit, blank nor colon, nor a sign at a letter, as Hindi has."""
    return (_ASCII_PUNCTUATION if text.isascii() else _punctuation()).sub("", text)


def parted_at_marks(text: str) -> list[str]:
    """Returns the pieces of a text up to each of END_MARKS with what closes behind it, without outer blanks."""
    if text.isascii():
        return [text]
    return [stripped for part in _BEHIND_END_MARK.split(text) if (stripped := part.strip())]


@cache
def _signs() -> str:
    """Signs at letters, which Python takes for no part of a word."""
    return "".join(char for char in map(chr, range(0x300, 0x20000)) if unicodedata.category(char) in ("Mn", "Mc"))


@cache
def _punctuation() -> re.Pattern[str]:
    return re.compile(f"[^\\w\\s:{_signs()}]+")


@cache
def _token() -> re.Pattern[str]:
    letter = rf"(?![{UNSPACED}])[^\W_]"
    return re.compile(rf"(?:[{UNSPACED}](?<=\w)|(?:{letter})+)(?:[{_signs()}]+(?:{letter})*)*")
