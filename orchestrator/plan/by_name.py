"""Functions by name: what is sent to another process, or written into a table, in place of the function itself."""

import importlib
from collections.abc import Callable
from typing import Any

from t5core.errors import ConfigError


def reference(function: Callable[..., Any]) -> str:
    """Returns "module:name" of a top-level function.

    Raises:
        ConfigError: when the function cannot be found again under that name.
    """
    name = f"{function.__module__}:{function.__qualname__}"
    if "<" in name or function.__module__ == "__main__":
        raise ConfigError("function", name, "workers import functions by name: give a top-level function of a module")
    return name


def resolve(name: str) -> Callable[..., Any]:
    """Returns the function that `reference` named."""
    module, _, qualname = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    assert callable(found), name
    function: Callable[..., Any] = found
    return function
