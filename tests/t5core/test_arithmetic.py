"""Sums over a config say what the model itself says."""

import pytest

from t5core import arithmetic
from t5core.config import ModelConfig, TrainConfig
from t5core.model import PRESETS, flops, preset
from t5core.training.trainable import num_trainable

ARCHITECTURES = ("encoder_decoder", "shared_encoder_decoder", "language_model", "prefix_lm")


def check(config: ModelConfig) -> None:
    assert arithmetic.num_parameters(config) == flops.num_parameters(config)
    for lengths in ((512, 114), (48, 16), (1, 1), (0, 512)):
        assert arithmetic.train_flops(config, *lengths) == flops.train_flops(config, *lengths)


@pytest.mark.parametrize("name", PRESETS)
def test_every_size_is_counted_as_the_model_counts_itself(name: str) -> None:
    check(preset(name))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"adapter_size": 24},
        {"feed_forward": "gated_gelu"},
        {"tied_embeddings": False},
        {"relative_attention_num_buckets": 16, "num_heads": 3, "d_kv": 20},
        {"feed_forward": "gated_gelu", "adapter_size": 7, "tied_embeddings": False},
    ],
)
def test_every_architecture_and_option_is_counted_as_the_model_counts_itself(
    architecture: str, changes: dict[str, object]
) -> None:
    check(preset("tiny", vocab_size=400, architecture=architecture).replace(**changes))  # type: ignore[arg-type]


def test_stacks_of_unlike_depth_are_counted_apart() -> None:
    check(preset("tiny").replace(num_encoder_layers=5, num_decoder_layers=2))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("trainable", ["all", "gradual", "adapters", "adapters_and_norms"])
@pytest.mark.parametrize("adapter_size", [None, 24])
def test_what_is_trained_is_counted_as_training_chooses_it(
    architecture: str, trainable: str, adapter_size: int | None
) -> None:
    if trainable.startswith("adapters") and adapter_size is None:
        pytest.skip("no adapters to train")
    model = preset("tiny", vocab_size=400, architecture=architecture)  # type: ignore[arg-type]
    model = model.replace(adapter_size=adapter_size)
    train = TrainConfig(steps=12, trainable=trainable)  # type: ignore[arg-type]
    assert arithmetic.num_trained(model, train) == num_trainable(model, train)
