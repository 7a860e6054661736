"""Command lines that fail in one line, and what their words mean: numbers, and parts of a mix."""

import argparse
import math
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from t5core.errors import ConfigError, did_you_mean
from t5core.uris import masked

_MOST = (1 << 63) - 1
_MAX_DIGITS = 19
"""Of that number; int() takes long on far longer ones, or refuses them."""


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser that raises ConfigError where argparse prints its usage and leaves."""

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError with argparse's own sentence."""
        raise ConfigError("arguments", masked(message), f"see {self.prog} --help")


def whole_number(field: str, text: str, *, least: int = 0, most: int | None = None) -> int:
    """Returns the whole number that a user gave in ``field``.

    Args:
        field: the setting.
        text: as it was given. Parsers take numbers as text, so that what is wrong with one is said by its name.
        least: the smallest that can be used.
        most: the largest; None: what 64 bits hold.

    Raises:
        ConfigError: it is none, or out of these bounds.
    """
    largest = _MOST if most is None else most
    if not text.isdecimal() or len(text) > _MAX_DIGITS or not least <= int(text) <= largest:
        raise ConfigError(field, text, f"give a whole number from {least} up" + (f" to {most:,}" if most else ""))
    return int(text)


def real_number(field: str, text: str, way_out: str = "give a number") -> float:
    """Returns the number that a user gave in ``field``; raises ConfigError with ``way_out`` where it is none."""
    try:
        return float(text)
    except ValueError:
        raise ConfigError(field, text, way_out) from None


def parts_and_path(field: str, text: str) -> tuple[float, str]:
    """Returns the number and the path of ``PARTS:PATH``, as in ``10:english/``.

    Raises:
        ConfigError: in ``field``: something is missing, or the parts are no number above 0.
    """
    parts, colon, path = text.partition(":")
    if not colon or not path:
        raise ConfigError(field, masked(text), "give PARTS:PATH, like 10:english/ and 1:german/")
    try:
        number = float(parts)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ConfigError(field, masked(text), "give PARTS:PATH, with parts a number above 0, like 10:english/")
    return number, path


def said_of(error: ConfigError, field: str, parts: str, path: str, names: Iterable[str] = ()) -> ConfigError:
    """Returns what an error says about a path, said of the ``PARTS:PATH`` that a user gave in ``field``.

    Args:
        error: about the path, with the value that may be shown.
        field: the setting.
        parts: as they were given.
        path: as it was given.
        names: what could have been meant as well, for the "did you mean" hint.
    """
    reason = str(error).removeprefix(f"{error.field}={error.value!r}: ")
    with suppress(
        OSError, RuntimeError
    ):  # a closed folder, nobody's home: then the error says so, and there is no hint
        given = Path(path).expanduser()
        if "://" not in path and not given.exists():
            beside = [entry.name for entry in given.parent.iterdir()] if given.parent.is_dir() else []
            reason += did_you_mean(given.name, [*names, *sorted(beside)])
    return ConfigError(field, f"{parts}:{error.value}", reason)
