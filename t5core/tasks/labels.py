"""Which class a label is: its id, or its text as files write it.

    class_id(1, ("negative", "positive"), "label")        1
    class_id("positive", ("negative", "positive"), ...)   1
    class_id(True, ("true", "false"), ...)                0: the label of that text comes before an id
    class_id("1", ("1", "2", "3"), ...)                   refused: the text of one label and the id of another

Nothing is guessed: what may be two labels is refused, since an inverted label is never noticed.
"""

import unicodedata
from decimal import Decimal
from functools import lru_cache

from t5core.errors import DataError
from t5core.tasks.values import is_nothing, whole

UNLABELLED_ID = -1
_TRUTH = {"false": 0, "true": 1}  # as JSON's false and true are written in CSV files
_TRUTH_WORDS = {*_TRUTH, "no", "yes"}


def class_id(value: object, labels: tuple[str, ...], name: str) -> int | None:
    """Returns the id that a value is, or whose text it is; None where it is neither. It may be none of the labels'.

    Texts are compared in Unicode's normal form C, true and false in any case.

    Args:
        value: of the field.
        labels: texts of the classes, by id.
        name: of the field, for messages.

    Raises:
        DataError: it is the text of one label and the id of another, or true or false where that tells no label.
    """
    if type(value) is bool or isinstance(value, str):
        written = _normal(str(value))
        if written.lower() in _TRUTH:
            return _truth(written, value, labels, name)
    elif is_nothing(value) or not isinstance(value, int | float | Decimal):
        return None
    else:
        written = str(value)
    texts, numbers = _places(labels)
    number = whole(value)
    place = texts.get(written)
    if place is None and number is not None:
        place = numbers.get(number)
    return number if place is None else _told(place, number, value, labels, name)


def with_ids(labels: tuple[str, ...]) -> str:
    """Returns the labels with their ids, for messages."""
    return ", ".join(f"{i} {one}" for i, one in enumerate(labels))


def _truth(written: str, value: object, labels: tuple[str, ...], name: str) -> int:
    """The id of true or false: of the label that says so, or where none of two is such a word 0 and 1."""
    texts, numbers = _places(labels)
    if written in texts:
        return texts[written]
    same = [place for text, place in texts.items() if text.lower() == written.lower()]
    if len(same) == 1:
        return same[0]
    number = _TRUTH[written.lower()]
    if len(labels) != 2 or any(text.lower() in _TRUTH_WORDS for text in texts):
        reason = f"it does not tell which of the labels is meant ({with_ids(labels)})"
        raise DataError(name, value, f"{reason}: give the id, a whole number, or the text of one of them")
    return _told(numbers.get(number, number), number, value, labels, name)


def _told(place: int, number: int | None, value: object, labels: tuple[str, ...], name: str) -> int:
    """The place of a label with this text; refused where its number is the id of another, or -1."""
    if number is None or number == place or not UNLABELLED_ID <= number < len(labels):
        return place
    other = "means no label" if number == UNLABELLED_ID else "is the id of another"
    way_out = "give labels that are words, in the order of ids, or no labels: a template shows the field as it is"
    raise DataError(name, value, f"it is the text of one label and {other} ({with_ids(labels)}): {way_out}")


@lru_cache(maxsize=32)
def _places(labels: tuple[str, ...]) -> tuple[dict[str, int], dict[int, int]]:
    """The place of each label by its text, and of those that are numbers by that."""
    texts: dict[str, int] = {}
    numbers: dict[int, int] = {}
    for place, one in enumerate(labels):
        texts.setdefault(_normal(one), place)
        if (number := whole(one)) is not None:
            numbers.setdefault(number, place)
    return texts, numbers


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())
