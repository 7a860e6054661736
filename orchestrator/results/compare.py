"""The comparison: our rows beside the paper's numbers, with what is noise marked as noise.

Pure: takes results as values, returns values; knows no store, no Ray and no study.

    results ─samples─► numbers ─noise, signal, multiple─► Comparison ──render──► terminal
                                                              └──────to_json──► reports, MLflow
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from orchestrator.results.agreement import Agreement, agreement
from orchestrator.results.deviation import baseline_deviations, deviation_notes
from orchestrator.results.footnotes import checkpoint_notes, ensemble_notes, footnotes
from orchestrator.results.multiple import all_pairs, shared_ranks, told
from orchestrator.results.noise import RESAMPLES, Measured
from orchestrator.results.rates import rate_notes, try_rates
from orchestrator.results.samples import (
    Columns,
    average_of_scores,
    by_name,
    checkpoint_deviation,
    columns_of_numbers,
    label_figures,
)
from orchestrator.results.signal import Measure, signals, standing, with_smallest
from orchestrator.results.significance import LEVEL, Difference
from orchestrator.results.values import (
    AVERAGE,
    STANDING,
    Cell,
    ComparedRow,
    Comparison,
    Number,
    RowResult,
    TaskColumn,
)
from orchestrator.results.written import to_dict, to_json

__all__ = ["AVERAGE", "STANDING", "Comparison", "RowResult", "TaskColumn", "compare", "to_dict", "to_json"]

BOLD_SD = 2.0
"""The paper's rule: bold is what is within so many standard deviations of the baseline of the best in its column."""

_Key = tuple[str, str, str]
"""row, "score" or "bits", task; AVERAGE and STANDING in a task's place."""


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
    looks: int = 1,
) -> Comparison:
    """Puts results beside each other, the baseline and the paper.

    Args:
        results: one per row and seed, and learning rate: a row stands in the table at the best of them.
        tasks: the columns, in order.
        baseline: name of the row that the others are compared with.
        title: head of the table.
        paper_sd: the paper's column -> standard deviation x100 of its baseline, for the notes.
        notes: further lines for under the table.
        resamples: of the evaluation set, for the bootstrap.
        seed: of the bootstrap.
        looks: how often, at most, seeds were added until this table showed something: its level is shared by them.
    """
    level = LEVEL / looks
    rates = try_rates(results, tasks, resamples, seed)
    runs = by_name(results if rates is None else rates.chosen)
    columns, left_out = columns_of_numbers(runs, tasks, resamples, seed)
    average = average_of_scores(columns, [t.task for t in tasks])
    worth = signals(columns)
    order = standing(columns, worth)
    marked = _differences(columns, average, order, baseline, level)
    marks = sum(d.known for d in marked.values())
    if marks:
        worth = with_smallest(worth, columns, baseline, level / marks)
    check = None if rates is None else rates.check(columns, worth, order, level)
    best_first = sorted(order.samples, key=lambda row: -order.samples[row].value)
    pairs = all_pairs(best_first, partial(order.difference, within_runs=True), level)
    ranks = shared_ranks(best_first, pairs)
    within = {row for pair, difference in pairs.items() if difference.within_run for row in pair}
    paper_columns = tuple(dict.fromkeys(t.paper_column for t in tasks if t.paper_column))
    paper_ranks = _paper_ranks(runs, paper_columns)
    cells = {name: _cells(name, of_row, columns, average, marked, baseline) for name, of_row in runs.items()}
    rows = []
    for name in [*ranks, *sorted((name for name in runs if name not in ranks), key=lambda name: not cells[name])]:
        of_row = runs[name]
        unfinished = next((run for run in of_row if run.status != "done"), None)
        seconds = [run.seconds for run in of_row if run.seconds is not None]
        rank, shared, known = ranks.get(name, (None, False, False))
        rows.append(
            ComparedRow(
                name=name,
                label=of_row[0].label,
                status=unfinished.status if unfinished else "done",
                reason=unfinished.reason if unfinished else next((run.reason for run in of_row if run.reason), ""),
                seeds=sum(run.status == "done" for run in of_row),
                cells=cells[name],
                standing=_number(order, name, marked.get((name, "score", STANDING))) if name in order else None,
                rank=rank,
                rank_shared=shared,
                rank_known=known,
                paper={c: of_row[0].paper[c] for c in paper_columns if c in of_row[0].paper},
                paper_rank=paper_ranks.get(name),
                seconds=math.fsum(seconds) if seconds else None,
                rate=of_row[0].rate,
                rank_within_run=known and name in within,
                facts=of_row[0].facts,
            )
        )
    deviations = baseline_deviations(runs.get(baseline, ()), tasks)
    agreements, tau_rows = _agreement(rows, columns, average, order, tasks, paper_columns)
    return Comparison(
        title=title,
        baseline=baseline,
        tasks=tuple(tasks),
        paper_columns=paper_columns,
        rows=tuple(rows),
        signals=worth,
        agreement=agreements,
        tau_rows=tau_rows,
        level=level,
        notes=footnotes(
            rows,
            tasks,
            worth,
            baseline=baseline,
            compared=any(baseline in column for of_task in columns.values() for column in of_task.values()),
            paper_columns=paper_columns,
            paper_sd=paper_sd or {},
            resamples=resamples,
            level=level,
            looks=looks,
        )
        + deviation_notes(deviations)
        + (() if check is None else rate_notes(check))
        + checkpoint_notes(runs)
        + ensemble_notes(runs)
        + left_out
        + tuple(notes),
        standing=order,
        columns=columns,
        rates=check,
        baseline_deviations=deviations,
    )


def _differences(
    columns: Columns, average: Measured, order: Measured, baseline: str, level: float
) -> dict[_Key, Difference]:
    """The differences to the baseline behind all marks of the table, told from noise by all of them together."""
    numbers: dict[tuple[str, str], Measured] = {("score", AVERAGE): average, ("score", STANDING): order}
    for task, measures in columns.items():
        numbers |= {(measure, task): column for measure, column in measures.items()}
    return told(
        {
            (row, measure, task): column.difference(row, baseline, within_runs=True)
            for (measure, task), column in numbers.items()
            if baseline in column
            for row in column.samples
            if row != baseline
        },
        level,
    )


def _number(column: Measured, row: str, difference: Difference | None) -> Number:
    return Number(value=column.samples[row].value, sd=column.sd(row), difference=difference)


def _cells(
    row: str,
    runs: Sequence[RowResult],
    columns: Columns,
    average: Measured,
    marked: Mapping[_Key, Difference],
    baseline: str,
) -> dict[str, Cell]:
    cells = {}
    with_average: dict[str, Mapping[Measure, Measured]] = {**columns, AVERAGE: {"score": average}}
    for task, measures in with_average.items():
        scores, bits = measures.get("score"), measures.get("bits")
        if scores is None or row not in scores:
            continue
        label_nats, label_auc = label_figures(runs, task)
        cells[task] = Cell(
            value=scores.samples[row].value,
            sd=scores.sd(row),
            difference=marked.get((row, "score", task)),
            bits=_number(bits, row, marked.get((row, "bits", task))) if bits is not None and row in bits else None,
            label_nats=label_nats,
            label_auc=label_auc,
            bits_checkpoint_sd=checkpoint_deviation(runs, task) if bits is not None and row in bits else None,
            bold=_bold(scores, row, baseline),
        )
    return cells


def _bold(scores: Measured, row: str, baseline: str) -> bool:
    """The paper's rule; nothing is bold where the deviation of the baseline's runs is not known."""
    variance = scores.own.get(baseline)
    best = max(sample.value for sample in scores.samples.values())
    return variance is not None and best - scores.samples[row].value <= BOLD_SD * math.sqrt(variance.value)


def _paper_ranks(rows: Mapping[str, Sequence[RowResult]], columns: Sequence[str]) -> dict[str, int]:
    means = {
        name: math.fsum(runs[0].paper[c] for c in columns)
        for name, runs in rows.items()
        if columns and all(c in runs[0].paper for c in columns)
    }
    return {name: 1 + sum(other > mean + 1e-9 for other in means.values()) for name, mean in means.items()}


def _agreement(
    rows: Sequence[ComparedRow],
    columns: Columns,
    average: Measured,
    order: Measured,
    tasks: Sequence[TaskColumn],
    paper_columns: Sequence[str],
) -> tuple[dict[str, Agreement], int]:
    """By the paper's column (our side: the scores of the tasks that stand against it), and for the averages."""
    both = [
        row for row in rows if AVERAGE in row.cells and paper_columns and all(c in row.paper for c in paper_columns)
    ]
    out = {}
    for paper in paper_columns:
        ours = average_of_scores(columns, [t.task for t in tasks if t.paper_column == paper])
        out[paper] = agreement(ours, {row.name: row.paper[paper] for row in both})
    if paper_columns:
        papers = {row.name: math.fsum(row.paper[c] for c in paper_columns) for row in both}
        out[AVERAGE] = agreement(average, papers)
        out[STANDING] = agreement(order, {name: paper for name, paper in papers.items() if name in order})
    return out, len(both)
