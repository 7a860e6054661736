"""From a plan and its outcomes to the rows and columns of a comparison.

Rows say themselves what they are judged by, so a study may have rows with other tasks than its baseline: the columns
are those of all rows, and a row has no cell where a task is not its own.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.engine.outcomes import Failed, Finished, Outcome, Outcomes, Skipped
from orchestrator.plan.ensembles import trained_of
from orchestrator.plan.parts import kind_of_role
from orchestrator.plan.plan import EVALUATED, LIKELIHOOD, PRETRAINED, Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.results.compare import Comparison, RowResult, TaskColumn, compare
from orchestrator.results.compute import compute_notes, compute_of
from orchestrator.results.notes import notes_on
from orchestrator.results.values import Checkpoints
from orchestrator.stages.work import likelihood_file, pairs_in
from orchestrator.store import Manifest, Store
from t5core.config import TasksConfig, TrainConfig
from t5core.tasks import Task, judged, tasks_of
from t5core.tasks.references import label_auc, label_set, referenced

_TWO = 2
_MARGIN = 3
"""The column of the right label's margin in ``RowResult.likelihoods``."""


def tasks_of_row(plan: Plan, row: PlannedRow) -> dict[str, Task]:
    """Returns the tasks that a row is judged by, by name."""
    settings = plan.stages[row.of_role(EVALUATED)[0]].settings  # every part's says what the whole row has
    return judged(tasks_of(TasksConfig.from_dict(dict(settings["tasks"]))))


def comparison_of(plan: Plan, outcomes: Outcomes, store: Store, *, looks: int = 1) -> Comparison:
    """Returns the comparison of a study's rows, from its plan and what came of it; ``looks`` as in ``compare``."""
    study = plan.studies[0]
    compute = compute_of(plan, study.baseline)
    found = compare(
        row_results(plan, outcomes, store),
        columns_of(plan, outcomes),
        baseline=study.baseline,
        title=f"{study.title or study.name}, scale {plan.scale}",
        paper_sd=study.baseline_sd,
        notes=(*notes_on(plan, outcomes), *compute_notes(compute)),
        looks=looks,
    )
    return replace(found, compute=compute)


def row_results(plan: Plan, outcomes: Outcomes, store: Store) -> list[RowResult]:
    """Returns what every row of a plan came to, in the plan's order."""
    return [row_result(plan, row, outcomes, store) for row in plan.rows]


def row_result(plan: Plan, row: PlannedRow, outcomes: Outcomes, store: Store) -> RowResult:
    """Returns what a row came to; its reason where a stage failed or was not run.

    Scores need no likelihoods: where these alone are missing the row is done, and its reason says so.
    """
    failed = _failed(plan, row, outcomes)
    reason = next((why for role, why in failed.items() if kind_of_role(role) != LIKELIHOOD), "")
    if reason:
        return RowResult(
            name=row.name,
            label=row.label,
            seed=row.seed,
            paper=row.paper,
            status="failed",
            reason=reason,
            rate=row.rate,
            facts=row.facts,
        )
    tasks = tasks_of_row(plan, row)
    evaluated = _by_task(plan, row, EVALUATED, tasks)
    likelihoods = None if failed else _likelihoods(plan, row, tasks, store)
    return RowResult(
        name=row.name,
        label=row.label,
        seed=row.seed,
        paper=row.paper,
        reason=f"seed {row.seed} has its scores and no bits per byte: {next(iter(failed.values()))}" if failed else "",
        scores={name: _main_score(tasks[name], outcomes[stage.key]) for name, stage in evaluated.items()},
        example_scores={
            name: np.load(store.path(stage) / f"{name}.scores.npy", allow_pickle=False)
            for name, stage in evaluated.items()
        },
        likelihoods=likelihoods,
        checkpoints=None if likelihoods is None else _checkpoints(plan, row, likelihoods, store),
        label_auc=_label_auc(plan, row, tasks, likelihoods, outcomes, store) if likelihoods else {},
        seconds=sum(_seconds(outcomes, key) for key in row.stages.values() if plan.stages[key].accelerated),
        rate=row.rate,
        facts=row.facts,
        held_out_loss=_held_out_loss(row, outcomes),
        members=_members(plan, row),
    )


def _members(plan: Plan, row: PlannedRow) -> frozenset[str]:
    """Returns the keys of what a row of ensembles averages; none of a row of one model."""
    trained = [trained_of(plan.stages[key].inputs) for key in row.of_role(EVALUATED)]
    return frozenset(key for keys in trained if len(keys) > 1 for key in keys)


def _by_task(plan: Plan, row: PlannedRow, role: str, tasks: Iterable[str]) -> dict[str, Stage]:
    """Returns the stage of a role that judges each task, in the order of ``tasks``."""
    stages = [plan.stages[key] for key in row.of_role(role)]
    return {name: stage for name in tasks for stage in stages if name in stage.settings.get("only", (name,))}


def _main_score(task: Task, evaluated: Outcome) -> float:
    assert isinstance(evaluated, Finished)
    return task.main_score(evaluated.manifest.result["scores"][task.name])


def _held_out_loss(row: PlannedRow, outcomes: Outcomes) -> float | None:
    """Returns what the row's pre-training came to on text that it did not see, the mean over members; None without."""
    losses = []
    for key in row.of_role(PRETRAINED):
        pretrained = outcomes[key]
        loss = pretrained.manifest.result.get("validation_loss") if isinstance(pretrained, Finished) else None
        if loss is None:
            return None
        losses.append(loss)
    return math.fsum(losses) / len(losses) if losses else None


def _likelihoods(
    plan: Plan, row: PlannedRow, tasks: Iterable[str], store: Store
) -> dict[str, NDArray[np.float64]] | None:
    """Returns the per-example numbers of the tasks that have any; None for plans of before they were taken."""
    if not row.of_role(LIKELIHOOD):
        return None
    return _tables(_by_task(plan, row, LIKELIHOOD, tasks), store)


def _tables(stages: Mapping[str, Stage], store: Store, step: int | None = None) -> dict[str, NDArray[np.float64]]:
    found = {
        name: np.load(store.path(stage) / likelihood_file(name, step), allow_pickle=False)
        for name, stage in stages.items()
    }
    return {name: per_example_Nk for name, per_example_Nk in found.items() if len(per_example_Nk)}


def _checkpoints(
    plan: Plan, row: PlannedRow, at_the_end: Mapping[str, NDArray[np.float64]], store: Store
) -> Checkpoints | None:
    """Returns what was measured at several checkpoints; None where it was at the end alone."""
    measured = _by_task(plan, row, LIKELIHOOD, at_the_end)
    stage = next(iter(measured.values()), plan.stages[row.of_role(LIKELIHOOD)[0]])  # parts are trained alike
    steps = stage.settings["likelihood"].get("also_at", ())  # plans of before say nothing of it
    if not steps:
        return None
    trained = plan.stages[stage.inputs["trained"]]
    train = _train(trained)
    return Checkpoints(
        likelihoods={**{step: _tables(measured, store, step) for step in steps}, train.steps: at_the_end},
        steady=train.schedule.kept_up(*_whole_run(plan, trained)),
    )


def _train(trained: Stage) -> TrainConfig:
    return TrainConfig.from_dict(dict(trained.settings["train"]))


def _whole_run(plan: Plan, trained: Stage) -> tuple[int, int]:
    """Returns where the step counter of a training starts and its steps; of one in parts, of all parts together."""
    steps = _train(trained).steps
    if "earlier" in trained.inputs:
        begin, before = _whole_run(plan, plan.stages[trained.inputs["earlier"]])
        return begin, before + steps
    if "pretrain" in trained.inputs:
        return sum(_whole_run(plan, plan.stages[trained.inputs["pretrain"]])), steps
    if "init" in trained.inputs and trained.kind == "finetune":  # others begin to count anew
        return int(plan.stages[trained.inputs["init"]].settings["init"]["total_step"]), steps
    return 0, steps


def _label_auc(
    plan: Plan,
    row: PlannedRow,
    tasks: Mapping[str, Task],
    likelihoods: Mapping[str, NDArray[np.float64]],
    outcomes: Outcomes,
    store: Store,
) -> dict[str, float]:
    """Returns how well the margins of tasks with two labels tell these apart, as far as it can be said."""
    found: dict[str, float | None] = {}
    for name, stage in _by_task(plan, row, LIKELIHOOD, likelihoods).items():
        measured, made = outcomes[stage.key], outcomes[stage.inputs["tasks"]]
        if isinstance(measured, Finished) and "label_auc" in measured.manifest.result:
            found[name] = measured.manifest.result["label_auc"].get(name)
            continue
        # a stage of before it said so: which label is right lies with the tasks
        if not isinstance(made, Finished):
            continue
        per_example_Nk = likelihoods[name]
        if len(label_set(tasks[name])) != _TWO or per_example_Nk.shape[1] <= _MARGIN:
            continue
        text = store.read_text(made.manifest, f"{name}.validation.jsonl")
        examples = referenced(tasks[name], pairs_in(text or ""))
        if len(examples) == len(per_example_Nk):
            found[name] = label_auc(tasks[name], examples, per_example_Nk[:, _MARGIN])
    return {name: value for name, value in found.items() if value is not None}


def main_scores(tasks: Mapping[str, Task], evaluated: Manifest) -> dict[str, float]:
    """Returns each task's main score x100 out of an evaluation's manifest."""
    scores = evaluated.result["scores"]
    return {name: task.main_score(scores[name]) for name, task in tasks.items()}


def columns_of(plan: Plan, outcomes: Outcomes) -> list[TaskColumn]:
    """Returns the table's columns: the tasks that some row is judged by, in the order in which rows name them."""
    tasks: dict[str, Task] = {}
    for row in plan.rows:
        tasks |= {name: task for name, task in tasks_of_row(plan, row).items() if name not in tasks}
    commonest = _majorities(plan, outcomes)
    return [
        TaskColumn(
            task=name,
            paper_column=task.paper_column,
            aggregate=task.aggregate,
            label=f"{name.removeprefix('doc_')} {task.main.name}",
            majority=commonest.get(name),
        )
        for name, task in tasks.items()
    ]


def rejected_input(outcomes: Outcomes) -> str | None:
    """Returns why preparation refused what it was given, if it did: that is the user's to mend, not a failed row."""
    for outcome in outcomes.values():
        if isinstance(outcome, Failed) and outcome.refused:
            return outcome.error
    return None


def _failed(plan: Plan, row: PlannedRow, outcomes: Outcomes) -> dict[str, str]:
    """Returns why stages of a row are not there, by role, in the order in which they would have run."""
    why = {}
    for role, key in row.stages.items():
        match outcomes[key]:
            case Failed() as failed:
                log = f" (log: {failed.log})" if failed.log else ""
                why[role] = f"{role}: {failed.error}{log}"
            case Skipped() as skipped:
                why[role] = f"{role} was not run because {plan.stages[skipped.because].folder} failed"
            case Finished():
                pass
    return why


def _seconds(outcomes: Outcomes, key: str) -> float:
    outcome = outcomes[key]
    return outcome.manifest.seconds if isinstance(outcome, Finished) else 0.0


def _majorities(plan: Plan, outcomes: Outcomes) -> dict[str, float]:
    """Returns what always giving training's commonest answer scores, by task."""
    ending = ".majority"
    found: dict[str, float] = {}
    for key, stage in plan.stages.items():
        outcome = outcomes[key]
        if stage.kind == "tasks" and isinstance(outcome, Finished):
            result = outcome.manifest.result
            found |= {k.removesuffix(ending): v for k, v in result.items() if k.endswith(ending)}
    return found
