"""Several learning rates: which one each row stands in the table with, and whether the order of rows depends on it.

    results at all rates ──try_rates──► the chosen ones ──► the table ──check──► pairs of another order at one rate

A row stands at the rate with the lowest held-out loss of its pre-training, the mean over its seeds: the losses of one
row at several rates are of the same batches, and they are not what rows are ranked by, so the choice does not make the
numbers luckier than they are (but where luck of a pre-training shows in both). A row without such a loss (no
pre-training, or text and tasks at once) stands at the rate with its best standing among all rows at all rates, which
has means and deviations of its own, and the best of K tries is luckier than one. So its differences are held against a
K-th of the level (``Sample.tries``), by Bonferroni: whichever of K was taken, the chance that any of them would be
told is no more than without a choice; for two such rows it is K times K.

A rate at which one of a row's runs failed, or has no likelihoods, is not chosen from.

The order at one rate for all is that of the rows' standings at this rate, held against the table's own means and
deviations, so that a row's standings at all rates are on one scale. The orders at each rate and that of the table are
told from noise all together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from orchestrator.plan.rates import OWN, said, shown
from orchestrator.results.multiple import told
from orchestrator.results.noise import Measured
from orchestrator.results.samples import Columns, columns_of_numbers
from orchestrator.results.signal import Signal, signals, standing
from orchestrator.results.significance import Difference
from orchestrator.results.values import RateCheck, ReversedPair, RowRates, RowResult, TaskColumn, TriedRate

PAIRS_NAMED = 5
"""Of the pairs whose order is open, under the table; all of them are in the JSON."""

_Runs = Mapping[str, Mapping[float, Sequence[RowResult]]]
"""row -> rate -> its runs."""
_By = Literal["held-out loss", "standing", ""]


@dataclass(frozen=True, kw_only=True)
class Rated:
    """Results at several rates with one chosen for each row.

    Attributes:
        chosen: the results that the table is of.
        rates: the multiples, ascending.
        runs: all results.
        choice: row -> its rate, and what it was chosen by.
        columns: the numbers of all rows at all rates at which they are finished, by (row, rate) as ``_key`` writes it.
    """

    chosen: tuple[RowResult, ...]
    rates: tuple[float, ...]
    runs: _Runs
    choice: Mapping[str, tuple[float, _By]]
    columns: Columns

    def check(self, columns: Columns, signal: Mapping[str, Signal], order: Measured, level: float) -> RateCheck:
        """Returns what other rates would do to the table.

        Args:
            columns: the table's numbers.
            signal: which tasks its rows are ranked by.
            order: its rows' standing.
            level: of the table.
        """
        at_rate = {rate: standing(self._columns_at(rate), signal, columns) for rate in self.rates}
        pairs, looked_at = _reversed_pairs(order, at_rate, level)
        rows = {
            name: RowRates(
                rate=rate,
                by=by,
                tried=tuple(
                    TriedRate(
                        rate=tried,
                        held_out_loss=_held_out_loss(runs),
                        standing=at_rate[tried].samples[name].value if name in at_rate[tried] else None,
                        reason=_reason(runs),
                    )
                    for tried, runs in sorted(self.runs[name].items())
                ),
            )
            for name, (rate, by) in self.choice.items()
        }
        return RateCheck(rates=self.rates, rows=rows, pairs=pairs, looked_at=looked_at)

    def _columns_at(self, rate: float) -> Columns:
        rows = {_key(name, rate): name for name in self.runs}
        return {
            task: {
                measure: Measured(
                    {rows[key]: s for key, s in column.samples.items() if key in rows}, better=column.better
                )
                for measure, column in measures.items()
            }
            for task, measures in self.columns.items()
        }


def try_rates(results: Sequence[RowResult], tasks: Sequence[TaskColumn], resamples: int, seed: int) -> Rated | None:
    """Chooses a rate for each row; returns None where rows were trained at one only.

    Args:
        results: one per row, seed and rate.
        tasks: the columns.
        resamples: of the evaluation set.
        seed: of the bootstrap.
    """
    rates = tuple(sorted({result.rate for result in results}))
    if len(rates) < 2:
        return None
    runs: dict[str, dict[float, list[RowResult]]] = {}
    for result in results:
        runs.setdefault(result.name, {}).setdefault(result.rate, []).append(result)
    finished = {name: {r: of for r, of in sorted(by.items()) if not _reason(of)} for name, by in runs.items()}
    choice = {name: _by_held_out_loss(by_rate) for name, by_rate in finished.items()}
    keys = {_key(name, rate): of for name, by_rate in finished.items() for rate, of in by_rate.items()}
    columns, _ = columns_of_numbers(keys, tasks, resamples, seed)
    if None in choice.values():
        stand = _standings(finished, columns)
        choice |= {name: _by_standing(finished[name], stand[name]) for name, c in choice.items() if c is None}
    found = {name: c or (OWN, "") for name, c in choice.items()}
    chosen = [
        replace(result, tries=len(finished[result.name]) if found[result.name][1] == "standing" else 1)
        for result in results
        if result.rate == found[result.name][0]
    ]
    return Rated(chosen=tuple(chosen), rates=rates, runs=runs, choice=found, columns=columns)


def _key(name: str, rate: float) -> str:
    return f"{name} at {shown(rate)}"


def _reason(runs: Sequence[RowResult]) -> str:
    """Why a rate is not chosen from; "" where it may be."""
    return next((run.reason or run.status for run in runs if run.status != "done" or run.reason), "")


def _held_out_loss(runs: Sequence[RowResult]) -> float | None:
    losses = [run.held_out_loss for run in runs if run.held_out_loss is not None and math.isfinite(run.held_out_loss)]
    return math.fsum(losses) / len(losses) if len(losses) == len(runs) and losses else None


def _by_held_out_loss(by_rate: Mapping[float, Sequence[RowResult]]) -> tuple[float, _By] | None:
    """The rate with the lowest; of equal ones the nearest to the row's own. None where runs have no such loss."""
    losses = {rate: loss for rate, runs in by_rate.items() if (loss := _held_out_loss(runs)) is not None}
    if not losses:
        return (OWN, "") if not by_rate else None
    return min(losses, key=lambda rate: (losses[rate], abs(math.log(rate)))), "held-out loss"


def _by_standing(by_rate: Mapping[float, Sequence[RowResult]], stand: Mapping[float, float]) -> tuple[float, _By]:
    if not stand:  # not on every task that takes part
        return (OWN if OWN in by_rate else min(by_rate, key=lambda rate: abs(math.log(rate)))), ""
    return min(stand, key=lambda rate: (-stand[rate], abs(math.log(rate)))), "standing"


def _standings(finished: _Runs, columns: Columns) -> dict[str, dict[float, float]]:
    """Returns row -> rate -> standing, of all rows at all rates in one table."""
    order = standing(columns, signals(columns))
    return {
        name: {rate: order.samples[key].value for rate in by_rate if (key := _key(name, rate)) in order}
        for name, by_rate in finished.items()
    }


def _reversed_pairs(
    order: Measured, at_rate: Mapping[float, Measured], level: float
) -> tuple[tuple[ReversedPair, ...], int]:
    """Returns the pairs that stand another way round at some rate, and how many pairs there are.

    All orders that there are, those at each rate and those of the table, are told from noise together.
    """
    best_first = sorted(order.samples, key=lambda row: -order.samples[row].value)
    orders: dict[tuple[str, str, float | None], Difference] = {}
    for better, worse in combinations(best_first, 2):
        orders[better, worse, None] = order.difference(better, worse)
        for rate, measured in at_rate.items():
            if better in measured and worse in measured:
                orders[better, worse, rate] = measured.difference(better, worse)
    orders = told(orders, level)
    pairs = []
    for better, worse in combinations(best_first, 2):
        in_table = orders[better, worse, None]
        others = {rate: orders[better, worse, rate] for rate in at_rate if (better, worse, rate) in orders}
        turned = {rate: d for rate, d in others.items() if d.value < 0}
        if not turned or in_table.value <= 0:  # rows that stand alike have no order to turn round
            continue
        pairs.append(
            ReversedPair(
                better=better,
                worse=worse,
                at=tuple(turned),
                told=tuple(rate for rate, d in turned.items() if d.told and in_table.told),
                known=in_table.known and all(d.known for d in turned.values()),
            )
        )
    pairs.sort(key=lambda pair: not pair.told)
    return tuple(pairs), math.comb(len(best_first), 2)


def rate_notes(check: RateCheck) -> tuple[str, ...]:
    """Returns the lines under the table."""
    by_loss = [name for name, row in check.rows.items() if row.by == "held-out loss"]
    by_standing = [name for name, row in check.rows.items() if row.by == "standing"]
    lines = [
        f"rows were trained at {said(check.rates)} their own learning rate (that of pre-training or multi-task"
        " training; of fine-tuning in rows without either), all else as it is"
    ]
    if by_loss:
        lines.append(
            "rate: the one with the lowest held-out loss of pre-training, the mean over a row's seeds, so not chosen by"
            " what rows are ranked by"
        )
    if by_standing:
        lines.append(
            f"rate of {', '.join(by_standing)}: no such loss, so the one with the best standing; the best of up to"
            f" {len(check.rates)} is a bit lucky: the numbers are rather too good, and each mark of such a row is held"
            " to its share of the level"
        )
    return (*lines, *_ends(check), *_failed(check), *_orders(check))


def _ends(check: RateCheck) -> tuple[str, ...]:
    ends = [
        f"{name} ({shown(row.rate)})"
        for name, row in check.rows.items()
        if row.by and row.rate in (check.rates[0], check.rates[-1])
    ]
    tell = "at the end of the rates tried, so a better one may lie beyond, which further --rates would tell"
    return (f"{tell}: {', '.join(ends)}",) if ends else ()


def _failed(check: RateCheck) -> tuple[str, ...]:
    failed = [
        (f"{name} at {shown(t.rate)}", t.reason) for name, row in check.rows.items() for t in row.tried if t.reason
    ]
    names = ", ".join(name for name, _ in failed)
    return (f"not chosen from, since a run failed or is not whole: {names} ({failed[0][1]})",) if failed else ()


def _orders(check: RateCheck) -> tuple[str, ...]:
    certain = [pair for pair in check.pairs if pair.told]
    unsure = [pair for pair in check.pairs if not pair.told]
    if not check.looked_at:
        return ()
    if not check.pairs:
        where = f"({check.looked_at} pair(s), where both are finished)"
        return (f"at no one rate for all do two rows stand the other way round {where}",)
    lines = []
    if certain:
        which = "; ".join(_turned(pair, pair.told) for pair in certain)
        lines.append(f"order depends on the learning rate, by more than noise: {which}")
    if unsure:
        which = "; ".join(_turned(pair, pair.at) for pair in unsure[:PAIRS_NAMED])
        more = f"; and {len(unsure) - PAIRS_NAMED} more, in --json" if len(unsure) > PAIRS_NAMED else ""
        why = "is open, one of the two orders being within the noise"
        if any(not pair.known for pair in unsure):
            why = "is not known, since the noise is not: use --seeds 2 or more"
        lines.append(
            f"whether the order of {len(unsure)} of {check.looked_at} pair(s) depends on the learning rate {why}:"
            f" {which}{more}"
        )
    return tuple(lines)


def _turned(pair: ReversedPair, rates: Sequence[float]) -> str:
    return f"{pair.better} over {pair.worse}, but not at {said(rates)} for both"
