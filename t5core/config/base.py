"""What every config is: plain values that are checked, compared, hashed and written as JSON."""

import dataclasses
import json
import numbers
import types
import typing
from dataclasses import dataclass
from typing import Any, Self

from t5core.errors import ConfigError, did_you_mean

_HINTS: dict[type, dict[str, Any]] = {}
"""Class -> its fields' types, as far as they were asked for."""


def unhashed(default: Any) -> Any:
    """A field with ``default`` that does not count towards a run's identity (log interval, device name)."""
    return dataclasses.field(default=default, metadata={"hashed": False})


def added(default: Any) -> Any:
    """A field that came after results were stored: it counts unless it is ``default``, as all did before."""
    return dataclasses.field(default=default, metadata={"added": True})


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of all configs: JSON round trip, fingerprint, checks that name the field."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, nested configs as dicts, tuples as lists."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def fingerprint(self) -> dict[str, Any]:
        """Returns ``to_dict()`` without the fields that are declared not to count, or not to count as they are."""
        out = {}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if f.metadata.get("hashed", True) and not (f.metadata.get("added") and value == f.default):
                out[f.name] = value.fingerprint() if isinstance(value, Config) else _plain(value)
        return out

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuilds a config from ``to_dict()``'s output; raises ConfigError for unknown fields."""
        hints = _hints(cls)
        names = [f.name for f in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                way_out = f"no such field in {cls.__name__}; it has {', '.join(names)}"
                raise ConfigError(name, values[name], way_out + did_you_mean(name, names))
        return cls(**{name: _typed(hints[name], value) for name, value in values.items()})

    def to_json(self) -> str:
        """Returns one line of JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuilds a config from ``to_json()``'s output."""
        return cls.from_dict(json.loads(text))

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with some fields changed (and checked again)."""
        return dataclasses.replace(self, **changes)

    def _positive(self, *names: str) -> None:
        optional = {f.name for f in dataclasses.fields(self) if f.default is None}
        for name in names:
            value = getattr(self, name)
            if value is None and name in optional:
                continue
            if not isinstance(value, numbers.Real) or not float(value) > 0:
                raise ConfigError(name, value, "give a number above 0")

    def _one_of(self, *names: str) -> None:
        """Checks fields that are typed by a Literal."""
        hints = _hints(type(self))
        for name in names:
            choices = typing.get_args(hints[name])
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(name, value, f"choose one of {', '.join(choices)}", choices=choices)


def _hints(of: type) -> dict[str, Any]:
    """The types of a class's fields, which it takes a while to resolve."""
    if of not in _HINTS:
        _HINTS[of] = typing.get_type_hints(of)
    return _HINTS[of]


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value


def _typed(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [h for h in typing.get_args(hint) if h is not types.NoneType]
        return _typed(inner[0], value) if len(inner) == 1 else value
    if origin is tuple:
        item = typing.get_args(hint)[0]
        return tuple(_typed(item, v) for v in value)
    if isinstance(hint, type) and issubclass(hint, Config) and isinstance(value, dict):
        return hint.from_dict(value)
    return value
