"""Where a machine keeps what can be made again: one folder per user, ``~/.cache/t5grid`` or ``$T5GRID_CACHE``."""

import os
from pathlib import Path

CACHE_VARIABLE = "T5GRID_CACHE"


def user_cache_dir() -> Path:
    """Returns ``$T5GRID_CACHE``, else ``t5grid`` in the user's cache folder: ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (caches if caches.is_absolute() else Path.home() / ".cache") / "t5grid"
