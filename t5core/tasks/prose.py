"""Sentences, words and parameter entries of a corpus document: the raw material of the embedded tasks.

Text of other scripts than Latin has sentences by the marks and letters of its script (``t5core.scripts``), where blanks
part its words.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from t5core.scripts import END_MARKS, is_latin, sentences_of, split_sentences, tokens_of, without_punctuation

MIN_SENTENCE_CHARS = 40  # the corpus promises that no longer line or sentence is in both splits
MIN_SENTENCE_WORDS = 6
MAX_SENTENCE_WORDS = 14
MAX_SENTENCE_CHARS = 90
_MAX_WORD_CHARS = 24

_STOP_TEXT = """
    a about above after all also an and any are as at be because been before being below between both but by can
    could default did do does each either else even every example false first for from given had has have here
    how if in into instead is it its just like made make may more most must no none not note of on once one only
    optional or other otherwise our out over own parameter parameters return returned returns same see set
    should since so some such than that the their them then there these they this those through thus to true two
    type under until up use used uses using value values was we were what when where whether which while will
    with within without would you your
"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())
_WORD = re.compile(r"[A-Za-z][A-Za-z_]*")
_NUMPY_ENTRY = re.compile(r"\s*(\*{0,2}[A-Za-z_]\w*) : (.+)$")
_GOOGLE_ENTRY = re.compile(r"\s*(\*{0,2}[A-Za-z_]\w*) \(([^()]+(?:\([^()]*\)[^()]*)*)\): (.+)$")
_DEFAULT = re.compile(
    r"\b(?:[Dd]efaults?(?: value)?(?: is| to|:|=)|default(?: is| to|:|=)?)\s*([\"']?)\(?(-?[A-Za-z0-9_][\w.+-]*)", re.A
)
_NO_DEFAULT_TEXT = "is to the a an it this value values of for behavior behaviour will and or in as if when by"
_NOT_A_DEFAULT = frozenset(_NO_DEFAULT_TEXT.split())


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A documented parameter: ``type`` without "optional" and default, "" where not given; ``description`` likewise."""

    name: str
    type: str
    default: str
    description: str


def squeezed(text: str) -> str:
    """Returns ``text`` as a vocabulary gives it back: NFKC, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def sentences(text: str) -> list[str]:
    """Returns the well-formed sentences of a document's paragraphs and descriptions.

    Six to fourteen words, 40 to 90 characters, from a capital letter to a full stop, letters for the most part.
    """
    found = []
    for line in text.split("\n"):
        stripped = squeezed(line)
        if len(stripped) < MIN_SENTENCE_CHARS or stripped.startswith((":", "-", "*")) or " : " in stripped:
            continue
        for sentence in split_sentences(stripped) if is_latin(stripped) else sentences_of(stripped):
            if is_sentence(sentence):
                found.append(sentence)
    return found


def is_sentence(text: str) -> bool:
    """Says whether ``text`` passes for one whole sentence (see ``sentences``)."""
    if not MIN_SENTENCE_CHARS <= len(text) <= MAX_SENTENCE_CHARS or ": " in text:
        return False
    latin = is_latin(text)
    # a script may know no capitals, and have a mark of its own
    begins, ends = (text[0].isupper(), text[-1] == ".") if latin else (text[0].isalpha(), text[-1] in f".{END_MARKS}")
    if not begins or not ends or text[-2] == " ":
        return False
    if not MIN_SENTENCE_WORDS <= text.count(" ") + 1 <= MAX_SENTENCE_WORDS:
        return False
    if max(map(len, text.split())) > _MAX_WORD_CHARS:
        return False
    letters = sum(map(str.isalpha, text)) + text.count(" ") if latin else len(without_punctuation(text))
    return letters >= 0.88 * len(text)


def content_words(text: str) -> list[str]:
    """Returns the words of four letters or more that carry meaning, in lower case, in order, with repeats."""
    words = map(str.lower, _WORD.findall(text)) if is_latin(text) else tokens_of(text)
    return [word for word in words if len(word) >= 4 and word not in _STOP_WORDS]


def bare(sentence: str) -> str:
    """Returns a sentence without its end mark, and without its capital unless the first word is a name like ``NaN``."""
    body = sentence.rstrip("." if is_latin(sentence) else f".{END_MARKS}")
    return body if body[1:2].isupper() else body[0].lower() + body[1:]


def first_words(text: str, count: int, chars: int = 10_000) -> str:
    """Returns the first words of ``text``: at most ``count``, and at most ``chars`` characters."""
    kept = " ".join(text.split()[:count])
    return kept if len(kept) <= chars else kept[: chars + 1].rpartition(" ")[0]


def entries(text: str) -> list[Entry]:
    """Returns the documented parameters of a docstring in numpydoc's or Google's form, in order."""
    found = []
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if match := _NUMPY_ENTRY.match(line):
            following = lines[i + 1].strip() if i + 1 < len(lines) and lines[i + 1].startswith("    ") else ""
            description = "" if _NUMPY_ENTRY.match(following) else following
        elif match := _GOOGLE_ENTRY.match(line):
            description = match[3]
        else:
            continue
        found.append(_entry(match[1], match[2], description))
    return found


def _entry(name: str, declared: str, description: str) -> Entry:
    default = _DEFAULT.search(declared) or _DEFAULT.search(description)
    value = default[2].rstrip(".-+") if default else ""
    if default and not default[1] and value.lower() in _NOT_A_DEFAULT:
        value = ""
    kind = re.split(r",? *\(?\b(?:optional|default|required|keyword)\b|\(default", declared)[0]
    return Entry(
        name=name,
        type=squeezed(kind).lstrip("~.").rstrip(" ,.(;:="),
        default=squeezed(value),
        description=squeezed(description),
    )


class Cap:
    """Keeps one answer from becoming a good guess: refuses it while it is more than ``share`` of all so far."""

    def __init__(self, share: float, start: int = 3) -> None:
        self._share, self._start = share, start
        self._counts: Counter[str] = Counter()
        self._total = 0

    def admits(self, answer: str) -> bool:
        """Says whether ``answer`` may come once more, and counts it if so."""
        if self._counts[answer] >= self._start + self._share * self._total:
            return False
        self._counts[answer] += 1
        self._total += 1
        return True
