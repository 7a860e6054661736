"""How the weights lie on a mesh of devices: which dimension of which weight is cut along which axis.

The mesh has two axes. "data" cuts the batch, and beside it every matrix, so that a device keeps a part of each weight,
gradient and moment (FSDP). "model" cuts heads, the feed-forward's inner width and the vocabulary, so that a layer's
arithmetic is shared as well. XLA puts in what must be sent: a layer's weights are gathered along "data" where the
layer is computed, and its gradients are summed into their parts.

    2 x 2 mesh            data 0           data 1          wi [F, D]: device (data 0, model 1) holds the second half
                    ┌────────────────┬────────────────┐    of F and the first half of D
       model 0      │  device 0      │  device 2      │
       model 1      │  device 1      │  device 3      │
                    └────────────────┴────────────────┘

Dimensions: D d_model, F d_ff or an adapter's width, I heads times d_kv, V vocabulary, L layers.
"""

from collections.abc import Sequence

from t5core.config import MeshConfig
from t5core.devices.layered import is_joined

Spec = tuple[str | None, ...]
"""For each dimension of a tensor the mesh axis that it is cut along, or None."""
ALL_DEVICES: tuple[tuple[str, str]] = (("data", "model"),)
"""A tensor of one dimension that has a number for each device."""

_INTO_INNER: Spec = ("model", "data")  # [I or F or V, D]
_FROM_INNER: Spec = ("data", "model")  # [D, I or F]
_SPECS: dict[str, Spec] = {
    "embedding": _INTO_INNER,
    "lm_head": _INTO_INNER,
    **dict.fromkeys(("q", "k", "v", "wi", "wi_0", "wi_1"), _INTO_INNER),
    **dict.fromkeys(("o", "wo"), _FROM_INNER),
    "position_bias": (None, "model"),  # [buckets, heads]
}


def weight_spec(name: str, shape: Sequence[int], mesh: MeshConfig) -> Spec:
    """Returns how the weight of this name is cut; a dimension that an axis does not divide stays whole."""
    layers: Spec = (None,) if is_joined(name) else ()
    dims = len(shape) - len(layers)
    wanted = layers + _SPECS.get(name.split(".")[-2], (None,) * dims)
    return dividing(wanted, shape, mesh)


def dividing(wanted: Spec, shape: Sequence[int], mesh: MeshConfig) -> Spec:
    """Returns ``wanted`` without the axes that do not divide their dimension."""
    sizes = {"data": mesh.data, "model": mesh.model}
    return tuple(
        axis if axis is not None and size % sizes[axis] == 0 else None for axis, size in zip(wanted, shape, strict=True)
    )


def batch_spec(shape: Sequence[int], mesh: MeshConfig) -> Spec:
    """Returns how an array of rows is cut: its first dimension, if it can be; what has no rows stays whole."""
    cut = len(shape) > 1 and 0 not in shape and shape[0] % mesh.data == 0
    return ("data", *(None for _ in shape[1:])) if cut else tuple(None for _ in shape)
