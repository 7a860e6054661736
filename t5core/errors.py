"""Errors that a user can act on.

Every one of them names the field, the value it had and the way out, on one line, because a command line
prints exactly that line and leaves with exit code 2:

    >>> raise ConfigError("scale", "tinny", "choose one of tiny, mini, paper", choices=["tiny", "mini", "paper"])
    ConfigError: scale='tinny': choose one of tiny, mini, paper (did you mean 'tiny'?)
"""

import difflib
from collections.abc import Iterable

from t5core.masking import masked


def did_you_mean(value: str, choices: Iterable[str]) -> str:
    """Returns ``" (did you mean 'x'?)"`` for the closest of ``choices``, or ``""`` when none is close."""
    close = difflib.get_close_matches(value, list(choices), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


class ConfigError(ValueError):
    """A setting that cannot be used: which field, what it was, and what to do instead. No password in it is shown.

    Args:
        field: the name of the setting, as the user wrote it.
        value: the value it had.
        way_out: what to do about it, in a few words.
        choices: known names, for the "did you mean" hint.
    """

    def __init__(self, field: str, value: object, way_out: str, *, choices: Iterable[str] = ()) -> None:
        hint = did_you_mean(value, choices) if isinstance(value, str) else ""
        if isinstance(value, str):
            value = masked(value)
        super().__init__(f"{field}={value!r}: {masked(way_out)}{hint}")
        self.field = field
        self.value = value

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuilds the error from its finished message, so that it survives the way between processes."""
        return (_rebuild, (type(self), str(self), self.field, self.value))


def _rebuild(cls: type[ConfigError], message: str, field: str, value: object) -> ConfigError:
    error = cls.__new__(cls)
    ValueError.__init__(error, message)
    error.field = field
    error.value = value
    return error


class DataError(ConfigError):
    """Text, tokens or examples that cannot be used; same one-line form as ConfigError."""


class CheckpointError(ConfigError):
    """A checkpoint that is missing, cut short or altered; same one-line form as ConfigError."""


class NonFiniteLoss(ArithmeticError):
    """The loss, or what it made of the weights, is NaN or infinite: training stops with the step and its batch saved.

    Args:
        step: counted from 0, the index of its batch.
        value: what was found.
        saved: the file with the batch.
        what: "loss" or "weights".
    """

    def __init__(self, step: int, value: float, saved: str, what: str = "loss") -> None:
        way_out = f"training stopped; the batch of that step was saved to {saved}"
        super().__init__(f"{what}={value} at step {step}: {way_out}")
        self.step = step

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuilds the error from its finished message."""
        return (_rebuild_nonfinite, (str(self), self.step))


def _rebuild_nonfinite(message: str, step: int) -> NonFiniteLoss:
    error = NonFiniteLoss.__new__(NonFiniteLoss)
    ArithmeticError.__init__(error, message)
    error.step = step
    return error
