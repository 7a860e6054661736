"""The stage that evaluates: decodes the validation examples of every task and scores them."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.stages.work import Work, marker, read_pairs, write_rows
from t5core.config import DecodeConfig, TasksConfig
from t5core.feeds import padded_batches
from t5core.tasks import tasks_of

if TYPE_CHECKING:  # importing torch costs preparatory stages seconds that they do not need
    pass


def evaluate(work: Work) -> dict[str, Any]:
    """Decodes and scores every task's validation examples; leaves predictions and per-example scores."""
    from t5core.decoding import decode
    from t5core.training import checkpoint

    config = DecodeConfig.from_dict(work.setting("decode"))
    vocabulary = work.vocabulary()
    model = checkpoint.load(work.inputs["trained"] / "final").model().to(work.device.torch_device)
    model.compute_dtype = work.device.compute_dtype
    tasks = tasks_of(TasksConfig.from_dict(work.setting("tasks")))
    scores: dict[str, dict[str, float]] = {}
    invalid: dict[str, int] = {}
    notes: dict[str, str] = {}
    started = time.monotonic()
    paths = sorted(work.inputs["tasks"].glob("*.validation.jsonl"))
    for done, path in enumerate(paths, start=1):
        task = tasks[path.name.split(".")[0]]
        pairs = read_pairs(path)
        inputs = vocabulary.encode_batch([pair.inputs for pair in pairs])
        predictions: list[str] = []
        length = work.stage.settings["inputs_length"]
        for inputs_BS, real in padded_batches(inputs, config.batch_size, length, marker(model.config, vocabulary)):
            generated_BN = decode(model, inputs_BS, config, work.device)
            predictions += [vocabulary.decode(row.tolist()) for row in generated_BN[:real]]
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
