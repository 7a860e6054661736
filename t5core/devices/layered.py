"""Names of tensors whose layers are held joined, ``[L, ...]``, and the way there and back.

A checkpoint and a ``T5`` name each layer's tensors; a model that is compiled as a loop over its layers holds them
joined (``t5core.model.scanned``). The same goes for an optimizer's moments, whose names begin with a weight's:

    apart     decoder.blocks.0.self_attention.q.weight   [I, D]
              decoder.blocks.1.self_attention.q.weight   [I, D]
    joined    decoder.layers.self_attention.q.weight     [2, I, D]
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_BLOCK = re.compile(r"\bblocks\.(\d+)\.")
_LAYERS = re.compile(r"\blayers\.")


def is_joined(name: str) -> bool:
    """Returns whether a tensor of this name has a leading dimension of layers."""
    return _LAYERS.search(name) is not None


def joined_name(name: str) -> str:
    """Returns the name under which a layer's tensor is held joined; other names as they are."""
    return _BLOCK.sub("layers.", name, count=1)


def layer_name(name: str, layer: int) -> str:
    """Returns the name of one layer of a joined tensor; other names as they are."""
    return _LAYERS.sub(f"blocks.{layer}.", name, count=1)


def join_layers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors with those of a stack's layers joined; all layers of a stack must be there."""
    out: dict[str, Tensor] = {}
    layers: dict[str, dict[int, Tensor]] = {}
    for name, tensor in tensors.items():
        block = _BLOCK.search(name)
        if block is None:
            out[name] = tensor
        else:
            layers.setdefault(joined_name(name), {})[int(block[1])] = tensor
    for name, by_layer in layers.items():
        out[name] = torch.stack([by_layer[i] for i in range(len(by_layer))])
    return out


def split_layers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors with joined ones taken apart: views, one per layer."""
    out: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if is_joined(name):
            out.update({layer_name(name, i): layer for i, layer in enumerate(tensor)})
        else:
            out[name] = tensor
    return out
