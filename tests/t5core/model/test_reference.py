"""Logits, loss, gradients and greedy ids against a reference run of a small T5 (``conformance/data/model``).

The reference is transformers' T5ForConditionalGeneration on the same weights, in eval mode on a CPU.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from t5core.config import DecodeConfig, ModelConfig
from t5core.decoding import greedy
from t5core.devices import open_device
from t5core.model import T5, ModelInputs
from t5core.training.loss import token_losses

DATA = Path(__file__).parents[2] / "conformance" / "data" / "model"
CASES = [json.loads(line) for line in (DATA / "cases.jsonl").read_text().split("\n") if line]


def reference_name(name):
    """The reference's name of one of our parameters."""
    feed_forward = 1 if name.startswith("encoder") else 2
    for ours, theirs in [
        ("embedding.weight", "shared.weight"),
        ("position_bias.weight", "block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        ("final_norm", "final_layer_norm"),
        ("blocks.", "block."),
        ("self_attention_norm", "layer.0.layer_norm"),
        ("self_attention.", "layer.0.SelfAttention."),
        ("cross_attention_norm", "layer.1.layer_norm"),
        ("cross_attention.", "layer.1.EncDecAttention."),
        ("feed_forward_norm", f"layer.{feed_forward}.layer_norm"),
        ("feed_forward.", f"layer.{feed_forward}.DenseReluDense."),
    ]:
        name = name.replace(ours, theirs)
    return name


@pytest.fixture
def model():
    c = json.loads((DATA / "config.json").read_text())
    same = ("vocab_size", "d_model", "d_kv", "d_ff", "num_heads", "num_decoder_layers", "layer_norm_epsilon")
    relative = ("relative_attention_num_buckets", "relative_attention_max_distance")
    config = ModelConfig(num_encoder_layers=c["num_layers"], **{name: c[name] for name in (*same, *relative)})
    weights = load_file(DATA / "model.safetensors")
    model = T5(config)
    model.load_state_dict({name: weights[reference_name(name)] for name in model.state_dict()})
    return model.eval()


def tensors(case):
    visible = torch.tensor(case["attention_mask"]) > 0
    return torch.tensor(case["input_ids"]).where(visible, 0), torch.tensor(case["labels"]).clamp(min=0)


def teacher_forced(model, inputs, targets):
    return model.hidden(ModelInputs(inputs_BS=inputs, targets_BT=targets)) @ model.output_weight.T


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_logits_are_the_references(model, case):
    logits = teacher_forced(model, *tensors(case))
    assert (logits - torch.tensor(case["logits"])).abs().max() < 1e-4


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_loss_and_gradients_are_the_references(model, case):
    inputs, targets = tensors(case)
    training, cross_entropy, tokens = token_losses(teacher_forced(model, inputs, targets), targets, 0.0)
    assert (cross_entropy / tokens).item() == pytest.approx(case["loss"], abs=1e-5)
    (training / tokens).backward()
    norms = {reference_name(name): p.grad.norm().item() for name, p in model.named_parameters()}
    assert {name: norms[name] for name in case["grad_norms"]} == pytest.approx(case["grad_norms"], rel=1e-4)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_greedy_ids_are_the_references(model, case):
    inputs, _ = tensors(case)
    generated = greedy(model, inputs.numpy(), DecodeConfig(max_new_tokens=12), open_device("cpu")).tolist()
    for ours, theirs in zip(generated, case["greedy_ids"], strict=True):
        theirs = theirs[1:]  # without the start token
        end = theirs.index(1) + 1 if 1 in theirs else len(theirs)
        assert ours == theirs[:end] + [0] * (12 - end)
