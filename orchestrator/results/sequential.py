"""Which orders are still open after some seeds, and where the next seed helps most.

For a run that trains seeds until the order is known. Whoever looks again and again at growing data until a difference
shows will see one sooner or later, so the level is shared equally by all looks there may be (Bonferroni: whatever the
looks have in common, and wherever one stops): with 4 looks of a 5 % table each is held to 1.25 %. The table that is
shown in the end is to be held to the same (``compare(..., looks=4)``).

Rows are compared by their standing. Against the baseline Holm's correction is over the other rows, between neighbours
over all pairs of rows, since which are neighbours is chosen by the data.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from orchestrator.results.multiple import all_pairs, told
from orchestrator.results.noise import Measured
from orchestrator.results.significance import LEVEL, Difference

Kind = Literal["baseline", "neighbours"]


@dataclass(frozen=True, kw_only=True)
class OpenPair:
    """Two rows whose order is not told yet.

    Attributes:
        better, worse: as they stand now.
        kind: one of them is the baseline, or they are neighbours in the order.
        difference: of their standing; its ``sd`` is None where no noise is known.
        level: that a single difference is held against, in the worst case.
    """

    better: str
    worse: str
    kind: Kind
    difference: Difference
    level: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is open.

    Attributes:
        pairs: the open ones, against the baseline first.
        rows: that the pairs are of, in the order of the table.
        next_row: that one more seed would help most; None: nothing is open.
        level: of this look: that of all looks together over their number.
    """

    pairs: tuple[OpenPair, ...]
    rows: tuple[str, ...]
    next_row: str | None
    level: float

    @property
    def decided(self) -> bool:
        """Whether nothing is open."""
        return not self.pairs


def decide(column: Measured, baseline: str, *, looks: int, level: float = LEVEL, neighbours: bool = True) -> Decision:
    """Returns what is still open.

    Args:
        column: what rows are ranked by: ``Comparison.standing``.
        baseline: the row that others are compared with.
        looks: how many there may be in all, this one included.
        level: of all of them together.
        neighbours: whether rows that follow each other in the order are to be told apart too.
    """
    if looks < 1:
        raise ValueError(f"looks={looks}: at least one")
    share = level / looks
    order = sorted(column.samples, key=lambda row: -column.better * column.samples[row].value)
    pairs: list[OpenPair] = []
    others = [row for row in order if row != baseline and baseline in column]
    against = told({row: column.difference(row, baseline) for row in others}, share)
    for row, difference in against.items():
        if not difference.told:
            above = difference.value * difference.better > 0
            one, other = (row, baseline) if above else (baseline, row)
            pairs.append(_open(one, other, "baseline", difference, share / len(others)))
    if neighbours and len(order) > 1:
        every = all_pairs(order, column.difference, share)
        for one, other in pairwise(order):
            if baseline not in (one, other) and not every[one, other].told:
                pairs.append(_open(one, other, "neighbours", every[one, other], share / len(every)))
    concerned = {row for pair in pairs for row in (pair.better, pair.worse)}
    rows = tuple(row for row in order if row in concerned)
    return Decision(pairs=tuple(pairs), rows=rows, next_row=_next_row(column, rows, pairs, baseline), level=share)


def _open(better: str, worse: str, kind: Kind, difference: Difference, level: float) -> OpenPair:
    return OpenPair(better=better, worse=worse, kind=kind, difference=difference, level=level)


def _next_row(column: Measured, rows: Sequence[str], pairs: Sequence[OpenPair], baseline: str) -> str | None:
    """The row whose next seed adds most to the chances that open pairs are told; the one with the fewest seeds first.

    Chances are worked out as if the differences seen were the true ones. Where no noise is known, or no chance grows,
    it is the row with the fewest seeds, of these the one in most open pairs, the baseline before others.
    """
    if not rows:
        return None
    gains = {row: math.fsum(_gain(column, row, p) for p in pairs if row in (p.better, p.worse)) for row in rows}
    counts = {row: sum(row in (p.better, p.worse) for p in pairs) for row in rows}
    seeds = {row: len(column.samples[row].runs) for row in rows}
    if max(gains.values()) <= 1e-6:
        return min(rows, key=lambda row: (seeds[row], -counts[row], row != baseline))
    return max(rows, key=lambda row: (round(gains[row], 9), -seeds[row]))


def _gain(column: Measured, row: str, pair: OpenPair) -> float:
    from scipy.special import stdtr, stdtrit

    d = pair.difference
    variance = column.paired.get(row)
    if not d.sd or variance is None:
        return 0.0
    runs = len(column.samples[row].runs)
    less = d.sd**2 - variance.value / runs + variance.value / (runs + 1)

    def chance(sd: float, degrees: float) -> float:
        wanted = float(stdtrit(degrees, 1 - pair.level / 2))
        return float(stdtr(degrees, abs(d.value) / sd - wanted))

    return chance(math.sqrt(max(less, 1e-300)), d.degrees + 1) - chance(d.sd, d.degrees)
