"""Which examples share a row: best fit, in exactly as many rows as asked for.

A row holds several features of every example in it, inputs and targets say, so it is full when either is. Examples
are placed in the order they come, each into the open row where it leaves the least room in the scarcer feature (the
one of which all examples together need the larger share). With many rows open there is nearly always one that a
given example fills up. Placing the largest first is no better here and worse where both features are scarce: the
small ones are left over and crowd into rows of their own, which makes batches uneven, too.
``tests/benchmarks/bench_feed.py`` prints how full rows get, and how full in the released pipeline's order.

To find that row without a search, open rows wait in piles by the room they have left, and the bits of one whole
number say which piles are not empty.

Legend: N examples, F features, R rows.
"""

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
NOWHERE = -1
_LOOK_AT = 64  # piles looked at before a new row is opened


def best_fit(needs_NF: Counts, columns_F: Counts) -> tuple[Counts, int]:
    """Puts examples into rows, in order, as few as best fit finds.

    Args:
        needs_NF: columns each example needs, from 0 to ``columns_F``.
        columns_F: columns of a row; one or two features.

    Returns:
        The row of each example, int64 ``[N]``, and how many rows there are.
    """
    scarce = int((needs_NF / columns_F).sum(axis=0).argmax())
    other = 1 - scarce if len(columns_F) == 2 else scarce
    first_N, second_N = needs_NF[:, scarce].tolist(), needs_NF[:, other].tolist()
    columns, other_columns = int(columns_F[scarce]), int(columns_F[other])
    least, other_least = min(first_N, default=0), min(second_N, default=0)
    piles: list[list[int]] = [[] for _ in range(columns + 1)]  # open rows by what is left of the scarce feature
    held = 0  # bit p: piles[p] has rows
    left: list[int] = []  # of the other feature, by row
    rows: list[int] = []
    for need, other_need in zip(first_N, second_N, strict=True):
        row, pile, ahead = NOWHERE, need, held >> need
        for _ in range(_LOOK_AT):
            if not ahead:
                break
            skipped = (ahead & -ahead).bit_length() - 1  # to the next pile that has rows
            pile += skipped
            if left[piles[pile][-1]] >= other_need:
                row = piles[pile].pop()
                break
            ahead >>= skipped + 1
            pile += 1
        if row == NOWHERE:
            row, pile = len(left), columns
            left.append(other_columns)
        elif not piles[pile]:
            held ^= 1 << pile
        rows.append(row)
        left[row] -= other_need
        room = pile - need
        if room >= least and left[row] >= other_least:  # else nothing fits any more
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
