"""To and from Hugging Face T5 folders, v1.0 and v1.1: ``config.json`` and ``model.safetensors`` (one file or shards).

The same tensors under other names, nothing transposed, nothing scaled, so a round trip gives the same bits:

    encoder.blocks.2.self_attention.q.weight      encoder.block.2.layer.0.SelfAttention.q.weight
    decoder.blocks.0.cross_attention_norm.weight  decoder.block.0.layer.1.layer_norm.weight
    decoder.position_bias.weight                  decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight
    embedding.weight                              shared.weight

What belongs to the model is taken from the config and checked; what does not (dropout, ``use_cache``, ...) is left
out when reading and gets transformers' defaults when writing. Whether the softmax is tied to the embedding, and the
decoder's output scaled, is said in two ways: by ``tie_word_embeddings`` in folders of the release and of
transformers 4, by ``scale_decoder_outputs`` in those that transformers 5 writes, where ``tie_word_embeddings`` is
always true and a ``lm_head.weight`` that differs from ``shared.weight`` is what is meant by untied.

Pickled weights (``pytorch_model.bin``) are never read.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from t5core.config import FeedForwardKind, ModelConfig
from t5core.errors import CheckpointError, ConfigError
from t5core.finite import check_finite
from t5core.model import T5, on_meta

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

_MODEL_TYPES = ("t5", "mt5")  # mT5 is v1.1 with another vocabulary
_FEED_FORWARDS: Mapping[str, FeedForwardKind] = {"relu": "relu", "gated-gelu": "gated_gelu"}
_SIZES = {  # ours, theirs and what transformers takes where a folder is silent
    "vocab_size": ("vocab_size", 32_128),
    "d_model": ("d_model", 512),
    "d_kv": ("d_kv", 64),
    "d_ff": ("d_ff", 2048),
    "num_heads": ("num_heads", 8),
    "num_encoder_layers": ("num_layers", 6),
    "num_decoder_layers": ("num_decoder_layers", None),  # as many as the encoder has
    "relative_attention_num_buckets": ("relative_attention_num_buckets", 32),
    "relative_attention_max_distance": ("relative_attention_max_distance", 128),
}
_SPECIAL_IDS = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
_EMBEDDING, _HEAD = "shared.weight", "lm_head.weight"
_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")  # of the embedding, in older files
_UNUSED = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)  # in released v1.0 files


def from_hf(folder: str | os.PathLike[str]) -> T5:
    """Returns the model of a Hugging Face T5 folder, in eval mode, float32, on the CPU.

    Raises:
        ConfigError: for a config of another model, or one that t5core cannot express; names the field.
        CheckpointError: for a folder without config or safetensors, and for tensors that are missing, unknown, of the
            wrong shape, not finite, or cannot be read.
    """
    path = Path(folder)
    described = _Described.read(path)
    weights = _weights(path, _files_by_tensor(path), described, on_meta(described.config).state_dict())
    model = T5(described.config)
    model.load_state_dict(weights, assign=True)
    return model.eval()


def check_hf(folder: str | os.PathLike[str]) -> tuple[ModelConfig, tuple[Path, ...]]:
    """Returns the model that a Hugging Face T5 folder describes and the files of its weights, of which heads are read.

    Raises:
        ConfigError, CheckpointError: as ``from_hf``, but for what only the values of tensors tell.
    """
    path = Path(folder)
    described = _Described.read(path)
    files = _files_by_tensor(path)
    _places(path, files, described, on_meta(described.config).state_dict())
    return described.config, tuple(sorted(set(files.values())))


def to_hf(model: T5, folder: str | os.PathLike[str]) -> None:
    """Writes a model as a Hugging Face T5 folder: ``model.safetensors`` in float32, then ``config.json``.

    Files appear under their names when they are whole; those of an earlier model there are replaced.

    Raises:
        ConfigError: for a model that has no form there: a shared or decoder-only architecture, or adapters.
    """
    config = _hf_config(model.config)
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError("folder", str(folder), f"give a folder that can be written ({error.strerror})") from error
    tensors = {
        hf_name(name): tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in model.state_dict().items()
    }
    partial = path / f".{WEIGHTS_FILE}.partial"
    save_file(tensors, partial, metadata={"format": "pt"})
    partial.replace(path / WEIGHTS_FILE)
    (path / INDEX_FILE).unlink(missing_ok=True)  # of an earlier model in shards
    partial = path / f".{CONFIG_FILE}.partial"
    partial.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(path / CONFIG_FILE)


def hf_name(name: str) -> str:
    """Returns the Hugging Face name of one of an encoder-decoder's parameters.

    >>> hf_name("decoder.blocks.3.feed_forward_norm.weight")
    'decoder.block.3.layer.2.layer_norm.weight'
    """
    if name == "embedding.weight":
        return _EMBEDDING
    feed_forward = 1 if name.startswith("encoder") else 2  # the decoder has cross-attention before it
    for ours, theirs in (
        ("position_bias.weight", "block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        ("final_norm.", "final_layer_norm."),
        ("blocks.", "block."),
        ("self_attention_norm.", "layer.0.layer_norm."),
        ("self_attention.", "layer.0.SelfAttention."),
        ("cross_attention_norm.", "layer.1.layer_norm."),
        ("cross_attention.", "layer.1.EncDecAttention."),
        ("feed_forward_norm.", f"layer.{feed_forward}.layer_norm."),
        ("feed_forward.", f"layer.{feed_forward}.DenseReluDense."),
    ):
        name = name.replace(ours, theirs)
    return name


@dataclass(frozen=True, kw_only=True)
class _Described:
    """What a folder's config says.

    Attributes:
        config: of the model.
        head_may_be_the_embedding: untied, but a missing ``lm_head.weight`` is meant to be the embedding.
    """

    config: ModelConfig
    head_may_be_the_embedding: bool

    @classmethod
    def read(cls, folder: Path) -> "_Described":
        """Reads ``config.json``; raises ConfigError or CheckpointError."""
        path = folder / CONFIG_FILE
        if not path.is_file():
            raise CheckpointError("folder", str(folder), f"no {CONFIG_FILE} is there: give a Hugging Face T5 folder")
        values = _read_json(path)
        model_type = values.get("model_type")
        if model_type not in _MODEL_TYPES:
            raise ConfigError("model_type", model_type, "this is another model: give a folder of T5 v1.0 or v1.1")
        for name, expected in _SPECIAL_IDS.items():
            if values.get(name, expected) not in (expected, [expected], None):
                raise ConfigError(name, values[name], f"t5core's models have {expected}")
        if values.get("is_encoder_decoder", True) is not True:
            raise ConfigError("is_encoder_decoder", values["is_encoder_decoder"], "give a folder with both stacks")
        feed_forward = values.get("feed_forward_proj", "relu")
        if feed_forward not in _FEED_FORWARDS:
            known = " or ".join(_FEED_FORWARDS)
            raise ConfigError("feed_forward_proj", feed_forward, f"t5core's models have {known}")
        said_tied = values.get("tie_word_embeddings", True) is not False
        scaled = values.get("scale_decoder_outputs", said_tied) if model_type == "t5" else False
        if not isinstance(scaled, bool):
            raise ConfigError("scale_decoder_outputs", scaled, "give true or false")
        config = ModelConfig(
            feed_forward=_FEED_FORWARDS[feed_forward],
            tied_embeddings=scaled,
            layer_norm_epsilon=_number(values, "layer_norm_epsilon", 1e-6),
            **_sizes(values),
        )
        return cls(config=config, head_may_be_the_embedding=said_tied and not scaled)


def _sizes(values: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for ours, (theirs, default) in _SIZES.items():
        value = values.get(theirs)
        if value is None:
            value = out["num_encoder_layers"] if default is None else default
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(theirs, value, "give a whole number above 0")
        out[ours] = value
    return out


def _number(values: Mapping[str, Any], name: str, default: float) -> float:
    value = values.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1:
        raise ConfigError(name, value, "give a small number above 0")
    return float(value)


def _hf_config(config: ModelConfig) -> dict[str, Any]:
    if config.architecture != "encoder_decoder":
        way_out = "Hugging Face's T5 has two stacks of their own weights only; keep this model as a t5core checkpoint"
        raise ConfigError("architecture", config.architecture, way_out)
    if config.adapter_size is not None:
        way_out = "Hugging Face's T5 has no adapters; keep this model as a t5core checkpoint"
        raise ConfigError("adapter_size", config.adapter_size, way_out)
    gated = config.feed_forward == "gated_gelu"
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "dense_act_fn": "gelu_new" if gated else "relu",
        "dropout_rate": 0.1,
        "feed_forward_proj": "gated-gelu" if gated else "relu",
        "initializer_factor": 1.0,
        "is_encoder_decoder": True,
        "is_gated_act": gated,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "model_type": "t5",
        "tie_word_embeddings": config.tied_embeddings,
        "use_cache": True,
        **{theirs: getattr(config, ours) for ours, (theirs, _) in _SIZES.items()},
        **_SPECIAL_IDS,
    }


def _files_by_tensor(folder: Path) -> dict[str, Path]:
    """Returns which file of the folder holds each tensor."""
    single, index = folder / WEIGHTS_FILE, folder / INDEX_FILE
    if single.is_file():
        with _opened(single) as file:
            return dict.fromkeys(file.keys(), single)
    if index.is_file():
        names = _read_json(index).get("weight_map")
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            raise CheckpointError("folder", str(index), "its weight_map does not say which file holds which tensor")
        for name in set(names.values()):
            if Path(name).name != name or not (folder / name).is_file():
                raise CheckpointError("folder", str(folder / name), "the index names it, but it is not in the folder")
        return {tensor: folder / name for tensor, name in names.items()}
    pickled = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    if pickled:
        way_out = (
            f"it has only pickled weights ({pickled[0]}), which are never loaded; convert it where it is trusted: "
            "T5ForConditionalGeneration.from_pretrained(folder).save_pretrained(new_folder, safe_serialization=True)"
        )
        raise CheckpointError("folder", str(folder), way_out)
    raise CheckpointError("folder", str(folder), f"neither {WEIGHTS_FILE} nor {INDEX_FILE} is there")


def _weights(
    folder: Path, files: Mapping[str, Path], described: _Described, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Returns the tensors by our names; ``expected`` has their shapes."""
    places = _places(folder, files, described, expected)
    found = {name: tensor for name, tensor in _read(files) if name not in _UNUSED}
    for name in sorted({_HEAD, *_COPIES} & set(found) - {hf_name(ours) for ours in expected}):
        if not torch.equal(found[name], found[places["embedding.weight"]]):
            raise CheckpointError("tensor", name, f"it differs from {_EMBEDDING}, which the config ties it to")
    taken: set[str] = set()
    out = {}
    for ours, name in places.items():  # the embedding may stand for the head too: each has memory of its own
        out[ours] = found[name].clone() if name in taken else found[name]
        taken.add(name)
    return out


def _places(
    folder: Path, files: Mapping[str, Path], described: _Described, expected: Mapping[str, Tensor]
) -> dict[str, str]:
    """Returns which of the folder's tensors each of ours is; names and shapes are held against what is expected."""
    theirs = {hf_name(ours): ours for ours in expected}
    unknown = sorted(set(files) - set(theirs) - {_HEAD, *_COPIES, *_UNUSED})
    if unknown:
        way_out = f"{len(unknown)} of its tensors have no place in the model that {CONFIG_FILE} describes"
        raise CheckpointError("tensor", unknown[0], way_out)
    stands_for = {name: name for name in theirs if name in files}
    copy = next((name for name in _COPIES if name in files), None)
    if copy is not None:
        stands_for.setdefault(_EMBEDDING, copy)
    if described.head_may_be_the_embedding and _EMBEDDING in stands_for:
        stands_for.setdefault(_HEAD, stands_for[_EMBEDDING])
    missing = sorted(set(theirs) - set(stands_for))
    if missing:
        raise CheckpointError("tensor", missing[0], f"{len(missing)} tensors are missing from {folder}")
    shapes = _shapes(files)
    for name, ours in theirs.items():
        shape = shapes[stands_for[name]]
        if shape != tuple(expected[ours].shape):
            raise CheckpointError(name, shape, f"{CONFIG_FILE} asks for {tuple(expected[ours].shape)}")
    return {ours: stands_for[name] for name, ours in theirs.items()}


def _shapes(files: Mapping[str, Path]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of all tensors, from the heads of their files."""
    shapes = {}
    for path in sorted(set(files.values())):
        with _opened(path) as file:
            present = set(file.keys())
            for name in sorted(name for name, where in files.items() if where == path):
                if name not in present:
                    raise CheckpointError("tensor", name, f"the index says {path.name}, but it is not there")
                shapes[name] = tuple(file.get_slice(name).get_shape())
    return shapes


def _read(files: Mapping[str, Path]) -> Iterator[tuple[str, Tensor]]:
    """Gives every tensor in float32, in memory of its own; refuses those with values that are not finite."""
    for path in sorted(set(files.values())):
        with _opened(path) as file:
            for name in sorted(name for name, where in files.items() if where == path):
                tensor = file.get_tensor(name)
                if not tensor.is_floating_point():
                    raise CheckpointError(name, str(tensor.dtype), "give floating-point weights")
                single = tensor.to(torch.float32, copy=True)  # float64 may overflow here
                if name not in _UNUSED:
                    check_finite(name, single, path)
                yield name, single


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError("file", str(path), f"not a whole safetensors file ({error})") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError("file", str(path), f"not readable as JSON ({error})") from error
    if not isinstance(values, dict):
        raise CheckpointError("file", str(path), "give a JSON object")
    return values
