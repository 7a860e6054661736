"""How many seeds rows have: a number, or as many as it takes until the order of the rows is told.

    --seeds 3          every row three times; one that the study itself gives more keeps them
    --seeds auto:8     the baseline three times and every other row twice; then one more of each row whose order against
                       the baseline or a neighbour is open, again and again, until none is or a row has 8

A table is looked at after each round, and looking often enough shows something sooner or later. So the level of the
table is shared by all looks that there may be (``orchestrator.results.sequential``), and the last table is held to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.results.compare import Comparison
from orchestrator.results.sequential import Decision, decide
from t5core.errors import ConfigError

FIRST = 2
"""Seeds of every row in the first round: with one, nothing is known of its noise."""
BASELINE_FIRST = 3
"""Of the baseline, which is in every comparison."""
MOST = 6
"""Where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """What ``--seeds`` says.

    Attributes:
        each: seeds that every row has, or begins with.
        most: that a row may come to; None: ``each`` is what every row has.
    """

    each: int
    most: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Seeds":
        """Reads ``3``, ``auto`` or ``auto:8``; raises ConfigError for anything else."""
        word, _, most = text.partition(":")
        number = most or str(MOST) if word == "auto" else text
        if not number.isdecimal() or (word == "auto" and text.endswith(":")):
            raise ConfigError("seeds", text, "give a number, auto, or auto:8 for at most 8 of a row")
        if word != "auto":
            if int(number) < 1:
                raise ConfigError("seeds", int(number), "give 1 or more")
            return cls(each=int(number))
        if int(number) < BASELINE_FIRST:
            raise ConfigError(
                "seeds", text, f"the baseline begins with {BASELINE_FIRST}: give auto:{BASELINE_FIRST} or more"
            )
        return cls(each=FIRST, most=int(number))

    @property
    def looks(self) -> int:
        """How often the table may be looked at, at most."""
        return 1 if self.most is None else self.most - FIRST + 1

    def first_more(self, baseline: str, own: Mapping[str, int]) -> dict[str, int]:
        """Returns how many rows have beyond ``each`` in the first round.

        Args:
            baseline: the row that is in every comparison.
            own: row -> how many it has at the least, for those that the study gives more than ``each``.
        """
        more = {} if self.most is None else {baseline: BASELINE_FIRST - FIRST}
        return more | {row: max(more.get(row, 0), least - self.each) for row, least in own.items()}

    def next_more(self, more: Mapping[str, int], decision: Decision) -> dict[str, int]:
        """Returns how many rows have beyond ``each`` in the next round; what they had where nothing is to be added."""
        assert self.most is not None
        added = {row: more.get(row, 0) + 1 for row in decision.rows if self.each + more.get(row, 0) < self.most}
        return {**more, **added}

    def said(self, rows: int, own: Mapping[str, int]) -> str:
        """Returns the words for it; ``own`` as in ``first_more``."""
        least = ", ".join(f"{row} {count}" for row, count in own.items())
        if self.most is None:
            return f"{rows} rows, {self.each} seed(s) each" + (f" (but {least})" if least else "")
        return f"{rows} rows, from {FIRST} seeds (baseline {BASELINE_FIRST}) to {self.most} where the order is open" + (
            f"; at least {least}" if least else ""
        )


def still_open(comparison: Comparison, seeds: Seeds) -> Decision:
    """Returns what a table leaves open."""
    rows = [row.name for row in comparison.rows]
    return decide(comparison.standing, rows, comparison.baseline, looks=seeds.looks)


def outcome(decision: Decision, more: Sequence[str], ended: str) -> str:
    """Returns a line on what is open and what is done about it.

    Args:
        decision: from ``still_open``.
        more: rows that get another seed.
        ended: why there is no other round, where there is none.
    """
    if decision.decided:
        return "every row's order against the baseline and its neighbours is told"
    said = [f"{pair.better} over {pair.worse}" for pair in decision.pairs]
    said += [f"{row}, which lacks a number on a task that counts" for row in decision.unranked]
    if more:
        return f"open: {', '.join(said)}; one more seed of {', '.join(more)}"
    return f"undecided, {ended}: {', '.join(said)}"
