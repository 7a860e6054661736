"""Which tasks tell the rows of a table apart, and the order that these tasks give.

*Signal-to-noise* of a task is the standard deviation of the rows' means over the standard deviation between seeds of a
row (root of the variance pooled over the rows that have several). It is of the numbers that the rows are ranked by:
bits per byte where every row has them, else scores. Rows that do not differ come to about one over the root of the
number of seeds. A task takes part in the order from ``SIGNAL_WANTED`` on.

*Standing*: on each task that takes part, a row's number less the mean of all rows, over the deviation of all rows, its
sign such that more is better; and the mean of that over these tasks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Literal

import numpy as np

from orchestrator.results.noise import Measured, Sample, average

Measure = Literal["score", "bits"]

SIGNAL_WANTED = 3.0
_ROWS_WANTED = 2


@dataclass(frozen=True, kw_only=True)
class Signal:
    """What a task can tell in this table.

    Attributes:
        measure: what the rows are ranked by on this task.
        ratios: measure -> signal-to-noise; None: not known, which takes two seeds in two rows.
        takes_part: whether the rows are ranked by it.
        constant: whether all rows have the same number.
        smallest: measure -> the smallest difference to the baseline that the table would mark in 4 of 5 cases, in the
            worst case of the correction for many marks; None: noise not known.
    """

    measure: Measure
    ratios: Mapping[Measure, float | None]
    takes_part: bool
    constant: bool
    smallest: Mapping[Measure, float | None] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Signal-to-noise of what the rows are ranked by; None: not known."""
        return self.ratios[self.measure]


def signal_to_noise(column: Measured) -> float | None:
    """Returns the deviation of the rows' means over that between seeds of a row; None: not known."""
    runs = [list(s.independent.values()) for s in column.samples.values()]
    several = [values for values in runs if len(values) > 1]
    if len(several) < _ROWS_WANTED:
        return None
    degrees = sum(len(values) - 1 for values in several)
    noise = math.sqrt(math.fsum(float(np.var(values)) * len(values) for values in several) / degrees)
    signal = _deviation(column)
    if signal == 0:
        return 0.0
    return signal / noise if noise > 0 else None


def smallest_difference(column: Measured, baseline: str, level: float) -> float | None:
    """Returns the median over rows of the difference to the baseline that is told at this level in 4 of 5 cases."""
    if baseline not in column:
        return None
    all_of_them = (column.difference(row, baseline).smallest(level) for row in column.samples if row != baseline)
    known = [value for value in all_of_them if value is not None]
    return median(known) if known else None


def signals(columns: Mapping[str, Mapping[Measure, Measured]]) -> dict[str, Signal]:
    """Returns what each task can tell, but for the smallest difference.

    A task whose signal-to-noise is not known takes part. Where none reaches what is wanted none is left out, but those
    on which all rows are the same.

    Args:
        columns: task -> measure -> its numbers; tasks without any number are left out.
    """
    found: dict[str, tuple[Measure, dict[Measure, float | None], bool]] = {}
    for task, measures in columns.items():
        if "score" in measures:
            complete = "bits" in measures and set(measures["bits"].samples) == set(measures["score"].samples)
            measure: Measure = "bits" if complete else "score"
            ratios = {name: signal_to_noise(column) for name, column in measures.items()}
            found[task] = (measure, ratios, _deviation(measures[measure]) == 0)
    strong = {task for task, (measure, ratios, same) in found.items() if not same and _strong(ratios[measure])}
    return {
        task: Signal(measure=measure, ratios=ratios, constant=same, takes_part=task in strong if strong else not same)
        for task, (measure, ratios, same) in found.items()
    }


def with_smallest(
    tasks: Mapping[str, Signal], columns: Mapping[str, Mapping[Measure, Measured]], baseline: str, level: float
) -> dict[str, Signal]:
    """Returns the tasks with the smallest difference that each can tell.

    Args:
        tasks: from ``signals``.
        columns: as there.
        baseline: the row that others are compared with.
        level: that one difference is held against: the table's, over the number of its marks.
    """
    return {
        task: replace(
            signal,
            smallest={name: smallest_difference(column, baseline, level) for name, column in columns[task].items()},
        )
        for task, signal in tasks.items()
    }


def standing(
    columns: Mapping[str, Mapping[Measure, Measured]],
    tasks: Mapping[str, Signal],
    scale: Mapping[str, Mapping[Measure, Measured]] | None = None,
) -> Measured:
    """Returns the rows' standing, of those that have every task that takes part; 0 for all where no task tells any.

    Args:
        columns: task -> measure -> the rows' numbers.
        tasks: what each can tell.
        scale: the columns whose means and deviations the numbers are held against; None: these.
    """
    chosen = [task for task, signal in tasks.items() if signal.takes_part] or list(tasks)
    parts = [columns.get(task, {}).get(tasks[task].measure, Measured({})) for task in chosen]
    against = parts if scale is None else [scale[task][tasks[task].measure] for task in chosen]
    rows, held_against = _complete(parts), _complete(against)
    if not held_against:
        return Measured({})
    of_row: dict[str, list[Sample]] = {row: [] for row in rows}
    for part, other in zip(parts, against, strict=True):
        values = [other.samples[row].value for row in held_against]
        deviation = deviation_of(values)
        for row in rows:
            scaled = part.samples[row].scaled(math.fsum(values) / len(values), part.better / (deviation or math.inf))
            of_row[row].append(scaled)
    return Measured({row: average(samples) for row, samples in of_row.items()})


def _complete(parts: Sequence[Measured]) -> list[str]:
    """The rows that have all of these."""
    return [row for row in parts[0].samples if all(row in part for part in parts)] if parts else []


def _strong(ratio: float | None) -> bool:
    return ratio is None or ratio >= SIGNAL_WANTED


def deviation_of(values: Sequence[float]) -> float:
    """Returns the standard deviation of the values; 0 where it is nothing but rounding, or there is one value."""
    if len(values) < 2:
        return 0.0
    deviation = float(np.std(values, ddof=1))
    return 0.0 if deviation <= 1e-12 * max(map(abs, values)) else deviation


def _deviation(column: Measured) -> float:
    return deviation_of([s.value for s in column.samples.values()])
