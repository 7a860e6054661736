import pytest
import torch

from t5core.devices.layered import is_joined, join_layers, joined_name, layer_name, split_layers


def tensors():
    return {
        "embedding.weight": torch.arange(4.0),
        "encoder.blocks.0.feed_forward.wi.weight": torch.zeros(2, 3),
        "encoder.blocks.1.feed_forward.wi.weight": torch.ones(2, 3),
        "decoder.blocks.0.feed_forward.wi.weight/rows": torch.full((5,), 7.0),
    }


def test_layers_are_joined_in_their_order_and_come_apart_again():
    joined = join_layers(tensors())
    assert {name: tuple(t.shape) for name, t in joined.items()} == {
        "embedding.weight": (4,),
        "encoder.layers.feed_forward.wi.weight": (2, 2, 3),
        "decoder.layers.feed_forward.wi.weight/rows": (1, 5),
    }
    assert joined["encoder.layers.feed_forward.wi.weight"][:, 0, 0].tolist() == [0, 1]
    apart = split_layers(joined)
    assert apart.keys() == tensors().keys()
    assert all(torch.equal(apart[name], t) for name, t in tensors().items())


def test_ten_layers_keep_their_order():
    many = {f"decoder.blocks.{i}.self_attention.q.weight": torch.tensor([float(i)]) for i in reversed(range(12))}
    assert join_layers(many)["decoder.layers.self_attention.q.weight"].flatten().tolist() == list(range(12))


def test_a_missing_layer_is_noticed():
    with pytest.raises(KeyError):
        join_layers({"decoder.blocks.1.self_attention.q.weight": torch.zeros(1)})


@pytest.mark.parametrize("name", ["embedding.weight", "decoder.final_norm.weight", "decoder.position_bias.weight"])
def test_what_is_outside_of_the_layers_keeps_its_name(name):
    assert not is_joined(name)
    assert joined_name(name) == layer_name(name, 3) == name


def test_names_lead_back():
    name = "decoder.blocks.11.cross_attention.o.weight"
    assert joined_name(name) == "decoder.layers.cross_attention.o.weight"
    assert is_joined(joined_name(name))
    assert layer_name(joined_name(name), 11) == name
