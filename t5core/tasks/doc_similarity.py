"""How much of a sentence is left in another, as a number (stands in for STS-B in GLUE).

    inputs:  similarity sentence1: the array is copied to the device sentence2: the array each copied to returns device
    targets: 3.6

The second sentence is the first with none, a quarter, half, three quarters or all of its words replaced by words of
the sentences before it. The score is the share of words that the two have in common (twice the common ones over all),
times 5, rounded to the nearest 0.2 as STS-B is in the paper (section 2.4). Works on any text.
"""

import random
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from t5core.metrics import Pearson, Spearman
from t5core.tasks.documents import Document, Documents
from t5core.tasks.forms import given
from t5core.tasks.pair import TextPair
from t5core.tasks.prose import bare, sentences
from t5core.tasks.task import Task

_PER_DOCUMENT = 3
_POOL_SENTENCES = 50
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def _generate(documents: Iterable[Document], rng: random.Random) -> Iterator[TextPair]:
    pool: deque[list[str]] = deque(maxlen=_POOL_SENTENCES)
    for document in documents:
        found = sentences(document.text)
        for sentence in rng.sample(found, min(_PER_DOCUMENT, len(found))):
            words = bare(sentence).split()
            if pool:
                changed = _changed(words, pool, rng)
                inputs = f"similarity sentence1: {' '.join(words)} sentence2: {' '.join(changed)}"
                yield TextPair(inputs=inputs, targets=f"{_score(words, changed):.1f}")
            pool.append(words)


def _changed(words: list[str], pool: Sequence[list[str]], rng: random.Random) -> list[str]:
    at = set(rng.sample(range(len(words)), round(rng.choice(_SHARES) * len(words))))
    return [rng.choice(rng.choice(pool)) if i in at else word for i, word in enumerate(words)]


def _score(first: list[str], second: list[str]) -> float:
    common = (Counter(first) & Counter(second)).total()
    return round(5.0 * 2.0 * common / (len(first) + len(second)) / 0.2) * 0.2


TASK = Task(
    name="doc_similarity",
    paper_column="GLUE",
    prefix="similarity",
    metrics=(Spearman(name="spearman"), Pearson(name="pearson")),
    max_inputs_tokens=112,
    max_targets_tokens=8,
    chance=0.0,
    source=Documents(generate=_generate),
    form=given,
)
