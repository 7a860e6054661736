"""Translation from English: WMT's German, French and Romanian.

    translate English to German: Good morning.   -> Guten Morgen.

The English side is always the source. The sets are the paper's: for German News Commentary v13, Common Crawl and
Europarl v7 with newstest2013 for validation, for French WMT15, for Romanian WMT16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from t5core.metrics import Bleu
from t5core.tasks.forms import text
from t5core.tasks.pair import TextPair
from t5core.tasks.sources import DataSet, Hub
from t5core.tasks.task import Task


@dataclass(frozen=True)
class Translated:
    """The form of one direction, from ``{"translation": {"en": ..., "de": ...}}``."""

    language: str
    code: str

    def __call__(self, example: Mapping[str, Any]) -> list[TextPair]:
        """Returns the one pair of an example.

        Raises:
            DataError: a side is missing or no text.
        """
        inputs = f"translate English to {self.language}: {text(example, 'translation.en')}"
        return [TextPair(inputs=inputs, targets=text(example, f"translation.{self.code}"))]


def _task(code: str, language: str, hub: Hub, folders: tuple[str, ...]) -> Task:
    name = f"wmt_en_{code}"
    return Task(
        name=name,
        source=DataSet(
            hub=hub.of(f"{code}-en", {split: split for split in ("train", "validation", "test")}),
            folders=(name, *folders),
            columns={"translation": "json"},
        ),
        form=Translated(language, code),
        metrics=(Bleu(),),
        paper_column=f"En{code.capitalize()}",
        prefix=f"translate English to {language}:",
    )


TASKS: tuple[Task, ...] = (
    _task("de", "German", Hub(path="wmt/wmt_t2t", revision="4c6696c8a5ea80b1993611b14e7b42bcd7fb2fb2"), ()),
    _task("fr", "French", Hub(path="wmt/wmt15", revision="2713a3fc51a31b1e6e308dc93ec835e8757b033a"), ()),
    _task(
        "ro",
        "Romanian",
        Hub(path="wmt/wmt16", revision="41d8a4013aa1489f28fea60ec0932af246086482"),
        ("wmt16_en_ro",),
    ),
)
