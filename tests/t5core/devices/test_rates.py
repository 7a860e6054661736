"""What devices are said to reach."""

import pytest
import torch

from t5core.devices import CpuDevice
from t5core.devices.rates import peak_flops_per_s, process_peak_bytes


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-40GB", 312e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA A10G", None),  # another card than an A10
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),  # a part of one
        ("GeForce of tomorrow", None),
    ],
)
def test_a_gpus_peak_rate_is_told_by_its_name(name, rate):
    assert peak_flops_per_s(name, torch.bfloat16) == rate
    assert peak_flops_per_s(name, torch.float32) == (None if rate is None else rate / 2)


def test_as_many_gpus_reach_as_many_times_the_rate(monkeypatch):
    device = CpuDevice()
    assert device.peak_flops_per_s() is None  # no table knows processors
    device.torch_device, device.compute_dtype = torch.device("cuda", 0), torch.bfloat16
    device.group = device.group.__class__(rank=0, size=4)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100 80GB HBM3")
    assert device.peak_flops_per_s() == 4 * 989e12


def test_a_processs_peak_memory_is_in_bytes():
    before = process_peak_bytes()
    assert 20e6 < before < 1e12
    held = bytearray(int(before) + (64 << 20))
    held[::4096] = b"x" * len(held[::4096])
    assert process_peak_bytes() >= len(held)
