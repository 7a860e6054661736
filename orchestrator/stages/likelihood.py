"""The stage that measures how likely a trained model finds the right answers: one forward pass, nothing decoded."""

import time
from dataclasses import asdict
from typing import Any

import numpy as np

from orchestrator.stages.work import Work, read_pairs
from t5core.config import LikelihoodConfig, TasksConfig
from t5core.tasks import tasks_of


def likelihood(work: Work) -> dict[str, Any]:
    """Measures every task's validation examples; leaves per-example numbers.

    The result has, by task: ``bits_per_byte`` (None where no right answer is known), ``examples`` that were measured,
    how many answers were ``truncated``, and of tasks with labels ``label_accuracy`` x100, the share of examples whose
    right label is the likeliest, ``label_nats``, the mean cross-entropy over the labels, and where there are two of
    them ``label_auc`` x100.
    """
    from t5core.decoding.likelihood import task_likelihood  # importing torch costs seconds that others do not need
    from t5core.model.kernels import ReferenceKernel, without_gradient
    from t5core.training import checkpoint

    config = LikelihoodConfig.from_dict(work.setting("likelihood"))
    vocabulary = work.vocabulary()
    length = work.stage.settings["inputs_length"]
    device = work.device.torch_device
    model = checkpoint.load(work.inputs["trained"] / "final").model().to(device)
    model.compute_dtype = work.device.compute_dtype
    model.use_kernel(without_gradient(ReferenceKernel(), device.type, length))
    tasks = tasks_of(TasksConfig.from_dict(work.setting("tasks")))
    bits: dict[str, float | None] = {}
    examples: dict[str, int] = {}
    truncated: dict[str, int] = {}
    label_figures: dict[str, dict[str, float]] = {"label_accuracy": {}, "label_nats": {}, "label_auc": {}}
    started = time.monotonic()
    paths = sorted(work.inputs["tasks"].glob("*.validation.jsonl"))
    for done, path in enumerate(paths, start=1):
        name = path.name.split(".")[0]
        pairs = read_pairs(path)
        found = task_likelihood(model, vocabulary, tasks[name], pairs, config, work.device, inputs_length=length)
        if work.device.rank == 0:  # of the processes that share the stage, which all measure the same
            np.save(work.folder / f"{name}.likelihood.npy", found.per_example_Nk, allow_pickle=False)
        bits[name], examples[name], truncated[name] = found.bits_per_byte, len(found.per_example_Nk), found.truncated
        for figure, by_task in label_figures.items():
            value = getattr(found, figure)
            if value is not None:
                by_task[name] = value
        work.report({"step": done, "steps": len(paths)})
    return {
        "bits_per_byte": bits,
        "examples": examples,
        "truncated": truncated,
        **label_figures,
        "seconds": time.monotonic() - started,
        "decisions": [asdict(decision) for decision in work.device.decisions()],
    }
