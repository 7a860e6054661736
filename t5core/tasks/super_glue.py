"""SuperGLUE, but for WSC (``t5core.tasks.wsc``): seven sets and two diagnostic ones.

    boolq passage: Lead is a metal. question: is lead a metal                         -> True
    copa choice1: He slept. choice2: He ate. premise: He was hungry. question: effect -> choice2
    multirc question: Who ran? answer: Tom paragraph: Sent 1: Tom ran.                -> True
    record query: @placeholder won. entities: Leeds, York passage: Leeds beat York.   -> Leeds

MultiRC asks for each answer by itself and is scored by question. A query of ReCoRD with several right answers is
several examples for training, of which one counts when scoring; one without answers has the target ``<unk>``, and
is not trained on or judged by. AX-b and AX-g, the diagnostic sets, are put as RTE.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from t5core.metrics import (
    Accuracy,
    Answers,
    AnswersF1,
    Classes,
    ExactMatch,
    Matthews,
    MeanF1,
    Metric,
    Questions,
    TokenF1,
    WholeQuestions,
)
from t5core.tasks.forms import UNLABELLED, Labelled, kept, text, texts
from t5core.tasks.glue import ENTAILMENT
from t5core.tasks.pair import TextPair
from t5core.tasks.sources import DataSet, Hub
from t5core.tasks.task import Form, Task

HUB = Hub(path="aps/super_glue", revision="3de24cf8022e94f4ee4b9d55a6f539891524d646")
TRUTH = ("False", "True")

_SENTENCE_END_AND_HIGHLIGHT = re.compile(r"([.?!\"'])\n@highlight\n")


def record(example: Mapping[str, Any]) -> list[TextPair]:
    """ReCoRD's form: one pair for each answer; where the passage breaks for a highlight, a sentence ends.

    Entities stand in the order in which the example gives them (``SOURCES`` sorts them).

    Raises:
        DataError: a field is missing or of another kind.
    """
    passage = _SENTENCE_END_AND_HIGHLIGHT.sub(r"\1 ", text(example, "passage")).replace("\n@highlight\n", ". ")
    entities = ", ".join(texts(example, "entities"))
    inputs = f"record query: {text(example, 'query')} entities: {entities} passage: {passage}"
    context = kept(example, ("idx", "answers"))
    answers = texts(example, "answers") or [UNLABELLED]
    return [TextPair(inputs=inputs, targets=answer, context=context) for answer in answers]


def without_html(shown: str) -> str:
    """Returns MultiRC's input without its markup: ``<br>`` is a space, ``<b>`` and ``</b>`` are nothing."""
    return shown.replace("<br>", " ").replace("<b>", "").replace("</b>", "")


def _source(config: str, columns: Mapping[str, str], folders: tuple[str, ...] = (), **more: Any) -> DataSet:
    splits = ("test",) if config in ("axb", "axg") else ("train", "validation", "test")
    return DataSet(
        hub=HUB.of(config, {split: split for split in splits}),
        folders=(*folders, config),
        columns=columns,
        **more,
    )


def _labelled_source(config: str, *fields: str, folders: tuple[str, ...] = (), idx: str = "integer") -> DataSet:
    return _source(config, {**dict.fromkeys(fields, "text"), "idx": idx, "label": "label"}, folders)


def _task(config: str, source: DataSet, form: Form, prefix: str, metrics: tuple[Metric, ...], chance: float) -> Task:
    return Task(
        name=f"super_glue_{config}",
        source=source,
        form=form,
        metrics=metrics,
        ranked_by=tuple(metric.name for metric in metrics),
        paper_column="" if config in ("axb", "axg") else "SGLUE",
        prefix=prefix,
        max_targets_tokens=62,
        label_fields=("label",) if isinstance(form, Labelled) else (),
        answer_fields=() if isinstance(form, Labelled) else ("answers",),
        chance=chance,
    )


_CB = ("entailment", "contradiction", "neutral")
_COPA = ("choice1", "choice2")
_TRUE_OR_FALSE = (Accuracy(Classes(TRUTH)),)
_ENTAILED = (Accuracy(Classes(ENTAILMENT)),)
_NLI = ("hypothesis", "premise")
_QUERIES = Answers(unit=("idx.passage", "idx.query"))

TASKS: tuple[Task, ...] = (
    _task(
        "boolq",
        _labelled_source("boolq", "question", "passage"),
        Labelled("boolq", ("passage", "question"), TRUTH),
        "boolq passage:",
        _TRUE_OR_FALSE,
        50.0,
    ),
    _task(
        "cb",
        _labelled_source("cb", "premise", "hypothesis"),
        Labelled("cb", _NLI, _CB),
        "cb hypothesis:",
        (MeanF1(Classes(_CB)), Accuracy(Classes(_CB))),
        100 / 3,
    ),
    _task(
        "copa",
        _labelled_source("copa", "premise", "choice1", "choice2", "question"),
        Labelled("copa", ("choice1", "choice2", "premise", "question"), _COPA),
        "copa choice1:",
        (Accuracy(Classes(_COPA)),),
        50.0,
    ),
    _task(
        "multirc",
        _labelled_source("multirc", "paragraph", "question", "answer", idx="json"),
        Labelled("multirc", ("question", "answer", "paragraph"), TRUTH, edit=without_html, context=("idx",)),
        "multirc question:",
        (AnswersF1(Questions(TRUTH)), WholeQuestions(Questions(TRUTH))),
        25.0,
    ),
    _task(
        "record",
        _source(
            "record",
            {"passage": "text", "query": "text", "entities": "json", "answers": "json", "idx": "json"},
            sorted_lists=("entities", "answers"),
        ),
        record,
        "record query:",
        (ExactMatch(_QUERIES), TokenF1(_QUERIES)),
        0.0,
    ),
    _task(
        "rte",
        _labelled_source("rte", "premise", "hypothesis", folders=("super_glue_rte",)),
        Labelled("rte", _NLI, ENTAILMENT),
        "rte hypothesis:",
        _ENTAILED,
        50.0,
    ),
    _task(
        "wic",
        _labelled_source("wic", "word", "sentence1", "sentence2"),
        Labelled("wic", ("sentence1", "sentence2", "word"), TRUTH),
        "wic sentence1:",
        _TRUE_OR_FALSE,
        50.0,
    ),
    _task(
        "axb",
        _labelled_source("axb", "sentence1", "sentence2"),
        Labelled("rte", (("hypothesis", "sentence2"), ("premise", "sentence1")), ENTAILMENT),
        "rte hypothesis:",
        (Matthews(Classes(ENTAILMENT)),),
        0.0,
    ),
    _task(
        "axg",
        _labelled_source("axg", "premise", "hypothesis"),
        Labelled("rte", _NLI, ENTAILMENT),
        "rte hypothesis:",
        _ENTAILED,
        50.0,
    ),
)
