"""The comparison as JSON: what is kept in the store, and what pages are made from."""

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.results.agreement import unrelated
from orchestrator.results.signal import SIGNAL_WANTED, Signal
from orchestrator.results.values import Cell, ComparedRow, Comparison, Number, RateCheck, RowCompute, TaskColumn

_DIGITS = 4


def to_json(comparison: Comparison) -> str:
    """Returns the comparison as one JSON object: what reports are made from. Scores x100, times in seconds."""
    return json.dumps(to_dict(comparison), ensure_ascii=False, indent=1, allow_nan=False)


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Returns ``to_json``'s object as plain values."""
    c = comparison
    return {
        "title": c.title,
        "baseline": c.baseline,
        "tasks": [_task_dict(t, c.signals.get(t.task)) for t in c.tasks],
        "signal_wanted": SIGNAL_WANTED,
        "level": c.level,
        "paper_columns": list(c.paper_columns),
        "rows": [{**_row_dict(row), "compute": _compute_dict(c.compute.get(row.name))} for row in c.rows],
        "tau": c.tau,
        "tau_interval": {
            name: None if a.interval is None else [_rounded(end) for end in a.interval]
            for name, a in c.agreement.items()
        },
        "tau_unrelated": _rounded(unrelated(c.tau_rows)),
        "tau_rows": c.tau_rows,
        "baseline_deviations": {
            name: {"sd": _rounded(d.sd), "interval": [_rounded(d.low), _rounded(d.high)], "runs": d.runs}
            for name, d in c.baseline_deviations.items()
        },
        "notes": list(c.notes),
        "learning_rates": None if c.rates is None else _rates_dict(c.rates),
    }


def _compute_dict(compute: RowCompute | None) -> dict[str, Any] | None:
    if compute is None:
        return None
    unequal = {name: _rounded(ratio) for name, ratio in compute.unequal.items()}
    numbers = {"flops": compute.flops, "parameters": compute.parameters, "tokens": compute.tokens}
    return {**numbers, "unequal_to_baseline": unequal}


def _rates_dict(check: RateCheck) -> dict[str, Any]:
    return {
        "tried": list(check.rates),
        "rows": {
            name: {
                "rate": row.rate,
                "chosen_by": row.by or None,
                "tried": [
                    {
                        "rate": t.rate,
                        "held_out_loss": _rounded(t.held_out_loss),
                        "standing": _rounded(t.standing),
                        "reason": t.reason,
                    }
                    for t in row.tried
                ],
            }
            for name, row in check.rows.items()
        },
        "pairs": check.looked_at,
        "reversed": [
            {
                "better": pair.better,
                "worse": pair.worse,
                "reversed_at": list(pair.at),
                "told_at": list(pair.told),
                "noise_known": pair.known,
            }
            for pair in check.pairs
        ],
    }


def _task_dict(task: TaskColumn, signal: Signal | None) -> dict[str, Any]:
    out: dict[str, Any] = {
        "task": task.task,
        "label": task.label or task.task,
        "paper_column": task.paper_column,
        "majority": task.majority,
    }
    return out | {
        "ranked_by": signal.measure if signal else None,
        "signal_to_noise": _by_measure(signal.ratios) if signal else {},
        "smallest_difference": _by_measure(signal.smallest) if signal else {},
        "takes_part": bool(signal and signal.takes_part),
    }


def _row_dict(row: ComparedRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "label": row.label,
        "status": row.status,
        "reason": row.reason,
        "seeds": row.seeds,
        "cells": {name: _cell_dict(cell) for name, cell in row.cells.items()},
        "standing": None if row.standing is None else {"value": _rounded(row.standing.value), **_noise(row.standing)},
        "rank": row.rank,
        "rank_shared": row.rank_shared,
        "rank_known": row.rank_known,
        "rank_within_run": row.rank_within_run,
        "paper": dict(row.paper),
        "paper_rank": row.paper_rank,
        "seconds": row.seconds,
        "rate": row.rate,
        "facts": dict(row.facts),
    }


def _cell_dict(cell: Cell) -> dict[str, Any]:
    bits = None if cell.bits is None else {"value": _rounded(cell.bits.value), **_noise(cell.bits)}
    labels = {"label_nats": _rounded(cell.label_nats), "label_auc": _rounded(cell.label_auc)}
    if bits is not None:
        bits["checkpoint_sd"] = _rounded(cell.bits_checkpoint_sd)
    return {"score": _rounded(cell.score), **_noise(cell), "bold": cell.bold, "bits": bits, **labels}


def _noise(number: Number) -> dict[str, Any]:
    out: dict[str, Any] = {"sd": _rounded(number.sd), "mark": number.mark}
    d = number.difference
    if d:
        out |= {"difference": _rounded(d.value), "difference_sd": _rounded(d.sd)}
        out |= {"borrowed": d.borrowed, "within_run": d.within_run}
    return out


def _by_measure(values: Mapping[Any, float | None]) -> dict[str, float | None]:
    return {name: _rounded(value) for name, value in values.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
