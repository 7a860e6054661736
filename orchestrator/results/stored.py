"""A report made anew from its plan and the stages in a store: what its table holds, and the numbers behind it.

A report says what a table shows; whether any two of its rows can be told apart takes every seed's and every example's
figures, which lie with the stages. Nothing is run: what is no longer in the store is missing.
"""

import json
from dataclasses import dataclass, replace

from orchestrator.engine.outcomes import Accounting, Failed, Finished, Outcome, Outcomes, Skipped
from orchestrator.plan.ensembles import trained_of
from orchestrator.plan.parts import kind_of_role
from orchestrator.plan.plan import EVALUATED, LIKELIHOOD, PRETRAINED, Plan, PlannedRow
from orchestrator.plan.rates import OWN, shown
from orchestrator.plan.stage import Stage
from orchestrator.results.compare import Comparison
from orchestrator.results.rows import comparison_of
from orchestrator.results.significance import LEVEL
from orchestrator.store import Store
from orchestrator.store.failures import read_failure
from orchestrator.store.plans import plan_names, read_plan
from orchestrator.store.reports import Report
from t5core.errors import ConfigError

_AGAIN = "run the study again (what is finished is not done anew)"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A report, its plan and its comparison, made anew.

    Attributes:
        runs: what was trained for its rows: two reports that share some of it are no independent words.
        remarks: how its rows were come to, where that is not by one run of a seed at its own rate.
    """

    report: str
    plan: Plan
    comparison: Comparison
    runs: frozenset[str]
    remarks: tuple[str, ...] = ()


def stored_comparison(store: Store, report: Report) -> Stored:
    """Returns the comparison behind a report, held to the level that the report was.

    Raises:
        ConfigError: the report is of before plans or levels were kept, or nothing of its rows is in the store any more,
            or not that by which a learning rate was chosen for them.
    """
    level = report.comparison.get("level")
    if report.name not in plan_names(store) or not isinstance(level, int | float) or not 0 < level <= LEVEL:
        problem = "is of an earlier release, which did not keep what a comparison takes"
        raise ConfigError("report", report.name, f"{problem}: {_AGAIN}")
    plan = read_plan(store, report.name)
    outcomes = stored_outcomes(plan, store)
    rates = {row.rate for row in plan.rows}
    # a row is judged by these two alone: what it was trained from may have been removed, unless its rate hangs on it
    roles = (EVALUATED, LIKELIHOOD) if len(rates) == 1 else (EVALUATED, LIKELIHOOD, PRETRAINED)
    judged = tuple(
        replace(row, stages={role: key for role, key in row.stages.items() if kind_of_role(role) in roles})
        for row in plan.rows
    )
    finished = [row for row in judged if all(isinstance(outcomes[key], Finished) for key in row.of_role(EVALUATED))]
    for row in finished if len(rates) > 1 else ():
        if not all(isinstance(outcomes[key], Finished) for key in row.of_role(PRETRAINED)):
            problem = f"the pre-training of {row.name} at {shown(row.rate)}, by which its rate is chosen, is gone"
            raise ConfigError("report", report.name, f"{problem}: {_AGAIN}")
    if not finished:
        raise ConfigError("report", report.name, f"nothing of its rows is in {store.shown_uri} any more: {_AGAIN}")
    try:
        comparison = comparison_of(replace(plan, rows=judged), outcomes, store, looks=round(LEVEL / level))
    except FileNotFoundError as error:  # of before examples' figures were kept
        raise ConfigError("report", report.name, f"{error.filename} is not in the store: {_AGAIN}") from None
    chosen = {} if comparison.rates is None else {name: row.rate for name, row in comparison.rates.rows.items()}
    done = {(row.name, row.seed, row.rate) for row in finished}
    runs = frozenset(
        trained
        for row in plan.rows
        if (row.name, row.seed, row.rate) in done and row.rate == chosen.get(row.name, row.rate)
        for trained in _trained(plan, row)
    )
    return Stored(report=report.name, plan=plan, comparison=comparison, runs=runs, remarks=_remarks(plan, comparison))


def _trained(plan: Plan, row: PlannedRow) -> list[str]:
    """Names what is behind a row's figures: its pre-training, else its training, whatever it keeps of its weights.

    Behind those of an ensemble there are several.
    """
    if PRETRAINED in row.stages:
        return list(row.of_role(PRETRAINED))
    judged = [plan.stages[key] for key in row.of_role(EVALUATED)]
    return [_without_what_it_keeps(plan.stages[key]) for stage in judged for key in trained_of(stage.inputs)]


def _without_what_it_keeps(trained: Stage) -> str:
    train = {k: v for k, v in trained.config["train"].items() if k not in ("keep_last", "keep_every")}
    return json.dumps([trained.kind, {**trained.config, "train": train}, dict(trained.inputs)], sort_keys=True)


def _remarks(plan: Plan, comparison: Comparison) -> tuple[str, ...]:
    out = []
    if comparison.rates is not None:
        rates = [f"{name} {shown(row.rate)}" for name, row in comparison.rates.rows.items() if row.rate != OWN]
        out.append(f"rows at the best of several learning rates: {', '.join(rates) or 'all at their own'}")
    steps = {
        1 + len(plan.stages[key].settings["likelihood"].get("also_at", ()))
        for row in plan.rows
        for key in row.of_role(LIKELIHOOD)
    }
    if max(steps, default=1) > 1:
        out.append(f"bits per byte are means of {max(steps)} checkpoints")
    return (*out, *(f"{row.name}: {row.reason}" for row in comparison.rows if row.reason))


def stored_outcomes(plan: Plan, store: Store) -> Outcomes:
    """Returns how the stages of a plan ended, as far as the store tells; nothing is run."""
    by_key: dict[str, Outcome] = {}
    for key, stage in plan.stages.items():  # each comes after what it reads
        manifest = store.finished(stage)
        if manifest is not None:
            by_key[key] = Finished(manifest=manifest, cached=True, seconds=0.0)
            continue
        failure = read_failure(store, key)
        before = next((by_key[read] for read in stage.inputs.values() if isinstance(by_key[read], Skipped)), None)
        failed = next((read for read in stage.inputs.values() if isinstance(by_key[read], Failed)), "")
        if failure is not None or not (before or failed):
            error = failure.error if failure else "it is not in the store"
            by_key[key] = Failed(error=error, attempts=failure.attempts if failure else 0)
        else:
            by_key[key] = before or Skipped(because=failed)
    return Outcomes(by_key=by_key, accounting=Accounting(wall_s=0.0, lanes=0, lane_s=0.0, prepared_s=0.0))
