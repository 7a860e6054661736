"""How much of a sentence is left in another, as a number (stands in for STS-B in GLUE).

    inputs:  similarity sentence1: the array is copied to the device sentence2: the array moved copied to device
    targets: 4.2

The second sentence is the first with a random share of its words dropped or replaced by words of another sentence,
or, one time in ten, that other sentence. The score is the share of words that the two have in common (twice the
common ones over all), times 5, rounded to the nearest 0.2 as STS-B is in the paper (section 2.4). Works on any text.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator

from t5core.metrics import Pearson, Spearman
from t5core.tasks.prose import sentences
from t5core.tasks.task import Document, Task, TextPair

_PER_DOCUMENT = 3
_OTHER_SHARE = 0.1
_DROP_SHARE = 0.3


def _generate(documents: Iterable[Document], rng: random.Random) -> Iterator[TextPair]:
    other: list[str] = []
    for document in documents:
        found = sentences(document.text)
        for sentence in rng.sample(found, min(_PER_DOCUMENT, len(found))):
            words = _words(sentence)
            if other:
                changed = other if rng.random() < _OTHER_SHARE else _changed(words, other, rng)
                if changed:
                    first, second = " ".join(words), " ".join(changed)
                    inputs = f"similarity sentence1: {first} sentence2: {second}"
                    yield TextPair(inputs=inputs, targets=f"{_score(words, changed):.1f}")
            other = words


def _words(sentence: str) -> list[str]:
    body = sentence.rstrip(".")
    return (body if body[1:2].isupper() else body[0].lower() + body[1:]).split()


def _changed(words: list[str], other: list[str], rng: random.Random) -> list[str]:
    at = set(rng.sample(range(len(words)), rng.randint(0, len(words))))
    out = []
    for i, word in enumerate(words):
        if i not in at:
            out.append(word)
        elif rng.random() >= _DROP_SHARE:
            out.append(rng.choice(other))
    return out


def _score(first: list[str], second: list[str]) -> float:
    common = (Counter(first) & Counter(second)).total()
    return round(5.0 * 2.0 * common / (len(first) + len(second)) / 0.2) * 0.2


TASK = Task(
    name="doc_similarity",
    paper_column="GLUE",
    prefix="similarity",
    metrics=(Spearman(), Pearson()),
    max_inputs_tokens=112,
    max_targets_tokens=8,
    chance=0.0,
    generate=_generate,
)
