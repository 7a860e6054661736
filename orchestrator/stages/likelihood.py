"""The stage that measures how likely a trained model finds the right answers: one forward pass, nothing decoded.

Where the training kept the weights of some of its last steps, it is measured with these too. The row's bits per byte
are then the mean: they move less than those of the end alone, and how far they lie apart is kept.

Of an ensemble it is the likelihood under the average of the members' logits; at a step, of their weights behind it.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.plan.ensembles import trained_of
from orchestrator.stages.work import Work, judged_models, likelihood_file, read_pairs
from t5core.config import LikelihoodConfig, TasksConfig
from t5core.tasks import tasks_of

if TYPE_CHECKING:  # importing torch costs seconds that others do not need
    from t5core.decoding.likelihood import TaskLikelihood


def likelihood(work: Work) -> dict[str, Any]:
    """Measures every task's validation examples; leaves per-example numbers.

    The result has, by task: ``bits_per_byte`` (None where no right answer is known), ``examples`` that were measured,
    how many answers were ``truncated``, and of tasks with labels ``label_accuracy`` x100, the share of examples whose
    right label is the likeliest, ``label_nats``, the mean cross-entropy over the labels, and where there are two of
    them ``label_auc`` x100.

    With several checkpoints ``bits_per_byte`` is the mean over them, ``bits_per_byte_at`` has those of each, by its
    step, and ``bits_per_byte_sd`` how far they lie apart; all else is of the end.
    """
    from t5core.training.kept import kept_folder
    from t5core.training.loop import FINAL

    config = LikelihoodConfig.from_dict(work.setting("likelihood"))
    started = time.monotonic()
    trained = trained_of(work.inputs)
    places: dict[int | None, list[Path]] = {step: [kept_folder(t, step) for t in trained] for step in config.also_at}
    places[None] = [folder / FINAL for folder in trained]  # last, so that its step is the one known below
    at: dict[int, dict[str, float | None]] = {}
    for done, (step, folders) in enumerate(places.items()):
        behind, found = _measured(work, config, folders, step, (done, len(places)))
        at[behind] = {name: of_task.bits_per_byte for name, of_task in found.items()}
    label_figures: dict[str, dict[str, float]] = {"label_accuracy": {}, "label_nats": {}, "label_auc": {}}
    for figure, by_task in label_figures.items():
        by_task |= {name: value for name, task in found.items() if (value := getattr(task, figure)) is not None}
    return {
        **(_several(at) if config.also_at else {"bits_per_byte": at[behind]}),
        "examples": {name: len(of_task.per_example_Nk) for name, of_task in found.items()},
        "truncated": {name: of_task.truncated for name, of_task in found.items()},
        **label_figures,
        "seconds": time.monotonic() - started,
        "decisions": [asdict(decision) for decision in work.device.decisions()],
    }


def _measured(
    work: Work, config: LikelihoodConfig, checkpoints: Sequence[Path], step: int | None, part: tuple[int, int]
) -> tuple[int, dict[str, "TaskLikelihood"]]:
    """Measures all tasks with the weights of one checkpoint, or one of each member, and writes their tables.

    Args:
        work: the stage.
        config: how it is measured.
        checkpoints: their folders.
        step: of which its files are; None: the end's.
        part: the checkpoints that are done, of how many.

    Returns:
        The checkpoint's step, and task -> what was found.
    """
    from t5core.decoding.likelihood import task_likelihood
    from t5core.model.kernels import ReferenceKernel, without_gradient

    vocabulary = work.vocabulary()
    length = work.stage.settings["inputs_length"]
    loaded = judged_models(checkpoints, work.device)
    for model, _ in loaded:
        model.use_kernel(without_gradient(ReferenceKernel(), work.device.torch_device.type, length))
    models = [model for model, _ in loaded]
    tasks = tasks_of(TasksConfig.from_dict(work.setting("tasks")))
    found: dict[str, TaskLikelihood] = {}
    paths = work.task_files("validation")
    for path in paths:
        name = path.name.split(".")[0]
        pairs = read_pairs(path)
        found[name] = task_likelihood(models, vocabulary, tasks[name], pairs, config, work.device, inputs_length=length)
        if work.device.rank == 0:  # of the processes that share the stage, which all measure the same
            written = work.folder / likelihood_file(name, step)
            written.parent.mkdir(exist_ok=True)
            np.save(written, found[name].per_example_Nk, allow_pickle=False)
        done, of = part
        work.report({"step": done * len(paths) + len(found), "steps": of * len(paths)})
    return loaded[0][1], found


def _several(at: Mapping[int, Mapping[str, float | None]]) -> dict[str, Any]:
    """Sums the bits up that were measured behind several steps."""
    tasks = next(iter(at.values()))
    by_task = {name: {str(step): of_step[name] for step, of_step in at.items()} for name in tasks}
    mean: dict[str, float | None] = {}
    apart: dict[str, float | None] = {}
    for name, by_step in by_task.items():
        known = [value for value in by_step.values() if value is not None]
        mean[name] = math.fsum(known) / len(known) if known else None  # a task has bits at all steps or at none
        apart[name] = float(np.std(known, ddof=1)) if known else None
    return {"bits_per_byte": mean, "bits_per_byte_at": by_task, "bits_per_byte_sd": apart}
