"""What a task is: text in, text out, and how the output is judged.

    source ──example──► form ──(inputs, targets, context)──► model ──prediction──► metrics

A source gives examples, which are objects of named fields; a form turns one example into pairs of text, ``<name>
<key>: <text> ...`` (section 2.4 of the paper): one pair mostly, several where an example has several right answers, or
none where training leaves it out. The context is what the scorer has to know of an example besides the target. All
tasks of the paper are declared with these parts in the files beside this one; a user's own is one YAML file
(``t5core.tasks.user``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from t5core.errors import ConfigError, DataError
from t5core.metrics import Context, Contexts, Floats, MeanOf, Metric, Reading, Summaries, Translations
from t5core.tasks.documents import Document, Documents
from t5core.tasks.forms import at, is_absent
from t5core.tasks.labels import UNLABELLED_ID
from t5core.tasks.pair import TextPair
from t5core.tasks.sources import DataSet
from t5core.tasks.values import located, whole

Example = Mapping[str, Any]
Form = Callable[[Example], Sequence[TextPair]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A family of examples with its text form and its metrics.

    Attributes:
        name: also the MLflow and table name: "glue_mnli".
        source: where examples come from: a set on the hub or in a folder, or a generator over the corpus' documents.
        form: from an example to pairs of text; raises DataError for one that cannot be shown.
        metrics: all that are reported, in the order of ``score``'s keys.
        ranked_by: names of the metrics whose mean ranks rows; by default the first. They share a reading.
        paper_column: the column of the paper's tables that it stands in or stands in for; "" for none.
        prefix: what every input begins with.
        max_inputs_tokens, max_targets_tokens: lengths in tokens, EOS included: the released code's, or for embedded
            tasks what nearly all examples need with 2,000 pieces.
        label_fields: fields in which -1 stands for "no label"; nothing is trained on such an example or judged by it.
        answer_fields: fields whose empty list stands for "no answer known"; likewise.
        use: "train" for a task that is trained on and never judged (DPR), "validation" for one that only is judged
            (WSC's simple form); "both" for all others, as far as their sets have the splits.
        chance: what the main metric is without reading the input, x100: blind guessing among equally frequent labels.
    """

    name: str
    source: DataSet | Documents
    form: Form = field(repr=False)
    metrics: tuple[Metric, ...]
    ranked_by: tuple[str, ...] = ()
    paper_column: str = ""
    prefix: str = ""
    max_inputs_tokens: int = 512
    max_targets_tokens: int = 512
    chance: float = 0.0
    label_fields: tuple[str, ...] = ()
    answer_fields: tuple[str, ...] = ()
    use: Literal["both", "train", "validation"] = "both"

    def __post_init__(self) -> None:
        """Raises ConfigError for ``ranked_by`` that is not among the metrics."""
        for name in self.ranked_by:
            if name not in self.metric_names:
                raise ConfigError("ranked_by", name, f"choose from {', '.join(self.metric_names)}")
        if len({metric.reading for metric in self._ranking}) != 1:
            raise ConfigError("ranked_by", self.ranked_by, "give metrics of one kind: of labels, say, or of answers")

    @property
    def main(self) -> Metric:
        """The metric that ranks rows."""
        return self._ranking[0] if len(self._ranking) == 1 else MeanOf(self._ranking)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Keys of ``score``."""
        return tuple(metric.name for metric in self.metrics)

    @property
    def embedded(self) -> bool:
        """Whether examples are made from the corpus' documents, without data of their own."""
        return isinstance(self.source, Documents)

    @property
    def splits(self) -> tuple[str, ...]:
        """Which of "train" and "validation" a run takes of it."""
        hub = self.source.hub if isinstance(self.source, DataSet) else None
        there = ("train", "validation") if hub is None else tuple(hub.splits)
        return tuple(s for s in ("train", "validation") if s in there and self.use in ("both", s))

    @property
    def needs_docstrings(self) -> bool:
        """Whether only docstrings give examples; plain text does not."""
        return isinstance(self.source, Documents) and self.source.needs_docstrings

    def to_text(self, example: Example) -> list[dict[str, str]]:
        """Returns the example's pairs of ``inputs`` and ``targets``: one, several or none.

        Raises:
            DataError: a field that is needed is missing or of another kind, or a label is outside the set.
        """
        return [{"inputs": pair.inputs, "targets": pair.targets} for pair in self.form(example)]

    def read(self, split: str, data_dir: Path | None = None, *, labelled: bool = False) -> Iterator[TextPair]:
        """Yields the pairs of a split, as they are read, with their contexts.

        Args:
            split: "train", "validation" or "test".
            data_dir: read a folder in place of the hub.
            labelled: refuse examples without a label, see ``check_labelled``.

        Raises:
            DataError: no such split, or an example that cannot be shown: which file and line.
        """
        for _, pairs in self.read_examples(split, data_dir, labelled=labelled):
            yield from pairs

    def read_examples(
        self, split: str, data_dir: Path | None = None, *, labelled: bool = False
    ) -> Iterator[tuple[str, Sequence[TextPair]]]:
        """Yields where each example of a split stands, "file:line", and its pairs; see ``read``."""
        if isinstance(self.source, Documents):
            raise DataError("task", self.name, "its examples are made from documents: see examples()")
        for where, row in self.source.open(data_dir).rows(split):
            try:
                example = self._with_labels(row) if split == "test" else row
                if labelled:
                    self.check_labelled(example)
                pairs = self.form(example)
            except DataError as error:
                raise located(error, where) from error
            yield where, pairs

    def _with_labels(self, example: Example) -> Example:
        """An example of a test set with "no label" and no answers where files, like GLUE's own, have no such field."""
        columns = self.source.columns if isinstance(self.source, DataSet) else {}
        labels = (*self.label_fields, *(("label",) if "label" in columns else ()))
        absent = {name: UNLABELLED_ID for name in labels if is_absent(example, name)}
        return {**example, **absent, **{name: [] for name in self.answer_fields if is_absent(example, name)}}

    def check_labelled(self, example: Example) -> None:
        """Raises DataError for an example whose label is -1, or that has no answer: as in the test sets of the hub."""
        for name in self.label_fields:
            value = at(example, name)
            if whole(value) == UNLABELLED_ID:
                reason = (
                    f"task {self.name!r} has no label in this line: -1 means unlabelled in the hub's sets, as in test"
                )
                raise DataError(name, value, f"{reason} splits; give a file with labels, or leave such lines out")
        for name in self.answer_fields:
            if at(example, name) in ([], ()):
                reason = f"task {self.name!r} has no answer in this line, as in test sets"
                raise DataError(name, [], f"{reason}: give a file with answers, or leave such lines out")

    def examples(
        self, documents: Iterable[Document], seed: int, limit: int | None = None, exclude: Collection[str] = ()
    ) -> Iterator[TextPair]:
        """Yields what an embedded task makes of documents; see ``Documents.examples``."""
        if not isinstance(self.source, Documents):
            raise DataError("task", self.name, "its examples are not made from documents: see read()")
        return self.source.examples(self.name, documents, seed, limit, exclude)

    def score(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> dict[str, float]:
        """Returns every metric x100 by name.

        Args:
            targets: as ``to_text`` gives them.
            predictions: the model's text for each.
            contexts: what the metrics need of each example, as pairs carry it: ``{"answers": [...]}`` for SQuAD,
                ``{"idx": {...}}`` for MultiRC, both for ReCoRD, ``{"label": 0 or 1}`` for WSC.

        Raises:
            DataError: lists of different lengths, a target outside the set of labels, a context without a field.
        """
        self.check(targets, predictions, contexts)
        read = {reading: reading(targets, predictions, contexts) for reading in self._readings}
        return {metric.name: float(metric.aggregate(read[metric.reading])) for metric in self.metrics}

    def invalid(self, predictions: Sequence[str]) -> int:
        """Returns how many outputs are nothing that a target can be (no label, no number): they count as wrong."""
        return max((reading.invalid(predictions) for reading in self._readings), default=0)

    def note(self, targets: Sequence[str]) -> str:
        """Returns what the scores have to be read with, in one line; "" where there is nothing to say."""
        notes = (reading.note(targets) for reading in self._readings if isinstance(reading, Summaries | Translations))
        return "; ".join(filter(None, notes))

    def main_score(self, scores: Mapping[str, float]) -> float:
        """Returns the number that ranks rows, from the result of ``score``."""
        return sum(scores[metric.name] for metric in self._ranking) / len(self._ranking)

    def example_scores(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> Floats:
        """Returns float64 [U, k] of the main metric, for a bootstrap; a unit U is what may be drawn by itself."""
        return self.main.example_scores(targets, predictions, contexts)

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns the main metric x100 of ``example_scores`` (float64 [S] of a stack [S, U, k])."""
        return self.main.aggregate(scores_Uk)

    def check(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> None:
        """Raises DataError for lists of different lengths and for targets that no output can be held against."""
        if len(predictions) != len(targets):
            raise DataError("predictions", len(predictions), f"there are {len(targets)} targets: give one for each")
        if contexts is not None and len(contexts) != len(targets):
            raise DataError("contexts", len(contexts), f"there are {len(targets)} targets: give one for each")
        for i, target in enumerate(targets):
            try:
                self.check_row(target, {} if contexts is None else contexts[i])
            except DataError as error:
                raise located(error, f"row {i + 1}") from error

    def check_row(self, target: str, context: Context) -> None:
        """Raises DataError when no output can be held against a target, or its context lacks what a metric needs."""
        for reading in self._readings:
            reading.check(target, context)

    @property
    def _readings(self) -> tuple[Reading, ...]:
        return tuple(dict.fromkeys(metric.reading for metric in self.metrics))

    @property
    def _ranking(self) -> tuple[Metric, ...]:
        names = self.ranked_by or self.metric_names[:1]
        return tuple(metric for metric in self.metrics if metric.name in names)


__all__ = ["Context", "Example", "Form", "Task"]
