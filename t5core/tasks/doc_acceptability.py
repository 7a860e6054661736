"""A sentence as written, or its words in random order? (stands in for CoLA in GLUE).

    inputs:  acceptability sentence: the array is converted to a float before the computation
    targets: acceptable

Capital and full stop are taken off before shuffling, since they would give the order away. The two labels are drawn
from different sentences and alternate. Works on any text.
"""

import random
from collections.abc import Iterable, Iterator

from t5core.metrics import Accuracy, Classes, Matthews
from t5core.tasks.documents import Document, Documents
from t5core.tasks.forms import given
from t5core.tasks.pair import TextPair
from t5core.tasks.prose import bare, sentences
from t5core.tasks.task import Task

LABELS = ("unacceptable", "acceptable")
_PER_DOCUMENT = 4


def _generate(documents: Iterable[Document], rng: random.Random) -> Iterator[tuple[TextPair, ...]]:
    waiting: str | None = None
    for document in documents:
        found = sentences(document.text)
        for sentence in rng.sample(found, min(_PER_DOCUMENT, len(found))):
            words = bare(sentence).split()
            if waiting is None:
                waiting = " ".join(words)
                continue
            shuffled = rng.sample(words, len(words))
            if shuffled == words:
                continue
            yield (_pair(waiting, "acceptable"), _pair(" ".join(shuffled), "unacceptable"))
            waiting = None


def _pair(words: str, label: str) -> TextPair:
    return TextPair(inputs=f"acceptability sentence: {words}", targets=label)


TASK = Task(
    name="doc_acceptability",
    paper_column="GLUE",
    prefix="acceptability",
    metrics=(Matthews(Classes(LABELS), name="matthews"), Accuracy(Classes(LABELS))),
    max_inputs_tokens=64,
    max_targets_tokens=8,
    chance=0.0,
    source=Documents(generate=_generate),
    form=given,
)
