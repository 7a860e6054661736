"""Parameters and operations, counted and compared with real modules on the meta device (no memory, no arithmetic)."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from t5core.config import ModelConfig
from t5core.errors import ConfigError
from t5core.model import T5, forward_flops, num_parameters, preset, train_flops


def on_meta(config):
    with torch.device("meta"):
        return T5(config)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("small", 60_506_624),
        ("base", 222_903_552),
        ("large", 737_668_096),
        ("3B", 2_851_598_336),
        ("11B", 11_307_321_344),
    ],
)
def test_the_papers_sizes_have_the_released_checkpoints_parameters(name, expected):
    assert num_parameters(preset(name)) == expected


@pytest.mark.parametrize("name", ["tiny", "mini", "base", "11B"])
def test_the_count_is_that_of_the_modules(name):
    config = preset(name)
    assert sum(p.numel() for p in on_meta(config).parameters()) == num_parameters(config)


def test_the_count_follows_stacks_of_different_depth():
    config = ModelConfig(vocab_size=50, d_model=16, d_kv=4, d_ff=24, num_heads=3, num_decoder_layers=5)
    assert sum(p.numel() for p in T5(config).parameters()) == num_parameters(config)


@pytest.mark.parametrize(
    ("name", "inputs_length", "targets_length"), [("tiny", 128, 64), ("tiny", 32, 96), ("base", 512, 114)]
)
def test_operations_are_those_a_profiler_counts(name, inputs_length, targets_length):
    model = on_meta(preset(name)).eval()
    ids = torch.ones(1, max(inputs_length, targets_length), dtype=torch.int64, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(ids[:, :inputs_length], ids[:, :targets_length])
    counted = forward_flops(model.config, inputs_length, targets_length)
    assert counted == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_a_training_step_costs_what_a_profiler_counts():
    model = on_meta(preset("tiny"))
    ids = torch.ones(1, 64, dtype=torch.int64, device="meta")
    with FlopCounterMode(display=False) as counter:
        model(ids, ids).sum().backward()
    assert train_flops(model.config, 64, 64) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_an_unknown_size_is_refused_with_a_hint():
    with pytest.raises(ConfigError, match=r"model='smal': choose one of tiny, .*11B \(did you mean 'small'\?\)"):
        preset("smal")
