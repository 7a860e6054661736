"""WNLI turned into a Winograd schema: which pronoun, and what it might stand for (appendix B of the paper).

WNLI gives a sentence and the same sentence with a candidate in the pronoun's place:

    I stuck a pin through a carrot. When I pulled the pin out, it had a hole.    The carrot had a hole.

Each pronoun of the first text is weighed by how many words before it and after it, without a gap, are also found one
after another in the second: here "it" has the words "had a hole" behind it. The one with most is marked, and the
candidate is what the second text has in its place, "The carrot". A possessive candidate loses its ending, as in WSC.

The rules are the released code's. Where it stops with an error (no pronoun; a candidate that is not found in the
original spelling), the candidate is empty here, which no output names; where words are doubled spaces apart, it would
mark a word too early, and this does not; and words with signs that mean something in a regular expression are taken
literally.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

PRONOUNS = frozenset(("he", "she", "they", "it", "her", "his", "their", "them", "him"))
_MARKS = (".", ",", "!", "?")
_LAST_MARK = re.compile(r"[.,?!]$")


@dataclass(frozen=True)
class _Match:
    """A pronoun's index among the words of the sentence, how many words around it match, and its candidate."""

    index: int
    score: int
    candidate: str


def as_winograd(sentence: str, hypothesis: str) -> tuple[str, str]:
    """Returns the sentence with its pronoun between asterisks, and the candidate as the hypothesis spells it."""
    # words that are nothing but a mark or a doubled space do not count, so their places are kept
    places, words = _words(sentence)
    _, other = _words(hypothesis)
    matches = [_match(words, other, i) for i, word in enumerate(words) if word in PRONOUNS]
    if not matches:
        return sentence, ""
    best = max(matches, key=lambda match: match.score)
    return _highlighted(sentence, places[best.index]), _spelled(best.candidate, hypothesis)


def _words(text: str) -> tuple[list[int], list[str]]:
    """Words in lower case without a last mark, and each one's index among the parts between single spaces."""
    skipped = len(text) - len(text.lstrip())
    first = text[:skipped].count(" ")
    found = [(i, _LAST_MARK.sub("", word)) for i, word in enumerate(text.strip().lower().split(" "), start=first)]
    return [i for i, word in found if word], [word for _, word in found if word]


def _match(words: Sequence[str], other: Sequence[str], index: int) -> _Match:
    forwards, backwards = " ".join(other), " ".join(other[::-1])
    # no more words than this can be found in it
    most = len(forwards)
    before, after = words[max(0, index - most) : index], words[index + 1 : index + 1 + most]
    num_before, num_after = _run(backwards, before[::-1]), _run(forwards, after)
    if not num_before + num_after:
        return _Match(index, 0, "")
    left = [re.escape(word) for word in before[len(before) - num_before :]]
    right = [re.escape(word) for word in after[:num_after]]
    # with words on both sides; else at the start; else at the end
    for pattern in ([*left, "(.+)", *right], ["^(.+)", *right], [*left, "(.+)$"]):
        if found := re.search(" ".join(pattern), forwards):
            return _Match(index, num_before + num_after, found[1])
    return _Match(index, num_before + num_after, "")


def _run(text: str, wanted: Sequence[str]) -> int:
    """How many of the first ``wanted`` words are, as one piece, part of ``text``."""
    # where a piece is missing every longer one is, too: the first that is not is searched by halves
    return bisect_left(range(1, len(wanted) + 1), True, key=lambda count: " ".join(wanted[:count]) not in text)


def _highlighted(sentence: str, place: int) -> str:
    words = sentence.split(" ")
    word = words[place]
    words[place] = f"*{word[:-1]}* {word[-1]}" if word.endswith(_MARKS) else f"*{word}*"
    return " ".join(words)


def _spelled(candidate: str, hypothesis: str) -> str:
    """The candidate as it stands in the hypothesis, from its last article on, and without a possessive ending."""
    words = candidate.split(" ")
    words = words[max([words.index(article) for article in ("a", "an", "the") if article in words] or [0]) :]
    pattern = " ".join(rf"{re.escape(word)}[.,?!]?" for word in words)
    found = re.search(pattern, hypothesis, re.IGNORECASE)
    spelled = found[0] if found else ""
    spelled = spelled[:-1] if spelled.endswith(_MARKS) else spelled
    if spelled.endswith("'"):
        return spelled[:-1]
    return spelled.removesuffix("'s")
