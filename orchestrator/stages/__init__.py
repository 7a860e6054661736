"""What each kind of stage does: plain functions over t5core and folders. They run with or without Ray.

A stage's function is given the folders of the stages it reads, a work folder and a device, and returns a JSON
result. What it writes to the work folder becomes the stage's content when the store commits it; what a killed attempt
left there is taken up again.

    corpus      train.jsonl, validation.jsonl
    vocabulary  vocabulary.model, vocabulary.json
    tokens      {train,validation}.{tokens,offsets}.npy
    tasks       {task}.{train,validation}.jsonl
    init        final/ (a checkpoint)
    pretrain    final/ (a checkpoint), metrics.jsonl
    finetune, multitask    the same, and kept/step-*/ where other weights than the last are judged too
    evaluate    {task}.predictions.jsonl, {task}.scores.npy
    likelihood  {task}.likelihood.npy, and step-*/{task}.likelihood.npy of kept weights
"""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.plan.by_name import resolve
from orchestrator.plan.kinds import KINDS
from orchestrator.plan.stage import Stage
from orchestrator.stages.work import Report, Work

if TYPE_CHECKING:  # importing torch costs preparatory stages seconds that they do not need
    from t5core.devices import Device


def run_stage(stage: Stage, inputs: Mapping[str, Path], work: Path, device: "Device", report: Report) -> dict[str, Any]:
    """Runs one stage in ``work`` and returns its result; whatever it raises is the stage's failure."""
    work.mkdir(parents=True, exist_ok=True)
    kind = KINDS[stage.kind]
    function = resolve(kind.function)
    if kind.trains:
        device.hold(device.layouts[0])  # not as the training before this one came to be held
    elif kind.accelerated:
        from t5core.devices import Layout

        device.hold(Layout())  # what is judged is loaded whole
    this = Work(stage=stage, inputs=inputs, folder=work, device=device, report=report)
    with device.in_precision(stage.settings.get("precision")) if stage.accelerated else nullcontext():
        result: dict[str, Any] = function(this)
    return result
