"""Many differences in one table: Holm's correction, and ranks that follow from it."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeVar

from orchestrator.results.significance import LEVEL, Difference

K = TypeVar("K", bound=Hashable)


def holm(p_values: Mapping[K, float | None], level: float = LEVEL) -> dict[K, bool | None]:
    """Returns which are more than chance, such that the chance of any false one is at most ``level``.

    The smallest of m p-values is held against level / m, the next against level / (m - 1), until one fails. It holds
    whatever the differences have in common (here: the baseline, the runs, the examples). None stays None.
    """
    known = sorted((p, at) for at, p in enumerate(p_values.values()) if p is not None)
    keys = list(p_values)
    out: dict[K, bool | None] = {key: None if p is None else False for key, p in p_values.items()}
    for step, (p, at) in enumerate(known):
        if p > level / (len(known) - step):
            break
        out[keys[at]] = True
    return out


def told(differences: Mapping[K, Difference], level: float = LEVEL) -> dict[K, Difference]:
    """Returns the differences with what Holm's correction over all of them says."""
    verdicts = holm({key: d.p for key, d in differences.items()}, level)
    return {key: replace(d, told=verdicts[key]) for key, d in differences.items()}


def all_pairs(
    rows: Sequence[str], difference: Callable[[str, str], Difference], level: float = LEVEL
) -> dict[tuple[str, str], Difference]:
    """Returns the difference of each two rows, corrected for all pairs, in the order given."""
    return told({(a, b): difference(a, b) for a, b in combinations(rows, 2)}, level)


def shared_ranks(
    best_first: Sequence[str], pairs: Mapping[tuple[str, str], Difference]
) -> dict[str, tuple[int, bool, bool]]:
    """Ranks rows; those that cannot be told from the leader of their group share its rank.

    The best row leads the first group; going down, the first row that can be told from its group's leader leads
    the next one, with its own place as rank (1, 1, 1, 4, ...). Where the noise is not known, a row has its own place,
    and it is said that this place is not known to be earned; equal ones share it all the same.

    Args:
        best_first: the rows.
        pairs: of them, as ``all_pairs`` gives them.

    Returns:
        Row -> (rank from 1, whether it is shared, whether the noise is known), best first.
    """
    groups: list[tuple[int, list[str]]] = []
    unknown: set[str] = set()
    for place, name in enumerate(best_first, start=1):
        if groups:
            leader = groups[-1][1][0]
            between = pairs[leader, name]
            if between.told is None:
                unknown |= {leader, name}
            if between.told is False or between.value == 0:
                groups[-1][1].append(name)
                continue
        groups.append((place, [name]))
    return {name: (rank, len(group) > 1, name not in unknown) for rank, group in groups for name in group}
