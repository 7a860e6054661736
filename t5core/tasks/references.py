"""What counts as right in a task, as texts whose likelihood can be taken: the accepted answers, and the set of labels.

    squad              answers "red", "dark red"        both are right, no labels
    glue_mnli          target "neutral"                 "neutral" is right, labels entailment, neutral, contradiction
    super_glue_wsc     candidate "Ann", label 0         nothing is known to be right: the example takes no part

The main metric's reading says which, so that what is likely is what is scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from t5core.metrics import Answers, Classes, Questions, Referents
from t5core.metrics.metric import identity
from t5core.tasks.pair import TextPair
from t5core.tasks.task import Task

_TWO = 2


@dataclass(frozen=True, kw_only=True)
class Referenced:
    """An input and what is right for it.

    Attributes:
        references: the texts that are accepted, each once, the one that stands first in the data first.
    """

    inputs: str
    references: tuple[str, ...]


def label_set(task: Task) -> tuple[str, ...]:
    """Returns the texts of a task's classes, each once; empty where it has none, or where there is no choice."""
    reading = task.main.reading
    labels = tuple(dict.fromkeys(reading.labels)) if isinstance(reading, Classes | Questions) else ()
    return labels if len(labels) > 1 else ()


def referenced(task: Task, pairs: Sequence[TextPair]) -> list[Referenced]:
    """Returns what is right for each pair, in order.

    Pairs without anything that is known to be right are left out, and so are further copies of a query (ReCoRD).

    Raises:
        DataError: a target outside the set of labels, or a context without what is needed.
    """
    targets = [pair.targets for pair in pairs]
    task.check(targets, targets, [pair.context for pair in pairs])
    reading = task.main.reading
    out = []
    seen: set[tuple[str | int, ...]] = set()
    for pair in pairs:
        if isinstance(reading, Answers) and reading.unit:
            unit = tuple(identity(pair.context, field) for field in reading.unit)
            if unit in seen:
                continue
            seen.add(unit)
        references = _accepted(task, pair)
        if references:
            out.append(Referenced(inputs=pair.inputs, references=references))
    return out


def label_auc(task: Task, examples: Sequence[Referenced], margins_N: Any) -> float | None:
    """Returns how well likelihoods tell a task's two labels apart: the area under the ROC curve x100, 50 by chance.

    That is how often an example of the second label likes that label better than an example of the first one does,
    whatever a model thinks of the labels by themselves.

    Args:
        task: says what its labels are.
        examples: from ``referenced``.
        margins_N: log-likelihood of each example's right label minus that of the wrong one.

    Returns:
        None where there are not two labels, one of them is never right, or a margin is not finite.
    """
    labels = label_set(task)
    if len(labels) != _TWO or not np.isfinite(margins_N).all():
        return None
    second_N = np.array([one.references[0] == labels[1] for one in examples], dtype=bool)
    if second_N.all() or not second_N.any():
        return None
    from sklearn.metrics import roc_auc_score  # importing it takes a second

    return 100 * float(roc_auc_score(second_N, np.where(second_N, margins_N, -np.asarray(margins_N))))


def _accepted(task: Task, pair: TextPair) -> tuple[str, ...]:
    reading = task.main.reading
    if isinstance(reading, Referents):
        return (pair.context.get("targets", pair.targets),) if pair.context["label"] == 1 else ()
    if isinstance(reading, Answers):
        return tuple(dict.fromkeys(pair.context.get("answers") or (pair.targets,)))
    return (pair.targets,)
