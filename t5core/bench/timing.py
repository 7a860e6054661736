"""Taking times so that a ratio holds on a machine that does other things as well.

Contestants take turns, ours, theirs, ours, theirs, so that a slow minute is slow for all of them, and medians are
compared. Beside the time on the wall stands the processor's: on a busy machine the first grows, the second hardly.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch

Lap = Callable[[], None]
"""Called by a contestant when its first part is over: forward and backward."""
Contestant = Callable[[Lap], None]
"""Does one round of work, to its end: what it queued on a device is done when it returns."""


def no_lap() -> None:
    """Takes no time: for work that is not timed."""


class Seconds(NamedTuple):
    """One round: up to the lap and as a whole, on the wall and of processor time."""

    lap: float
    whole: float
    lap_cpu: float
    whole_cpu: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A contestant's rounds.

    Attributes:
        rounds: in the order in which they were run.
    """

    rounds: tuple[Seconds, ...]

    def median(self) -> Seconds:
        """Returns the median of each column."""
        return Seconds(*(statistics.median(column) for column in zip(*self.rounds, strict=True)))


def interleaved(contestants: Mapping[str, Contestant], rounds: int, *, warm_up: int = 1) -> dict[str, Figures]:
    """Runs all contestants in turns and returns their times; ``warm_up`` rounds are not counted."""
    taken: dict[str, list[Seconds]] = {name: [] for name in contestants}
    for i in range(warm_up + rounds):
        for name, contestant in contestants.items():
            seconds = _one(contestant)
            if i >= warm_up:
                taken[name].append(seconds)
    return {name: Figures(rounds=tuple(seconds)) for name, seconds in taken.items()}


def _one(contestant: Contestant) -> Seconds:
    marks: list[tuple[float, float]] = []

    def mark() -> None:
        marks.append((time.perf_counter(), time.process_time()))

    mark()
    contestant(mark)
    mark()
    (start, start_cpu), (lap, lap_cpu), (end, end_cpu) = marks[0], marks[1], marks[-1]
    return Seconds(lap - start, end - start, lap_cpu - start_cpu, end_cpu - start_cpu)


def matrix_rate(device: torch.device, dtype: torch.dtype, *, size: int, rounds: int = 5) -> float:
    """Returns what the device does in one large square matrix product, in operations per second; the best round."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(rounds + 1):  # the first one is slow and does not win
        started = time.perf_counter()
        float((a @ b)[0, 0])  # fetched, so that it is done
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best
