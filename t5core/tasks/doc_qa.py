"""Questions about documented parameters (stands in for SQuAD).

    inputs:  question: what is the type of copy? context: order : str. The memory order. copy : bool, default True. ...
    targets: bool

The answer is copied from the context, which holds one or two parameters, so the right one has to be found. Two
questions are asked: the type and the default. No answer makes up more than about a fiftieth of the examples, so that
guessing the commonest does not pay.

Needs docstrings in numpydoc's or Google's form: other corpora give no example.
"""

import random
from collections.abc import Iterable, Iterator, Sequence

from t5core.metrics import ExactMatch, TokenF1
from t5core.tasks.documents import Document, Documents
from t5core.tasks.forms import given
from t5core.tasks.pair import TextPair
from t5core.tasks.prose import Cap, Entry, entries, first_words
from t5core.tasks.task import Task

_MAX_CONTEXT_WORDS = 16
_MAX_ENTRIES = 2
_MAX_QUESTIONS = 3  # of one document


def _generate(documents: Iterable[Document], rng: random.Random) -> Iterator[TextPair]:
    cap = Cap(0.02)
    for document in documents:
        usable = [e for e in entries(document.text) if _is_usable(e)]
        if len({e.name for e in usable}) < max(2, len(usable)):
            continue
        questions = [question for e in usable for question in _questions(e)]
        rng.shuffle(questions)
        asked: set[str] = set()
        for entry, kind in questions:
            if entry.name in asked:
                continue
            context = _context(entry, usable, rng)
            pair = _pair(entry, kind, context)
            if pair is not None and cap.admits(pair.targets):
                asked.add(entry.name)
                yield pair
            if len(asked) == _MAX_QUESTIONS:
                break


def _is_usable(entry: Entry) -> bool:
    return 0 < len(entry.type) <= 30 and entry.type.count(" ") <= 4 and len(entry.name) <= 24


def _questions(entry: Entry) -> list[tuple[Entry, str]]:
    return [(entry, kind) for kind in ("type", "default") if kind == "type" or entry.default]


def _context(asked: Entry, among: Sequence[Entry], rng: random.Random) -> list[Entry]:
    """The entry that is asked for and its neighbours, in their order; where it stands among them is drawn."""
    at = among.index(asked)
    size = min(rng.randint(1, _MAX_ENTRIES), len(among))
    low, high = max(0, at - size + 1), min(at, len(among) - size)
    start = rng.randint(low, high)
    return list(among[start : start + size])


def _pair(asked: Entry, kind: str, context: Sequence[Entry]) -> TextPair | None:
    said = " ".join(_shown(entry, _MAX_CONTEXT_WORDS // len(context)) for entry in context)
    if kind == "default":
        question, answer = f"what is the default of {asked.name}?", asked.default
    else:
        question, answer = f"what is the type of {asked.name}?", asked.type
    return TextPair(inputs=f"question: {question} context: {said}", targets=answer)


def _shown(entry: Entry, max_words: int) -> str:
    default = f", default {entry.default}" if entry.default else ""
    about = first_words(entry.description, max(0, max_words - 4), 60)
    return f"{entry.name} : {entry.type}{default}. {about}".strip()


TASK = Task(
    name="doc_qa",
    paper_column="SQuAD",
    prefix="question:",
    metrics=(ExactMatch(), TokenF1()),
    max_inputs_tokens=112,
    max_targets_tokens=16,
    chance=2.0,
    source=Documents(generate=_generate, needs_docstrings=True),
    form=given,
)
