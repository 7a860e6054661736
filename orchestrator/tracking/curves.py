"""A stage's curve as MLflow's points: read from the store, thinned, with timestamps that follow from the manifest."""

import json
import math
from collections.abc import Sequence
from typing import TypeVar

MAX_POINTS = 200
"""Points of a curve that are written per metric; the whole curve stays in the store."""

CURVE_FILE = "metrics.jsonl"
"""Where a stage writes its curve: one JSON object per line, ``step`` and numbers."""


T = TypeVar("T")


def curve_points(lines: str, start_ms: int, end_ms: int) -> list[tuple[str, float, int, int]]:
    """Reads a curve and thins it.

    Args:
        lines: JSON Lines with ``step`` and numbers. Of a step that a resumed run wrote twice, the last counts;
            a line that was cut short is passed over, and so are values that are not finite.
        start_ms: Unix time of the stage's start; the lines carry no time, so points are spread evenly over it.
        end_ms: and of its end.

    Returns:
        (metric, value, Unix time in ms, step), at most MAX_POINTS per metric, with its first and last point.
    """
    curves: dict[str, dict[int, float]] = {}
    for line in lines.splitlines():
        try:
            values = json.loads(line)
            step = int(values["step"])
        except (ValueError, KeyError, TypeError):
            continue
        for name, value in values.items():
            if name != "step" and is_number(value) and math.isfinite(value):
                curves.setdefault(name, {})[step] = float(value)
    points = []
    for name, curve in curves.items():
        steps = sorted(curve)
        last = steps[-1] or 1
        for step in thinned(steps, MAX_POINTS):
            points.append((name, curve[step], start_ms + (end_ms - start_ms) * max(step, 0) // max(last, 1), step))
    return points


def thinned(items: Sequence[T], most: int) -> list[T]:
    """Returns at most ``most`` (2 or more) of ``items``, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def is_number(value: object) -> bool:
    """Whether a value can be a metric: a number that is no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)
