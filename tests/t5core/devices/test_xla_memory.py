import pytest
import torch

from t5core.config import MeshConfig
from t5core.devices.xla_memory import GIB, device_bytes, needed_bytes
from t5core.model import on_meta, preset
from t5core.sizes import device_bytes as told


@pytest.mark.parametrize(
    ("pjrt_device", "kind", "gib"),
    [
        ("TPU", "v4-32", 32),
        ("TPU", "v5litepod-16", 16),
        ("TPU", "V6E-8", 32),
        ("TPU", "v99-4", None),
        ("CPU", "v4-8", None),
    ],
)
def test_a_devices_memory_is_that_of_its_kind_where_it_is_known(monkeypatch, pjrt_device, kind, gib):
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", kind)
    assert device_bytes(pjrt_device) == (None if gib is None else gib * GIB)


def test_without_a_kind_it_is_not_known(monkeypatch):
    monkeypatch.delenv("TPU_ACCELERATOR_TYPE", raising=False)
    assert device_bytes("TPU") is None


@pytest.mark.parametrize("name", ["small", "base", "3B"])
def test_what_is_needed_is_what_sizes_says_or_a_little_more(name):
    config = preset(name)
    needed = needed_bytes(on_meta(config), 16, 2)
    found = told(config, MeshConfig(data=1, model=1), batch_size=8, dtype=torch.bfloat16)
    assert needed == found.weights * 3 + found.activations
    assert found.total <= needed


def test_a_model_that_does_not_know_what_it_keeps_is_not_judged():
    assert needed_bytes(torch.nn.Linear(2, 2), 4, 2) is None
