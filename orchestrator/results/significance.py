"""Is a difference between two rows more than noise?

A difference with its standard deviation and the degrees of freedom that this deviation is known with (see
``orchestrator.results.noise``) has a p-value by Student's t. Many differences stand in one table, so a mark is given by
all p-values together (``orchestrator.results.multiple``): whether this difference is *told* from noise is set there.
"""

import math
from dataclasses import dataclass

LEVEL = 0.05
"""The chance that a table of rows that do not differ holds any arrow at all."""
POWER = 0.8


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference of two rows.

    Attributes:
        value: of the numbers.
        sd: its standard deviation; None: the noise of training is not known.
        degrees: of freedom of ``sd``.
        borrowed: the noise of training is of other rows.
        within_run: the noise of training is that between the last checkpoints of each row's own run: at least so much.
        better: 1 where more is better, -1 where less is.
        tries: how many pairs there were of which these two were chosen by what they are compared by. The best of K is a
            bit lucky, so it is held against a K-th of the level.
        told: whether it is more than noise, all differences of the table considered; None: not known.
    """

    value: float
    sd: float | None = None
    degrees: float = math.inf
    borrowed: bool = False
    within_run: bool = False
    better: int = 1
    tries: int = 1
    told: bool | None = None

    @property
    def known(self) -> bool:
        """Whether its noise is: none at all is not believed, unless the two numbers are the same."""
        return self.sd is not None and (self.sd > 0 or self.value == 0)

    @property
    def p(self) -> float | None:
        """Chance of so large a difference between rows that do not differ; None: noise not known."""
        from scipy.special import stdtr

        if not self.known:
            return None
        of_one = 2 * float(stdtr(self.degrees, -abs(self.value) / self.sd)) if self.sd else 1.0
        return min(1.0, self.tries * of_one)

    def reach(self, quantile: float) -> float:
        """Returns the deviation times a quantile of t: half the width of an interval; infinite: noise not known."""
        from scipy.special import stdtrit

        return math.inf if self.sd is None else self.sd * float(stdtrit(self.degrees, quantile))

    def smallest(self, level: float, power: float = POWER) -> float | None:
        """Returns the difference that would be told at this level with this chance; None: noise not known."""
        return self.reach(1 - level / self.tries / 2) + self.reach(power) if self.known and self.sd else None

    @property
    def mark(self) -> str:
        """``▲`` better, ``▼`` worse, ``≈`` not told from noise; ``?`` behind it: of other rows, or within runs."""
        if self.told is None:
            return "?"
        arrow = ("▲" if self.value * self.better > 0 else "▼") if self.told else "≈"
        return arrow + ("?" if self.borrowed or self.within_run else "")
