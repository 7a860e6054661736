"""Processes that share their batches: real ones, over gloo."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_run import curve

from t5core.devices import CpuDevice
from t5core.devices.processes import Group, SharedBatch, join
from t5core.errors import ConfigError

HERE = Path(__file__).parent
STEPS = 20


def started(folder, size, how):
    """Starts ``size`` processes that train on one batch; rank 0 has one thread, the others have more."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(HERE / "train_in_processes.py"), str(folder), str(STEPS), how]
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    paths = [str(HERE.parent / "training"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, **shared, "PYTHONPATH": os.pathsep.join(paths)}
    return [
        subprocess.Popen(
            command, env={**environment, "RANK": str(rank), "THREADS": str(1 + rank)}, stderr=subprocess.PIPE, text=True
        )
        for rank in range(size)
    ]


def trained(folder, size, how="replicated"):
    """Trains to the end in ``size`` processes and returns what each of them found."""
    processes = started(folder, size, how)
    ends = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * size, ends
    return [json.loads((folder / f"losses.{rank}.json").read_text()) for rank in range(size)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process finds, and its folder."""
    folder = tmp_path_factory.mktemp("alone")
    return folder, trained(folder, 1)[0]


def final(folder):
    return {name: load_file(folder / "final" / f"{name}.safetensors") for name in ("model", "optimizer")}


@pytest.mark.parametrize(
    "how",
    [
        "replicated",
        *(
            pytest.param(how, marks=pytest.mark.slow)
            for how in ("sharded", "compiled", "replicated-in-parts", "sharded-in-parts")
        ),
    ],
)
def test_two_processes_train_as_one_does(alone, tmp_path, how):
    """The same losses of the same global batches, dropout and all; the same weights and moments at the end."""
    folder, expected = alone
    found = trained(tmp_path, 2, how)
    assert (expected["rows"], found[0]["rows"]) == (6, 3)
    assert found[0] == found[1]
    assert found[1]["threads"] == [1]  # the first one's number
    assert json.loads((tmp_path / "threads.json").read_text())["value"] == "1"
    assert found[0]["graphs"] == (4 if how == "compiled" else 0)  # a layer of either stack, with and without dropout
    assert len(found[0]["losses"]) == STEPS
    assert found[0]["losses"] == pytest.approx(expected["losses"], abs=1e-4)
    assert found[0]["held_out"] == pytest.approx(expected["held_out"], abs=1e-4)
    assert len(curve(tmp_path)) == STEPS  # one process writes
    norms = [[row["gradient_norm"] for row in curve(where)] for where in (tmp_path, folder)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)  # of the whole gradient, in parts or not
    ours, theirs = final(tmp_path), final(folder)
    for file, tensors in theirs.items():
        assert ours[file].keys() == tensors.keys()
        for name, tensor in tensors.items():
            torch.testing.assert_close(ours[file][name], tensor, atol=2e-4, rtol=2e-3, msg=f"{file} {name}")


@pytest.mark.slow
def test_sharded_in_bfloat16_sums_norms_weights_and_moments_stay_float32(alone, tmp_path):
    """Else a sum of bfloat16 would be off by more than rounding within some steps."""
    _, expected = alone
    found = trained(tmp_path, 2, "low")
    assert found[0] == found[1]
    assert found[0]["losses"] == pytest.approx(expected["losses"], rel=2e-2)
    assert found[0]["held_out"] == pytest.approx(expected["held_out"], rel=2e-2)
    assert {tensor.dtype for tensors in final(tmp_path).values() for tensor in tensors.values()} == {torch.float32}


@pytest.mark.slow
def test_processes_with_sharded_weights_leave_and_hold_the_mean_that_one_process_leaves(alone, tmp_path):
    expected = trained(tmp_path / "one", 1, "averaged")[0]
    found = trained(tmp_path / "two", 2, "averaged")
    assert found[0] == found[1] and found[0]["held_out"] == pytest.approx(expected["held_out"], abs=1e-4)
    assert expected["losses"] == alone[1]["losses"] and expected["held_out"] != alone[1]["held_out"]
    ours, theirs = final(tmp_path / "two"), final(tmp_path / "one")
    for name, tensor in theirs["model"].items():
        torch.testing.assert_close(ours["model"][name], tensor, atol=2e-4, rtol=2e-3, msg=name)
    last = final(alone[0])["model"]
    assert not any(torch.equal(tensor, last[name]) for name, tensor in theirs["model"].items())


@pytest.mark.faults
@pytest.mark.parametrize(("how", "size"), [("replicated", 3), ("sharded", 2)])
def test_processes_that_are_killed_go_on_and_end_in_the_same_bits(tmp_path, how, size):
    """Three, because a sum of two has no order; those of sharded weights are taken in the same place in every step."""
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    trained(straight, size, how)
    processes = started(resumed, size, how)
    while not list((resumed / "checkpoints").glob("step-*")):
        assert processes[0].poll() is None, processes[0].communicate()[1]
        time.sleep(0.002)
    for process in processes:
        process.kill()
        process.communicate()
    assert not (resumed / "final").exists()
    trained(resumed, size, how)
    for name in ("final/model.safetensors", "final/optimizer.safetensors"):
        assert (resumed / name).read_bytes() == (straight / name).read_bytes()
    assert curve(resumed) == curve(straight)


def test_a_process_without_others_makes_no_group(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert join("gloo") == Group()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")  # a rank alone is no group: there is no address to meet at
    assert join("gloo") == Group()
    assert not torch.distributed.is_initialized()


def test_a_group_is_left_at_the_end_by_the_process_that_made_it_only(monkeypatch):
    left, told = [], []
    monkeypatch.setattr("atexit.register", told.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend: None)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: left.append(True))
    variables = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert join("gloo") == Group(size=2)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    assert join("gloo") == Group(size=2)  # this one is another's
    (leave,) = told
    leave()
    assert left == [True]


def test_rows_are_shared_evenly_or_not_at_all():
    device = SharedBatch(Group(rank=2, size=3), torch.device("cpu"))
    assert device.rows(6) == range(4, 6)
    assert device.rows(3) == range(2, 3)
    with pytest.raises(ConfigError, match="batch_size=8: give a multiple of 3, the processes' number"):
        device.rows(8)


def test_weights_are_not_sharded_over_one_process():
    with pytest.raises(ConfigError, match=r"shard=True: start several processes \(torchrun\)"):
        CpuDevice(shard=True)
