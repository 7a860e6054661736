import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch

from t5core.devices import CpuDevice, open_device, resolve_device_name
from t5core.devices.device import mix
from t5core.errors import ConfigError


@pytest.fixture(autouse=True)
def no_tpu(monkeypatch):
    for name in ("PJRT_DEVICE", "TPU_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_an_unknown_accelerator_is_refused_with_a_hint():
    with pytest.raises(ConfigError) as caught:
        open_device("cpuu")
    assert str(caught.value) == "accelerator='cpuu': choose one of auto, cpu, cuda, xla (did you mean 'cpu'?)"


def test_auto_takes_the_cpu_unless_there_is_a_tpu(monkeypatch):
    assert resolve_device_name("auto") == "cpu"
    monkeypatch.setenv("PJRT_DEVICE", "CPU")
    assert resolve_device_name("auto") == "cpu"
    monkeypatch.setenv("PJRT_DEVICE", "tpu")
    assert resolve_device_name("auto") == "xla"
    monkeypatch.delenv("PJRT_DEVICE")
    monkeypatch.setenv("TPU_NAME", "local")
    assert resolve_device_name("auto") == "xla"


def test_xla_without_torch_xla_says_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"accelerator='xla': install torch-xla .* or take accelerator=cpu"):
        open_device("xla")


def test_the_cpu_takes_arrays_as_int64_or_as_the_floats_they_are():
    device = open_device("cpu")
    ids = np.array([[1, 2], [3, 4]], dtype=np.int32)
    tensor = device.put(ids.T)  # not contiguous
    assert (tensor.dtype, tensor.tolist()) == (torch.int64, [[1, 3], [2, 4]])
    assert device.put(np.zeros(2, dtype=np.float32)).dtype == torch.float32
    scalar = device.scalar(0.25)
    assert (scalar.shape, scalar.dtype, scalar.item()) == (torch.Size([]), torch.float32, 0.25)


def test_what_is_put_on_the_cpu_is_no_view_of_the_ids():
    ids = np.array([1, 2], dtype=np.int32)
    tensor = open_device("cpu").put(ids)
    ids[0] = 9
    assert tensor.tolist() == [1, 2]


def test_mixed_seeds_fit_into_63_bits():
    seeds = {mix((0, step)) for step in range(2000)}
    assert len(seeds) == 2000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_threads_are_set_only_when_asked_and_decisions_say_why():
    earlier = torch.get_num_threads()
    try:
        device = CpuDevice(threads=1)
        assert torch.get_num_threads() == 1
        decisions = {decision.what: decision for decision in device.decisions()}
        assert set(decisions) == {"device", "precision", "kernel", "threads", "denormal numbers"}
        assert (decisions["threads"].value, decisions["threads"].why) == ("1", "as many as were asked for")
        assert all(decision.why for decision in decisions.values())
        device.end_step()
        assert device.compilations() == 0
    finally:
        torch.set_num_threads(earlier)
    found = {decision.what: decision for decision in CpuDevice().decisions()}
    assert (found["threads"].value, found["threads"].why) == (str(earlier), "as many as PyTorch finds")
    assert torch.get_num_threads() == earlier


def test_a_number_of_threads_holds_inside_a_with_and_the_one_before_behind_it():
    earlier = torch.get_num_threads()
    device = CpuDevice()
    with device.with_threads(earlier + 1):
        assert torch.get_num_threads() == device.threads() == earlier + 1
    assert device.threads() == earlier
    with pytest.raises(KeyError), device.with_threads(earlier + 1):
        raise KeyError
    assert torch.get_num_threads() == earlier


def test_the_number_is_told_also_where_it_is_the_one_already(monkeypatch):
    """MKL takes as many threads as it likes, up to the number, until it has been told one."""
    device, told = CpuDevice(), []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    with device.with_threads(torch.get_num_threads()):
        assert told == [torch.get_num_threads()]


def denormals(*lines):
    """What a fresh process says of denormal numbers after some lines of code; two threads compute."""
    last = 'print(torch.set_flush_denormal(True), next(d.value for d in found if d.what == "denormal numbers"))'
    program = ["import torch", "from t5core.devices import CpuDevice", *lines]
    program += ["found = device.decisions()", last]
    done = subprocess.run([sys.executable, "-c", "\n".join(program)], capture_output=True, text=True, check=True)
    can, _, value = done.stdout.strip().partition(" ")
    if can == "False":
        assert value == "kept"
        pytest.skip("this processor cannot make denormal numbers 0")
    return value


def test_all_threads_make_denormal_numbers_0_where_the_device_is_opened_before_anything_is_computed():
    assert denormals("device = CpuDevice(2)") == "made 0"


def test_threads_that_were_started_before_the_device_was_opened_are_told_of():
    """They keep what was set when they were started, and PyTorch has no way to reach them."""
    started = "torch.set_num_threads(2); torch.ones(1 << 17).add(1)"
    assert denormals(started, "device = CpuDevice()") == "made 0 by some threads"


def test_a_thread_of_python_that_did_not_open_the_device_makes_them_0_too():
    opened = ["with ThreadPoolExecutor(1) as pool:", "    device = pool.submit(CpuDevice, 2).result()"]
    inside = ["with device.with_threads(2):", "    pass"]
    assert denormals("from concurrent.futures import ThreadPoolExecutor", *opened, *inside) == "made 0"
