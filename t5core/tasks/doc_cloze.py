"""The word that is missing, which stands elsewhere in the passage (stands in for ReCoRD in SuperGLUE).

    inputs:  cloze passage: The lock is taken by the writer. Readers wait until the [blank] is free.
    targets: lock

The word is a content word or an identifier of four letters or more; its last occurrence in a passage of at most 40
words is blanked. No word is the answer more than about one time in fifty. Works on any text.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from t5core.corpora.cleaning import split_sentences
from t5core.metrics import ExactMatch, TokenF1
from t5core.tasks.prose import MIN_SENTENCE_CHARS, Cap, content_words, squeezed
from t5core.tasks.task import Document, Task, TextPair

BLANK = "[blank]"
_MIN_WORDS, _MAX_WORDS = 14, 40
_MAX_CHARS = 260
_BULLET = "-*+• "
_PER_DOCUMENT = 3


def _generate(documents: Iterable[Document], rng: random.Random) -> Iterator[TextPair]:
    cap = Cap(0.02)
    for document in documents:
        made = 0
        for passage in _passages(document.text):
            counts = Counter(content_words(passage))
            repeated = [word for word, count in counts.items() if count >= 2]
            rng.shuffle(repeated)
            for word in repeated:
                places = list(re.finditer(rf"(?<![\w.-]){re.escape(word)}(?![\w.]*\w)", passage))
                if len(places) >= 2 and cap.admits(word):
                    at = places[-1]
                    blanked = passage[: at.start()] + BLANK + passage[at.end() :]
                    yield TextPair(inputs=f"cloze passage: {blanked}", targets=word)
                    made += 1
                    break
            if made == _PER_DOCUMENT:
                break


def _passages(text: str) -> Iterator[str]:
    """Runs of whole sentences of one paragraph, up to 40 words each."""
    for line in text.split("\n"):
        stripped = squeezed(line).lstrip(_BULLET)
        if len(stripped) < 2 * MIN_SENTENCE_CHARS:
            continue
        held: list[str] = []
        for sentence in [*split_sentences(stripped), ""]:
            words = sum(s.count(" ") + 1 for s in held)
            if held and (not sentence or words + sentence.count(" ") + 1 > _MAX_WORDS):
                passage = " ".join(held)
                if _MIN_WORDS <= words <= _MAX_WORDS and len(passage) <= _MAX_CHARS:
                    yield passage
                held = []
            held.append(sentence)


TASK = Task(
    name="doc_cloze",
    paper_column="SGLUE",
    prefix="cloze",
    metrics=(ExactMatch(), TokenF1()),
    max_inputs_tokens=112,
    max_targets_tokens=12,
    chance=2.0,
    generate=_generate,
)
