"""How a model is held by the devices that train it: whole or in parts, its layers computed once or twice.

    none        every process has all weights, and keeps all activations of its rows for the backward pass
    recompute   the same, but each layer keeps its input alone and is computed again: a third more work
    shard       every process has a part of each weight (FSDP2), gathered where it is used
    auto        the first of the ways that fits the device's memory, in the order of what they cost

Which one it is changes the last bits at most. What fits, ``t5core.training.fitting`` asks ``t5core.sizes``.
"""

import re
from dataclasses import dataclass

from t5core.config import MeshConfig
from t5core.errors import ConfigError

PARALLEL_CHOICES = ("auto", "none", "recompute", "shard")
_MESH = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way to hold a model.

    Attributes:
        shard: whether each process has a part of the weights.
        recompute: whether layers are computed again in the backward pass.
    """

    shard: bool = False
    recompute: bool = False

    @property
    def described(self) -> str:
        """In words: ``weights whole, layers computed once``."""
        return (
            f"weights {'sharded' if self.shard else 'whole'}, layers computed {'twice' if self.recompute else 'once'}"
        )


def ways(parallel: str, processes: int) -> tuple[Layout, ...]:
    """Returns the ways to hold a model of which a training takes the first that fits; the last one takes least memory.

    Args:
        parallel: one of PARALLEL_CHOICES.
        processes: that share a batch.

    Raises:
        ConfigError: for another word, and for "shard" in a process that is alone.
    """
    check_parallel_name(parallel)
    if parallel == "shard":
        if processes == 1:
            raise ConfigError("parallel", parallel, "start several processes (torchrun), or leave the weights whole")
        return Layout(shard=True), Layout(shard=True, recompute=True)
    if parallel == "auto":
        sharded = (Layout(shard=True),) if processes > 1 else ()
        both = (Layout(shard=True, recompute=True),) if processes > 1 else ()
        return Layout(), *sharded, Layout(recompute=True), *both
    return (Layout(recompute=parallel == "recompute"),)


def mesh_of(text: str) -> MeshConfig:
    """Returns the mesh that ``DxM`` names, like 16x4; raises ConfigError for anything else."""
    found = _MESH.fullmatch(text)
    if found is None:
        raise ConfigError("mesh", text, "give data x model devices, like 16x4")
    return MeshConfig(data=int(found[1]), model=int(found[2]))


def check_parallel_name(parallel: str) -> None:
    """Raises ConfigError for none of PARALLEL_CHOICES."""
    if parallel not in PARALLEL_CHOICES:
        way_out = f"choose one of {', '.join(PARALLEL_CHOICES)}"
        raise ConfigError("parallel", parallel, way_out, choices=PARALLEL_CHOICES)


def check_parallel(device_name: str, parallel: str, mesh: MeshConfig | None) -> None:
    """Raises ConfigError for what a lane of such a device cannot do (yet).

    Args:
        device_name: "cpu", "cuda" or "xla".
        parallel: one of PARALLEL_CHOICES.
        mesh: the devices of a lane; None: one, or what a TPU host has.
    """
    check_parallel_name(parallel)
    if device_name == "xla":
        if parallel == "recompute":
            raise ConfigError("parallel", parallel, "xla keeps what its layers computed: give a larger --mesh")
        if parallel == "shard":
            raise ConfigError("parallel", parallel, "xla cuts weights along its mesh: give --mesh DxM")
        return
    if mesh is not None and mesh.model > 1:
        way_out = f"devices share a layer on xla only; on {device_name} they share a batch: give {mesh.size}x1"
        raise ConfigError("mesh", f"{mesh.data}x{mesh.model}", way_out)
    if parallel == "shard" and (mesh is None or mesh.data == 1):
        way_out = "a lane has one process, which has none to share weights with: give --mesh Dx1, like 8x1"
        raise ConfigError("parallel", parallel, way_out)
