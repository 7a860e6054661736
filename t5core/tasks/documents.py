"""Tasks made from the corpus itself: a generator over its documents is their source of examples.

The same generator gives training examples from training documents and evaluation examples from held-out ones;
``make_splits`` sees to it that no evaluation input is trained on.
"""

import random
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from t5core.corpora.documents import read_documents
from t5core.tasks.pair import TextPair


@dataclass(frozen=True, kw_only=True)
class Document:
    """A text of the corpus; ``source`` says where it came from, for people."""

    text: str
    source: str = ""


Generate = Callable[[Iterable[Document], random.Random], Iterator[TextPair | tuple[TextPair, ...]]]


@dataclass(frozen=True, kw_only=True)
class Documents:
    """Examples made from documents.

    Attributes:
        generate: documents and a random source to examples without end of their own; a tuple of examples
            (one of each label) is kept or dropped as a whole, which keeps labels exactly balanced.
        needs_docstrings: only docstrings give examples; plain text does not.
    """

    generate: Generate = field(repr=False)
    needs_docstrings: bool = False

    def examples(
        self,
        name: str,
        documents: Iterable[Document],
        seed: int,
        limit: int | None = None,
        exclude: Collection[str] = (),
    ) -> Iterator[TextPair]:
        """Yields examples in the order of the documents: a pure function of the arguments.

        Inputs never repeat. Documents are read only as far as ``limit`` needs. Labels of classification
        tasks alternate, so any even number of examples is exactly balanced; with an odd ``limit`` one fewer is given.

        Args:
            name: the task's; it takes part in every random choice.
            documents: held-out ones for evaluation, training ones for training.
            seed: of every random choice.
            limit: at most so many examples; None: as many as the documents give.
            exclude: inputs that must not come, such as the evaluation's when making training examples.
        """
        return islice(self._examples(name, documents, seed, limit, exclude), limit)

    def _examples(
        self, name: str, documents: Iterable[Document], seed: int, limit: int | None, exclude: Collection[str]
    ) -> Iterator[TextPair]:
        seen = set(exclude)
        given = 0
        # a string seeds through SHA-512, the same in every process
        for made in self.generate(documents, random.Random(f"{name} {seed}")):
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


def load_documents(path: Path) -> Iterator[Document]:
    """Yields the documents of a built corpus' ``train.jsonl`` or ``validation.jsonl``."""
    for row in read_documents(path):
        yield Document(text=row["text"], source=str(row["source"]))
