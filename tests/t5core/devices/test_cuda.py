"""The CUDA device trains as the CPU does, compiled once. Without a GPU the CPU runs the same tests in its place."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from like_cuda import DEVICES, GPU, opened
from small_run import GOLDEN, MODEL, TRAIN, CopyFeed, ending_inputs, ending_model, losses, run_in
from torch.utils._python_dispatch import TorchDispatchMode

from t5core.config import DecodeConfig
from t5core.decoding import decode
from t5core.devices import CpuDevice, open_device, resolve_device_name
from t5core.devices.cuda import CudaDevice
from t5core.errors import ConfigError
from t5core.model import T5
from t5core.model.kernels import SdpaKernel
from t5core.training import kernel_choice
from t5core.training.step import TrainStep


def test_cuda_without_a_gpu_says_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="accelerator='cuda': PyTorch finds no CUDA device here"):
        open_device("cuda")


def test_auto_takes_a_gpu_where_there_is_one_and_a_tpu_before_it(monkeypatch):
    for name in ("PJRT_DEVICE", "TPU_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device_name("auto") == "cuda"
    monkeypatch.setenv("PJRT_DEVICE", "TPU")
    assert resolve_device_name("auto") == "xla"


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match="LOCAL_RANK=0: start one process per GPU; this machine has 0"):
        CudaDevice()


CASES = [
    ("encoder_decoder", "sdpa", "cpu"),
    *(
        pytest.param(name, kernel, "cpu", marks=pytest.mark.slow)
        for name, kernel in (("v1.1", "sdpa"), ("packed", "flex"))
    ),
    *(pytest.param(name, kernel, *GPU.values, marks=GPU.marks) for name in GOLDEN for kernel in ("sdpa", "flex")),
]


@pytest.mark.parametrize(("name", "kernel", "device"), CASES)
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_in_float32_a_gpu_gives_the_cpus_losses(name, kernel, device):
    device = opened(device, precision="float32")
    case = GOLDEN[name] | {"model": GOLDEN[name].get("model", MODEL).replace(d_kv=16)}  # flex wants 16 or more
    assert losses(device=device, kernel=kernel, **case) == pytest.approx(losses(device=CpuDevice(), **case), abs=1e-3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("recompute", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_in_bfloat16_a_gpu_learns_as_well_and_compiles_no_more_after_its_first_steps(tmp_path, recompute, device):
    device = opened(device, recompute=recompute)
    model = T5(MODEL.replace(d_kv=16)).initialise(0)
    run = run_in(tmp_path, TRAIN, model=model, device=device)
    result = run.run()
    assert device.compilations() > 0 == result.compilations_after_warmup
    assert all(p.dtype == torch.float32 for p in run.step.model.parameters())
    assert all(moment.dtype == torch.float32 for moment in run.step.optimizer.moments.values())
    expected = run_in(tmp_path / "cpu", TRAIN, model=T5(MODEL.replace(d_kv=16)).initialise(0))
    assert result.last_loss == pytest.approx(expected.run().last_loss, abs=0.1)
    held_out = [CopyFeed().batch(100)]
    assert run.held_out(held_out) == pytest.approx(expected.held_out(held_out), abs=0.1)
    assert {"device", "precision", "compiled", "attention kernel"} <= {d.what for d in run.decisions}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_a_gpus_candidates_are_all_timed_and_the_choice_is_kept(tmp_path, monkeypatch, device):
    monkeypatch.setenv("T5GRID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_choice, "WORTH_TIMING", 0)
    device = opened(device, precision="float32")
    device.hardware = device.hardware or "none"
    model = T5(MODEL.replace(d_kv=16)).initialise(0)
    chosen = run_in(tmp_path / "first", TRAIN, model=model, device=device).kernel
    assert chosen.why.count(" ms") == 2 and "failed" not in chosen.why
    again = run_in(tmp_path / "second", TRAIN, model=model, device=device).kernel
    assert (again.value, again.why) == (chosen.value, f"kept from an earlier run here: {chosen.why}")


@pytest.mark.parametrize("device", DEVICES)
def test_a_gpu_decodes_as_the_cpu_does(device):
    config = DecodeConfig(max_new_tokens=10)
    device = opened(device, precision="float32")
    found = decode(ending_model().to(device.torch_device), ending_inputs(), config, device)
    assert np.array_equal(found, decode(ending_model(), ending_inputs(), config, open_device("cpu")))


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_and_single_numbers_reach_the_gpu_without_waiting_for_it(device):
    device, batch = opened(device), CopyFeed().batch(0)
    with no_waiting(device):
        put, scalar, whole = device.put(batch.inputs), device.scalar(0.25), device.whole(3)
    assert (put.device.type, put.dtype) == (device.torch_device.type, torch.int64)
    assert put.tolist() == batch.inputs.tolist()
    assert (scalar.item(), scalar.dtype, whole.item(), whole.dtype) == (0.25, torch.float32, 3, torch.int64)


@contextmanager
def no_waiting(device):
    """Fails where the host waits for a GPU; on a CPU in its place, where it reads a value, for which it would wait."""
    if device.name != "cuda":
        with _NoHostReads():
            yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("device", DEVICES)
def test_the_host_never_waits_in_a_step(device):
    device = opened(device)
    step = TrainStep(device.place(T5(MODEL.replace(d_kv=16)).initialise(0)), TRAIN, device)
    step.model.use_kernel(SdpaKernel())
    feed = CopyFeed()
    for i in range(2):  # compiles, and fills what allocators keep
        float(step(feed.batch(i), i))
    with no_waiting(device):
        found = [step(feed.batch(i), i) for i in (2, 3)]
    assert all(loss.item() > 0 for loss in found)


class _NoHostReads(TorchDispatchMode):
    """Fails where a tensor's value is asked for: on a GPU the host would wait for all that is queued."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function is not torch.ops.aten._local_scalar_dense.default, "a value was read"
        return function(*args, **(kwargs or {}))


def test_a_step_reads_no_value_on_the_host():
    """What holds on the CPU, with the kernel that GPUs have, holds there: the step's own code is the same."""
    step = TrainStep(T5(MODEL).initialise(0), TRAIN, CpuDevice())
    step.model.use_kernel(SdpaKernel())
    batch = CopyFeed().batch(0)
    inputs = step.inputs(batch)
    step(batch, 0, inputs)
    with _NoHostReads():
        loss = step(batch, 1, inputs)
    assert loss.item() > 0
