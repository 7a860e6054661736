"""What was decided at start, and why."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One thing that was decided at start, and why: printed before a run and kept with its result."""

    what: str
    value: str
    why: str
