"""The stage that evaluates: decodes the validation examples of every task and scores them.

It reads one trained model, or the members of an ensemble, whose logits are averaged for each token of an answer.

Where several processes share a stage, each decodes its share of a task's batches: the same batches as one process would
make, so the same predictions. The first one scores and writes.

    5 batches, 2 processes      rank 0: batches 0 2 4      rank 1: batches 1 3
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.plan.ensembles import trained_of
from orchestrator.stages.work import Work, judged_models, marker, read_pairs, write_rows
from t5core.config import DecodeConfig, TasksConfig
from t5core.feeds import padded_batches
from t5core.tasks import Task, TextPair, tasks_of

if TYPE_CHECKING:  # importing torch costs preparatory stages seconds that they do not need
    from t5core.devices import Device
    from t5core.model import T5


@dataclass(frozen=True, eq=False)
class _Judged:
    """What one checkpoint came to on one task, by the first process."""

    step: int
    main: float
    scores: dict[str, float]
    invalid: int
    predictions: list[str]
    example_scores_Nk: np.ndarray


def evaluate(work: Work) -> dict[str, Any]:
    """Decodes and scores every task's validation examples; leaves predictions and per-example scores.

    Where several checkpoints are to choose from (``also_at``), each task has what its best one came to, the latest of
    equals; ``chosen`` says by task behind which step that was, and ``main_scores_at`` what all came to, x100.
    """
    from t5core.training.kept import kept_folder
    from t5core.training.loop import FINAL

    config = DecodeConfig.from_dict(work.setting("decode"))
    vocabulary = work.vocabulary()
    tasks = tasks_of(TasksConfig.from_dict(work.setting("tasks")))
    started = time.monotonic()
    paths = work.task_files("validation")
    pairs = {path.name.split(".")[0]: read_pairs(path) for path in paths}
    trained = trained_of(work.inputs)
    kept = [[kept_folder(folder, step) for folder in trained] for step in work.stage.settings.get("also_at", ())]
    places = [*kept, [folder / FINAL for folder in trained]]
    found: dict[str, list[_Judged]] = {name: [] for name in pairs}
    for number, folders in enumerate(places):
        models, steps = zip(*judged_models(folders, work.device), strict=True)
        for done, (name, of_task) in enumerate(pairs.items(), start=1):
            inputs = vocabulary.encode_batch([pair.inputs for pair in of_task])
            length = work.stage.settings["inputs_length"]
            generated_NL = generated(models, inputs, config, length, marker(models[0].config, vocabulary), work.device)
            if work.device.rank == 0:
                texts = [vocabulary.decode(row.tolist()) for row in generated_NL]
                found[name].append(_judged(tasks[name], of_task, texts, steps[0]))
                work.report({"step": number * len(pairs) + done, "steps": len(places) * len(pairs)})
    chosen = {name: max(reversed(of), key=lambda one: one.main) for name, of in found.items() if of}
    for name, best in chosen.items():
        np.save(work.folder / f"{name}.scores.npy", best.example_scores_Nk, allow_pickle=False)
        rows = zip(pairs[name], best.predictions, strict=True)
        write_rows(
            work.folder / f"{name}.predictions.jsonl",
            [{"inputs": pair.inputs, "target": pair.targets, "prediction": text} for pair, text in rows],
        )
    notes = {name: note for name in chosen if (note := tasks[name].note([pair.targets for pair in pairs[name]]))}
    several = {
        "chosen": {name: best.step for name, best in chosen.items()},
        "main_scores_at": {name: {str(one.step): one.main for one in of} for name, of in found.items()},
    }
    return {
        "scores": {name: best.scores for name, best in chosen.items()},
        "invalid": {name: best.invalid for name, best in chosen.items()},
        **({"notes": notes} if notes else {}),
        **(several if kept else {}),
        "seconds": time.monotonic() - started,
        "decisions": [asdict(decision) for decision in work.device.decisions()],
    }


def _judged(task: Task, pairs: Sequence[TextPair], predictions: list[str], step: int) -> _Judged:
    targets, contexts = [pair.targets for pair in pairs], [pair.context for pair in pairs]
    scores = task.score(targets, predictions, contexts)
    return _Judged(
        step=step,
        main=task.main_score(scores),
        scores=scores,
        invalid=task.invalid(predictions),
        predictions=predictions,
        example_scores_Nk=task.example_scores(targets, predictions, contexts),
    )


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
