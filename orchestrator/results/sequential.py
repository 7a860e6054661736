"""Which orders are still open after some seeds.

For a run that trains seeds until the order is known. Whoever looks again and again at growing data until a difference
shows will see one sooner or later, so the level is shared equally by all looks there may be (Bonferroni: whatever the
looks have in common, and wherever one stops): with 4 looks of a 5 % table each is held to 1.25 %. The table that is
shown in the end is to be held to the same (``compare(..., looks=4)``).

Rows are compared by their standing and told apart as the ranks are: corrected for all pairs of rows, since which rows
are neighbours is chosen by the data. So an order that is told here has a rank of its own in the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.results.multiple import all_pairs
from orchestrator.results.noise import Measured
from orchestrator.results.significance import LEVEL, Difference


@dataclass(frozen=True, kw_only=True)
class OpenPair:
    """Two rows whose order is not told yet: one of them is the baseline, or they are neighbours.

    Attributes:
        better, worse: as they stand now.
        difference: of their standing; its ``sd`` is None where no noise is known.
    """

    better: str
    worse: str
    difference: Difference


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is open.

    Attributes:
        pairs: the open ones, in the order of the table.
        rows: that the pairs are of, likewise.
        unranked: rows that have no standing, so that nothing is said of their order.
        level: of this look: that of all looks together over their number.
    """

    pairs: tuple[OpenPair, ...]
    rows: tuple[str, ...]
    unranked: tuple[str, ...]
    level: float

    @property
    def decided(self) -> bool:
        """Whether nothing is open."""
        return not self.pairs and not self.unranked


def decide(column: Measured, rows: Sequence[str], baseline: str, *, looks: int, level: float = LEVEL) -> Decision:
    """Returns what is still open.

    Args:
        column: what rows are ranked by: ``Comparison.standing``.
        rows: all of the table.
        baseline: the row that others are compared with.
        looks: how many there may be in all, this one included.
        level: of all of them together.
    """
    if looks < 1:
        raise ValueError(f"looks={looks}: at least one")
    share = level / looks
    order = sorted(column.samples, key=lambda row: -column.better * column.samples[row].value)
    neighbours = set(pairwise(order))
    open_pairs = tuple(
        OpenPair(better=better, worse=worse, difference=difference)
        for (better, worse), difference in all_pairs(order, column.difference, share).items()
        if not difference.told and (baseline in (better, worse) or (better, worse) in neighbours)
    )
    concerned = {row for pair in open_pairs for row in (pair.better, pair.worse)}
    return Decision(
        pairs=open_pairs,
        rows=tuple(row for row in order if row in concerned),
        unranked=tuple(row for row in rows if row not in column),
        level=share,
    )
