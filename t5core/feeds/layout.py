"""Which examples share a row: best fit, in exactly as many rows as asked for.

A row holds several features of every example in it, inputs and targets say, so it is full when either is. Measured
in the same unit (columns of the longest feature), what a row has left is the smaller of its features' rooms, and
what an example needs the larger of its needs: an example that needs no more than a row has left fits for certain.
Examples are placed in the order they come, each into the open row that has least left for it. A few fuller rows are
tried before, as an example with much of one feature often fits where the other one is scarce.

With many rows open there is nearly always one that a given example fills up. Placing the largest first is no better
here and worse where both features are scarce: the small ones are left over and crowd into rows of their own, which
makes batches uneven, too. ``tests/benchmarks/bench_feed.py`` prints how full rows get, and how full in the released
pipeline's order. To find a row without a search, open rows wait in piles by what they have left, and the bits of one
whole number say which piles are not empty.

Legend: N examples, F features, R rows.
"""

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
NOWHERE = -1
_TRIES = 4  # fuller rows looked at before the one that fits for certain


def best_fit(needs_NF: Counts, columns_F: Counts) -> tuple[Counts, int]:
    """Puts examples into rows, in order, as few as best fit finds.

    Args:
        needs_NF: columns each example needs, from 0 to ``columns_F``.
        columns_F: columns of a row; one or two features.

    Returns:
        The row of each example, int64 ``[N]``, and how many rows there are.
    """
    first, second = 0, len(columns_F) - 1  # one feature is both
    columns, other_columns = int(columns_F[first]), int(columns_F[second])
    unit = max(columns, other_columns)
    scaled_NF = np.ceil(needs_NF * (unit / columns_F)).astype(np.int64)
    most_N, least_N = scaled_NF.max(axis=1).tolist(), scaled_NF.min(axis=1).tolist()
    needs = zip(needs_NF[:, first].tolist(), needs_NF[:, second].tolist(), most_N, least_N, strict=True)
    smallest = min(least_N, default=0)
    piles: list[list[int]] = [[] for _ in range(unit + 1)]  # open rows by what they have left
    held = 0  # bit p: piles[p] has rows
    left: list[int] = []  # of the first feature, by row
    other_left: list[int] = []  # of the second
    rows: list[int] = []
    for need, other_need, most, least in needs:
        row, pile, ahead = NOWHERE, least, held >> least
        for _ in range(_TRIES):
            if not ahead:
                break
            skipped = (ahead & -ahead).bit_length() - 1  # to the next pile that has rows
            pile += skipped
            top = piles[pile][-1]
            if left[top] >= need and other_left[top] >= other_need:
                row = top
                break
            ahead >>= skipped + 1
            pile += 1
        if row == NOWHERE and (ahead := held >> most):
            pile = most + (ahead & -ahead).bit_length() - 1
            row = piles[pile][-1]
        if row == NOWHERE:
            row = len(left)
            left.append(columns)
            other_left.append(other_columns)
        else:
            piles[pile].pop()
            if not piles[pile]:
                held ^= 1 << pile
        rows.append(row)
        left[row] -= need
        other_left[row] -= other_need
        room = min(left[row] * unit // columns, other_left[row] * unit // other_columns)
        if room >= smallest:  # else nothing fits any more
            piles[room].append(row)
            held |= 1 << room
    return np.array(rows, dtype=np.int64), len(left)


def in_rows(needs_NF: Counts, columns_F: Counts, num_rows: int) -> Counts:
    """Puts examples into exactly ``num_rows`` rows, none of them empty.

    Args:
        needs_NF: columns each example needs, from 0 to ``columns_F``.
        columns_F: columns of a row.
        num_rows: R, at most N.

    Returns:
        The row of each example, int64 ``[N]``. Where best fit finds fewer rows, those with most examples are halved;
        where it finds more, the emptiest are given up and their examples are ``NOWHERE``.
    """
    row_N, found = best_fit(needs_NF, columns_F)
    if found > num_rows:
        used_R = np.bincount(row_N, weights=(needs_NF / columns_F).sum(axis=1), minlength=found)
        names_R = np.full(found, NOWHERE)
        names_R[np.sort(np.argsort(-used_R, kind="stable")[:num_rows])] = np.arange(num_rows)
        return names_R[row_N]
    while found < num_rows:
        counts_R = np.bincount(row_N, minlength=found)
        largest = np.argsort(-counts_R, kind="stable")[: num_rows - found]
        largest = largest[counts_R[largest] > 1]
        by_row_N = np.argsort(row_N, kind="stable")
        first_R = np.cumsum(counts_R) - counts_R
        for row in largest:
            moved = by_row_N[first_R[row] : first_R[row] + counts_R[row] // 2]
            row_N[moved] = found
            found += 1
    return row_N
