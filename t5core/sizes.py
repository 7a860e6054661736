"""What training a model takes in memory on each device of a mesh, told without having that memory.

Weights, gradients and AdaFactor's moments are exact: the model is built on the meta device, where a tensor is only a
shape, and each is cut as ``t5core.devices.xla_sharding`` cuts it. A dimension that an axis does not divide stays whole,
and so do the factored moments, which are vectors.

What the forward pass keeps for the backward pass is an estimate from above (``t5core.model.activations``).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from t5core.config import MeshConfig, ModelConfig
from t5core.devices.layered import join_layers
from t5core.devices.xla_sharding import weight_spec
from t5core.errors import ConfigError
from t5core.model import on_meta
from t5core.model.activations import kept_for_backward
from t5core.training.adafactor import AdaFactor

FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class DeviceBytes:
    """Bytes on one device of the mesh.

    Attributes:
        weights, gradients, moments: float32, exact.
        activations: an estimate, see the module.
    """

    weights: int
    gradients: int
    moments: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.moments + self.activations


def device_bytes(
    config: ModelConfig,
    mesh: MeshConfig,
    *,
    batch_size: int = 128,
    inputs_length: int = 512,
    targets_length: int = 114,
    dtype: torch.dtype = torch.bfloat16,
    dense_attention: bool = True,
    recompute: bool = False,
) -> DeviceBytes:
    """Returns what training takes on each device.

    Args:
        config: the model.
        mesh: the devices; 1 × 1 is one of them.
        batch_size: sequences of the whole batch.
        inputs_length: in tokens.
        targets_length: in tokens; decoder-only models read both in one row.
        dtype: of the activations.
        dense_attention: whether the attention weights are written to memory.
        recompute: whether each layer is computed again in the backward pass.

    Raises:
        ConfigError: if the batch cannot be cut along the mesh.
    """
    if batch_size % mesh.data:
        raise ConfigError("batch_size", batch_size, f"give a multiple of {mesh.data}, the mesh's data axis")
    model = on_meta(config)
    weights = join_layers({name: p.detach() for name, p in model.named_parameters()})
    weight_bytes = _held(weights.items(), mesh)
    moments = join_layers(AdaFactor(model.named_parameters()).moments)
    # a moment as large as its weight is cut like it; "/full" is what its name adds
    full = [(name.removesuffix("/full"), m) for name, m in moments.items() if name.endswith("/full")]
    factored = sum(m.numel() for name, m in moments.items() if not name.endswith("/full"))
    sequences = batch_size // mesh.data
    per_sequence = kept_for_backward(
        config,
        inputs_length,
        targets_length,
        shared_by=mesh.model,
        dense_attention=dense_attention,
        recompute=recompute,
    )
    return DeviceBytes(
        weights=weight_bytes,
        gradients=weight_bytes,
        moments=_held(full, mesh) + FLOAT_BYTES * factored,
        activations=sequences * per_sequence * dtype.itemsize,
    )


def _held(tensors: Iterable[tuple[str, torch.Tensor]], mesh: MeshConfig) -> int:
    sizes = {"data": mesh.data, "model": mesh.model}
    total = 0
    for name, tensor in tensors:
        parts = math.prod(sizes[axis] for axis in weight_spec(name, tensor.shape, mesh) if axis is not None)
        total += FLOAT_BYTES * tensor.numel() // parts
    return total
