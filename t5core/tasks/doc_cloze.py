"""The word that is missing from a sentence (stands in for ReCoRD in SuperGLUE).

    inputs:  cloze passage: Readers wait <extra_id_0> the lock is free.
    targets: until

The gap is the first sentinel, as in span corruption, and any word of two letters or more may be missing: completing
text is what pre-training practises, so this is the task that shows first whether it did. No word is the answer more
than about one time in twenty. Works on any text.
"""

import random
import re
from collections.abc import Iterable, Iterator

from t5core.metrics import ExactMatch, TokenF1
from t5core.scripts import is_latin
from t5core.tasks.documents import Document, Documents
from t5core.tasks.forms import given
from t5core.tasks.pair import TextPair
from t5core.tasks.prose import Cap, sentences
from t5core.tasks.task import Task

BLANK = "<extra_id_0>"
_WORD = re.compile(r"(?<![\w.-])[a-z]{2,}(?![\w.]*\w)")
_WORD_OF_OTHERS = re.compile(r"(?<=\s)[^\s\d.,;:!?()«»\"]{2,}(?=[\s,;:])")  # inside a sentence, as its script has it
_ARTICLES = ("an", "the")  # SQuAD's scoring, which is used here, drops them from every answer
_PER_DOCUMENT = 3


def _generate(documents: Iterable[Document], rng: random.Random) -> Iterator[TextPair]:
    cap = Cap(0.05)
    for document in documents:
        made = 0
        for sentence in sentences(document.text):
            places = list((_WORD if is_latin(sentence) else _WORD_OF_OTHERS).finditer(sentence))
            rng.shuffle(places)
            at = next((p for p in places if p.group() not in _ARTICLES and cap.admits(p.group())), None)
            if at is None:
                continue
            # vocabularies find a sentinel only where a word may start, so a gap behind a bracket is set apart from it
            before = re.sub(r"(?<=\S)$", " ", sentence[: at.start()])
            yield TextPair(inputs=f"cloze passage: {before}{BLANK}{sentence[at.end() :]}", targets=at.group())
            made += 1
            if made == _PER_DOCUMENT:
                break


TASK = Task(
    name="doc_cloze",
    paper_column="SGLUE",
    prefix="cloze",
    metrics=(ExactMatch(), TokenF1()),
    max_inputs_tokens=64,
    max_targets_tokens=12,
    chance=5.0,
    source=Documents(generate=_generate),
    form=given,
)
