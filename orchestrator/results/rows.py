"""From the outcomes of a plan to the rows and columns of a comparison."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.engine.outcomes import Failed, Finished, Outcomes, Skipped
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.study import Scale, Study
from orchestrator.results.compare import RowResult, TaskColumn
from orchestrator.store import Store
from t5core.config import TasksConfig
from t5core.metrics.averages import paper_columns
from t5core.tasks import judged, tasks_of


def row_result(study: Study, scale: Scale, plan: Plan, row: PlannedRow, outcomes: Outcomes, store: Store) -> RowResult:
    """Returns what a row came to; its reason where a stage failed or was not run."""
    described = next(r for r in study.rows if r.name == row.name)
    common: dict[str, Any] = {"name": row.name, "label": described.label, "seed": row.seed, "paper": described.paper}
    for role, key in row.stages.items():
        match outcomes[key]:
            case Failed() as failed:
                log = f" (log: {failed.log})" if failed.log else ""
                return RowResult(**common, status="failed", reason=f"{role}: {failed.error}{log}")
            case Skipped() as skipped:
                reason = f"{role} was not run because {plan.stages[skipped.because].folder} failed"
                return RowResult(**common, status="failed", reason=reason)
            case Finished():
                pass
    evaluated = outcomes[row.stages["evaluate"]]
    assert isinstance(evaluated, Finished)
    folder = store.path(plan.stages[row.stages["evaluate"]])
    tasks = judged(tasks_of(scale.baseline.tasks))
    scores = evaluated.manifest.result["scores"]
    return RowResult(
        **common,
        scores={name: task.main_score(scores[name]) for name, task in tasks.items()},
        example_scores={name: np.load(folder / f"{name}.scores.npy", allow_pickle=False) for name in tasks},
        seconds=sum(_seconds(outcomes, key) for role, key in row.stages.items() if plan.stages[key].accelerated),
    )


def _seconds(outcomes: Outcomes, key: str) -> float:
    outcome = outcomes[key]
    return outcome.manifest.seconds if isinstance(outcome, Finished) else 0.0


def all_scores(row: PlannedRow, outcomes: Outcomes) -> dict[str, float]:
    """Returns every metric of every task, and the paper's columns, for MLflow: ``doc_qa/em``, ``column/GLUE``."""
    evaluated = outcomes[row.stages["evaluate"]]
    if not isinstance(evaluated, Finished):
        return {}
    scores = evaluated.manifest.result["scores"]
    single = {f"{task}/{metric}": value for task, by_metric in scores.items() for metric, value in by_metric.items()}
    return {**single, **{f"column/{name}": value for name, value in paper_columns(scores).items()}}


def columns_of(config: TasksConfig, majorities: Mapping[str, float]) -> list[TaskColumn]:
    """Returns the table's columns: the tasks that rows are judged by."""
    return [
        TaskColumn(
            task=name,
            paper_column=task.paper_column,
            aggregate=task.aggregate,
            label=f"{name.removeprefix('doc_')} {task.main.name}",
            majority=majorities.get(name),
        )
        for name, task in judged(tasks_of(config)).items()
    ]


def majorities(plan: Plan, outcomes: Outcomes) -> dict[str, float]:
    """Returns what always giving training's commonest answer scores, by task."""
    for stage in plan.stages.values():
        outcome = outcomes[stage.key]
        if stage.kind == "tasks" and isinstance(outcome, Finished):
            ending = ".majority"
            return {k.removesuffix(ending): v for k, v in outcome.manifest.result.items() if k.endswith(ending)}
    return {}


def rejected_input(outcomes: Outcomes) -> str | None:
    """Returns why preparation refused what it was given, if it did: that is the user's to mend, not a failed row."""
    for outcome in outcomes.values():
        if isinstance(outcome, Failed) and outcome.refused:
            return outcome.error
    return None
