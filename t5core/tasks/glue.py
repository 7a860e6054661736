"""GLUE: nine sets of sentences, and a diagnostic one.

    cola sentence: The cat sat happy the mat.                              -> unacceptable
    mrpc sentence1: He left early. sentence2: He departed ahead of time.   -> equivalent
    mnli hypothesis: It was raining. premise: Rain fell all day.           -> entailment
    stsb sentence1: A dog runs. sentence2: A dog is running.               -> 4.8

Field names are the hub's, labels its class names. STS-B asks for a number as text, rounded to the nearest 0.2. MNLI has
two development sets: matched and mismatched are tasks of their own, and ``glue_mnli`` trains for both. AX, the
diagnostic set, is put as MNLI. WNLI is here in its plain form, ``wnli sentence1: ...``; how the paper asks for it is
``glue_wnli_simple`` (``t5core.tasks.wsc``).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from t5core.errors import DataError
from t5core.metrics import F1, Accuracy, Classes, Matthews, Metric, Pearson, Spearman
from t5core.tasks.forms import Labelled, missing, text
from t5core.tasks.pair import TextPair
from t5core.tasks.sources import DataSet, Hub
from t5core.tasks.task import Task

HUB = Hub(path="nyu-mll/glue", revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c")
ENTAILMENT = ("entailment", "not_entailment")
MNLI = ("entailment", "neutral", "contradiction")

_SINGLE = struct.Struct("f")


def stsb(example: Mapping[str, Any]) -> list[TextPair]:
    """STS-B's form: the score from 0 to 5, rounded to the nearest 0.2, as text: 26 different targets.

    Rounding is in single precision and to even, as in the released code: 2.5 gives "2.4", 3.3 gives "3.2". The test
    set's label, -1, becomes "-1.0", which is also what an output that is no number counts as.

    Raises:
        DataError: a field is missing, or the label is no number from 0 to 5 (or -1).
    """
    score = example.get("label")
    if score is None:
        raise missing(example, "label")
    score = float(score) if isinstance(score, Decimal) else score
    if isinstance(score, bool) or not isinstance(score, int | float) or not (0 <= score <= 5 or score == -1):
        raise DataError("label", score, "give a number from 0 to 5, or -1 for none")
    fives = _single(_single(score) * 5)
    inputs = f"stsb sentence1: {text(example, 'sentence1')} sentence2: {text(example, 'sentence2')}"
    return [TextPair(inputs=inputs, targets=f"{abs(round(fives)) / 5 if score >= 0 else score:.1f}")]


def _single(value: float) -> float:
    rounded: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    return rounded


_MNLI_NAMES = {"sentence1": "premise", "sentence2": "hypothesis", "gold_label": "label"}
_OWN_NAMES: Mapping[str, Mapping[str, str]] = {
    "mrpc": {"#1 String": "sentence1", "#2 String": "sentence2", "Quality": "label"},
    "qqp": {"is_duplicate": "label"},
    "stsb": {"score": "label"},
    "mnli_matched": _MNLI_NAMES,
    "mnli_mismatched": _MNLI_NAMES,
}
"""Fields that GLUE's own TSV files call otherwise than the hub does."""
_MATCHED = {"validation": ("validation", "dev", "validation_matched", "dev_matched"), "test": ("test", "test_matched")}
_MISMATCHED = {"validation": ("validation_mismatched", "dev_mismatched"), "test": ("test_mismatched",)}
"""What both sets of MNLI are called in one folder, on the hub and by GLUE."""


def _source(
    config: str,
    *fields: str,
    train: bool = True,
    folders: tuple[str, ...] = (),
    label: str = "label",
    files: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None,
) -> DataSet:
    splits = ("train", "validation", "test") if train else ("validation", "test")
    return DataSet(
        hub=HUB.of(config, {split: split for split in splits}),
        folders=(*folders, config, *(files or {})),
        columns={**dict.fromkeys(fields, "text"), "label": label, "idx": "integer"},
        also=_OWN_NAMES.get(config, {}),
        files=files or {},
    )


def _task(
    config: str,
    fields: tuple[str, ...],
    labels: tuple[str, ...],
    metrics: tuple[Metric, ...],
    *,
    prefix: str = "",
    source: DataSet | None = None,
    chance: float,
    in_average: bool = True,
) -> Task:
    return Task(
        name=f"glue_{config}",
        source=source or _source(config, *fields),
        form=Labelled(prefix or config, fields, labels),
        metrics=metrics,
        ranked_by=tuple(metric.name for metric in metrics),
        paper_column="GLUE" if in_average else "",
        prefix=f"{prefix or config} {fields[0]}:",
        label_fields=("label",),
        max_targets_tokens=84,
        chance=chance,
    )


def _accuracy(*labels: str) -> tuple[Metric, ...]:
    return (Accuracy(Classes(labels)),)


def _f1_and_accuracy(*labels: str) -> tuple[Metric, ...]:
    return (F1(Classes(labels)), Accuracy(Classes(labels)))


_PAIR = ("sentence1", "sentence2")
_NLI = ("hypothesis", "premise")
_MNLI_SOURCE = DataSet(
    hub=HUB.of("mnli", {"train": "train", "validation": "validation_matched", "test": "test_matched"}),
    folders=("mnli",),
    columns={"premise": "text", "hypothesis": "text", "label": "label", "idx": "integer"},
    also=_MNLI_NAMES,
    files={"mnli": _MATCHED},
)
_AX_SOURCE = DataSet(
    hub=HUB.of("ax", {"test": "test"}),
    folders=("ax", "diagnostic"),
    columns=_MNLI_SOURCE.columns,
    also=_MNLI_NAMES,
    files={"diagnostic": {"test": ("test", "diagnostic")}},
)

COLA = ("unacceptable", "acceptable")
SST2 = ("negative", "positive")
MRPC = ("not_equivalent", "equivalent")
QQP = ("not_duplicate", "duplicate")
WNLI = ("not_entailment", "entailment")

TASKS: tuple[Task, ...] = (
    _task("cola", ("sentence",), COLA, (Matthews(Classes(COLA)),), chance=0.0),
    _task("sst2", ("sentence",), SST2, _accuracy(*SST2), chance=50.0),
    _task("mrpc", _PAIR, MRPC, _f1_and_accuracy(*MRPC), chance=50.0),
    _task("qqp", ("question1", "question2"), QQP, _f1_and_accuracy(*QQP), chance=50.0),
    Task(
        name="glue_stsb",
        source=_source("stsb", *_PAIR, label="number"),
        form=stsb,
        metrics=(Pearson(), Spearman()),
        ranked_by=("pearson_corrcoef", "spearman_corrcoef"),
        paper_column="GLUE",
        prefix="stsb sentence1:",
        label_fields=("label",),
        max_targets_tokens=84,
    ),
    _task("mnli", _NLI, MNLI, _accuracy(*MNLI), source=_MNLI_SOURCE, chance=100 / 3),
    *(
        _task(
            config,
            _NLI,
            MNLI,
            _accuracy(*MNLI),
            prefix="mnli",
            source=_source(config, "premise", "hypothesis", train=False, files={"mnli": files}),
            chance=100 / 3,
        )
        for config, files in (("mnli_matched", _MATCHED), ("mnli_mismatched", _MISMATCHED))
    ),
    _task("qnli", ("question", "sentence"), ENTAILMENT, _accuracy(*ENTAILMENT), chance=50.0),
    _task(
        "rte",
        _PAIR,
        ENTAILMENT,
        _accuracy(*ENTAILMENT),
        source=_source("rte", *_PAIR, folders=("glue_rte",)),
        chance=50.0,
    ),
    _task("wnli", _PAIR, WNLI, _accuracy(*WNLI), chance=50.0, in_average=False),
    _task(
        "ax",
        _NLI,
        MNLI,
        (Matthews(Classes(MNLI)),),
        prefix="mnli",
        source=_AX_SOURCE,
        chance=0.0,
        in_average=False,
    ),
)
