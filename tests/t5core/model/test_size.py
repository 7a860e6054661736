"""Parameters and operations, counted and compared with real modules on the meta device (no memory, no arithmetic)."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from t5core.config import ModelConfig
from t5core.errors import ConfigError
from t5core.model import T5, ModelInputs, forward_flops, num_parameters, on_meta, preset, train_flops


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


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        (preset("base", architecture="shared_encoder_decoder"), 137.9),
        (preset("base").replace(num_encoder_layers=6, num_decoder_layers=6), 123.8),
        (preset("base", architecture="language_model"), 109.6),
        (preset("base", architecture="prefix_lm"), 109.6),
        (preset("2x"), 502.7),
        (preset("4x"), 972.6),
    ],
    ids=lambda value: value if isinstance(value, float) else value.architecture,
)
def test_the_studies_variants_have_the_parameters_of_their_table(config, millions):
    assert num_parameters(config) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(
    ("name", "expected"),  # of the released v1.1 checkpoints, two embedding matrices included
    [("v1.1-small", 76_961_152), ("v1.1-base", 247_577_856), ("v1.1-large", 783_150_080)],
)
def test_version_1_1_has_the_released_checkpoints_parameters(name, expected):
    assert num_parameters(preset(name)) == expected


def test_the_count_follows_stacks_of_different_depth():
    config = ModelConfig(vocab_size=50, d_model=16, d_kv=4, d_ff=24, num_heads=3, num_decoder_layers=5)
    assert sum(p.numel() for p in T5(config).parameters()) == num_parameters(config)


def counted_flops(model, inputs_length, targets_length, backward=False):
    def ids(length):
        return torch.ones(1, length, dtype=torch.int64, device="meta")

    batch = ModelInputs(inputs_BS=ids(inputs_length), targets_BT=ids(targets_length))
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
        logits = model.hidden(batch) @ model.output_weight.T
        if backward:
            logits.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("inputs_length, targets_length", [(512, 114), (32, 96)])
@pytest.mark.parametrize(
    "config",
    [
        preset("tiny"),
        preset("base"),
        preset("v1.1-base"),
        preset("11B"),
        preset("small", architecture="shared_encoder_decoder"),
        preset("tiny").replace(adapter_size=32),
        preset("base").replace(num_encoder_layers=6, num_decoder_layers=3),
    ],
    ids=lambda c: f"{c.architecture}-{c.d_model}-{c.num_encoder_layers}",
)
def test_operations_are_those_a_profiler_counts(config, inputs_length, targets_length):
    counted = counted_flops(on_meta(config), inputs_length, targets_length)
    assert forward_flops(config, inputs_length, targets_length) == pytest.approx(counted, rel=0.02)


@pytest.mark.parametrize("architecture", ["language_model", "prefix_lm"])
def test_a_decoder_only_model_reads_both_as_one_row(architecture):
    config = preset("small", architecture=architecture)
    counted = counted_flops(on_meta(config), 0, 512 + 114)
    assert forward_flops(config, 512, 114) == pytest.approx(counted, rel=0.02)


def test_a_training_step_costs_what_a_profiler_counts():
    counted = counted_flops(on_meta(preset("tiny")), 64, 64, backward=True)
    assert train_flops(preset("tiny"), 64, 64) == pytest.approx(counted, rel=0.02)


def test_a_model_that_is_only_counted_draws_no_weights(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("on the meta device this imports torch's compiler and sympy: seconds")

    for draw in ("normal_", "uniform_"):
        monkeypatch.setattr(torch.Tensor, draw, refuse)
    assert on_meta.__wrapped__(preset("v1.1-small")).embedding.weight.is_meta
    with pytest.raises(AssertionError, match="compiler"):
        T5(preset("tiny"))


def test_an_unknown_size_is_refused_with_a_hint():
    with pytest.raises(ConfigError, match=r"model='smal': choose one of tiny, .*11B \(did you mean 'small'\?\)"):
        preset("smal")
