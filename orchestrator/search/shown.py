"""A search's trials as people and programs read them: a table, its best mixture, JSON."""

from collections.abc import Iterable
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from orchestrator.plan.experiment import Experiment
from orchestrator.search.search import (
    FIXED,
    SCORES,
    average,
    rates_table,
    row_name,
    title,
)
from t5core.tables import Column, print_table
from t5core.tasks import judged, tasks_of

SHOWN = 15


def ranked(study: optuna.Study) -> list[FrozenTrial]:
    """Trials with a score, best first: whole ones, then pruned ones."""
    trials = [t for t in study.get_trials(deepcopy=False) if t.user_attrs.get(SCORES)]
    return sorted(trials, key=lambda t: (t.state is not TrialState.COMPLETE, -_average(t)))


def _average(trial: FrozenTrial) -> float:
    return average(trial.user_attrs[SCORES])


def render_trials(study: optuna.Study, experiment: Experiment, console: Console) -> None:
    """Prints the best trials, and the best mixture beside the best of the paper's."""
    trials = ranked(study)
    tasks = judged(tasks_of(experiment.tasks))
    columns = [
        Column(head="trial", priority=0),
        Column(head="part", priority=2),
        *(Column(head=name.removeprefix("doc_").replace("_", " ")) for name in tasks),
        Column(head="average", priority=0),
        Column(head="mixture", kind="text", priority=0),
    ]
    rows = [_cells(trial, experiment, tasks) for trial in trials[:SHOWN]]
    print_table(columns, rows, title=f"Trials of {study.study_name}", see_all="| cat, or --json", console=console)
    whole = [t for t in trials if t.state is TrialState.COMPLETE]
    if not whole:
        console.print("no trial has come to its end yet")
        return
    best, known = whole[0], [t for t in whole if FIXED in t.user_attrs]
    shares = ", ".join(f"{name} {rate:.1%}" for name, rate in rates_table(best).items())
    lines = [f"best: trial {best.number} ({title(best)}), average {_average(best):.2f}; it draws {shares}"]
    if known:
        lines.append(f"best of the paper's fixed mixtures: {title(known[0])}, average {_average(known[0]):.2f}")
    lines.append("averages are over the tasks' main scores on the validation examples, of one seed")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _cells(trial: FrozenTrial, experiment: Experiment, tasks: Iterable[str]) -> tuple[str, ...]:
    scores = trial.user_attrs[SCORES]
    state = "" if trial.state is TrialState.COMPLETE else "pruned "
    part = f"{state}{len(trial.intermediate_values)}/{experiment.parts}"
    return (str(trial.number), part, *(f"{scores[name]:.2f}" for name in tasks), f"{_average(trial):.2f}", title(trial))


def trials_json(name: str, study: optuna.Study) -> dict[str, Any]:
    """Returns the trials with a score as JSON values, best first."""
    return {
        "search": name,
        "trials": [
            {
                "number": trial.number,
                "row": row_name(trial),
                "state": trial.state.name.lower(),
                "mixture": title(trial),
                "fixed": trial.user_attrs.get(FIXED),
                "params": trial.params,
                "rates": rates_table(trial),
                "scores": trial.user_attrs[SCORES],
                "average": _average(trial),
                "parts": len(trial.intermediate_values),
            }
            for trial in ranked(study)
        ],
    }
