"""The end of a sentence, given its beginning.

    inputs:  complete: Readers wait until the lock
    targets: is free again.

The last three words are asked for, or four or five of a longer sentence. No objective practises this form (a prefix's
rest goes on for many words, a sentinel stands for a gap), but all of them that learn how text goes on are of use.
Works on any text; the main metric is the share of words that are right (SQuAD's F1).
"""

import random
from collections.abc import Iterable, Iterator

from t5core.metrics import ExactMatch, TokenF1
from t5core.tasks.documents import Document, Documents
from t5core.tasks.forms import given
from t5core.tasks.pair import TextPair
from t5core.tasks.prose import sentences
from t5core.tasks.task import Task

_PER_DOCUMENT = 3
_LEAST, _MOST = 3, 5


def _generate(documents: Iterable[Document], rng: random.Random) -> Iterator[TextPair]:
    for document in documents:
        found = sentences(document.text)
        for sentence in rng.sample(found, min(_PER_DOCUMENT, len(found))):
            words = sentence.split()
            at = -min(_MOST, max(_LEAST, len(words) // 3))
            yield TextPair(inputs=f"complete: {' '.join(words[:at])}", targets=" ".join(words[at:]))


TASK = Task(
    name="doc_completion",
    paper_column="SGLUE",
    prefix="complete:",
    metrics=(TokenF1(), ExactMatch()),
    max_inputs_tokens=64,
    max_targets_tokens=16,
    chance=0.0,
    source=Documents(generate=_generate),
    form=given,
)
