"""A user's own task: one YAML file, or a Python file with one ``Task``.

    name: dialogsum
    source: data/dialogsum                     # a folder with train.jsonl.gz, validation.csv, ... beside this file,
                                               # or {path: owner/name, revision: commit, config: ..., splits: {...}}
    inputs: "summarize dialogue: {dialogue}"   # {field}, {field.inner}, {{ for a brace
    targets: "{summary}"
    metrics: [rouge]                           # see METRICS
    ranked_by: [rouge2]                        # optional: by default the first metric
    lengths: {inputs: 512, targets: 128}       # optional
    chance: 0                                  # optional, x100

Names with dots look into objects, ``{field.inner}``, where no field or column is called so itself.

Labels: ``labels: {label: [negative, positive]}`` turns the class ids of the field ``label`` into these texts, and takes
the texts as they are; the target is then ``"{label}"``. -1 is "no label": ``<unk>`` in test sets, and refused where
examples are trained on or judged by. Answers: ``answers: answers.text`` names the field that holds all accepted
answers, for ``squad``.

A Python file is executed, with all that this means, and only when its path is given: one variable in it holds a
``Task``.
"""

from __future__ import annotations

import importlib.util
import string
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from t5core.errors import ConfigError, DataError
from t5core.metrics import (
    F1,
    Accuracy,
    Bleu,
    Classes,
    ExactMatch,
    Matthews,
    MeanF1,
    Metric,
    Pearson,
    Rouge,
    SameText,
    Spearman,
    Summaries,
    TokenF1,
    Translations,
)
from t5core.tasks.forms import about_dots, all_names_in, at, label, names_in, nothing_there, texts
from t5core.tasks.pair import TextPair
from t5core.tasks.sources import SPLITS, DataSet, Folder, Hub, located
from t5core.tasks.task import Task
from t5core.tasks.values import is_blank, is_nothing, short

Labels = tuple[str, ...]
METRICS: Mapping[str, Callable[[Labels], tuple[Metric, ...]]] = MappingProxyType(
    {
        "accuracy": lambda labels: (Accuracy(Classes(labels) if labels else SameText()),),
        "f1": lambda labels: (F1(Classes(_needed(labels, "f1"))),),
        "mean_f1": lambda labels: (MeanF1(Classes(_needed(labels, "mean_f1"))),),
        "matthews": lambda labels: (Matthews(Classes(_needed(labels, "matthews"))),),
        "pearson": lambda _: (Pearson(),),
        "spearman": lambda _: (Spearman(),),
        "squad": lambda _: (ExactMatch(), TokenF1()),
        "rouge": lambda _: (Rouge("rouge1"), Rouge("rouge2"), Rouge("rougeLsum")),
        "bleu_characters": lambda _: (Bleu(Translations(tokenizer="char")),),
        "rouge_any_script": lambda _: tuple(
            Rouge(kind, Summaries(any_script=True)) for kind in ("rouge1", "rouge2", "rougeLsum")
        ),
        "bleu": lambda _: (Bleu(),),
    }
)
"""What ``metrics`` in a YAML file may name. "f1" is of two labels; "accuracy" without labels compares texts."""

_KEYS = (
    *("name", "source", "inputs", "targets", "metrics"),
    *("ranked_by", "labels", "answers", "lengths", "chance", "paper_column"),
)
_SOURCE_KEYS = ("path", "config", "revision", "splits")
_MOST_OF_HUB = 1000


@dataclass(frozen=True)
class Template:
    """Text with ``{field}`` places.

    Attributes:
        text: as the user wrote it.
        parts: literal text and the field behind it, if any, in turn.
    """

    text: str
    parts: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def parse(cls, name: str, text: object) -> Template:
        """Returns a template.

        Raises:
            ConfigError: no text, unbalanced braces, or a place that is more than a field's name.
        """
        if not isinstance(text, str) or not text:
            raise ConfigError(name, text, 'give a text with {field} places, like "summarize: {article}"')
        try:
            found = list(string.Formatter().parse(text))
        except ValueError as error:
            raise ConfigError(name, text, f"this is no template ({error}); write {{{{ for a brace") from error
        parts = []
        for literal, place, spec, conversion in found:
            if place is not None and (not place or spec or conversion):
                raise ConfigError(name, text, "a place is a field's name and nothing else: {field} or {field.inner}")
            parts.append((literal, place or ""))
        return cls(text, tuple(parts))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are named."""
        return tuple(place for _, place in self.parts if place)

    def fill(self, values: Mapping[str, str]) -> str:
        """Returns the text with ``values`` in its places."""
        return "".join(literal + (values[place] if place else "") for literal, place in self.parts)


@dataclass(frozen=True)
class Templated:
    """The form of a YAML task.

    Attributes:
        inputs, targets: what is shown and what is asked for.
        labels: texts of the classes by the field that holds their ids.
        answers: the field that holds all accepted answers.
        strict: whether a field that has no text is refused, as before training; to be answered, it may be empty.
    """

    inputs: Template
    targets: Template
    labels: Mapping[str, Labels]
    answers: str = ""
    strict: bool = False

    def __call__(self, example: Mapping[str, Any]) -> list[TextPair]:
        """Returns the one pair of an example.

        Raises:
            DataError: a template names a field that the example has not, or that is a list or object; a label is
                outside the set.
        """
        values = {name: self._value(example, name) for name in dict.fromkeys(self.inputs.fields + self.targets.fields)}
        context = {"answers": texts(example, self.answers)} if self.answers else {}
        if self.strict:
            for name, value in [*values.items(), *((self.answers, one) for one in context.get("answers", ()))]:
                if is_blank(value):
                    raise DataError(name, short(value), "this field has no text: give it one, or leave the line out")
        return [TextPair(inputs=self.inputs.fill(values), targets=self.targets.fill(values), context=context)]

    def _value(self, example: Mapping[str, Any], name: str) -> str:
        if name in self.labels:
            return label(example, self.labels[name], name)
        value = at(example, name)
        if is_nothing(value):
            raise nothing_there(example, name) or DataError(
                "template",
                name,
                f"names a field that the example has not; it has {names_in(example)}{about_dots(example, name)}",
                choices=all_names_in(example),
            )
        if isinstance(value, Mapping | list | tuple):
            reason = (
                "a template can show text and numbers; name an inner field, like {field.inner}: dots look into objects"
            )
            raise DataError(name, type(value).__name__, reason)
        return str(value)


def load_task(path: str) -> Task:
    """Returns the task of a YAML or Python file.

    Raises:
        ConfigError: no such file, not one task in it, a field that is missing, unknown or wrong: which.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError("tasks", path, "no such file")
    try:
        task = _from_python(file) if file.suffix == ".py" else _from_yaml(file)
        if not isinstance(task.name, str) or not task.name.replace("_", "").isalnum():  # it becomes files' names
            raise ConfigError("name", task.name, "give letters, digits and _")
        return task
    except DataError as error:
        raise located(error, path) from error
    except ConfigError as error:
        out = ConfigError(error.field, error.value, "")
        out.args = (f"{path}: {error}",)
        raise out from error


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What ``checked`` found.

    Attributes:
        pairs: the first of the first split, to be shown.
        examples: how many of each split were read and are good.
        whole: whether those are all examples.
    """

    pairs: Sequence[TextPair]
    examples: Mapping[str, int]
    whole: bool


def checked(task: Task, data_dir: Path | None = None, count: int = 3) -> Checked:
    """Tries a task on its training and validation examples: on all of a folder, on the first 1,000 each of the hub.

    Raises:
        DataError: the source cannot be read or has nothing, an example cannot be shown, has an empty text, in what is
            shown or in a field of a template, or no label, or its target is nothing that the metrics take: which file
            and line.
    """
    limit = None
    if isinstance(task.form, Templated):
        task = replace(task, form=replace(task.form, strict=True))
    if isinstance(task.source, DataSet) and not isinstance(task.source.open(data_dir), Folder):
        limit = _MOST_OF_HUB
    first: list[TextPair] = []
    examples = {}
    for split in task.splits:
        number = made = 0
        for where, pairs in islice(task.read_examples(split, data_dir, labelled=True), limit):
            number += 1
            made += len(pairs)
            for pair in pairs:
                try:
                    _check_pair(task, pair, f"{'training' if split == 'train' else split} example {number}")
                except DataError as error:
                    raise located(error, where) from error
            if split == task.splits[0] and len(first) < count:
                first.extend(pairs)
        if not made:
            reason = "has no example" if not number else f"gives no text of its {number:,} examples"
            raise DataError("source", task.name, f"its {split} split {reason}")
        examples[split] = number
    targets = [pair.targets for pair in first]
    task.score(targets, targets, [pair.context for pair in first])
    return Checked(pairs=first[:count], examples=examples, whole=limit is None)


def _check_pair(task: Task, pair: TextPair, which: str) -> None:
    for name, shown in (("inputs", pair.inputs), ("targets", pair.targets)):
        if is_blank(shown):
            raise DataError(name, short(shown), f"{which} has no text there: give it one, or leave the line out")
    task.check_row(pair.targets, pair.context)


def _from_yaml(file: Path) -> Task:
    import yaml  # type: ignore[import-untyped]

    try:
        given = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError("file", str(file), f"this is not YAML: {reason}") from error
    if not isinstance(given, dict):
        raise ConfigError("file", str(file), f"give {', '.join(_KEYS[:5])}, each with its value")
    for key in given:
        if key not in _KEYS:
            raise ConfigError("key", str(key), f"choose from {', '.join(_KEYS)}", choices=_KEYS)
    for key in _KEYS[:5]:
        if key not in given:
            raise ConfigError(key, None, "is missing")
    labels = _labels(given.get("labels", {}))
    every_label = next(iter(labels.values()), ())
    lengths = _object("lengths", given.get("lengths", {}), ("inputs", "targets"))
    form = Templated(
        Template.parse("inputs", given["inputs"]),
        Template.parse("targets", given["targets"]),
        labels,
        _text("answers", given.get("answers", "")),
    )
    names = (*form.inputs.fields, *form.targets.fields, *filter(None, [form.answers]))
    chance = given.get("chance", 0)
    if not isinstance(chance, int | float):
        raise ConfigError("chance", chance, "give a number, x100")
    return Task(
        name=given["name"],
        source=_source(given["source"], file.parent, _columns(names, labels, form.answers)),
        form=form,
        metrics=tuple(metric for name in _list("metrics", given["metrics"]) for metric in _metrics(name, every_label)),
        ranked_by=tuple(_list("ranked_by", given.get("ranked_by", []))),
        paper_column=_text("paper_column", given.get("paper_column", "")),
        max_inputs_tokens=_length(lengths, "inputs"),
        max_targets_tokens=_length(lengths, "targets"),
        chance=float(chance),
        label_fields=tuple(name for name in labels if name in form.targets.fields),
        answer_fields=(form.answers,) if form.answers else (),
    )


def _columns(names: Sequence[str], labels: Collection[str], answers: str) -> dict[str, str]:
    """How cells of a CSV file are read: as text, but lists of answers and the objects that dots look into as JSON."""
    outer = {name.partition(".")[0]: "json" for name in names}
    return {**outer, **{name: "json" if name == answers else "label" if name in labels else "text" for name in names}}


def _source(given: object, beside: Path, columns: Mapping[str, str]) -> DataSet:
    if isinstance(given, str):
        return DataSet(folder=beside / Path(given).expanduser(), columns=columns)
    values = _object("source", given, _SOURCE_KEYS)
    path = _text("source.path", values.get("path", ""))
    if not path:
        raise ConfigError("source", given, "give a folder, or {path: owner/name, revision: commit} of the hub")
    splits = values.get("splits", {split: split for split in SPLITS})
    splits = {str(key): str(value) for key, value in _object("source.splits", splits, SPLITS).items()}
    config = _text("source.config", values.get("config", ""))
    hub = Hub(path=path, revision=_text("source.revision", values.get("revision", "main")), config=config)
    name = path.rpartition("/")[2]
    return DataSet(hub=hub.of(config, splits), folders=(name,), columns=columns)


def _metrics(name: str, labels: Labels) -> tuple[Metric, ...]:
    if name not in METRICS:
        raise ConfigError("metrics", name, f"choose from {', '.join(METRICS)}", choices=METRICS)
    return METRICS[name](labels)


def _needed(labels: Labels, name: str) -> Labels:
    if not labels:
        raise ConfigError("metrics", name, "this metric needs labels: {field: [text, text]}")
    return labels


def _labels(given: object) -> dict[str, Labels]:
    values = _object("labels", given, None)
    if len(values) > 1:
        raise ConfigError("labels", given, "give one field")
    for name, names in values.items():
        if not isinstance(names, list) or len(names) < 2 or not all(isinstance(one, str) for one in names):
            raise ConfigError(f"labels.{name}", names, 'give two texts or more, in the order of their ids; quote "yes"')
    return {str(name): tuple(names) for name, names in values.items()}


def _object(name: str, given: object, keys: Sequence[str] | None) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ConfigError(name, given, f"give {{{', '.join(keys or ('name',))}}}, each with its value")
    for key in given:
        if keys is not None and key not in keys:
            raise ConfigError(f"{name} key", str(key), f"choose from {', '.join(keys)}", choices=keys)
    return given


def _list(name: str, given: object) -> list[str]:
    values = [given] if isinstance(given, str) else given
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise ConfigError(name, given, "give a list of names")
    if name == "metrics" and not values:
        raise ConfigError(name, given, f"choose from {', '.join(METRICS)}")
    return values


def _text(name: str, given: object) -> str:
    if not isinstance(given, str):
        raise ConfigError(name, given, "give a text")
    return given


def _length(lengths: Mapping[str, Any], name: str) -> int:
    value = lengths.get(name, 512)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"lengths.{name}", value, "give a number of tokens, 1 or more")
    return value


def _from_python(file: Path) -> Task:
    spec = importlib.util.spec_from_file_location(f"t5core_user_task_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ConfigError:
        raise
    except Exception as error:  # whatever a user's file raises is told in one line
        raise ConfigError("file", str(file), f"it does not run: {type(error).__name__}: {error}") from error
    tasks = {id(value): value for value in vars(module).values() if isinstance(value, Task)}
    if len(tasks) != 1:
        raise ConfigError("file", str(file), f"it holds {len(tasks)} tasks: give one variable with a Task")
    return next(iter(tasks.values()))
