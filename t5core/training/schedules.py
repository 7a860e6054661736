"""Learning-rate schedules: functions from a step to a learning rate (paper section 3.1.2; "linear" is not the paper's).

    rate = inverse_sqrt()      rate(0) == 0.01      rate(40_000) == 0.005      rate(np.arange(5)).shape == (5,)

A schedule takes one step, as any kind of whole number, and gives a float, or an array of steps and gives a float64
array. Source: Mesh TensorFlow's ``learning_rate_schedules``; computed in float64, equal to its float32 to 1e-6. The
source's triangle goes on falling when its steps are over and soon gives negative rates; here rates end at 0.
"""

import math
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from t5core.config import ScheduleConfig

Rates = npt.NDArray[np.float64]


class Schedule(Protocol):
    """A function from steps, counted from 0, to learning rates."""

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: npt.NDArray[Any]) -> Rates: ...
    def __call__(self, step: Any) -> Any:
        """Returns the rate at a step, or at each step of an array."""


def inverse_sqrt(warmup_steps: int = 10_000, learning_rate: float | None = None) -> Schedule:
    """Returns ``1 / sqrt(max(step, warmup_steps))``, scaled to ``learning_rate`` during warm-up if one is given."""
    top = 1.0 / math.sqrt(warmup_steps) if learning_rate is None else learning_rate
    return _of_steps(lambda step: top * np.sqrt(warmup_steps / np.maximum(step, warmup_steps)))


def constant(value: float = 0.001) -> Schedule:
    """Returns the same rate at every step."""
    return _of_steps(lambda step: np.full_like(step, value))


def triangular(
    total_train_steps: int,
    cut_fraction: float = 0.1,
    ratio: float = 32.0,
    max_learning_rate: float = 0.01,
    start_step: int = 0,
) -> Schedule:
    """Returns the slanted triangle: up over ``cut_fraction`` of the steps, then down; its ends are top / ratio.

    Args:
        total_train_steps: of the triangle.
        cut_fraction: share of them until the top.
        ratio: of the top to the ends.
        max_learning_rate: the top.
        start_step: the step at which the triangle begins, for counters that go on after pre-training.
    """
    cut = max(1, math.floor(total_train_steps * cut_fraction))
    fall = max(cut * (1.0 / cut_fraction - 1.0), 1e-9)  # no steps to fall in at a cut fraction of 1

    def rate(step: Rates) -> Rates:
        done = step - start_step
        share = np.where(done < cut, done / cut, 1.0 - (done - cut) / fall)
        return np.maximum(max_learning_rate * (1.0 + share * (ratio - 1.0)) / ratio, 0.0)

    return _of_steps(rate)


def linear(total_train_steps: int, learning_rate: float = 0.01, start_step: int = 0) -> Schedule:
    """Returns a straight line from ``learning_rate`` to 0, which is the rate of the step after the last.

    Args:
        total_train_steps: of the line.
        learning_rate: the first step's.
        start_step: the step at which the line begins, for counters that go on after pre-training.
    """
    return _of_steps(lambda step: learning_rate * np.clip(1.0 - (step - start_step) / total_train_steps, 0.0, 1.0))


def schedule_of(config: ScheduleConfig, total_steps: int) -> Schedule:
    """Returns the schedule a config asks for; ``total_steps`` matters to those that are laid over a run."""
    if config.kind == "inverse_sqrt":
        return inverse_sqrt(config.warmup_steps, config.learning_rate)
    if config.kind == "constant":
        return constant(config.learning_rate)
    if config.kind == "linear":
        return linear(total_steps, config.learning_rate)
    return triangular(total_steps, config.cut_fraction, config.ratio, config.learning_rate)


def _of_steps(rates: Any) -> Schedule:
    def schedule(step: Any) -> Any:
        found = rates(np.asarray(step, dtype=np.float64))
        return float(found) if np.ndim(step) == 0 else found

    return schedule
