"""How far runs of the baseline lie apart: what Table 1 of the paper says of its ten.

    sd·√((n-1) / χ²)    its interval, if runs are normal: three say little (0.52 sd to 6.3 sd), ten more (0.69 to 1.8)

Legend: sd between n runs; χ² at 0.975 and 0.025 with n-1 degrees of freedom.
"""

import math
import statistics
from collections.abc import Mapping, Sequence

from orchestrator.results.samples import share_members
from orchestrator.results.values import AVERAGE, Deviation, RowResult, TaskColumn

LEAST = 3
"""Runs below which nothing is said: the interval of two reaches from half of what they show to thirty times."""
_OUTSIDE = 0.05


def baseline_deviations(runs: Sequence[RowResult], tasks: Sequence[TaskColumn]) -> dict[str, Deviation]:
    """Returns how far the runs of a row lie apart, by the paper's column, by task where it has none, and on average.

    Args:
        runs: of the baseline; those without a result do not count.
        tasks: of the table. Our side of a paper's column is the mean of the tasks that stand for it.
    """
    done = [run for run in runs if run.status == "done"]
    if share_members(done):  # they lie closer together than runs do
        return {}
    columns: dict[str, list[str]] = {}
    for task in tasks:
        columns.setdefault(task.paper_column or task.label or task.task, []).append(task.task)
    columns[AVERAGE] = [task.task for task in tasks]
    out = {}
    for column, names in columns.items():
        scores = [statistics.fmean(run.scores[n] for n in names) for run in done if all(n in run.scores for n in names)]
        if len(scores) >= LEAST and len(scores) == len(done) and all(map(math.isfinite, scores)):
            out[column] = _deviation(scores)
    return out


def _deviation(values: Sequence[float]) -> Deviation:
    from scipy.special import chdtri

    sd, free = statistics.stdev(values), len(values) - 1
    low, high = (sd * math.sqrt(free / float(chdtri(free, p))) for p in (_OUTSIDE / 2, 1 - _OUTSIDE / 2))
    return Deviation(sd=sd, low=low, high=high, runs=len(values))


def deviation_notes(deviations: Mapping[str, Deviation]) -> tuple[str, ...]:
    """Returns the line under a table; none where too few runs are there."""
    if not deviations:
        return ()
    runs = next(iter(deviations.values())).runs
    shown = ", ".join(f"{name} {d.sd:.2f} ({d.low:.2f} to {d.high:.2f})" for name, d in deviations.items())
    return (f"one standard deviation between the {runs} runs of the baseline, and its 95 % interval: {shown}",)
