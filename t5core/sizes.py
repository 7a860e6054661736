"""What training a model takes in memory on each device of a mesh, told without having that memory.

Weights, gradients and AdaFactor's moments are exact: the model is built on the meta device, where a tensor is only a
shape, and each is cut as ``t5core.devices.xla_sharding`` cuts it. A dimension that an axis does not divide stays whole,
and so do the factored moments, which are vectors.

What the forward pass keeps for the backward pass is an estimate from above: a count of the tensors that autograd saves
with dropout, in the precision of the activations, per sequence. Compilers and fused kernels keep less.

    encoder layer    S·(5 D + 5 I + 2 F) + H·S²
    decoder layer    T·(7 D + 7 I + 2 F) + 3 S·I + H·T² + H·T·S        (a gated feed-forward: 4 F instead of 2 F)

Kernels that never write the attention weights (fused, flex) save the terms with H. With recomputation every layer
keeps its input alone, and one layer at a time has the rest. Logits come in chunks and are left out.

Dimensions: S inputs and T targets in tokens, D d_model, F d_ff, H heads, I heads times d_kv, L layers.
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
    per_sequence = _kept(config, mesh, inputs_length, targets_length, dense_attention, recompute)
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


def _kept(c: ModelConfig, mesh: MeshConfig, s: int, t: int, dense_attention: bool, recompute: bool) -> int:
    """Numbers that one sequence keeps for the backward pass."""
    d = c.d_model
    # the model axis shares heads and inner widths, if it divides them
    heads, f = (n // mesh.model if n % mesh.model == 0 else n for n in (c.num_heads, c.d_ff))
    inner = heads * c.d_kv
    hidden = (4 if c.feed_forward == "gated_gelu" else 2) * f + (
        0 if c.adapter_size is None else 3 * d + 2 * c.adapter_size
    )
    weights = heads if dense_attention else 0

    def alone(n: int) -> int:
        return n * (5 * d + 5 * inner + hidden) + weights * n * n

    if c.decoder_only:
        stacks = [(c.num_decoder_layers, s + t, alone(s + t))]
    else:
        across = t * (2 * d + 2 * inner) + 3 * s * inner + weights * t * s
        stacks = [(c.num_encoder_layers, s, alone(s)), (c.num_decoder_layers, t, alone(t) + across)]
    ends = sum(3 * d * n for _, n, _ in stacks)
    if recompute:
        return ends + sum(layers * n * d for layers, n, _ in stacks) + max(layer for _, _, layer in stacks)
    return ends + sum(layers * layer for layers, _, layer in stacks)
