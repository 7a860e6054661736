"""What readers and forms share: where an example stands, whole numbers, values that are none and texts without any."""

import math
import unicodedata
from decimal import Decimal
from typing import Any

from t5core.errors import DataError


def located(error: DataError, where: str) -> DataError:
    """Returns the same error with the place where it happened in front: "cola.jsonl:3: label=7: ..."."""
    out = DataError.__new__(DataError)
    ValueError.__init__(out, f"{where}: {error}")
    out.field, out.value = error.field, error.value
    return out


def short(value: Any) -> Any:
    """Returns a value as messages show it: cut where it is long."""
    if isinstance(value, str):
        return value if len(value) <= 60 else f"{value[:57]}..."
    if isinstance(value, bytes):
        return value if len(value) <= 60 else value[:57] + b"..."
    shown = repr(value)
    return value if len(shown) <= 60 else f"{shown[:57]}..."


def whole(value: object) -> int | None:
    """Returns the whole number that a value is, also as 1.0, "1", "1.0" or a decimal; None where it is none."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else None
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return None


def is_nothing(value: object) -> bool:
    """Whether a value stands for none: null, or NaN, as which tables of floats write it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_blank(text: str) -> bool:
    """Whether a text has nothing to read: white space, and characters that only format or control others."""
    return not any(not sign.isspace() and unicodedata.category(sign) not in ("Cf", "Cc") for sign in text)
