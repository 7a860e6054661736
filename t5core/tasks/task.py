"""What a task is: text in, text out, and how the output is judged.

A task turns documents into pairs of text in the paper's form, ``<name> <key>: <text> ...`` (section 2.4), and scores a
model's text against the target's. The same task gives training examples from training documents and evaluation
examples from held-out ones; ``make_splits`` sees to it that no evaluation input is trained on.
"""

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from t5core.corpora.documents import read_documents
from t5core.metrics import Answers, Floats, Metric


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document of a corpus. ``source`` names where it came from, for people."""

    text: str
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class TextPair:
    """One example. ``answers``: all that is accepted, where it is more than ``targets``."""

    inputs: str
    targets: str
    answers: tuple[str, ...] = ()


Generate = Callable[[Iterable[Document], random.Random], Iterator[TextPair | tuple[TextPair, ...]]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A family of examples with its metrics.

    Attributes:
        name: also the MLflow and table name: "doc_qa".
        paper_column: the column of the paper's tables that it stands in for.
        prefix: what every input begins with.
        metrics: all that are reported; the first is the main one, which ranks rows.
        max_inputs_tokens, max_targets_tokens: hints: what nearly all examples need with 2,000 pieces, EOS included.
        chance: what the main metric is without reading the input, x100.
        needs_docstrings: only docstrings give examples; plain text does not.
        generate: documents and a random source to examples without end of their own; a tuple of examples
            (one of each label) is kept or dropped as a whole, which keeps labels exactly balanced.
    """

    name: str
    paper_column: str
    prefix: str
    metrics: tuple[Metric, ...]
    max_inputs_tokens: int
    max_targets_tokens: int
    chance: float
    generate: Generate = field(repr=False, compare=False)
    needs_docstrings: bool = False

    @property
    def main(self) -> Metric:
        """The metric that ranks rows."""
        return self.metrics[0]

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Keys of ``score``, the main one first."""
        return tuple(metric.name for metric in self.metrics)

    def examples(
        self, documents: Iterable[Document], seed: int, limit: int | None = None, exclude: Collection[str] = ()
    ) -> Iterator[TextPair]:
        """Yields examples in the order of the documents: a pure function of the arguments.

        Inputs never repeat. Documents are read only as far as ``limit`` needs. Labels of classification
        tasks alternate, so any even number of examples is exactly balanced; with an odd ``limit`` one fewer is given.

        Args:
            documents: held-out ones for evaluation, training ones for training.
            seed: of every random choice.
            limit: at most so many examples; None: as many as the documents give.
            exclude: inputs that must not come, such as the evaluation's when making training examples.
        """
        return islice(self._examples(documents, seed, limit, exclude), limit)

    def _examples(
        self, documents: Iterable[Document], seed: int, limit: int | None, exclude: Collection[str]
    ) -> Iterator[TextPair]:
        seen = set(exclude)
        given = 0
        # a string seeds through SHA-512, the same in every process
        for made in self.generate(documents, random.Random(f"{self.name} {seed}")):
            group = (made,) if isinstance(made, TextPair) else made
            inputs = {pair.inputs for pair in group}
            if len(inputs) < len(group) or inputs & seen:
                continue
            given += len(group)
            if limit is not None and given > limit:
                return
            seen |= inputs
            yield from group
            if given == limit:
                return

    def score(self, targets: Sequence[str], predictions: Sequence[str], answers: Answers = ()) -> dict[str, float]:
        """Returns every metric x100 by name; ``answers`` default to the targets."""
        return {m.name: float(m.aggregate(m.example_scores(targets, predictions, answers))) for m in self.metrics}

    def example_scores(self, targets: Sequence[str], predictions: Sequence[str], answers: Answers = ()) -> Floats:
        """Returns float64 [N, k] of the main metric, for the bootstrap in ``t5core.metrics``."""
        return self.main.example_scores(targets, predictions, answers)

    def aggregate(self, scores_Nk: Floats) -> float:
        """Returns the main metric x100 of ``example_scores`` (float64 [S] of a stack [S, N, k])."""
        result: float = self.main.aggregate(scores_Nk)
        return result


def make_splits(
    task: Task,
    train_documents: Iterable[Document],
    validation_documents: Iterable[Document],
    *,
    seed: int,
    train_examples: int,
    eval_examples: int,
) -> tuple[list[TextPair], list[TextPair]]:
    """Returns training and evaluation examples that share no input.

    Evaluation comes from held-out documents with a fixed seed, so that runs with other seeds are judged alike;
    ``seed`` draws the training examples.
    """
    evaluation = list(task.examples(validation_documents, 0, eval_examples))
    held_out = {pair.inputs for pair in evaluation}
    return list(task.examples(train_documents, seed, train_examples, held_out)), evaluation


def load_documents(path: Path) -> Iterator[Document]:
    """Yields the documents of a built corpus' ``train.jsonl`` or ``validation.jsonl``."""
    for row in read_documents(path):
        yield Document(text=row["text"], source=str(row["source"]))
