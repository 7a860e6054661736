"""Do two sentences come from the same document? (stands in for MRPC in GLUE).

    inputs:  pair sentence1: The cache is emptied on exit. sentence2: A full cache drops its oldest entry.
    targets: same

Two sentences of one document are taken only where they share a content word: otherwise nobody could tell. Sentences of
different documents are drawn from neighbours in the corpus' order, which is random. The two labels alternate; no
sentence is used twice. Works on any text; the main metric is accuracy, so chance is 50.
"""

import random
from collections.abc import Iterable, Iterator

from t5core.metrics import F1, Accuracy, Classes
from t5core.tasks.documents import Document, Documents
from t5core.tasks.forms import given
from t5core.tasks.pair import TextPair
from t5core.tasks.prose import content_words, sentences
from t5core.tasks.task import Task

LABELS = ("different", "same")


def _generate(documents: Iterable[Document], rng: random.Random) -> Iterator[tuple[TextPair, ...]]:
    same: list[TextPair] = []
    different: list[TextPair] = []
    spare: str | None = None
    used: set[str] = set()
    for document in documents:
        found = [s for s in dict.fromkeys(sentences(document.text)) if s not in used]
        rng.shuffle(found)
        couple = _couple(found)
        if couple is not None:
            same.append(_pair(*couple, "same"))
            used.update(couple)
            found = [s for s in found if s not in couple]
        if found:
            # one sentence meets the spare one of an earlier document, one stays for the next
            if spare is not None:
                different.append(_pair(spare, found[0], "different"))
                used.add(spare)
            spare = found[-1] if len(found) > 1 or spare is None else None
            used.add(found[0])
        while same and different:
            yield (same.pop(0), different.pop(0))


def _couple(found: list[str]) -> tuple[str, str] | None:
    words = [set(content_words(sentence)) for sentence in found[:6]]
    for i in range(len(words)):
        for j in range(i):
            if words[i] & words[j]:
                return found[j], found[i]
    return None


def _pair(first: str, second: str, label: str) -> TextPair:
    return TextPair(inputs=f"pair sentence1: {first} sentence2: {second}", targets=label)


TASK = Task(
    name="doc_pair",
    paper_column="GLUE",
    prefix="pair",
    metrics=(Accuracy(Classes(LABELS)), F1(Classes(LABELS))),
    max_inputs_tokens=112,
    max_targets_tokens=8,
    chance=50.0,
    source=Documents(generate=_generate),
    form=given,
)
