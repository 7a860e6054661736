"""The comparison: our rows beside the paper's numbers, with what is noise marked as noise.

Pure: takes results as values, returns values; knows no store, no Ray and no study.

    results ──compare──► Comparison ──render──► terminal
                              └──────to_json──► reports, MLflow
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.significance import (
    RESAMPLES,
    THRESHOLD_SD,
    Aggregate,
    Difference,
    Sample,
    average,
    difference,
    kendall_tau,
    pooled_seed_variance,
    resampled_indices,
    sample,
    shared_ranks,
    standard_deviation,
)

Status = Literal["done", "failed"]


AVERAGE = "average"


@dataclass(frozen=True, kw_only=True)
class TaskColumn:
    """One of our tasks as a column.

    Attributes:
        task: name, the key into a row's scores.
        paper_column: the paper's column it stands against: "GLUE", "CNNDM", "SQuAD", "SGLUE"; "" for none.
        aggregate: [N, k] per-example numbers -> score x100, as ``Task.aggregate``; None: no bootstrap for this task.
        label: head of the column; the task's name if empty.
        majority: score x100 of always giving training's commonest answer: what a model has to beat; None: not known.
    """

    task: str
    paper_column: str = ""
    aggregate: Aggregate | None = None
    label: str = ""
    majority: float | None = None


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """What one row came to with one seed. Rows of the same name are runs of one row with several seeds.

    Attributes:
        scores: task -> score x100.
        example_scores: task -> per-example numbers [N, k], the same examples in the same order in every row.
        likelihoods: task -> per-example [N, 2] or, with a label set, [N, 4]: negative log-likelihood of the reference
            in nats, its bytes, normalised cross-entropy over the labels, margin of the right one; None: not taken.
        seconds: work behind this row, shared stages included or not as the caller likes; None: not known.
        paper: the paper's column -> score x100.
        reason: why a row failed, one line.
    """

    name: str
    label: str
    status: Status = "done"
    reason: str = ""
    seed: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    example_scores: Mapping[str, NDArray[np.float64]] | None = None
    likelihoods: Mapping[str, NDArray[np.float64]] | None = None
    seconds: float | None = None
    paper: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One score of ours: x100, its standard deviation, and the difference to the baseline (None in the baseline)."""

    score: float
    sd: float | None
    difference: Difference | None

    @property
    def mark(self) -> str:
        """``▲``, ``▼``, ``≈`` or "" (the baseline, or noise not known)."""
        return self.difference.mark if self.difference else ""


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One line of the table, all seeds together.

    Attributes:
        cells: task -> cell; also AVERAGE when every task has a score.
        rank, rank_shared: place by our average, and whether other rows share it; None without an average.
        paper_rank: place by the mean of the paper's columns among the rows shown; None without them.
    """

    name: str
    label: str
    status: Status
    reason: str
    seeds: int
    cells: Mapping[str, Cell]
    rank: int | None
    rank_shared: bool
    paper: Mapping[str, float]
    paper_rank: int | None
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The whole table.

    Attributes:
        rows: best first, rows without a result last.
        paper_columns: the paper's columns that some task stands against, in the order of the tasks.
        tau: paper's column, or AVERAGE -> Kendall's tau between our order and the paper's; None: too few rows.
        tau_rows: how many rows the taus are over.
        notes: what the table should be read with.
    """

    title: str
    baseline: str
    tasks: tuple[TaskColumn, ...]
    paper_columns: tuple[str, ...]
    rows: tuple[ComparedRow, ...]
    tau: Mapping[str, float | None]
    tau_rows: int
    notes: tuple[str, ...]


def compare(
    results: Sequence[RowResult],
    tasks: Sequence[TaskColumn],
    *,
    baseline: str,
    title: str = "",
    paper_sd: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Puts results beside each other, the baseline and the paper.

    Args:
        results: one per row and seed.
        tasks: the columns, in order.
        baseline: name of the row that the others are compared with.
        title: head of the table.
        paper_sd: the paper's column -> standard deviation x100 of its baseline, for the notes.
        notes: further lines for under the table.
        resamples: of the evaluation set, for the bootstrap.
        seed: of the bootstrap.
    """
    by_name: dict[str, list[RowResult]] = {}
    for result in results:
        by_name.setdefault(result.name, []).append(result)
    samples = {name: _samples(runs, tasks, resamples, seed) for name, runs in by_name.items()}
    columns = [*(t.task for t in tasks), AVERAGE]
    seed_variance = {c: pooled_seed_variance([s[c] for s in samples.values() if c in s]) for c in columns}
    ranks = shared_ranks({n: s[AVERAGE] for n, s in samples.items() if AVERAGE in s}, seed_variance[AVERAGE])
    paper_columns = tuple(dict.fromkeys(t.paper_column for t in tasks if t.paper_column))
    paper_ranks = _paper_ranks(by_name, paper_columns)
    base = samples.get(baseline, {})
    rows = []
    for name in [*ranks, *(name for name in by_name if name not in ranks)]:
        runs = by_name[name]
        unfinished = next((run for run in runs if run.status != "done"), None)
        cells = {
            column: Cell(
                score=ours.score,
                sd=standard_deviation(ours, seed_variance[column]),
                difference=difference(ours, base[column], seed_variance[column])
                if name != baseline and column in base
                else None,
            )
            for column, ours in samples[name].items()
        }
        seconds = [run.seconds for run in runs if run.seconds is not None]
        rows.append(
            ComparedRow(
                name=name,
                label=runs[0].label,
                status=unfinished.status if unfinished else "done",
                reason=unfinished.reason if unfinished else "",
                seeds=sum(run.status == "done" for run in runs),
                cells=cells,
                rank=ranks[name][0] if name in ranks else None,
                rank_shared=name in ranks and ranks[name][1],
                paper={c: runs[0].paper[c] for c in paper_columns if c in runs[0].paper},
                paper_rank=paper_ranks.get(name),
                seconds=math.fsum(seconds) if seconds else None,
            )
        )
    tau, tau_rows = _agreement(rows, tasks, paper_columns)
    return Comparison(
        title=title,
        baseline=baseline,
        tasks=tuple(tasks),
        paper_columns=paper_columns,
        rows=tuple(rows),
        tau=tau,
        tau_rows=tau_rows,
        notes=_notes(rows, baseline, bool(base), paper_columns, paper_sd or {}, resamples)
        + _majority_note(tasks)
        + tuple(notes),
    )


def _samples(runs: Sequence[RowResult], tasks: Sequence[TaskColumn], resamples: int, seed: int) -> dict[str, Sample]:
    """Returns task -> sample over the finished runs, and AVERAGE when all tasks are there."""
    done = [run for run in runs if run.status == "done"]
    out: dict[str, Sample] = {}
    for task in tasks:
        if not done or any(task.task not in run.scores for run in done):
            continue
        examples = [
            run.example_scores[task.task] for run in done if run.example_scores and task.task in run.example_scores
        ]
        scores = [run.scores[task.task] for run in done]
        if task.aggregate is None or len(examples) < len(done):
            out[task.task] = Sample(seeds=tuple(scores))
            continue
        indices_RN = resampled_indices(task.task, len(examples[0]), resamples=resamples, seed=seed)
        out[task.task] = sample(scores, examples, task.aggregate, indices_RN)
    if tasks and len(out) == len(tasks):
        out[AVERAGE] = average(list(out.values()))
    return out


def _paper_ranks(by_name: Mapping[str, Sequence[RowResult]], columns: Sequence[str]) -> dict[str, int]:
    means = {
        name: math.fsum(runs[0].paper[c] for c in columns)
        for name, runs in by_name.items()
        if columns and all(c in runs[0].paper for c in columns)
    }
    return {name: 1 + sum(other > mean + 1e-9 for other in means.values()) for name, mean in means.items()}


def _agreement(
    rows: Sequence[ComparedRow], tasks: Sequence[TaskColumn], columns: Sequence[str]
) -> tuple[dict[str, float | None], int]:
    """Kendall's tau by column (our side: the mean of the tasks that stand against it) and for the averages."""
    both = [row for row in rows if AVERAGE in row.cells and columns and all(c in row.paper for c in columns)]
    tau: dict[str, float | None] = {}
    for column in columns:
        names = [t.task for t in tasks if t.paper_column == column]
        ours = [math.fsum(row.cells[name].score for name in names) for row in both]
        tau[column] = kendall_tau(ours, [row.paper[column] for row in both])
    if columns:
        ours = [row.cells[AVERAGE].score for row in both]
        tau[AVERAGE] = kendall_tau(ours, [math.fsum(row.paper[c] for c in columns) for row in both])
    return tau, len(both)


def _notes(
    rows: Sequence[ComparedRow],
    baseline: str,
    compared: bool,
    columns: Sequence[str],
    paper_sd: Mapping[str, float],
    resamples: int,
) -> tuple[str, ...]:
    notes = []
    if compared:
        marks = f"against the baseline ({baseline}): ▲ better, ▼ worse, ≈ within the noise"
        notes.append(f"{marks} ({THRESHOLD_SD} standard deviations; 1 of 20 equal rows gets an arrow by chance)")
    else:
        notes.append(f"the baseline ({baseline}) has no result yet, so nothing is compared with it")
    seeds = max((row.seeds for row in rows), default=0)
    runs = "" if seeds > 1 else "; one seed per row: the noise of training itself is not in it (use more seeds)"
    spread = f" and the spread over {seeds} seeds" if seeds > 1 else ""
    notes.append(f"noise: paired bootstrap over the evaluation examples, {resamples} resamples{spread}{runs}")
    if any(row.rank_shared for row in rows):
        notes.append("rank n≈: cannot be told from the first row of that rank")
    known = [f"{c} {paper_sd[c]:g}" for c in columns if c in paper_sd]
    if known:
        notes.append(f"the paper's own noise, one standard deviation of its baseline: {', '.join(known)}")
    return tuple(notes)


def _majority_note(tasks: Sequence[TaskColumn]) -> tuple[str, ...]:
    known = [f"{t.label or t.task} {t.majority:.2f}" for t in tasks if t.majority is not None]
    return (f"always training's commonest answer: {', '.join(known)}",) if known else ()


def to_json(comparison: Comparison) -> str:
    """Returns the comparison as one JSON object: what reports are made from. Scores x100, times in seconds."""
    return json.dumps(to_dict(comparison), ensure_ascii=False, indent=1)


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Returns ``to_json``'s object as plain values."""
    c = comparison
    return {
        "title": c.title,
        "baseline": c.baseline,
        "tasks": [
            {"task": t.task, "label": t.label or t.task, "paper_column": t.paper_column, "majority": t.majority}
            for t in c.tasks
        ],
        "paper_columns": list(c.paper_columns),
        "rows": [
            {
                "name": row.name,
                "label": row.label,
                "status": row.status,
                "reason": row.reason,
                "seeds": row.seeds,
                "cells": {name: _cell_dict(cell) for name, cell in row.cells.items()},
                "rank": row.rank,
                "rank_shared": row.rank_shared,
                "paper": dict(row.paper),
                "paper_rank": row.paper_rank,
                "seconds": row.seconds,
            }
            for row in c.rows
        ],
        "tau": dict(c.tau),
        "tau_rows": c.tau_rows,
        "notes": list(c.notes),
    }


def _cell_dict(cell: Cell) -> dict[str, Any]:
    out: dict[str, Any] = {"score": round(cell.score, 4), "sd": _rounded(cell.sd), "mark": cell.mark}
    if cell.difference:
        out |= {"difference": _rounded(cell.difference.value), "difference_sd": _rounded(cell.difference.sd)}
    return out


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
