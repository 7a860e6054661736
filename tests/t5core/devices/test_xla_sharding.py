import pytest
import torch

from t5core.config import MeshConfig
from t5core.devices.xla_sharding import batch_spec, weight_spec
from t5core.errors import ConfigError
from t5core.model import T5, preset
from t5core.model.scanned import ScannedT5

MESH = MeshConfig(data=2, model=4)


def specs(name: str, **changes: object) -> dict:
    with torch.device("meta"):
        model = ScannedT5(T5(preset(name).replace(**changes)))
    return {n: (weight_spec(n, p.shape, MESH), tuple(p.shape)) for n, p in model.named_parameters()}


def test_matrices_are_cut_along_both_axes_and_layers_along_none():
    found = specs("base")
    assert found["embedding.weight"] == (("model", "data"), (32_128, 768))
    assert found["decoder.layers.self_attention.q.weight"] == ((None, "model", "data"), (12, 768, 768))
    assert found["decoder.layers.cross_attention.o.weight"] == ((None, "data", "model"), (12, 768, 768))
    assert found["encoder.layers.feed_forward.wi.weight"] == ((None, "model", "data"), (12, 3_072, 768))
    assert found["encoder.layers.feed_forward.wo.weight"] == ((None, "data", "model"), (12, 768, 3_072))
    assert found["encoder.position_bias.weight"] == ((None, "model"), (32, 12))
    assert found["encoder.layers.feed_forward_norm.weight"] == ((None, None), (12, 768))
    assert found["decoder.final_norm.weight"] == ((None,), (768,))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("11B", {}),
        ("base", {"feed_forward": "gated_gelu", "tied_embeddings": False}),
        ("small", {"adapter_size": 32}),
        ("small", {"architecture": "shared_encoder_decoder"}),
        ("base", {"architecture": "prefix_lm", "num_encoder_layers": 0}),
    ],
)
def test_all_but_norms_and_biases_are_cut_into_as_many_parts_as_there_are_devices(name, changes):
    for parameter, (spec, shape) in specs(name, **changes).items():
        assert len(spec) == len(shape)
        if "norm" not in parameter and "position_bias" not in parameter:
            assert {"data", "model"} <= set(spec), parameter


def test_what_an_axis_does_not_divide_stays_whole():
    assert weight_spec("decoder.blocks.0.self_attention.q.weight", (6, 8), MESH) == (None, "data")
    assert weight_spec("decoder.blocks.0.self_attention.q.weight", (8, 7), MESH) == ("model", None)


def test_batches_are_cut_by_rows():
    assert batch_spec((4, 9), MESH) == ("data", None)
    assert batch_spec((3, 9), MESH) == (None, None)
    assert batch_spec((4, 0), MESH) == (None, None)  # a decoder-only model's inputs
    assert batch_spec((), MESH) == ()


def test_a_mesh_has_axes_of_one_device_or_more():
    assert MeshConfig(data=2, model=4).size == 8
    with pytest.raises(ConfigError, match=r"data=0"):
        MeshConfig(data=0)
