"""How well our order agrees with the paper's, and how well that is known.

Kendall's tau has an interval over our own noise: of these rows, had we trained forever and judged on every example.
The paper's numbers are taken as printed. Noise shuffles an order, so it draws tau towards 0: what tau comes to when
our numbers are moved once more by their noise lies too near to 0, and the interval's end on the far side is the mirror
image of the near one instead, if that is farther. In simulations with 14 and 6 rows it covers the true tau in 91 to
100 of 100 cases where the rows' true means differ by twice their noise or more, and in 71 to 95 where by as much as
their noise (docs/significance.md).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.noise import Measured

_ROWS_WANTED = 3
_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Kendall's tau-b (1 the same order, -1 reversed) and its interval; None: too few rows, noise not known."""

    tau: float | None
    interval: tuple[float, float] | None


def kendall_tau(ours: Sequence[float], papers: Sequence[float]) -> float | None:
    """Returns Kendall's tau-b of two orders: 1 same, -1 reversed; None for fewer than 3 rows or all the same."""
    if len(ours) < _ROWS_WANTED:
        return None
    tau = float(_taus(np.array([ours], dtype=np.float64), np.array(papers, dtype=np.float64))[0])
    return None if math.isnan(tau) else tau


def agreement(column: Measured, papers: Mapping[str, float], *, draws: int = 2000, seed: int = 0) -> Agreement:
    """Returns tau of a column against the paper's numbers, with its interval.

    Args:
        column: our numbers.
        papers: row -> the paper's number, for the rows to take.
        draws: of the noise.
        seed: of the draws.
    """
    rows = list(papers)
    tau = kendall_tau(_ours(column, rows).tolist(), list(papers.values()))
    moved_DR = None if tau is None else _moved(column, rows, draws, np.random.default_rng(seed))
    if tau is None or moved_DR is None:
        return Agreement(tau=tau, interval=None)
    return Agreement(tau=tau, interval=_interval(tau, _taus(moved_DR, np.array(list(papers.values())))))


def agreement_of_two(
    one: Measured, other: Measured, rows: Sequence[str], *, draws: int = 2000, seed: int = 0
) -> Agreement:
    """Returns tau between two columns of ours, each with noise of its own: the interval is over both.

    Args:
        one: some numbers of the rows.
        other: other ones.
        rows: that both have.
        draws: of the noise.
        seed: of the draws.
    """
    tau = kendall_tau(_ours(one, rows).tolist(), _ours(other, rows).tolist())
    if tau is None:
        return Agreement(tau=None, interval=None)
    rng = np.random.default_rng(seed)
    one_DR, other_DR = (_moved(column, rows, draws, rng) for column in (one, other))
    if one_DR is None or other_DR is None:
        return Agreement(tau=tau, interval=None)
    return Agreement(tau=tau, interval=_interval(tau, _taus(one_DR, other_DR)))


def _ours(column: Measured, rows: Sequence[str]) -> NDArray[np.float64]:
    return np.array([column.better * column.samples[row].value for row in rows])


def _moved(column: Measured, rows: Sequence[str], draws: int, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """The rows' numbers, more is better, each draw moved by their noise [draws, rows]; None: noise not known."""
    moved_DR = np.tile(_ours(column, rows), (draws, 1))
    for at, row in enumerate(rows):
        sample = column.samples[row]
        variance = (column.own if sample.members else column.paired).get(row)
        if variance is None:
            return None
        runs = sample.counted(list(sample.runs))
        moved_DR[:, at] += math.sqrt(variance.value / runs) * rng.standard_t(variance.degrees, size=draws)
    moved_DR += column.better * _example_noise(column, rows, draws, rng)
    return moved_DR


def _interval(tau: float, taus: NDArray[np.float64]) -> tuple[float, float] | None:
    """The middle of what tau came to, its end that is nearer to 0 mirrored at the tau found where that is farther."""
    taus = taus[np.isfinite(taus)]
    if not len(taus):
        return None
    low, high = (float(np.quantile(taus, q)) for q in ((1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2))
    if tau >= 0:
        high = max(high, 2 * tau - low)
    else:
        low = min(low, 2 * tau - high)
    return max(-1.0, min(low, tau)), min(1.0, max(high, tau))


def unrelated(rows: int) -> float | None:
    """Returns how far from 0 the tau of two unrelated orders of so many rows lies in 1 of 20 cases; None: too few."""
    if rows < _ROWS_WANTED:
        return None
    return min(1.0, 1.96 * math.sqrt(2 * (2 * rows + 5) / (9 * rows * (rows - 1))))


def _example_noise(column: Measured, rows: Sequence[str], draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise of the evaluation set [draws, rows]: one draw of it for all rows, as the bootstrap drew it."""
    replicates = [column.samples[row].replicates(list(column.samples[row].runs)) for row in rows]
    known = [r_R for r_R in replicates if r_R is not None]
    if len(known) < len(rows):
        return np.zeros((draws, len(rows)))
    around_RR = np.nan_to_num(np.stack([r_R - np.nanmean(r_R) for r_R in known], axis=1))
    return np.asarray(around_RR[rng.integers(0, len(around_RR), size=draws)])


def _taus(ours_DR: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Taus [D] of orders [D, R] against one [R], or each against its own [D, R]."""
    one, other = np.triu_indices(others.shape[-1], 1)
    signs_DP = np.sign(ours_DR[:, one] - ours_DR[:, other])
    their_signs = np.sign(others[..., one] - others[..., other])
    untied = np.sqrt((signs_DP != 0).sum(axis=-1) * (their_signs != 0).sum(axis=-1).astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(untied > 0, (signs_DP * their_signs).sum(axis=-1) / untied, np.nan))
