import pytest
import torch

from t5core.config import MeshConfig
from t5core.devices.xla_memory import needed_bytes
from t5core.model import on_meta, preset
from t5core.sizes import device_bytes as told


@pytest.mark.parametrize("name", ["small", "base", "3B"])
def test_what_is_needed_is_what_sizes_says_or_a_little_more(name):
    config = preset(name)
    needed = needed_bytes(on_meta(config), 16, 2)
    found = told(config, MeshConfig(data=1, model=1), batch_size=8, dtype=torch.bfloat16)
    assert needed == found.weights * 3 + found.activations
    assert found.total <= needed


def test_a_model_that_does_not_know_what_it_keeps_is_not_judged():
    assert needed_bytes(torch.nn.Linear(2, 2), 4, 2) is None
