"""From rows' results to the columns of numbers that are compared: scores, and bits per byte."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.noise import Aggregate, Measured, Sample, average, resampled_indices, sample
from orchestrator.results.signal import Measure
from orchestrator.results.values import RowResult, TaskColumn

Columns = Mapping[str, Mapping[Measure, Measured]]
"""task -> measure -> the rows' numbers."""

_NATS, _BYTES, _LABELS = range(3)


def bits_per_byte(likelihoods: NDArray[np.float64]) -> Any:
    """Returns bits per byte from [N, k] nats and bytes, or from a stack [R, N, k] a value each; nan: no bytes."""
    totals = likelihoods[..., (_NATS, _BYTES)].sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(totals[..., 1] > 0, totals[..., 0] / math.log(2) / totals[..., 1], np.nan)


def by_name(results: Sequence[RowResult]) -> dict[str, list[RowResult]]:
    """Returns the results of each row; raises ValueError for two of one row and seed."""
    out: dict[str, list[RowResult]] = {}
    for result in results:
        runs = out.setdefault(result.name, [])
        if any(run.seed == result.seed for run in runs):
            raise ValueError(f"two results of row {result.name!r} have seed {result.seed}")
        runs.append(result)
    return out


def columns_of_numbers(
    rows: Mapping[str, Sequence[RowResult]], tasks: Sequence[TaskColumn], resamples: int, seed: int
) -> tuple[dict[str, dict[Measure, Measured]], tuple[str, ...]]:
    """Returns task -> measure -> the finished runs' numbers, and lines about those that cannot be shown.

    A row has a number where all its finished runs have it. Where no row has two runs, those judged at several
    checkpoints say how far their bits lie apart.
    """
    finished = {name: [run for run in runs if run.status == "done"] for name, runs in rows.items()}
    alone = all(len(done) < 2 for done in finished.values())
    columns: dict[str, dict[Measure, Measured]] = {}
    notes = []
    for task in tasks:
        scores: dict[str, Sample] = {}
        bits: dict[str, Sample] = {}
        refused = []
        for name, done in finished.items():
            scored = _scores(done, task, resamples, seed)
            if scored is None:
                if any(not math.isfinite(run.scores.get(task.task, 0.0)) for run in done):
                    notes.append(f"no score on {task.label or task.task} for {name}: it is not finite")
                continue
            scores[name] = scored
            found = _bits(done, task.task, resamples, seed)
            if isinstance(found, Sample):
                bits[name] = replace(found, checkpoints=bits_at(done[0], task.task)) if alone else found
            elif found:
                refused.append(f"{name} ({found})")
        columns[task.task] = {}
        if scores:
            columns[task.task]["score"] = Measured(scores)
        if bits:
            columns[task.task]["bits"] = Measured(bits, better=-1)
        if refused:
            notes.append(f"no bits per byte on {task.label or task.task} for {', '.join(refused)}")
    return columns, tuple(notes)


def average_of_scores(columns: Columns, tasks: Sequence[str]) -> Measured:
    """Returns the plain mean of the scores of the rows that have all of these tasks."""
    parts = [columns[task]["score"] for task in tasks if "score" in columns[task]]
    if not tasks or len(parts) < len(tasks):
        return Measured({})
    rows = [row for row in parts[0].samples if all(row in part for part in parts)]
    return Measured({row: average([part.samples[row] for part in parts]) for row in rows})


def bits_at(run: RowResult, task: str) -> dict[int, float] | None:
    """Returns bits per byte by step, as far as they say something of a run's noise; None: they do not."""
    if run.checkpoints is None or not run.checkpoints.steady:
        return None
    return {
        step: float(bits_per_byte(of_step[task][:, : _BYTES + 1]))
        for step, of_step in run.checkpoints.likelihoods.items()
    }


def checkpoint_deviation(runs: Sequence[RowResult], task: str) -> float | None:
    """Returns how far bits per byte of a run's checkpoints lie apart, over all runs; None: not known of every run."""
    done = [run for run in runs if run.status == "done"]
    squares = [
        float(np.var([bits_per_byte(of_step[task]) for of_step in run.checkpoints.likelihoods.values()], ddof=1))
        for run in done
        if run.checkpoints is not None and run.likelihoods and task in run.likelihoods
    ]
    mean = _mean_of_all(squares, len(done))
    return None if mean is None else math.sqrt(mean)


def label_figures(runs: Sequence[RowResult], task: str) -> tuple[float | None, float | None]:
    """Returns a row's cross-entropy over a task's labels and the AUC of their margin; None: not known of every run."""
    done = [run for run in runs if run.status == "done"]
    tables = [run.likelihoods[task] for run in done if run.likelihoods and task in run.likelihoods]
    nats = [float(np.mean(table[:, _LABELS])) for table in tables if table.shape[1] > _LABELS and len(table)]
    aucs = [run.label_auc[task] for run in done if task in run.label_auc]
    return _mean_of_all(nats, len(done)), _mean_of_all(aucs, len(done))


def _mean_of_all(values: Sequence[float], runs: int) -> float | None:
    if not values or len(values) < runs or not all(map(math.isfinite, values)):
        return None
    return math.fsum(values) / len(values)


def _scores(done: Sequence[RowResult], task: TaskColumn, resamples: int, seed: int) -> Sample | None:
    name = task.task
    if not done or any(not math.isfinite(run.scores.get(name, math.nan)) for run in done):
        return None
    examples = {run.seed: run.example_scores[name] for run in done if run.example_scores and name in run.example_scores}
    scores = {run.seed: run.scores[name] for run in done}
    return replace(
        _sample(name, scores, examples, task.aggregate, resamples, seed), tries=done[0].tries, members=_members(done)
    )


def _bits(done: Sequence[RowResult], name: str, resamples: int, seed: int) -> Sample | str | None:
    """Returns bits per byte; why there are none, though likelihoods are; or None without likelihoods."""
    numbers = {run.seed: found for run in done if (found := _nats_and_bytes(run, name)) is not None}
    if len(numbers) < len(done):
        return None
    bits = {s: float(bits_per_byte(numbers_Nk)) for s, numbers_Nk in numbers.items()}
    if not all(np.isfinite(numbers_Nk).all() for numbers_Nk in numbers.values()):
        return "a likelihood is not finite"
    if any(math.isnan(value) for value in bits.values()):
        return "its targets have no bytes"
    return replace(
        _sample(name, bits, numbers, bits_per_byte, resamples, seed), tries=done[0].tries, members=_members(done)
    )


def share_members(runs: Sequence[RowResult]) -> bool:
    """Whether some of a row's finished runs are ensembles that have a member in common."""
    members = [run.members for run in runs if run.status == "done"]
    return sum(map(len, members)) > len(frozenset().union(*members))


def _members(done: Sequence[RowResult]) -> dict[int, frozenset[str]]:
    return {run.seed: run.members for run in done if run.members}


def _nats_and_bytes(run: RowResult, name: str) -> NDArray[np.float64] | None:
    """Returns a run's per-example numbers [N, 2], nats the mean over its checkpoints; None without likelihoods.

    Bytes are the same at all checkpoints, so bits per byte of these are the mean of the checkpoints' bits.
    """
    if not run.likelihoods or name not in run.likelihoods:
        return None
    tables = [run.likelihoods] if run.checkpoints is None else list(run.checkpoints.likelihoods.values())
    return np.asarray(np.mean([of_step[name][:, : _BYTES + 1] for of_step in tables], axis=0, dtype=np.float64))


def _sample(
    name: str,
    runs: Mapping[int, float],
    examples: Mapping[int, NDArray[np.float64]],
    aggregate: Aggregate | None,
    resamples: int,
    seed: int,
) -> Sample:
    count = len(next(iter(examples.values()))) if examples else 0
    if aggregate is None or not count or len(examples) < len(runs):
        return Sample(runs=dict(runs))
    indices_RN = resampled_indices(name, count, resamples=resamples, seed=seed)
    return sample(runs, examples, aggregate, indices_RN)
