"""A study as a store holds it when it is over, with figures that are made up: nothing is trained."""

import json
import zlib
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from orchestrator.plan.plan import Plan, PlannedRow, PlannedStudy
from orchestrator.plan.rates import OWN
from orchestrator.plan.stage import Stage
from orchestrator.results.compare import to_dict
from orchestrator.results.rows import comparison_of
from orchestrator.results.stored import stored_outcomes
from orchestrator.store import Store
from orchestrator.store.plans import write_plan
from orchestrator.store.reports import write_report
from t5core.config import TasksConfig
from t5core.tasks import Task, get_task
from t5core.tasks.references import label_set

EXAMPLES = 60
TASKS = ("doc_pair", "doc_cloze")


def store_study(
    store: Store,
    scale: str,
    levels: Mapping[str, float],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    tasks: Sequence[str] = TASKS,
    noise: float = 0.01,
    looks: int = 1,
    study: str = "trial",
    failed: Sequence[str] = (),
    rates: Mapping[float, tuple[float, float]] | None = None,
    train: Mapping[str, int] | None = None,
) -> Plan:
    """Writes plan, stages and report of a finished study.

    Args:
        store: where to.
        scale: name of the scale; another one has other figures.
        levels: row -> how good it is: ``3 - level`` bits per byte, and ten more right answers a level.
        seeds: of each row.
        tasks: that rows are judged by.
        noise: deviation of the levels between seeds.
        looks: that the table's level is shared by.
        study: its name.
        failed: rows of which no evaluation is there.
        rates: learning rate -> held-out loss of pre-training there, and what it adds to the levels; None: there is no
            pre-training, and one rate.
        train: the config of fine-tuning.
    """
    known = [get_task(name) for name in tasks]
    config = TasksConfig(names=tuple(tasks), validation_examples=EXAMPLES)
    made = Stage.of("tasks", f"{study}-{scale}", tasks=config)
    rows = []
    for name in levels:
        for seed, rate in product(seeds, rates or (OWN,)):
            about = {"row": name, "scale": scale, "seed": seed, "rate": rate}
            pretrain = {} if rates is None else {"pretrain": Stage.of("pretrain", name, **about)}
            trained = Stage.of("finetune", name, inputs={"tasks": made, **pretrain}, train=dict(train or {}), **about)
            inputs = {"tasks": made, "trained": trained}
            stages = {
                "tasks": made,
                **pretrain,
                "finetune": trained,
                "evaluate": Stage.of("evaluate", name, inputs=inputs, tasks=config),
                "likelihood": Stage.of(
                    "likelihood", name, inputs=inputs, tasks=config, likelihood={"max_target_tokens": 64}
                ),
            }
            rows.append((PlannedRow(name=name, label=name, seed=seed, tasks=tuple(tasks), rate=rate), stages))
    plan = Plan.of(PlannedStudy(name=study, title=study, baseline=next(iter(levels))), scale, rows)
    write_plan(store, plan)
    _tasks(store, made, known)
    for row in plan.rows:
        if row.name not in failed:
            rng = np.random.default_rng([row.seed, zlib.crc32(f"{scale} {row.name}".encode())])
            by_role = plan.by_role(row)
            loss, more = (rates or {}).get(row.rate, (0.0, 0.0))
            level = levels[row.name] + more + noise * float(rng.normal())
            for role in ("pretrain", "finetune"):
                if role in by_role:
                    store.commit(by_role[role], store.work(by_role[role]), {"validation_loss": loss})
            _evaluate(store, by_role["evaluate"], known, level)
            _likelihood(store, by_role["likelihood"], known, level)
    write_report(store, plan, to_dict(comparison_of(plan, stored_outcomes(plan, store), store, looks=looks)))
    return plan


def targets_of(task: Task) -> list[str]:
    """The right answers to a task's examples: its labels in turn, or words."""
    labels = label_set(task) or ("word",)
    return [labels[n % len(labels)] for n in range(EXAMPLES)]


def _tasks(store: Store, stage: Stage, tasks: Sequence[Task]) -> None:
    work = store.work(stage)
    for task in tasks:
        pairs = [{"inputs": f"{n}", "targets": target, "context": {}} for n, target in enumerate(targets_of(task))]
        text = "".join(json.dumps(pair) + "\n" for pair in pairs)
        (work / f"{task.name}.validation.jsonl").write_text(text, encoding="utf-8")
    store.commit(stage, work, {})


def _evaluate(store: Store, stage: Stage, tasks: Sequence[Task], level: float) -> None:
    work = store.work(stage)
    scores = {}
    for task in tasks:
        targets = targets_of(task)
        right = min(EXAMPLES, max(0, round(EXAMPLES / 2 + 10 * level)))
        wrong = [target if n < right else "" for n, target in enumerate(targets)]
        scores[task.name] = task.score(targets, wrong, [{}] * EXAMPLES)
        np.save(work / f"{task.name}.scores.npy", task.example_scores(targets, wrong, [{}] * EXAMPLES))
    store.commit(stage, work, {"scores": scores, "invalid": dict.fromkeys(scores, 0)})


def _likelihood(store: Store, stage: Stage, tasks: Sequence[Task], level: float) -> None:
    work = store.work(stage)
    for task in tasks:
        bits_N = 3.0 - level + 0.2 * np.sin(np.arange(EXAMPLES))
        columns = [bits_N * 8.0 * np.log(2), np.full(EXAMPLES, 8.0)]
        if label_set(task):
            columns += [np.full(EXAMPLES, 0.5), np.where(np.arange(EXAMPLES) % 3 == 0, -1.0, 1.0) * (1 + level)]
        np.save(work / f"{task.name}.likelihood.npy", np.stack(columns, axis=1))
    counts = {task.name: EXAMPLES for task in tasks}
    result = {"bits_per_byte": dict.fromkeys(counts, 1.0), "examples": counts, "truncated": dict.fromkeys(counts, 0)}
    store.commit(stage, work, result)
