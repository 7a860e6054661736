"""Is a difference between two rows more than noise?

Two sources of noise are measured and added, as variances:

* **The examples.** The evaluation set is one draw of many possible ones. A *paired bootstrap* draws it again: the
  same examples are drawn for both rows (hence paired), the score of each is computed again, and the standard deviation
  of the difference over the draws is the noise. Pairing matters: an example that is hard for both rows moves both
  scores, not their difference.
* **The training runs.** Another seed gives another model. With two or more seeds per row, the variance between
  seeds, pooled over the rows as the paper pools it (section 3.1.4 applies the baseline's deviation to all), is
  added. With one seed it is not known, and the table says so.

A difference counts from 1.96 standard deviations on: 1 of 20 differences between rows that do not truly differ will.

Legend: R resamples, N examples, k numbers per example.
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Aggregate = Callable[[NDArray[np.float64]], Any]
"""From per-example numbers [N, k] to a score x100, and from a stack [R, N, k] to scores [R]; as ``Task.aggregate``."""

THRESHOLD_SD = 1.96
RESAMPLES = 500


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A score with what is known about its noise.

    Attributes:
        seeds: the score x100 of each training run.
        replicates_R: the score x100, mean over the runs, on each resampled evaluation set; None: not known.
    """

    seeds: tuple[float, ...]
    replicates_R: NDArray[np.float64] | None = None

    @cached_property
    def score(self) -> float:
        """The score x100: the mean over the runs."""
        return math.fsum(self.seeds) / len(self.seeds)

    @property
    def seed_variance(self) -> float | None:
        """Variance between the runs; None with one run."""
        return float(np.var(self.seeds, ddof=1)) if len(self.seeds) > 1 else None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference of scores x100 and its standard deviation; ``sd`` None: noise not known."""

    value: float
    sd: float | None

    @property
    def distinguishable(self) -> bool | None:
        """Whether it is more than noise; None when the noise is not known."""
        if self.sd is None:
            return None
        return self.value != 0 and abs(self.value) >= THRESHOLD_SD * self.sd

    @property
    def mark(self) -> str:
        """``▲`` better, ``▼`` worse, ``≈`` not distinguishable, "" when the noise is not known."""
        if self.distinguishable is None:
            return ""
        return ("▲" if self.value > 0 else "▼") if self.distinguishable else "≈"


def resampled_indices(name: str, count: int, *, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.int64]:
    """Returns indices [R, N] drawn with replacement; the same for the same name, count and seed, so rows pair up."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), count])
    return rng.integers(0, count, size=(resamples, count))


def sample(
    seeds: Sequence[float],
    examples_by_seed: Sequence[NDArray[np.float64]] | None,
    aggregate: Aggregate,
    indices_RN: NDArray[np.int64] | None,
) -> Sample:
    """Returns the sample of one row on one task.

    Args:
        seeds: score x100 of each run.
        examples_by_seed: per-example numbers [N, k] of each run; None: without a bootstrap.
        aggregate: from [R, N, k] to scores x100 [R].
        indices_RN: from ``resampled_indices``.
    """
    if examples_by_seed is None or indices_RN is None:
        return Sample(seeds=tuple(seeds))
    replicates_SR = [aggregate(examples_Nk[indices_RN]) for examples_Nk in examples_by_seed]
    return Sample(seeds=tuple(seeds), replicates_R=np.asarray(replicates_SR, dtype=np.float64).mean(axis=0))


def average(samples: Sequence[Sample]) -> Sample:
    """Returns the unweighted mean of one row's samples over tasks, run by run and resample by resample."""
    seeds = tuple(math.fsum(scores) / len(samples) for scores in zip(*(s.seeds for s in samples), strict=True))
    known = [s.replicates_R for s in samples if s.replicates_R is not None]
    replicates_R = np.mean(np.stack(known), axis=0) if len(known) == len(samples) else None
    return Sample(seeds=seeds, replicates_R=replicates_R)


def pooled_seed_variance(samples: Sequence[Sample]) -> float | None:
    """Returns the mean over rows of the variance between runs; None when no row has two runs."""
    variances = [s.seed_variance for s in samples if s.seed_variance is not None]
    return math.fsum(variances) / len(variances) if variances else None


def difference(ours: Sample, other: Sample, seed_variance: float | None = None) -> Difference:
    """Returns ``ours - other`` with its standard deviation from both sources of noise, as far as they are known."""
    return Difference(value=ours.score - other.score, sd=_sd(_paired(ours, other), seed_variance, ours, other))


def standard_deviation(one: Sample, seed_variance: float | None = None) -> float | None:
    """Returns the standard deviation of a score by itself (for error bars); None when the noise is not known."""
    return _sd(one.replicates_R, seed_variance, one)


def _paired(ours: Sample, other: Sample) -> NDArray[np.float64] | None:
    if ours.replicates_R is None or other.replicates_R is None:
        return None
    return ours.replicates_R - other.replicates_R


def _sd(replicates_R: NDArray[np.float64] | None, seed_variance: float | None, *samples: Sample) -> float | None:
    if replicates_R is None and seed_variance is None:
        return None
    variance = 0.0 if replicates_R is None else float(np.nanvar(replicates_R, ddof=1))
    if seed_variance is not None:
        variance += seed_variance * math.fsum(1 / len(s.seeds) for s in samples)
    return math.sqrt(variance)


def shared_ranks(samples: Mapping[str, Sample], seed_variance: float | None = None) -> dict[str, tuple[int, bool]]:
    """Ranks rows by score; those that cannot be told from the leader of their group share its rank.

    The best row leads the first group; going down, the first row that can be told from its group's leader leads
    the next one, with its own place as rank (1, 1, 1, 4, ...). Without known noise every row has its own rank.

    Returns:
        Row name -> (rank from 1, whether it is shared), best first.
    """
    names = sorted(samples, key=lambda name: -samples[name].score)
    groups: list[tuple[int, list[str]]] = []
    for place, name in enumerate(names, start=1):
        if groups:
            leader = samples[groups[-1][1][0]]
            between = difference(leader, samples[name], seed_variance)
            if between.distinguishable is False or between.value == 0:
                groups[-1][1].append(name)
                continue
        groups.append((place, [name]))
    return {name: (rank, len(group) > 1) for rank, group in groups for name in group}


def kendall_tau(ours: Sequence[float], papers: Sequence[float]) -> float | None:
    """Returns Kendall's tau-b of two orders: 1 same, -1 reversed; None for fewer than 3 rows or all the same."""
    from scipy.stats import kendalltau

    if len(ours) < 3:
        return None
    tau = float(kendalltau(ours, papers).statistic)
    return None if math.isnan(tau) else tau
