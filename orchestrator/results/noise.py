"""How much a number moves when nothing but chance is another.

Two sources of noise are measured and added, as variances:

* **The examples.** The evaluation set is one draw of many possible ones. A *paired bootstrap* draws it again: the
  same examples for both rows (an example that is hard for both moves both scores, not their difference), and the
  deviation of the difference over the draws is the noise. All runs are judged on the same examples, so the spread
  between runs holds nothing of this, and it is not counted twice.
* **The training runs.** Another seed gives another model. A row's variance between its runs is known badly with two or
  three of them, so it is *moderated*: averaged with the variance pooled over all rows, which counts as much as
  ``PRIOR_DEGREES`` further runs of the row's own. Differences are judged by Student's t with the degrees of freedom
  that follow. With estimated weights (limma's) or the pooled variance alone, tables of rows that differ in noise and in
  nothing else hold false marks twice to four times as often (docs/significance.md has the simulation).

The same seed is the same order of data in every row, and what it does to all rows alike is not noise of a difference:
rows that share seeds are compared seed by seed, with what the seeds do to all rows taken out.

A run of an ensemble is of several seeds, and the next run of it of nearly the same. So only runs without a training in
common tell a variance; a mean over n runs, of which at most k share one, counts as n / k independent ones, which move
no less (the runs fall into k sets of independent ones); and nothing is compared seed by seed. That ensembles and the
baseline share trainings makes their differences move less than is taken.

A row with one run *borrows* the variance of the others. Where no row has two runs the noise of training is not known.
Then marks and ranks may rest on what moves *within runs*: how far the last checkpoints of each row's own run lie apart,
rows compared step by step. Other weights to begin with and another order of the data move nothing in it, so it is a
lower bound, and whoever takes it has to ask for it and to say so. The number of a row is the mean of its checkpoints,
but their variance is not divided by how many they are: that is what the mean moves by within its run, and only the
whole of it comes near to what another run would move it by (docs/significance.md has the simulation).

Legend: R resamples, N examples, k numbers per example.
"""

import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.significance import Difference

Aggregate = Callable[[NDArray[np.float64]], Any]
"""From per-example numbers [N, k] to a score x100, and from a stack [R, N, k] to scores [R]; as ``Task.aggregate``."""

RESAMPLES = 500
PRIOR_DEGREES = 3.0
_USUAL_QUANTILE = 0.975


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A number with what is known about its noise.

    Attributes:
        runs: seed -> the number of that training run.
        replicates_R: seed -> the number on each resampled evaluation set; None: not known.
        tries: of how many tries the row was chosen by what it is compared by.
        members: of a row of ensembles: seed -> the trainings that the run averages; empty: each run is one of its own.
        checkpoints: of a row with one run: step -> the number at that step of it, of which its number is the mean;
            None: the number is of the end alone, or what moves within the run says nothing of it.
    """

    runs: Mapping[int, float]
    replicates_R: Mapping[int, NDArray[np.float64]] | None = None
    tries: int = 1
    members: Mapping[int, frozenset[str]] = field(default_factory=dict)
    checkpoints: Mapping[int, float] | None = None

    @cached_property
    def value(self) -> float:
        """The mean over the runs."""
        return math.fsum(self.runs.values()) / len(self.runs)

    @cached_property
    def independent(self) -> Mapping[int, float]:
        """The runs that have no training in common with an earlier one of these: all, but of ensembles."""
        seen: set[str] = set()
        found = {}
        for seed, value in self.runs.items():
            members = self.members.get(seed, frozenset())
            if seen.isdisjoint(members):
                found[seed] = value
                seen |= members
        return found

    def counted(self, seeds: Sequence[int]) -> float:
        """Returns how many independent runs a mean over some of the runs is worth, at least."""
        shared = Counter(member for seed in seeds for member in self.members.get(seed, ()))
        return len(seeds) / max(shared.values(), default=1)

    def mean(self, seeds: Sequence[int]) -> float:
        """Returns the mean over some of the runs."""
        return math.fsum(self.runs[seed] for seed in seeds) / len(seeds)

    def replicates(self, seeds: Sequence[int]) -> NDArray[np.float64] | None:
        """Returns the mean over some of the runs on each resampled evaluation set [R]; None: not known."""
        if self.replicates_R is None:
            return None
        return np.asarray(np.mean([self.replicates_R[seed] for seed in seeds], axis=0))

    def scaled(self, centre: float, by: float) -> "Sample":
        """Returns the sample of ``(number - centre) * by``."""
        replicates_R, checkpoints = self.replicates_R, self.checkpoints
        return replace(
            self,
            checkpoints=None if checkpoints is None else {k: (v - centre) * by for k, v in checkpoints.items()},
            runs={seed: (value - centre) * by for seed, value in self.runs.items()},
            replicates_R=None if replicates_R is None else {s: (r - centre) * by for s, r in replicates_R.items()},
        )


def resampled_indices(name: str, count: int, *, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.int64]:
    """Returns indices [R, N] drawn with replacement; the same for the same name, count and seed, so rows pair up."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), count])
    return rng.integers(0, count, size=(resamples, count))


def sample(
    runs: Mapping[int, float],
    examples: Mapping[int, NDArray[np.float64]] | None,
    aggregate: Aggregate,
    indices_RN: NDArray[np.int64] | None,
) -> Sample:
    """Returns the sample of one row on one task.

    Args:
        runs: seed -> number of that run.
        examples: seed -> per-example numbers [N, k]; None: without a bootstrap.
        aggregate: from [R, N, k] to numbers [R].
        indices_RN: from ``resampled_indices``.
    """
    replicates_R = None
    if examples is not None and indices_RN is not None:
        replicates_R = {
            seed: np.asarray(aggregate(examples_Nk[indices_RN]), dtype=np.float64)
            for seed, examples_Nk in examples.items()
        }
    return Sample(runs=dict(runs), replicates_R=replicates_R)


def average(samples: Sequence[Sample]) -> Sample:
    """Returns the unweighted mean of one row's samples over tasks, run by run and resample by resample."""
    seeds = [seed for seed in samples[0].runs if all(seed in s.runs for s in samples)]
    runs = {seed: math.fsum(s.runs[seed] for s in samples) / len(samples) for seed in seeds}
    known = [s.replicates_R for s in samples if s.replicates_R is not None]
    replicates_R = None
    if len(known) == len(samples):
        replicates_R = {seed: np.mean([by_seed[seed] for by_seed in known], axis=0) for seed in seeds}
    by_step = [s.checkpoints for s in samples if s.checkpoints is not None]
    checkpoints = None
    if len(by_step) == len(samples) and all(one.keys() == by_step[0].keys() for one in by_step):
        checkpoints = {step: math.fsum(one[step] for one in by_step) / len(by_step) for step in by_step[0]}
    return replace(samples[0], runs=runs, replicates_R=replicates_R, checkpoints=checkpoints)


@dataclass(frozen=True, kw_only=True)
class Variance:
    """A variance of one run, its degrees of freedom, and whether it is of other rows alone."""

    value: float
    degrees: float
    borrowed: bool


class Measured:
    """One column, all rows: its numbers and their noise.

    Args:
        samples: row -> sample.
        better: 1 where more is better, -1 where less is.
    """

    def __init__(self, samples: Mapping[str, Sample], *, better: int = 1) -> None:
        self.samples = dict(samples)
        self.better = better
        several = {row: s.independent for row, s in self.samples.items() if len(s.independent) > 1}
        self.own, self.own_degrees = _moderated(several, self.samples, shared=False)
        single = {row: runs for row, runs in several.items() if not self.samples[row].members}
        paired, degrees = _moderated(single, self.samples, shared=True)
        self.paired, self.paired_degrees = (paired, degrees) if paired else (self.own, self.own_degrees)
        by_step = {row: s.checkpoints for row, s in self.samples.items() if s.checkpoints and not several}
        self._within = _moderated(by_step, by_step, shared=False)
        steps_paired = _moderated(by_step, by_step, shared=True)
        self._within_paired = steps_paired if steps_paired[0] else self._within

    def __contains__(self, row: object) -> bool:
        return row in self.samples

    def sd(self, row: str) -> float | None:
        """Returns the deviation of a row's number by itself, as far as its noise is known; None: not at all."""
        one = self.samples[row]
        examples = one.replicates(list(one.runs))
        runs = self.own.get(row)
        if examples is None and runs is None:
            return None
        return math.sqrt(_spread(examples) + (runs.value / one.counted(list(one.runs)) if runs else 0.0))

    def difference(self, ours: str, other: str, *, within_runs: bool = False) -> Difference:
        """Returns ``ours - other``: over the seeds that both have, or over all, whichever is known more precisely.

        With ``within_runs`` what moves within runs is taken where no row has two; without, nothing is known there.
        """
        if within_runs and not self.own:
            return self._within_difference(ours, other)
        a, b = self.samples[ours], self.samples[other]
        shared = [seed for seed in a.runs if seed in b.runs]
        over_all = self._difference(ours, list(a.runs), other, list(b.runs), self.own, self.own_degrees)
        if not shared or a.members or b.members:
            return over_all
        by_seed = self._difference(ours, shared, other, shared, self.paired, self.paired_degrees)
        if len(shared) == len(a.runs) == len(b.runs) or not by_seed.known or not over_all.known:
            return by_seed
        return min(by_seed, over_all, key=lambda d: d.reach(_USUAL_QUANTILE))

    def _within_difference(self, ours: str, other: str) -> Difference:
        a, b = list(self.samples[ours].runs), list(self.samples[other].runs)
        variances, degrees = self._within_paired if a == b else self._within
        found = self._difference(ours, a, other, b, variances, degrees)
        return replace(found, within_run=found.known)

    def _difference(
        self,
        ours: str,
        our_seeds: Sequence[int],
        other: str,
        other_seeds: Sequence[int],
        variances: Mapping[str, Variance],
        total_degrees: float,
    ) -> Difference:
        a, b = self.samples[ours], self.samples[other]
        value = a.mean(our_seeds) - b.mean(other_seeds)
        tries = a.tries * b.tries  # whichever pair of them it is
        if ours not in variances or other not in variances:
            return Difference(value=value, better=self.better, tries=tries)
        ra, rb = a.replicates(our_seeds), b.replicates(other_seeds)
        examples = _spread(None if ra is None or rb is None else ra - rb)
        parts = [(variances[ours], a.counted(our_seeds)), (variances[other], b.counted(other_seeds))]
        training = math.fsum(v.value / count for v, count in parts)
        uncertain = math.fsum((v.value / count) ** 2 / v.degrees for v, count in parts)
        degrees = min(training**2 / uncertain, total_degrees) if uncertain else total_degrees
        # Satterthwaite: what the examples add is known well
        degrees = degrees * ((training + examples) / training) ** 2 if training else math.inf
        return Difference(
            value=value,
            sd=math.sqrt(training + examples),
            degrees=degrees,
            borrowed=any(v.borrowed for v, _ in parts),
            better=self.better,
            tries=tries,
        )


def _spread(replicates_R: NDArray[np.float64] | None) -> float:
    """Variance over the resampled evaluation sets; one on which a number is not defined is left out."""
    if replicates_R is None:
        return 0.0
    known = replicates_R[np.isfinite(replicates_R)]
    return float(np.var(known, ddof=1)) if len(known) > 1 else 0.0


def _moderated(
    several: Mapping[str, Mapping[int, float]], rows: Iterable[str], *, shared: bool
) -> tuple[dict[str, Variance], float]:
    """Returns the moderated variance of one number, and the degrees of freedom of all rows together.

    Args:
        several: the numbers of each row that has several, by seed, or by step.
        rows: that are to have a variance.
        shared: whether what a seed or step does to all rows is taken out.
    """
    squares, degrees = _residuals(several, shared=shared)
    total = math.fsum(degrees.values())
    if total < 1e-6:
        return {}, 0.0
    pooled = math.fsum(squares.values()) / total
    out = {}
    for row in rows:
        own = degrees.get(row, 0.0)
        out[row] = Variance(
            value=(PRIOR_DEGREES * pooled + squares.get(row, 0.0)) / (PRIOR_DEGREES + own),
            degrees=min(PRIOR_DEGREES + own, total),
            borrowed=row not in degrees,
        )
    return out, total


def _residuals(runs: Mapping[str, Mapping[int, float]], *, shared: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Returns each row's sum of squares around its mean, and its degrees of freedom.

    With ``shared`` what a seed (or step) does to all rows that have it is taken out as well, by least squares; each row
    keeps the degrees of freedom that its own runs leave.
    """
    cells = [(row, seed) for row, by_seed in runs.items() for seed in by_seed]
    if not cells:
        return {}, {}
    columns = [[float(row == name) for row, _ in cells] for name in runs]
    if shared:
        counts: dict[int, int] = {}
        for _, seed in cells:
            counts[seed] = counts.get(seed, 0) + 1
        common = [seed for seed, count in counts.items() if count > 1]
        for seed in common[1:]:  # as against the first one, so that they sum to nothing
            columns.append([float(s == seed) - float(s == common[0]) for _, s in cells])
    design = np.array(columns).T
    values = np.array([runs[row][seed] for row, seed in cells])
    values = values - values.mean()  # a large common value costs no digits
    hat = design @ np.linalg.pinv(design)
    squared = (values - hat @ values) ** 2
    tiny = (1e-12 * float(np.abs(values).max())) ** 2
    squared[squared < tiny] = 0.0
    left = np.clip(1.0 - np.diag(hat), 0.0, None)
    squares = {row: math.fsum(squared[at] for at, (r, _) in enumerate(cells) if r == row) for row in runs}
    degrees = {row: math.fsum(left[at] for at, (r, _) in enumerate(cells) if r == row) for row in runs}
    return squares, degrees
