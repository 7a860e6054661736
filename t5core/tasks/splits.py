"""The examples that a run trains on and the ones it is judged by."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from t5core.tasks.documents import Document
from t5core.tasks.pair import TextPair
from t5core.tasks.sources import DataSet
from t5core.tasks.task import Task


def make_splits(
    task: Task,
    train_documents: Iterable[Document],
    validation_documents: Iterable[Document],
    *,
    seed: int,
    train_examples: int,
    eval_examples: int,
    data_dir: Path | None = None,
) -> tuple[list[TextPair], list[TextPair]]:
    """Returns training and evaluation examples; none of a split that the task has not (``Task.splits``).

    Embedded tasks are made from documents; no evaluation input is trained on. Other tasks are read from their set,
    whose splits are taken as published. Where a split has more examples than asked for, so many are drawn from all of
    it, in their order; what is drawn for evaluation does not depend on ``seed``, so that runs with other seeds are
    judged alike.

    Args:
        task: embedded or not.
        train_documents: of the corpus, for embedded tasks.
        validation_documents: likewise, held-out ones.
        seed: draws the training examples.
        train_examples: at most so many.
        eval_examples: at most so many.
        data_dir: a folder in place of the hub, for tasks that are not embedded.

    Raises:
        DataError: see ``Task.read``; an example without a label.
    """
    if task.embedded:
        evaluation = list(task.examples(validation_documents, 0, eval_examples))
        held_out = {pair.inputs for pair in evaluation}
        return list(task.examples(train_documents, seed, train_examples, held_out)), evaluation
    training, evaluation = (
        drawn(task.read(split, data_dir, labelled=True), count, draw) if split in task.splits else []
        for split, count, draw in (("train", train_examples, seed), ("validation", eval_examples, 0))
    )
    return training, evaluation


def drawn(pairs: Iterable[TextPair], count: int, seed: int) -> list[TextPair]:
    """Returns ``count`` of the pairs (or all, if fewer), each equally likely, in their order; holds no more of them."""
    rng = random.Random(f"examples {seed}")
    kept: list[tuple[int, TextPair]] = []
    for i, pair in enumerate(pairs):
        if i < count:
            kept.append((i, pair))
        elif (place := rng.randrange(i + 1)) < count:
            kept[place] = (i, pair)
    return [pair for _, pair in sorted(kept, key=lambda item: item[0])]


@dataclass(frozen=True, kw_only=True)
class SplitIdentity:
    """What stands for a split in a hash and in a tracker: its number of examples, and 16 hex digits of its content."""

    examples: int
    fingerprint: str


def identities(
    task: Task, data_dir: Path | None = None, examples: Mapping[str, int] = MappingProxyType({})
) -> dict[str, SplitIdentity]:
    """Returns the identity of each of ``task.splits``, of a task that is not embedded; reads them once.

    Args:
        task: not embedded.
        data_dir: a folder in place of the hub.
        examples: how many splits have, where that is known: they are not counted again.

    Raises:
        DataError: a split is not there, or the hub does not answer.
    """
    assert isinstance(task.source, DataSet), "an embedded task is known by its corpus"
    opened = task.source.open(data_dir)
    return {
        split: SplitIdentity(
            examples=examples[split] if split in examples else opened.count(split),
            fingerprint=opened.fingerprint(split),
        )
        for split in task.splits
    }


def majority_scores(task: Task, training: Iterable[TextPair], evaluation: Sequence[TextPair]) -> dict[str, float]:
    """Returns the scores x100 of always answering with the commonest target of training: what a model has to beat."""
    commonest = Counter(pair.targets for pair in training).most_common(1)[0][0]
    targets, contexts = [pair.targets for pair in evaluation], [pair.context for pair in evaluation]
    return task.score(targets, [commonest] * len(targets), contexts)
