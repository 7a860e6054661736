"""The stage that evaluates: decodes the validation examples of every task and scores them.

It reads one trained model, or the members of an ensemble, whose logits are averaged for each token of an answer.

Where several processes share a stage, each decodes its share of a task's batches: the same batches as one process would
make, so the same predictions. The first one scores and writes.

    5 batches, 2 processes      rank 0: batches 0 2 4      rank 1: batches 1 3
"""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.plan.ensembles import trained_of
from orchestrator.stages.work import Work, judged_models, marker, read_pairs, write_rows
from t5core.config import DecodeConfig, TasksConfig
from t5core.feeds import padded_batches
from t5core.tasks import tasks_of

if TYPE_CHECKING:  # importing torch costs preparatory stages seconds that they do not need
    from t5core.devices import Device
    from t5core.model import T5


def evaluate(work: Work) -> dict[str, Any]:
    """Decodes and scores every task's validation examples; leaves predictions and per-example scores."""
    from t5core.training.loop import FINAL

    config = DecodeConfig.from_dict(work.setting("decode"))
    vocabulary = work.vocabulary()
    models = [model for model, _ in judged_models([folder / FINAL for folder in trained_of(work.inputs)], work.device)]
    tasks = tasks_of(TasksConfig.from_dict(work.setting("tasks")))
    scores: dict[str, dict[str, float]] = {}
    invalid: dict[str, int] = {}
    notes: dict[str, str] = {}
    started = time.monotonic()
    paths = work.task_files("validation")
    for done, path in enumerate(paths, start=1):
        task = tasks[path.name.split(".")[0]]
        pairs = read_pairs(path)
        inputs = vocabulary.encode_batch([pair.inputs for pair in pairs])
        length = work.stage.settings["inputs_length"]
        generated_NL = generated(models, inputs, config, length, marker(models[0].config, vocabulary), work.device)
        if work.device.rank != 0:
            continue
        predictions = [vocabulary.decode(row.tolist()) for row in generated_NL]
        targets, contexts = [pair.targets for pair in pairs], [pair.context for pair in pairs]
        scores[task.name] = task.score(targets, predictions, contexts)
        invalid[task.name] = task.invalid(predictions)
        if note := task.note(targets):
            notes[task.name] = note
        per_example_Nk = task.example_scores(targets, predictions, contexts)
        np.save(work.folder / f"{task.name}.scores.npy", per_example_Nk, allow_pickle=False)
        rows = zip(pairs, predictions, strict=True)
        write_rows(
            work.folder / f"{task.name}.predictions.jsonl",
            [{"inputs": pair.inputs, "target": pair.targets, "prediction": text} for pair, text in rows],
        )
        work.report({"step": done, "steps": len(paths)})
    return {
        "scores": scores,
        "invalid": invalid,
        **({"notes": notes} if notes else {}),
        "seconds": time.monotonic() - started,
        "decisions": [asdict(decision) for decision in work.device.decisions()],
    }


def generated(
    models: "T5 | Sequence[T5]",
    inputs: Sequence[Sequence[int]],
    config: DecodeConfig,
    inputs_length: int,
    joined_by: Sequence[int] | None,
    device: "Device",
) -> np.ndarray:
    """Returns the generated ids of all inputs, ``[N, max_new_tokens]``, in every process that shares the stage.

    Args:
        models: one, or several whose logits are averaged; on the device.
        inputs: ids, without EOS.
        config: how to decode, and how many at a time.
        inputs_length: columns, EOS included.
        joined_by: ids of a decoder-only model's marker.
        device: where; its processes share the batches.
    """
    from t5core.decoding import decode

    out_NL = np.zeros((len(inputs), config.max_new_tokens), dtype=np.int64)
    for number, first in enumerate(range(0, len(inputs), config.batch_size)):
        if number % device.processes != device.rank % device.processes:
            continue
        part = inputs[first : first + config.batch_size]
        ((inputs_BS, real),) = padded_batches(part, config.batch_size, inputs_length, joined_by)
        ids_BL = decode(models, inputs_BS, config, device)[:real]
        out_NL[first : first + real, : ids_BL.shape[1]] = ids_BL
    if device.processes == 1:
        return out_NL
    whole_NL: np.ndarray = device.total(device.put(out_NL)).cpu().numpy()  # each row is another's zeros
    return whole_NL
