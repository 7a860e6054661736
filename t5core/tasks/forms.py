"""Forms that many tasks share, and how a field is read from an example.

Labelled("mnli", ("hypothesis", "premise"), labels)
{"premise": "Rain fell.", "hypothesis": "It rained.", "label": 0}
──► inputs "mnli hypothesis: It rained. premise: Rain fell.", targets "entailment"
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from t5core.errors import DataError, did_you_mean
from t5core.tasks.labels import UNLABELLED_ID, class_id, with_ids
from t5core.tasks.pair import TextPair
from t5core.tasks.values import is_nothing, short, whole

UNLABELLED = "<unk>"
"""The target of an example whose label is not known, as in test sets; hub sets write the label -1."""


@dataclass(frozen=True)
class Labelled:
    """A class asked for as text: ``<prefix> <key>: <text> <key>: <text>``.

    An example that is not labelled (-1) has the target ``<unk>``. Labels are class ids, as on the hub, or their texts.

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
        raise DataError("context", short(context), "this field has to be an object")
    return [TextPair(inputs=text(example, "inputs"), targets=text(example, "targets"), context=context)]


def text(example: Mapping[str, Any], name: str) -> str:
    """Returns a field that has to be text; "translation.en" looks into an object where no field is called so.

    Raises:
        DataError: it is missing or no text.
    """
    value = at(example, name)
    if isinstance(value, str):
        return value
    if is_nothing(value):
        raise missing(example, name)
    raise DataError(name, short(value), "this field has to be text")


def texts(example: Mapping[str, Any], name: str) -> list[str]:
    """Returns a field that has to be a list of texts.

    Raises:
        DataError: it is missing or no such list.
    """
    value = at(example, name)
    if is_nothing(value):
        raise missing(example, name)
    if not isinstance(value, list | tuple):
        raise DataError(name, short(value), "this field has to be a list of texts")
    for number, item in enumerate(value, start=1):
        if not isinstance(item, str):
            what = "null" if item is None else f"{short(item)!r}, no text"
            reason = f"this field has to be a list of texts, and number {number} of {len(value)} in it is {what}"
            raise DataError(name, short(value), f"{reason}: {_WAY_OUT}")
    return list(value)


def integer(example: Mapping[str, Any], name: str) -> int:
    """Returns a field that has to be a whole number; 1.0 is one, and so is "1".

    Raises:
        DataError: it is missing or no whole number.
    """
    value = at(example, name)
    number = whole(value)
    if number is not None:
        return number
    if is_nothing(value):
        raise missing(example, name)
    raise DataError(name, short(value), "this field has to be a whole number")


def label(example: Mapping[str, Any], labels: tuple[str, ...], name: str = "label") -> str:
    """Returns the text of an example's label, given as a class id or as that text, ``<unk>`` for -1.

    Raises:
        DataError: it is missing, neither a whole number nor one of the texts, or outside the set; it may be two labels,
            as "1" that is another label than the one whose id it is, see ``class_id``.
    """
    value = at(example, name)
    number = class_id(value, labels, name)
    if number is not None and 0 <= number < len(labels):
        return labels[number]
    if number == UNLABELLED_ID:
        return UNLABELLED
    if is_nothing(value):
        raise missing(example, name)
    if value == "":
        raise DataError(name, value, f"{name} is empty in this line: {_WAY_OUT}")
    way_out = ": give the id, a whole number, or the text" if number is None else ""
    raise DataError(name, short(value), f"labels are {with_ids(labels)}, and -1 for none{way_out}", choices=labels)


def kept(example: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Returns those of the fields that the example has: what a scorer may ask for."""
    return {name: example[name] for name in names if name in example}


_ABSENT = object()
_WAY_OUT = "give it a value, or leave the line out"


def at(example: Mapping[str, Any], name: str, otherwise: Any = None) -> Any:
    """Returns ``example["translation.en"]``, or where that is not there ``example["translation"]["en"]``."""
    if name in example:
        return example[name]
    for place, sign in enumerate(name):
        inner = example.get(name[:place]) if sign == "." else None
        if isinstance(inner, Mapping) and (value := at(inner, name[place + 1 :], _ABSENT)) is not _ABSENT:
            return value
    return otherwise


def is_absent(example: Mapping[str, Any], name: str) -> bool:
    """Whether an example has no such field at all, not even one that is null or within an object that is."""
    return at(example, name, _ABSENT) is _ABSENT and nothing_there(example, name) is None


def missing(example: Mapping[str, Any], name: str) -> DataError:
    """Returns the error of a field that an example needs and has not: is it null, or not there at all?"""
    hint = about_dots(example, name) or did_you_mean(name, map(str, example))
    return nothing_there(example, name) or DataError(
        name, None, f"the example has no such field, only {names_in(example)}{hint}"
    )


def nothing_there(example: Mapping[str, Any], name: str) -> DataError | None:
    """Returns the error of a field that is null or NaN, or is within an object that is; None where it is not there."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        value = at(example, prefix := ".".join(parts[:count]), _ABSENT)
        if is_nothing(value):
            what = "null" if value is None else "NaN, which is no value,"
            return DataError(name, value, f"{prefix} is {what} in this line: {_WAY_OUT}")
    return None


def names_in(example: Mapping[str, Any]) -> str:
    """Returns the names of an example's fields, for messages."""
    return ", ".join(map(str, example)) or "nothing"


def all_names_in(example: Mapping[str, Any]) -> list[str]:
    """Returns the names that lead to a value, also within objects: "text", "translation.en"."""
    names = []
    for name, value in example.items():
        names += [f"{name}.{inner}" for inner in all_names_in(value)] if isinstance(value, Mapping) else [str(name)]
    return names


def about_dots(example: Mapping[str, Any], name: str) -> str:
    """Returns what is to be said of a name with dots, and how far it leads, for messages; "" of others."""
    if "." not in name:
        return ""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        prefix = ".".join(parts[:count])
        if (found := at(example, prefix, _ABSENT)) is not _ABSENT:
            inside = f"has {names_in(found)}" if isinstance(found, Mapping) else "is no object"
            return f"; dots look into objects, and {prefix} {inside}"
    return f"; dots look into objects, and there is no {parts[0]}"
