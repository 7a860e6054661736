"""The CUDA device: what can be checked anywhere, and on a GPU that it trains as the CPU does, compiled once."""

import numpy as np
import pytest
import torch
from small_run import GOLDEN, MODEL, TRAIN, CopyFeed, losses, run_in
from torch.utils._python_dispatch import TorchDispatchMode

from t5core.config import DecodeConfig
from t5core.devices import CpuDevice, open_device, resolve_device_name
from t5core.devices.cuda import CudaDevice
from t5core.errors import ConfigError
from t5core.model import T5
from t5core.model.kernels import SdpaKernel
from t5core.training.step import TrainStep

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


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


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("kernel", ["sdpa", "flex"])
def test_in_float32_a_gpu_gives_the_cpus_losses(name, kernel):
    device = CudaDevice(precision="float32")
    torch.set_float32_matmul_precision("highest")  # without TF32
    case = GOLDEN[name] | {"model": GOLDEN[name].get("model", MODEL).replace(d_kv=16)}  # flex wants 16 or more
    assert losses(device=device, kernel=kernel, **case) == pytest.approx(losses(device=CpuDevice(), **case), abs=1e-3)


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize("recompute", [False, True])
def test_in_bfloat16_a_gpu_learns_as_well_and_compiles_no_more_after_its_first_steps(tmp_path, recompute):
    device = CudaDevice(recompute=recompute)
    model = T5(MODEL.replace(d_kv=16)).initialise(0)
    run = run_in(tmp_path, TRAIN, model=model, device=device)
    result = run.run()
    assert result.compilations_after_warmup == 0
    assert all(p.dtype == torch.float32 for p in run.step.model.parameters())
    expected = run_in(tmp_path / "cpu", TRAIN, model=T5(MODEL.replace(d_kv=16)).initialise(0)).run()
    assert result.last_loss == pytest.approx(expected.last_loss, abs=0.1)
    assert {"device", "precision", "compiled", "attention kernel"} <= {d.what for d in run.decisions}


@pytest.mark.gpu
@gpu
def test_a_gpu_decodes_as_the_cpu_does():
    from small_run import ending_inputs, ending_model

    from t5core.decoding import decode

    config = DecodeConfig(max_new_tokens=10)
    device = CudaDevice(precision="float32")
    torch.set_float32_matmul_precision("highest")
    found = decode(ending_model().to(device.torch_device), ending_inputs(), config, device)
    assert np.array_equal(found, decode(ending_model(), ending_inputs(), config, open_device("cpu")))


@pytest.mark.gpu
@gpu
def test_a_batch_and_single_numbers_reach_the_gpu_without_waiting_for_it():
    device, batch = CudaDevice(), CopyFeed().batch(0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        put, scalar, whole = device.put(batch.inputs), device.scalar(0.25), device.whole(3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (put.device.type, put.dtype) == ("cuda", torch.int64) and put.tolist() == batch.inputs.tolist()
    assert (scalar.item(), scalar.dtype, whole.item(), whole.dtype) == (0.25, torch.float32, 3, torch.int64)


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
