"""The lines under a table that say how its marks, ranks and averages are to be read."""

from collections.abc import Mapping, Sequence

from orchestrator.results.samples import share_members
from orchestrator.results.signal import SIGNAL_WANTED, Measure, Signal
from orchestrator.results.values import ComparedRow, Number, RowResult, TaskColumn

_DIGITS: Mapping[Measure, str] = {"score": ".2f", "bits": ".3f"}
_UNITS: Mapping[Measure, str] = {"score": "", "bits": " bits"}

BORROWED = (
    "▲? ▼? ≈?: a row has one seed, or ensembles that share members, so its noise of training is borrowed from the rows "
    "with several"
)


def footnotes(
    rows: Sequence[ComparedRow],
    tasks: Sequence[TaskColumn],
    signals: Mapping[str, Signal],
    *,
    baseline: str,
    compared: bool,
    paper_columns: Sequence[str],
    paper_sd: Mapping[str, float],
    resamples: int,
    level: float,
    looks: int,
) -> tuple[str, ...]:
    """Returns the lines, in the order in which they stand.

    Args:
        rows: of the table.
        tasks: of the table.
        signals: what each task can tell.
        baseline: the row that others are compared with.
        compared: whether it has a result.
        paper_columns: that stand in the table.
        paper_sd: the paper's column -> standard deviation of its baseline.
        resamples: of the bootstrap.
        level: that all marks are held to together.
        looks: that the level was shared by.
    """
    labels = {t.task: t.label or t.task for t in tasks}
    return (
        *_marks(rows, baseline, compared, level, looks),
        *_noise(rows, resamples),
        *_ranks(rows, signals, labels),
        *_signals(signals, labels),
        *_bold(rows),
        *_paper(paper_columns, paper_sd),
        *_majority(tasks),
    )


def _numbers(rows: Sequence[ComparedRow]) -> list[Number]:
    cells = [cell for row in rows for cell in row.cells.values()]
    return [*cells, *(cell.bits for cell in cells if cell.bits), *(row.standing for row in rows if row.standing)]


def _marks(rows: Sequence[ComparedRow], baseline: str, compared: bool, level: float, looks: int) -> tuple[str, ...]:
    if not compared:
        return (f"the baseline ({baseline}) has no result yet, so nothing is compared with it",)
    differences = [number.difference for number in _numbers(rows) if number.difference]
    tested = sum(d.known for d in differences)
    lines = []
    if any(d.within_run for d in differences):  # then all that are known are
        lines.append(
            f"against the baseline ({baseline}): ▲? better, ▼? worse, ≈? within the noise, which is how far the last "
            f"checkpoints of each row's own run lie apart (Holm's correction over all {tested} marks at {level:.4g})"
        )
        lines.append(
            "such noise is a lower bound: what another initialisation or order of the data would move is not in it, so "
            "rows that do not differ may well have an arrow; --seeds 2 or more tells"
        )
    elif tested:
        marks = f"against the baseline ({baseline}): ▲ better, ▼ worse, ≈ within the noise"
        shared = f", shared by up to {looks} looks at growing data" if looks > 1 else ""
        lines.append(
            f"{marks} (Holm's correction over all {tested} marks: a table of equal rows, about alike in noise, has any "
            f"arrow with a chance of at most {level:.4g}{shared})"
        )
    if any(d.borrowed for d in differences):
        lines.append(BORROWED)
    if any(not d.known for d in differences):
        lines.append(
            f"against the baseline ({baseline}): ? where nothing is said, since the noise of training is not known: "
            "use --seeds 2 or more"
        )
    return tuple(lines)


def _noise(rows: Sequence[ComparedRow], resamples: int) -> tuple[str, ...]:
    counts = sorted({row.seeds for row in rows if row.seeds})
    examples = f"noise: paired bootstrap over the evaluation examples, {resamples} resamples"
    if not counts:
        return ()
    if counts[-1] == 1:
        return (f"{examples}; one seed per row: the noise of training itself is not measured (use more seeds)",)
    seeds = f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    return (
        f"{examples}, and the spread over {seeds} of each row, drawn towards that of all rows; "
        "seed by seed where rows share seeds",
    )


def _ranks(rows: Sequence[ComparedRow], signals: Mapping[str, Signal], labels: Mapping[str, str]) -> tuple[str, ...]:
    if not any(row.rank is not None for row in rows):
        return ()
    parts = [task for task, signal in signals.items() if signal.takes_part]
    measures = {signals[task].measure for task in parts}
    what = {
        frozenset({"bits"}): "bits per byte",
        frozenset({"score"}): "scores",
        frozenset({"bits", "score"}): "bits per byte, or scores where a row has no bits",
    }.get(frozenset(measures), "")
    if measures == {"score"} and any(cell.bits for row in rows for cell in row.cells.values()):
        what = "scores (not of bits per byte, since some row has none)"
    lines = []
    if parts:
        over = ", ".join(labels[task] for task in parts)
        lines.append(
            f"rows stand in the order of standing: the mean over {over} of {what}, on each less the mean of the rows "
            "and over their deviation, more is better; our average is the paper's, of all scores as they are"
        )
    else:
        lines.append("standing 0: all rows are the same on every task")
    within = any(row.rank_within_run for row in rows)
    if within:
        lines.append(
            "rank n≈?: cannot be told from the first row of that rank even by the noise within runs, corrected for all "
            "pairs of rows; n?: can, but that noise is a lower bound, or is not known"
        )
    elif any(row.rank_shared and row.rank_known for row in rows):
        lines.append("rank n≈: cannot be told from the first row of that rank, corrected for all pairs of rows")
    if not within and any(row.rank is not None and not row.rank_known for row in rows):
        lines.append("rank n?: in this order as it came out; the noise that would tell the rows apart is not known")
    return tuple(lines)


def checkpoint_notes(rows: Mapping[str, Sequence[RowResult]]) -> tuple[str, ...]:
    """Returns lines about rows that were judged at several checkpoints: what is a mean, and what it does not tell."""
    judged = {name: [run for run in runs if run.checkpoints] for name, runs in rows.items()}
    counts = sorted({len(run.checkpoints.likelihoods) for runs in judged.values() for run in runs if run.checkpoints})
    if not counts:
        return ()
    some = "" if all(judged.values()) else f" (not of {', '.join(name for name, runs in judged.items() if not runs)})"
    number = " or ".join(map(str, counts))
    lines = [
        f"bits per byte: the mean over the last {number} checkpoints of a run{some}; scores are of its end unless said"
    ]
    alone = all(sum(run.status == "done" for run in runs) < 2 for runs in rows.values())
    resting = [n for n, runs in judged.items() if any(r.checkpoints and not r.checkpoints.steady for r in runs)]
    if alone and resting:
        lines.append(
            f"no noise within runs of {', '.join(resting)}: the learning rate falls, and with it how far the last "
            "checkpoints lie apart, while runs lie apart as ever"
        )
    return tuple(lines)


def ensemble_notes(rows: Mapping[str, Sequence[RowResult]]) -> tuple[str, ...]:
    """Returns a line about the rows whose runs are ensembles that share members."""
    shared = [name for name, runs in rows.items() if share_members(runs)]
    if not shared:
        return ()
    return (
        f"ensembles of neighbouring seeds share members: the runs of {', '.join(shared)} count as fewer than they are, "
        "only those without a common member tell noise, and none is compared seed by seed",
    )


def _signals(signals: Mapping[str, Signal], labels: Mapping[str, str]) -> tuple[str, ...]:
    if not signals:
        return ()
    told = []
    for task, signal in signals.items():
        ratio = "not known" if signal.ratio is None else f"{signal.ratio:.1f}"
        smallest = [
            f"{value:{_DIGITS[measure]}}{_UNITS[measure]}"
            for measure, value in signal.smallest.items()
            if value is not None
        ]
        told.append(f"{labels[task]} {ratio}" + (f" (sees {' and '.join(smallest)})" if smallest else ""))
    lines = [
        "signal-to-noise (deviation of the rows' means over that between seeds), and the smallest difference to the "
        f"baseline seen in 4 of 5 cases: {', '.join(told)}"
    ]
    constant = [labels[task] for task, signal in signals.items() if signal.constant]
    weak = [labels[task] for task, signal in signals.items() if not signal.takes_part and not signal.constant]
    if constant:
        lines.append(f"the same in all rows, so nothing is ranked by it: {', '.join(constant)}")
    if weak:
        lines.append(f"signal-to-noise below {SIGNAL_WANTED:g}, so shown grey and not in standing: {', '.join(weak)}")
    parts = [signal for signal in signals.values() if signal.takes_part]
    if parts and all(signal.ratio is None for signal in parts):
        lines.append("signal-to-noise takes two seeds in two rows: not known, so all tasks that differ are in standing")
    elif parts and all(signal.ratio is not None and signal.ratio < SIGNAL_WANTED for signal in parts):
        lines.append(f"no task reaches a signal-to-noise of {SIGNAL_WANTED:g}, so none is left out of standing for it")
    return tuple(lines)


def _bold(rows: Sequence[ComparedRow]) -> tuple[str, ...]:
    if any(cell.bold for row in rows for cell in row.cells.values()):
        return ("bold, by the paper's rule: within 2 standard deviations of the baseline's runs of the best score",)
    return ()


def _paper(columns: Sequence[str], paper_sd: Mapping[str, float]) -> tuple[str, ...]:
    known = [f"{c} {paper_sd[c]:g}" for c in columns if c in paper_sd]
    return (f"the paper's own noise, one standard deviation of its baseline: {', '.join(known)}",) if known else ()


def _majority(tasks: Sequence[TaskColumn]) -> tuple[str, ...]:
    known = [f"{t.label or t.task} {t.majority:.2f}" for t in tasks if t.majority is not None]
    return (f"always training's commonest answer: {', '.join(known)}",) if known else ()
