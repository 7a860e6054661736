"""What counts as right in a task, as texts whose likelihood can be taken: the accepted answers, and the set of labels.

    squad              answers "red", "dark red"        both are right, no labels
    glue_mnli          target "neutral"                 "neutral" is right, labels entailment, neutral, contradiction
    super_glue_wsc     candidate "Ann", label 0         nothing is known to be right: the example takes no part

The main metric's reading says which, so that what is likely is what is scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from t5core.metrics import Answers, Classes, Questions, Referents
from t5core.metrics.metric import identity
from t5core.tasks.pair import TextPair
from t5core.tasks.task import Task


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


def _accepted(task: Task, pair: TextPair) -> tuple[str, ...]:
    reading = task.main.reading
    if isinstance(reading, Referents):
        return (pair.context.get("targets", pair.targets),) if pair.context["label"] == 1 else ()
    if isinstance(reading, Answers):
        return tuple(dict.fromkeys(pair.context.get("answers") or (pair.targets,)))
    return (pair.targets,)
