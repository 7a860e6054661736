"""Bytes per device: exact where tensors are counted, close to what autograd really keeps where they are estimated."""

import pytest
import torch

from t5core.config import MeshConfig, ModelConfig
from t5core.errors import ConfigError
from t5core.model import T5, Dropout, ModelInputs, num_parameters, preset
from t5core.sizes import device_bytes
from t5core.training import AdaFactor

ONE = MeshConfig()
SMALL = ModelConfig(
    vocab_size=512, d_model=128, d_kv=16, d_ff=256, num_heads=8, num_encoder_layers=3, num_decoder_layers=2
)


def test_weights_gradients_and_moments_of_one_device_are_those_of_the_modules():
    model = T5(SMALL)
    found = device_bytes(SMALL, ONE)
    assert found.weights == found.gradients == sum(p.numel() * p.itemsize for p in model.parameters())
    moments = AdaFactor(model.named_parameters()).moments.values()
    assert found.moments == sum(m.numel() * m.itemsize for m in moments)


@pytest.mark.parametrize("name", ["base", "3B", "11B", "v1.1-11B"])
def test_a_mesh_cuts_all_large_weights_by_its_devices(name):
    config = preset(name)
    whole, cut = device_bytes(config, ONE), device_bytes(config, MeshConfig(data=16, model=4))
    assert whole.weights == 4 * num_parameters(config)
    assert whole.weights / 64 <= cut.weights < 1.02 * whole.weights / 64
    assert whole.moments < 0.01 * whole.weights  # factored


def saved_bytes(config, batch_size, inputs_length, targets_length):
    """What autograd keeps of one forward pass: tensors with the batch in them, not weights put side by side."""
    model = T5(config).initialise(0)
    weights = {4 * n * config.num_heads * config.d_kv * config.d_model for n in (1, 2, 3)}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.nbytes() not in weights and not isinstance(tensor, torch.nn.Parameter):
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        batch = ModelInputs(
            inputs_BS=torch.full((batch_size, 0 if config.decoder_only else inputs_length), 5),
            targets_BT=torch.full((batch_size, targets_length + inputs_length * config.decoder_only), 7),
        )
        hidden = model.hidden(batch, Dropout(rate=0.1, key=torch.tensor(3)))
    assert hidden.requires_grad
    return sum(size for place, size in kept.items() if place not in parameters)


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        SMALL.replace(feed_forward="gated_gelu", tied_embeddings=False),
        SMALL.replace(adapter_size=64),
        SMALL.replace(architecture="prefix_lm", num_encoder_layers=0),
    ],
    ids=["v1.0", "v1.1", "adapters", "prefix_lm"],
)
def test_the_estimate_of_activations_is_above_what_autograd_keeps_and_not_far(config):
    estimate = device_bytes(
        config, ONE, batch_size=3, inputs_length=88, targets_length=44, dtype=torch.float32
    ).activations
    kept = saved_bytes(config, 3, 88, 44)
    assert kept <= estimate <= 1.35 * kept  # processors take short cuts that keep less


def test_recomputing_and_fused_attention_keep_less():
    base = preset("base")
    dense, fused = device_bytes(base, ONE), device_bytes(base, ONE, dense_attention=False)
    again = device_bytes(base, ONE, recompute=True)
    assert again.activations < dense.activations / 8
    assert fused.activations < 0.75 * dense.activations
    assert device_bytes(base, ONE, dtype=torch.float32).activations == 2 * dense.activations


def test_a_batch_that_the_mesh_cannot_cut_is_refused():
    with pytest.raises(ConfigError, match="batch_size=10: give a multiple of 4, the mesh's data axis"):
        device_bytes(SMALL, MeshConfig(data=4), batch_size=10)
