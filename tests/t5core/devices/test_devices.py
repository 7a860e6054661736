import importlib.util

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
        assert set(decisions) == {"device", "precision", "kernel", "threads"}
        assert decisions["threads"].value == "1"
        assert all(decision.why for decision in decisions.values())
        device.end_step()
        assert device.compilations() == 0
    finally:
        torch.set_num_threads(earlier)
    CpuDevice()
    assert torch.get_num_threads() == earlier
