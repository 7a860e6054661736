"""Summaries of news: CNN/Daily Mail, the version with names.

    summarize: the town rebuilt its bridge after the flood .   -> bridge rebuilt .

Line ends within the summary are part of the target. The paper's tables show ROUGE-2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from t5core.metrics import Rouge
from t5core.tasks.forms import text
from t5core.tasks.pair import TextPair
from t5core.tasks.sources import DataSet, Hub
from t5core.tasks.task import Task


def summarize(example: Mapping[str, Any]) -> list[TextPair]:
    """The article to its highlights.

    Raises:
        DataError: a field is missing or no text.
    """
    return [TextPair(inputs=f"summarize: {text(example, 'article')}", targets=text(example, "highlights"))]


_HUB = Hub(path="abisee/cnn_dailymail", revision="96df5e686bee6baa90b8bee7c28b81fa3fa6223d")

TASKS: tuple[Task, ...] = (
    Task(
        name="cnn_dailymail",
        source=DataSet(
            hub=_HUB.of("3.0.0", {split: split for split in ("train", "validation", "test")}),
            folders=("cnn_dailymail",),
            columns={"article": "text", "highlights": "text", "id": "text"},
        ),
        form=summarize,
        metrics=(Rouge("rouge1"), Rouge("rouge2"), Rouge("rougeLsum")),
        ranked_by=("rouge2",),
        paper_column="CNNDM",
        prefix="summarize:",
    ),
)
