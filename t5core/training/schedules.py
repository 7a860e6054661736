"""Learning-rate schedules: functions from a step to a learning rate (paper section 3.1.2).

Source: Mesh TensorFlow's ``learning_rate_schedules``; computed in float64, equal to its float32 to 1e-6.
"""

import math
from collections.abc import Callable

from t5core.config import ScheduleConfig

Schedule = Callable[[int], float]


def inverse_sqrt(warmup_steps: int = 10_000, learning_rate: float | None = None) -> Schedule:
    """Returns ``1 / sqrt(max(step, warmup_steps))``, scaled to ``learning_rate`` during warm-up if one is given."""
    top = 1.0 / math.sqrt(warmup_steps) if learning_rate is None else learning_rate
    return lambda step: top * math.sqrt(warmup_steps / max(step, warmup_steps))


def constant(value: float = 0.001) -> Schedule:
    """Returns the same rate at every step."""
    return lambda step: value


def triangular(
    total_steps: int, cut_fraction: float = 0.1, ratio: float = 32.0, max_learning_rate: float = 0.01
) -> Schedule:
    """Returns the slanted triangle: up over ``cut_fraction`` of the steps, then down; its ends are top / ratio."""
    cut = max(1, int(total_steps * cut_fraction))

    def rate(step: int) -> float:
        share = step / cut if step < cut else 1.0 - (step - cut) / (cut * (1.0 / cut_fraction - 1.0))
        return max_learning_rate * (1.0 + share * (ratio - 1.0)) / ratio

    return rate


def schedule_of(config: ScheduleConfig, total_steps: int) -> Schedule:
    """Returns the schedule a config asks for; ``total_steps`` matters to "triangular" only."""
    if config.kind == "inverse_sqrt":
        return inverse_sqrt(config.warmup_steps, config.learning_rate)
    if config.kind == "constant":
        return constant(config.learning_rate)
    return triangular(total_steps, config.cut_fraction, config.ratio, config.learning_rate)
