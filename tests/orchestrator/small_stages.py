"""Stage functions for the tests of running plans: real, top-level, and small. Workers import them by name."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from t5core.errors import DataError


def no_device(name: str, threads: int | None) -> str:
    """Instead of a device, its name: these stages compute nothing."""
    return f"{name}:{threads}"


def visible_gpus(name: str, threads: int | None) -> str:
    """Instead of a device, its name and the GPUs that this worker sees."""
    return f"{name}:{os.environ['CUDA_VISIBLE_DEVICES']}"


def write(
    stage: Stage, inputs: Mapping[str, Path], work: Path, device: Any, report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Does what ``stage.config`` says: fails, dies, counts its runs; its text is its inputs' texts and its name."""
    config = stage.config
    with (work / "runs.txt").open("a", encoding="utf-8") as file:
        file.write("run\n")
    runs = len((work / "runs.txt").read_text(encoding="utf-8").splitlines())
    if config.get("die") == runs:
        os.kill(os.getpid(), signal.SIGKILL)
    if config.get("raise") == "value":
        raise ValueError("it went\nwrong")
    if config.get("raise") == "data":
        raise DataError("corpus", "empty", "give it text")
    for step in range(1, config.get("steps", 2) + 1):
        time.sleep(config.get("sleep_s", 0.0))
        report({"step": step, "steps": config.get("steps", 2), "loss": 1.0 / step})
    texts = [(inputs[role] / "text").read_text(encoding="utf-8") for role in sorted(inputs)]
    (work / "text").write_text("".join(texts) + stage.name + " ", encoding="utf-8")
    return {"runs": runs, "device": device, "pid": os.getpid()}


def stage(kind: str, name: str, inputs: Mapping[str, Stage] | None = None, **config: Any) -> Stage:
    """A stage that ``write`` understands."""
    cost = config.pop("cost", 0.0)
    values = {"title": name, **config}
    return Stage(
        kind=kind,
        name=name,
        config=values,
        settings=values,
        inputs={role: read.key for role, read in (inputs or {}).items()},
        cost=cost,
    )


def rows(*names: str, **configs: Mapping[str, Any]) -> Plan:
    """A plan of one corpus and, per row, pretrain and finetune; ``configs`` go to a row's pretrain."""
    corpus = stage("corpus", "corpus")
    out = []
    for name in names:
        pretrain = stage("pretrain", name, {"corpus": corpus}, **configs.get(name, {}))
        finetune = stage("finetune", f"{name}-fine", {"pretrain": pretrain})
        out.append((PlannedRow(name=name, label=name), {"corpus": corpus, "pretrain": pretrain, "finetune": finetune}))
    return Plan.of("trial", "tiny", out)


def add_on_xla(
    stage: Stage, inputs: Mapping[str, Path], work: Path, device: Any, report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Adds 1 + 2 + 3 + 4 on the XLA device that the lane was set up with."""
    import torch
    import torch_xla
    import torch_xla.runtime as xr

    total = torch.tensor([1.0, 2.0, 3.0, 4.0], device=torch_xla.device()).sum()
    return {
        "sum": float(total),
        "pjrt": xr.device_type(),
        "devices": xr.global_runtime_device_count(),
        "spmd": xr.is_spmd(),
        "rank": os.environ["RANK"],
    }
