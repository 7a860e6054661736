"""Forms that many tasks share, and how a field is read from an example.

Labelled("mnli", ("hypothesis", "premise"), labels)
{"premise": "Rain fell.", "hypothesis": "It rained.", "label": 0}
──► inputs "mnli hypothesis: It rained. premise: Rain fell.", targets "entailment"
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from t5core.errors import DataError
from t5core.tasks.pair import TextPair

UNLABELLED = "<unk>"
"""The target of an example whose label is not known, as in test sets; hub sets write the label -1."""


@dataclass(frozen=True)
class Labelled:
    """A class asked for as text: ``<prefix> <key>: <text> <key>: <text>``.

    An example that is not labelled (-1) has the target ``<unk>``. Labels are class ids, as on the hub.

    Attributes:
        prefix: the benchmark's name in the text.
        fields: fields in the order in which they are shown, as keys or as (key, field).
        labels: texts of the classes, by id.
        edit: what is done to the finished input.
        context: names of further fields that the scorer needs.
    """

    prefix: str
    fields: tuple[str | tuple[str, str], ...]
    labels: tuple[str, ...]
    edit: Callable[[str], str] | None = field(default=None, compare=False)
    context: tuple[str, ...] = ()

    def __call__(self, example: Mapping[str, Any]) -> list[TextPair]:
        """Returns the one pair of an example.

        Raises:
            DataError: a field is missing or no text; a label is outside the set.
        """
        parts = [self.prefix]
        for shown in self.fields:
            key, name = (shown, shown) if isinstance(shown, str) else shown
            parts.append(f"{key}: {text(example, name)}")
        inputs = " ".join(parts)
        if self.edit is not None:
            inputs = self.edit(inputs)
        return [TextPair(inputs=inputs, targets=label(example, self.labels), context=kept(example, self.context))]


def given(example: Mapping[str, Any]) -> list[TextPair]:
    """The form of examples that are pairs of text already, with ``inputs`` and ``targets``.

    Raises:
        DataError: a field is missing or no text.
    """
    context = example.get("context", {})
    if not isinstance(context, Mapping):
        raise DataError("context", _short(context), "this field has to be an object")
    return [TextPair(inputs=text(example, "inputs"), targets=text(example, "targets"), context=context)]


def text(example: Mapping[str, Any], name: str) -> str:
    """Returns a field that has to be text; "translation.en" looks into an object.

    Raises:
        DataError: it is missing or no text.
    """
    value = example.get(name) if "." not in name else at(example, name)
    if isinstance(value, str):
        return value
    if value is None:
        raise DataError(name, None, f"the example has no such field, only {_fields(example)}")
    raise DataError(name, _short(value), "this field has to be text")


def texts(example: Mapping[str, Any], name: str) -> list[str]:
    """Returns a field that has to be a list of texts.

    Raises:
        DataError: it is missing or no such list.
    """
    value = at(example, name)
    if value is None:
        raise DataError(name, None, f"the example has no such field, only {_fields(example)}")
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise DataError(name, _short(value), "this field has to be a list of texts")
    return list(value)


def integer(example: Mapping[str, Any], name: str) -> int:
    """Returns a field that has to be a whole number; 1.0 is one.

    Raises:
        DataError: it is missing or no whole number.
    """
    value = example.get(name)
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    if value is None:
        raise DataError(name, None, f"the example has no such field, only {_fields(example)}")
    raise DataError(name, _short(value), "this field has to be a whole number")


def label(example: Mapping[str, Any], labels: tuple[str, ...], name: str = "label") -> str:
    """Returns the text of an example's class id, ``<unk>`` for -1.

    Raises:
        DataError: it is missing, no whole number, or outside the set.
    """
    value = example.get(name)
    if type(value) is not int:
        value = integer(example, name)
    if 0 <= value < len(labels):
        return labels[value]
    if value == -1:
        return UNLABELLED
    known = ", ".join(f"{i} {one}" for i, one in enumerate(labels))
    raise DataError(name, value, f"labels are {known}, and -1 for none")


def kept(example: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Returns those of the fields that the example has: what a scorer may ask for."""
    return {name: example[name] for name in names if name in example}


def at(example: Mapping[str, Any], name: str) -> Any:
    """Returns ``example["translation"]["en"]`` for "translation.en"; None where it is not there."""
    value: Any = example
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _fields(example: Mapping[str, Any]) -> str:
    return ", ".join(map(str, example)) or "nothing"


def _short(value: object) -> object:
    shown = repr(value)
    return value if len(shown) <= 60 else f"{shown[:57]}..."
