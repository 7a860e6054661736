"""SQuAD v1.1: the answer to a question, from a paragraph.

    question: What colour is it ? context: The door is red .   -> red

Every ASCII punctuation mark is set between spaces and white space becomes single spaces, in question, context and
answers, so an input may end in a space, and an answer may begin or end in one. Trained on the first answer; scored by
the best match with any. ``squad_context_free`` asks without the paragraph.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Any

from t5core.metrics import ExactMatch, TokenF1
from t5core.tasks.forms import UNLABELLED, text, texts
from t5core.tasks.pair import TextPair
from t5core.tasks.sources import DataSet, Hub
from t5core.tasks.task import Task

_PUNCTUATION = str.maketrans({mark: f" {mark} " for mark in string.punctuation})
_SPACES = re.compile(r"[\t\n\f\r ]+")  # RE2's white space: no vertical tab, nothing beyond ASCII


def with_spaces(shown: str) -> str:
    """Returns ``shown`` with spaces around punctuation, single ones."""
    return _SPACES.sub(" ", shown.translate(_PUNCTUATION))


def squad(example: Mapping[str, Any]) -> list[TextPair]:
    """SQuAD's form; a question without answers has the target ``<unk>``.

    Raises:
        DataError: a field is missing or of another kind.
    """
    question, context = with_spaces(text(example, "question")), with_spaces(text(example, "context"))
    return _pair(f"question: {question} context: {context}", example)


def context_free(example: Mapping[str, Any]) -> list[TextPair]:
    """The question alone: what does the model know by itself?"""
    return _pair(f"squad trivia question: {with_spaces(text(example, 'question'))}", example)


def _pair(inputs: str, example: Mapping[str, Any]) -> list[TextPair]:
    answers = [with_spaces(answer) for answer in texts(example, "answers.text")]
    target = answers[0] if answers else UNLABELLED
    return [TextPair(inputs=_SPACES.sub(" ", inputs), targets=target, context={"answers": answers})]


_HUB = Hub(path="rajpurkar/squad", revision="7b6d24c440a36b6815f21b70d25016731768db1f")
SOURCE = DataSet(
    hub=_HUB.of("plain_text", {"train": "train", "validation": "validation"}),
    folders=("squad",),
    columns={"id": "text", "title": "text", "context": "text", "question": "text", "answers": "json"},
)

TASKS: tuple[Task, ...] = (
    Task(
        name="squad",
        source=SOURCE,
        form=squad,
        metrics=(ExactMatch(), TokenF1()),
        paper_column="SQuAD",
        prefix="question:",
        max_targets_tokens=97,
        answer_fields=("answers.text",),
    ),
    Task(
        name="squad_context_free",
        source=SOURCE,
        form=context_free,
        metrics=(ExactMatch(), TokenF1()),
        prefix="squad trivia question:",
        max_targets_tokens=97,
        answer_fields=("answers.text",),
    ),
)
