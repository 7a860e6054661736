import pytest
import torch

from t5core.config import ModelConfig
from t5core.errors import ConfigError
from t5core.model import T5, Dropout, ModelInputs
from t5core.model.layers import RMSNorm

CONFIG = ModelConfig(
    vocab_size=48, d_model=24, d_kv=6, d_ff=40, num_heads=4, num_encoder_layers=2, num_decoder_layers=2
)


def logits(model, inputs, targets, dropout=None, **more):
    """What training multiplies the hidden states to: every target position's logits."""
    hidden = model.hidden(ModelInputs(inputs_BS=inputs, targets_BT=targets, **more), dropout)
    return hidden @ model.output_weight.T


@pytest.fixture(scope="module")
def model():
    return T5(CONFIG).initialise(3).eval()


@pytest.fixture
def ids():
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(2, 48, shape, generator=generator) for shape in ((3, 9), (3, 7))]


def test_logits_have_a_row_per_target_position(model, ids):
    assert logits(model, *ids).shape == (3, 7, 48)


def test_padding_has_no_influence(model, ids):
    inputs, targets = ids
    wider = torch.nn.functional.pad(inputs, (0, 5))
    longer = torch.nn.functional.pad(targets, (0, 4))
    torch.testing.assert_close(logits(model, wider, longer)[:, :7], logits(model, inputs, targets), rtol=0, atol=1e-5)


def test_a_row_of_only_padding_stays_finite(model, ids):
    inputs, targets = ids
    inputs[1] = 0
    assert logits(model, inputs, targets).isfinite().all()


def test_a_target_changes_later_logits_only(model, ids):
    inputs, targets = ids
    before = logits(model, inputs, targets)
    targets[:, 3] = (targets[:, 3] + 1) % 46 + 2
    after = logits(model, inputs, targets)
    assert torch.equal(after[:, :4], before[:, :4])  # shifted right: position 4 is the first to see target 3
    assert (after[:, 4:] - before[:, 4:]).abs().amax(dim=(1, 2)).min() > 1e-3


def test_every_input_reaches_every_logit(model, ids):
    inputs, targets = ids
    before = logits(model, inputs, targets)
    inputs[:, -1] = (inputs[:, -1] + 1) % 46 + 2
    assert (logits(model, inputs, targets) - before).abs().amax(dim=-1).min() > 1e-5


def test_rows_of_a_batch_are_independent(model, ids):
    inputs, targets = ids
    together = logits(model, inputs, targets)
    for row in range(3):
        alone = logits(model, inputs[row : row + 1], targets[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-5)
    other_inputs, other_targets = inputs.clone(), targets.clone()
    other_inputs[1:], other_targets[1:] = 7, 9
    assert torch.equal(logits(model, other_inputs, other_targets)[0], together[0])


def test_order_of_the_inputs_matters(model, ids):
    inputs, targets = ids
    assert (logits(model, inputs.flip(1), targets) - logits(model, inputs, targets)).abs().max() > 1e-3


def test_a_seed_gives_the_same_weights_and_another_seed_others(model):
    same, other = T5(CONFIG).initialise(3), T5(CONFIG).initialise(4)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, same.state_dict()[name]), name
        assert torch.equal(weight, other.state_dict()[name]) == name.endswith("norm.weight"), name


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("embedding.weight", 1.0),
        ("encoder.blocks.0.self_attention.q.weight", (96 * 16) ** -0.5),
        ("encoder.blocks.0.self_attention.k.weight", 96**-0.5),
        ("decoder.blocks.0.cross_attention.v.weight", 96**-0.5),
        ("decoder.blocks.0.cross_attention.o.weight", (8 * 16) ** -0.5),
        ("encoder.blocks.0.feed_forward.wi.weight", 96**-0.5),
        ("decoder.blocks.0.feed_forward.wo.weight", 200**-0.5),
    ],
)
def test_weights_start_as_wide_as_in_the_released_code(name, std):
    config = CONFIG.replace(vocab_size=300, d_model=96, d_kv=16, d_ff=200, num_heads=8)
    weight = T5(config).initialise(0).get_parameter(name)
    assert weight.std().item() == pytest.approx(std, rel=0.03)
    assert abs(weight.mean().item()) < 0.05 * std


@pytest.mark.parametrize(("asked", "std"), [(None, (2 / (32 + 64)) ** 0.5), (0.05, 0.05)])
def test_the_position_bias_starts_as_wide_as_asked(asked, std):
    config = CONFIG.replace(num_heads=64, relative_attention_init_std=asked)
    weight = T5(config).initialise(0).encoder.position_bias.weight
    assert weight.std().item() == pytest.approx(std, rel=0.05)


def test_rms_norm_divides_by_the_root_mean_square_and_subtracts_nothing():
    x = torch.tensor([[3.0, 4.0, 0.0, 5.0]])
    norm = RMSNorm(4, 1e-6)
    torch.testing.assert_close(norm(x), x / 12.5**0.5)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    torch.testing.assert_close(norm(x), x / 12.5**0.5 * norm.weight)


def drop(rate=0.5, key=7, **more):
    return Dropout(rate=rate, key=torch.tensor(key), **more)


def test_dropout_acts_when_it_is_given_and_is_a_function_of_its_key(model, ids):
    plain = logits(model, *ids)
    assert torch.equal(logits(model, *ids), plain)
    first = logits(model, *ids, drop(key=7))
    assert torch.equal(logits(model, *ids, drop(key=7)), first)
    assert not torch.equal(logits(model, *ids, drop(key=8)), first)
    assert not torch.equal(first, plain)
    assert torch.equal(logits(model, *ids, drop(rate=0.0)), plain)


def test_dropout_of_a_shard_is_that_of_its_rows_of_the_whole_batch(model, ids):
    inputs, targets = ids
    whole = logits(model, inputs, targets, drop())
    second = logits(model, inputs[1:], targets[1:], drop(first_row=1))
    torch.testing.assert_close(second, whole[1:], rtol=0, atol=1e-5)


def test_equal_positions_stay_equal_under_dropout():
    """One mask for all positions, and no position bias: nothing tells positions apart."""
    model = T5(CONFIG).initialise(0)
    with torch.no_grad():
        model.encoder.position_bias.weight.zero_()
        inputs = ModelInputs(inputs_BS=torch.full((2, 6), 9), targets_BT=torch.zeros(2, 1, dtype=torch.int64))
        x_BSD = model._encoded(inputs, None, drop())
    torch.testing.assert_close(x_BSD, x_BSD[:, :1].expand_as(x_BSD))
    assert not torch.equal(x_BSD[0], x_BSD[1])


@pytest.mark.parametrize(
    ("field", "given", "message"),
    [
        ("input_ids", {"input_ids": torch.tensor([[3, 48]])}, "input_ids=48: give ids from 0 to 47"),
        ("labels", {"labels": torch.tensor([[3, -7]])}, "labels=-7: give ids from 0 to 47"),
        ("labels", {"labels": torch.tensor([3, 4])}, r"labels=\(2,\): give whole numbers, \[batch, length\]"),
        ("mask", {"attention_mask": torch.ones(1, 5)}, r"attention_mask=\(1, 5\): give \(1, 2\), as input_ids"),
        ("none", {"labels": None}, "labels=None: give labels or decoder_input_ids"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_wrong_ids_and_shapes_are_named(model, field, given, message):
    good = {"input_ids": torch.tensor([[3, 4]]), "labels": torch.tensor([[3, 4]])}
    with pytest.raises(ConfigError, match=message):
        model(**{**good, **given})
