"""First weights: what "guided" changes about "paper", "mimetic" about "guided", and that it is nothing else."""

import pytest
import torch

from t5core.config import ModelConfig
from t5core.errors import ConfigError
from t5core.model import T5

PAPER = ModelConfig(vocab_size=40, d_model=16, d_kv=4, d_ff=24, num_heads=8, num_encoder_layers=2, num_decoder_layers=3)
VARIANTS = {
    "encoder_decoder": PAPER,
    "v1.1": PAPER.replace(feed_forward="gated_gelu", tied_embeddings=False),
    "shared": PAPER.replace(architecture="shared_encoder_decoder", num_encoder_layers=3),
    "language_model": PAPER.replace(architecture="language_model", num_encoder_layers=0),
    "prefix_lm": PAPER.replace(architecture="prefix_lm", num_encoder_layers=0),
}


def weights(config: ModelConfig, seed: int = 5) -> dict[str, torch.Tensor]:
    return dict(T5(config).initialise(seed).state_dict())


def raised(before: torch.Tensor, after: torch.Tensor) -> list[tuple[int, int]]:
    """Returns (head, bucket) of the entries that differ, each of which must be 4 higher to the bit."""
    places = (before != after).nonzero().tolist()
    for bucket, head in places:
        assert after[bucket, head] == before[bucket, head] + 4.0
    return sorted((head, bucket) for bucket, head in places)


@pytest.mark.parametrize("name", VARIANTS)
def test_guided_changes_keys_across_the_stacks_and_position_biases_alone(name):
    config = VARIANTS[name]
    paper, guided = weights(config), weights(config.replace(attention_init="guided"))
    changed = {n for n in paper if not torch.equal(paper[n], guided[n])}
    biases = {n for n in paper if "position_bias" in n}
    keys = set() if config.decoder_only else {f"decoder.blocks.{i}.cross_attention.k.weight" for i in range(3)}
    assert paper.keys() == guided.keys()
    assert changed == biases | keys
    for n in keys:
        assert torch.equal(guided[n], paper[n.replace(".k.", ".q.")] * 2.0)  # the root of d_kv


def test_each_head_begins_with_one_small_offset_and_further_heads_begin_again():
    config = PAPER.replace(attention_init="guided")
    paper, guided = weights(PAPER), weights(config)
    encoder, decoder = ("encoder.position_bias.weight", "decoder.position_bias.weight")
    # -1, +1, -2, +2, -3, +3, -1, +1: what lies ahead has the second half of the 32 buckets
    assert raised(paper[encoder], guided[encoder]) == list(enumerate([1, 17, 2, 18, 3, 19, 1, 17]))
    assert raised(paper[decoder], guided[decoder]) == list(enumerate([1, 2, 1, 2, 1, 2, 1, 2]))


@pytest.mark.parametrize("name", ["shared", "language_model", "prefix_lm"])
def test_a_stack_that_also_decodes_looks_back(name):
    config = VARIANTS[name]
    bias = "decoder.position_bias.weight"
    found = raised(weights(config)[bias], weights(config.replace(attention_init="guided"))[bias])
    assert found == list(enumerate([1, 2, 1, 2, 1, 2, 1, 2]))


def test_a_guided_head_gives_its_offset_the_bias_in_every_row_of_attention():
    config = PAPER.replace(attention_init="guided")
    before, after = T5(PAPER).initialise(0).encoder, T5(config).initialise(0).encoder
    with torch.no_grad():
        difference_HR = after.position_bias(5, 5, bidirectional=True) - before.position_bias(5, 5, bidirectional=True)
    offsets = torch.arange(-4, 5)
    for head, offset in enumerate((-1, 1, -2, 2, -3, 3)):
        assert difference_HR[head].round(decimals=5).tolist() == [4.0 if o == offset else 0.0 for o in offsets]


def test_guided_keys_have_the_standard_deviation_of_the_papers():
    config = ModelConfig(vocab_size=10, d_model=256, d_kv=32, d_ff=8, num_heads=8, attention_init="guided")
    model = T5(config.replace(num_encoder_layers=1, num_decoder_layers=1)).initialise(0)
    assert model.decoder.blocks[0].cross_attention.k.weight.std().item() == pytest.approx(256**-0.5, rel=0.01)


def test_buckets_are_those_of_the_models_own_table():
    few = PAPER.replace(relative_attention_num_buckets=8, relative_attention_max_distance=16)
    bias = "encoder.position_bias.weight"
    found = raised(weights(few)[bias], weights(few.replace(attention_init="guided"))[bias])
    assert found == list(enumerate([1, 5, 2, 6, 2, 6, 1, 5]))  # 2 and 3 share a bucket of 8


@pytest.mark.parametrize("name", VARIANTS)
def test_mimetic_is_guided_with_other_values_and_outputs(name):
    config = VARIANTS[name]
    guided, mimetic = (weights(config.replace(attention_init=way)) for way in ("guided", "mimetic"))
    changed = {n for n in guided if not torch.equal(guided[n], mimetic[n])}
    assert changed == {n for n in guided if n.endswith(("attention.v.weight", "attention.o.weight"))} != set()


def heads_of(d_kv: int, num_heads: int) -> tuple[torch.Tensor, torch.Tensor]:
    config = PAPER.replace(d_kv=d_kv, num_heads=num_heads, attention_init="mimetic")
    found = weights(config)
    module = "decoder.blocks.1.cross_attention"
    return found[f"{module}.v.weight"], found[f"{module}.o.weight"]


@pytest.mark.parametrize(("d_kv", "num_heads", "gain"), [(4, 4, 1.0), (8, 4, 2.0**0.5)])
def test_what_all_mimetic_heads_look_at_arrives_as_it_is(d_kv, num_heads, gain):
    v, o = heads_of(d_kv, num_heads)
    torch.testing.assert_close(o @ v, gain * torch.eye(16), atol=1e-6, rtol=0)


def test_fewer_mimetic_heads_hand_on_their_part():
    v, o = heads_of(2, 4)
    torch.testing.assert_close(v @ v.T, torch.eye(8), atol=1e-6, rtol=0)
    projection = o @ v / 2.0**0.5
    torch.testing.assert_close(projection @ projection, projection, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("d_kv", "num_heads"), [(32, 8), (16, 8), (64, 8)])
def test_mimetic_weights_have_the_standard_deviations_of_the_papers(d_kv, num_heads):
    config = ModelConfig(vocab_size=10, d_model=256, d_kv=d_kv, d_ff=8, num_heads=num_heads, attention_init="mimetic")
    attention = T5(config.replace(num_encoder_layers=1, num_decoder_layers=1)).initialise(0).encoder.blocks[0]
    assert attention.self_attention.v.weight.std().item() == pytest.approx(256**-0.5, rel=0.01)
    assert attention.self_attention.o.weight.std().item() == pytest.approx((d_kv * num_heads) ** -0.5, rel=0.01)


def test_another_way_to_begin_is_refused_by_name():
    with pytest.raises(ConfigError, match="attention_init='guide': choose one of paper, guided, mimetic"):
        ModelConfig(attention_init="guide")
