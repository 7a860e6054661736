"""Evaluation in several processes: each decodes its share, and the predictions are those of one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import micro_study
import pytest
import torch

from orchestrator.engine.inline import run_locally
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import Scale, plan_of
from orchestrator.store import open_store
from t5core.corpora import identify
from t5core.training import checkpoint

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that describes an evaluation in batches of 7 of 20 examples each, and the folders that it reads."""
    folder = tmp_path_factory.mktemp("evaluation")
    scale = micro_study.scale(micro_study.write_documents(folder / "text.jsonl"))
    baseline = scale.baseline.replace(
        corpus=identify(scale.baseline.corpus), decode=scale.baseline.decode.replace(batch_size=7)
    )
    plan = plan_of(micro_study.study().select("none"), Scale(name=scale.name, purpose=scale.purpose, baseline=baseline))
    store = open_store(folder / "store")
    assert run_locally(plan, store).ok
    stage: Stage = plan.stages[plan.rows[-1].stages["evaluate"]]
    inputs = {role: str(store.path(plan.stages[key])) for role, key in stage.inputs.items()}
    inputs["trained"] = str(talkative(Path(inputs["trained"]), folder / "trained"))
    path = folder / "stage.json"
    path.write_text(json.dumps({"stage": stage.to_dict(), "inputs": inputs}))
    return path


def talkative(trained: Path, folder: Path) -> Path:
    """A checkpoint like the trained one, with weights that answer each input with other pieces."""
    model = checkpoint.load(trained / "final").model().initialise(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.split(".")[-2] in ("o", "wo"):
                weight.mul_(4.0)  # otherwise the token before decides all, through the tied embedding
    checkpoint.save(folder / "final", 1, model.config, dict(model.state_dict()), {}, {})
    return folder


def evaluated(described: Path, size: int) -> tuple[Path, list[dict[str, Any]]]:
    """Evaluates in ``size`` processes; returns the work folder and what each of them found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    work = described.parent / f"in-{size}"
    command = [sys.executable, str(HERE / "evaluate_in_processes.py"), str(described), str(work)]
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    paths = [str(HERE.parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, **shared, "PYTHONPATH": os.pathsep.join(paths)}
    processes = [
        subprocess.Popen(command, env={**environment, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank in range(size)
    ]
    ends = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * size, ends
    return work, [json.loads((described.parent / f"found.{work.name}.{rank}.json").read_text()) for rank in range(size)]


def test_two_processes_evaluate_as_one_does_and_the_first_writes(described: Path) -> None:
    alone, (whole,) = evaluated(described, 1)
    shared, (first, second) = evaluated(described, 2)
    assert whole["batches"] == 3 * 3  # of 7, 7 and 6 examples, for three tasks
    assert (first["batches"], second["batches"]) == (3 * 2, 3 * 1)
    assert first["scores"] == whole["scores"] and second["scores"] == {}
    names = sorted(path.name for path in alone.iterdir())
    assert names == sorted(
        f"{task}.{part}" for task in micro_study.TASK_NAMES for part in ("predictions.jsonl", "scores.npy")
    )
    assert sorted(path.name for path in shared.iterdir()) == names
    for name in names:
        assert (shared / name).read_bytes() == (alone / name).read_bytes()
    lines = (alone / "doc_acceptability.predictions.jsonl").read_text(encoding="utf-8").splitlines()
    predictions = [json.loads(line)["prediction"] for line in lines]
    assert len(predictions) == 20 and len(set(predictions)) > 2


def test_only_the_first_process_writes_into_a_training_that_it_may_have_committed(tmp_path: Path) -> None:
    from orchestrator.stages.training import _trained
    from orchestrator.stages.work import Work
    from t5core.devices import CpuDevice
    from t5core.training import TrainResult

    class Run:
        decisions = ()

        def run(self) -> TrainResult:
            return TrainResult(
                steps=1, steps_run=1, first_loss=2.0, last_loss=1.0, seconds=1.0, compilations_after_warmup=0
            )

    device = CpuDevice()
    device.rank = 1
    stage = Stage.of("finetune", "second-process")
    work = Work(stage=stage, inputs={}, folder=tmp_path / "committed-and-gone", device=device, report=lambda _: None)
    run: Any = Run()
    assert _trained(work, run)["last_loss"] == 1.0
