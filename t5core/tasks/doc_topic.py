"""What is a sentence about? (stands in for SST-2 in GLUE: one sentence, one label).

    inputs:  topic sentence: the shortest path between two nodes, or None
    targets: graphs

The topic is that of the library whose docstring the sentence comes from, so nobody had to label anything. Sentences
that name one of the libraries are left out. All topics come equally often, in turns.

Needs docstrings of these libraries, as the embedded corpus has them: other corpora give no example.
"""

import random
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from t5core.metrics import Accuracy, Classes
from t5core.tasks.documents import Document, Documents
from t5core.tasks.forms import given
from t5core.tasks.pair import TextPair
from t5core.tasks.prose import bare, sentences
from t5core.tasks.task import Task

TOPICS: Mapping[str, str] = MappingProxyType(
    {
        "networkx": "graphs",
        "scikit-learn": "learning",
        "scipy": "science",
        "sqlalchemy": "databases",
        "sympy": "algebra",
        "torch": "tensors",
    }
)
"""Libraries, in lower case, to what their sentences are said to be about."""
_NAMED = re.compile("|".join([*TOPICS, "sklearn"]), re.IGNORECASE)
_PER_DOCUMENT = 12


def _generate(documents: Iterable[Document], rng: random.Random) -> Iterator[tuple[TextPair, ...]]:
    waiting: dict[str, deque[str]] = {topic: deque() for topic in TOPICS.values()}
    for document in documents:
        topic = TOPICS.get(document.source.partition(":")[0].lower())
        if topic is None:
            continue
        found = [sentence for sentence in sentences(document.text) if not _NAMED.search(sentence)]
        waiting[topic].extend(rng.sample(found, min(_PER_DOCUMENT, len(found))))
        while all(waiting.values()):
            yield tuple(_pair(queue.popleft(), topic) for topic, queue in waiting.items())


def _pair(sentence: str, topic: str) -> TextPair:
    return TextPair(inputs=f"topic sentence: {bare(sentence)}", targets=topic)


TASK = Task(
    name="doc_topic",
    paper_column="GLUE",
    prefix="topic",
    metrics=(Accuracy(Classes(tuple(TOPICS.values()))),),
    max_inputs_tokens=64,
    max_targets_tokens=8,
    chance=100.0 / len(TOPICS),
    source=Documents(generate=_generate, needs_docstrings=True),
    form=given,
)
