"""t5core: the science of t5grid, useful by itself: text, objectives, tasks, the T5 model, training, decoding.

    from t5core import from_hf, generate, to_hf

These names are looked up when they are first asked for: importing ``t5core`` takes no time, and its text rooms are
used without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from t5core.decoding import generate as generate
    from t5core.interchange import from_hf as from_hf
    from t5core.interchange import to_hf as to_hf

__all__ = ["from_hf", "generate", "to_hf"]

_HOMES = {"from_hf": "t5core.interchange", "generate": "t5core.decoding", "to_hf": "t5core.interchange"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
