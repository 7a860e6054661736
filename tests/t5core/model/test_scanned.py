"""A model whose layers are held joined computes what it does with its layers apart."""

import pytest
import torch

from t5core.config import ModelConfig
from t5core.devices.layered import is_joined, split_layers
from t5core.model import T5, Dropout, ModelInputs
from t5core.model.scanned import ScannedT5, loop

SMALL = ModelConfig(vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_heads=4, num_encoder_layers=3, num_decoder_layers=3)
VARIANTS = {
    "encoder_decoder": SMALL,
    "shared": SMALL.replace(architecture="shared_encoder_decoder"),
    "prefix_lm": SMALL.replace(architecture="prefix_lm", num_encoder_layers=0),
    "language_model": SMALL.replace(architecture="language_model", num_encoder_layers=0),
    "v1.1 with adapters": SMALL.replace(feed_forward="gated_gelu", tied_embeddings=False, adapter_size=8),
}


def inputs_for(config: ModelConfig, *, packed: bool = False) -> ModelInputs:
    generator = torch.Generator().manual_seed(3)
    targets_BT = torch.randint(2, 64, (3, 7), generator=generator)
    inputs_BS = torch.randint(2, 64, (3, 0 if config.decoder_only else 9), generator=generator)
    inputs_BS[0, 5:] = 0
    targets_BT[1, 4:] = 0
    return ModelInputs(
        inputs_BS=inputs_BS,
        targets_BT=targets_BT,
        input_segments_BS=(torch.arange(9) // 4 + 1).expand(3, 9) if packed else None,
        target_segments_BT=(torch.arange(7) // 3 + 1).expand(3, 7) if packed else None,
        prefix_BT=(torch.arange(7) < 3).expand(3, 7) if config.decoder_only else None,
    )


def gradients(model: T5, batch: ModelInputs, dropout: Dropout | None) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model.hidden(batch, dropout).square().sum().backward()
    return split_layers({name: p.grad for name, p in model.named_parameters() if p.grad is not None})


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dropout", [None, Dropout(rate=0.2, key=torch.tensor(7))], ids=["no dropout", "dropout"])
def test_joined_layers_give_the_same_hidden_states_and_gradients(name, dropout):
    model = T5(VARIANTS[name]).initialise(0)
    joined = ScannedT5(T5(VARIANTS[name]).initialise(0), loop)
    batch = inputs_for(model.config)
    torch.testing.assert_close(joined.hidden(batch, dropout), model.hidden(batch, dropout), rtol=0, atol=1e-6)
    expected, found = gradients(model, batch, dropout), gradients(joined, batch, dropout)
    assert found.keys() == expected.keys()
    assert {n for n in expected if "position_bias" in n}
    for parameter, gradient in expected.items():
        torch.testing.assert_close(found[parameter], gradient, rtol=1e-5, atol=1e-5, msg=parameter)


def test_packed_rows_are_told_apart_with_joined_layers_too():
    model = T5(SMALL).initialise(0)
    batch = inputs_for(SMALL, packed=True)
    torch.testing.assert_close(ScannedT5(model).hidden(batch), model.hidden(batch), rtol=0, atol=1e-6)
    apart = inputs_for(SMALL)
    assert (model.hidden(batch) - model.hidden(apart)).abs().max() > 0.01


@pytest.mark.parametrize("name", VARIANTS)
def test_joined_layers_hold_the_same_weights_under_names_of_their_own(name):
    model = T5(VARIANTS[name]).initialise(0)
    held = ScannedT5(model).state_dict()
    assert any(is_joined(n) for n in held)
    apart = split_layers(held)
    assert apart.keys() == model.state_dict().keys()
    assert all(torch.equal(apart[n], weight) for n, weight in model.state_dict().items())


@pytest.mark.parametrize("name", VARIANTS)
def test_a_model_with_joined_layers_decodes(name):
    model = T5(VARIANTS[name]).initialise(0).eval()
    joined = ScannedT5(model)
    prompts_BS = torch.randint(2, 64, (3, 6), generator=torch.Generator().manual_seed(1))
    previous_B1 = torch.zeros(3, 1, dtype=torch.int64)
    states = [m.start(prompts_BS, 4) for m in (model, joined)]
    for position in range(3):
        logits = [m.step(previous_B1, position, s) for m, s in zip((model, joined), states, strict=True)]
        torch.testing.assert_close(logits[1], logits[0], rtol=0, atol=1e-5)
        previous_B1 = logits[0].argmax(dim=-1, keepdim=True)


def test_bodies_are_equal_where_they_compute_the_same():
    bodies = []

    def noting(body, carry, layers):
        bodies.append(body)
        return loop(body, carry, layers)

    batch = inputs_for(SMALL)
    for config in (SMALL, SMALL, SMALL.replace(d_ff=32)):
        model = ScannedT5(T5(config).initialise(0), noting)
        model.hidden(batch)
    with torch.no_grad():
        model.hidden(batch)
    model.decoder.layers.feed_forward.wi.weight.requires_grad_(False)
    model.hidden(batch)
    encoder, decoder = bodies[0::2], bodies[1::2]
    assert encoder[0] == encoder[1]
    assert decoder[0] == decoder[1]
    assert len(set(encoder)) == 3
    assert len(set(decoder)) == 4
    assert not set(encoder) & set(decoder)
