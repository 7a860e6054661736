"""XLA through torch-xla and PJRT: TPUs, and CPUs for tests (``PJRT_DEVICE=CPU``).

Operations are recorded and compiled at ``end_step``; a step that records the same graph again reuses the program.
So shapes are static, and numbers that change from step to step (learning rate, decay, position) enter as tensors:
as Python numbers they would be part of the graph, and every step would compile again.

A model that is placed here holds its layers joined and applies them in a loop of the compiler's, so that compiling
does not take longer for more layers (``t5core.model.scanned``, ``xla_scan``).

Without a mesh there is one device. With one, a single program runs on all of its devices (SPMD): weights and batches
are cut as ``xla_sharding`` says, and XLA puts in what the devices must send each other. The arithmetic is that of one
device on the whole batch, up to the order of sums. Where a mesh spans several hosts, each runs one process that is
given whole batches, and sends its own devices' parts to them.

torch_xla is imported when a device is opened, so that t5core works without it. docs/torch_tpu.md says what follows it.
"""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from t5core.config import MeshConfig
from t5core.devices.decision import Decision
from t5core.devices.device import SingleProcess
from t5core.devices.layered import is_joined, join_layers, layer_name, split_layers
from t5core.devices.precision import Precision
from t5core.devices.xla_cache import keep_programs
from t5core.devices.xla_memory import GIB, USABLE, needed_bytes
from t5core.devices.xla_scan import LayerScan
from t5core.devices.xla_sharding import ALL_DEVICES, Spec, batch_spec, dividing, weight_spec
from t5core.errors import ConfigError


@runtime_checkable
class Scannable(Protocol):
    """A model that can hold its layers joined."""

    def scanned(self, scan: LayerScan, lay: Any) -> nn.Module:
        """Returns a model of the same weights that applies its layers by ``scan``; ``lay`` cuts what it computes."""


class XlaDevice(SingleProcess):
    """One PJRT device, or a mesh of them.

    Args:
        mesh: the devices to use, all that there are; None: one, or in a process that runs SPMD already, all of them
            as "data", and then weights stay whole on each where they fit (``xla_memory``). On a CPU whose number of
            virtual devices is not set, it is set to the mesh's.
        precision: of activations; None: bfloat16 on TPUs, float32 elsewhere. Weights and moments are float32.

    Raises:
        ConfigError: without torch_xla, or for a mesh of another size than there are devices.
    """

    name = "xla"
    static_shapes = True
    integers = torch.int32  # TPUs make longer ones out of two
    prefetch = 2
    kernels: tuple[str, ...] = ()  # a scanned model has its own

    def __init__(self, mesh: MeshConfig | None = None, *, precision: Precision | None = None) -> None:
        chips = any(Path(path).exists() for path in ("/dev/accel0", "/dev/vfio/0"))
        os.environ.setdefault("PJRT_DEVICE", "TPU" if chips else "CPU")
        self._pjrt = os.environ["PJRT_DEVICE"]
        if mesh is not None and self._pjrt == "CPU":
            os.environ.setdefault("CPU_NUM_DEVICES", str(mesh.size))
        try:
            import torch_xla
            import torch_xla.runtime
            from torch_xla.debug import metrics
        except ImportError as error:
            raise ConfigError("accelerator", "xla", f"install torch-xla for this machine ({error})") from error
        self._xla: Any = torch_xla
        self._scan = LayerScan()
        runtime: Any = torch_xla.runtime
        self._metrics: Any = metrics
        if mesh is not None and not runtime.is_spmd():
            runtime.use_spmd()
        self.mesh = _mesh_here(mesh, runtime)
        self._chosen = mesh is not None
        self._whole: str | None = None  # why the weights are not cut, since a model was placed
        self._spmd: Any = importlib.import_module("torch_xla.distributed.spmd")
        self._mesh: Any = None if self.mesh is None else self._spread(self.mesh)
        self.rank, self._processes = runtime.process_index(), runtime.process_count()
        # of this machine: each may have a disk of its own, which somebody has to fill
        self._keeps = keep_programs(runtime, self._pjrt, int(os.environ.get("LOCAL_RANK", 0)))
        self.torch_device: torch.device = torch_xla.device()
        if precision is None:
            precision = "bfloat16" if self._pjrt == "TPU" else "float32"
        self.compute_dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        # every chunk is recorded in the program: few large ones
        self.loss_chunk_bytes = (1 << 28) * (1 if self.mesh is None else self.mesh.size)

    def place(self, model: nn.Module) -> nn.Module:
        """Returns the model with its layers joined and its weights here, cut if there is a mesh."""
        if isinstance(model, Scannable):
            model = model.scanned(self._scan, None if self.mesh is None else self._lay)
        for buffer in model.buffers():
            buffer.data = buffer.to(self.integers) if buffer.dtype == torch.int64 else buffer.data
        model = model.to(self.torch_device)
        if self.mesh is not None:
            self._whole = None if self._chosen else self._why_whole(model, self.mesh)
            for name, weight in model.named_parameters():
                spec = weight_spec(name, weight.shape, self.mesh)
                self._cut(weight, spec if self._whole is None else (None,) * len(spec))
        return model

    def _why_whole(self, model: nn.Module, mesh: MeshConfig) -> str | None:
        """Why each device had better hold all weights; None: it had not, or its memory is not known."""
        has, needs = self.memory_bytes(), needed_bytes(model, mesh.data, self.compute_dtype.itemsize)
        if has is None or needs is None or needs > USABLE * has:
            return None
        return f"they fit, {needs / GIB:.1f} of {has / GIB:.0f} GiB with the paper's batch: less is sent"

    def rows(self, batch_size: int) -> range:
        """Returns all rows; raises ConfigError if they cannot be shared evenly."""
        if self.mesh is not None and batch_size % self.mesh.data:
            raise ConfigError("batch_size", batch_size, f"give a multiple of {self.mesh.data}, the mesh's data axis")
        return range(batch_size)

    def put(self, array: np.ndarray) -> Tensor:
        """Returns the array as a tensor, its rows shared along "data"; integers become int32."""
        tensor = super().put(array)
        if self.mesh is not None:
            self._cut(tensor, batch_spec(tensor.shape, self.mesh))
        return tensor

    def scalar(self, value: float) -> Tensor:
        """Returns a float32 tensor of no dimensions, sent to the device as data."""
        return self._sent(value, torch.float32)

    def whole(self, value: int) -> Tensor:
        """Returns the number's lowest 32 bits as an int32 tensor of no dimensions, sent to the device as data."""
        word = value & 0xFFFFFFFF
        return self._sent(word - (1 << 32) if word >> 31 else word, torch.int32)

    def _sent(self, value: float, dtype: torch.dtype) -> Tensor:
        # a tensor without dimensions that holds 0 or 1 would become a constant of the program: another program
        return torch.tensor([value], dtype=dtype).to(self.torch_device).reshape(())

    def _spread(self, mesh: MeshConfig) -> Any:
        return self._spmd.Mesh(np.arange(mesh.size), (mesh.data, mesh.model), ("data", "model"))

    def _cut(self, tensor: Tensor, spec: Spec | tuple[tuple[str, str]]) -> None:
        self._spmd.mark_sharding(tensor, self._mesh, spec)

    def _lay(self, tensor: Tensor, axes: Spec) -> Tensor:
        """Returns a tensor of a program as it is to be cut; a dimension that an axis does not divide stays whole."""
        assert self.mesh is not None
        out = tensor.clone()  # a weight's own cut stays
        self._spmd.annotate_custom_sharding(out, self._mesh, dividing(axes, tensor.shape, self.mesh))
        return out

    def everywhere(self, value: float) -> set[float]:
        """Returns the different numbers that the hosts of a mesh give: each sends its own to its devices."""
        if self.mesh is None or self._processes == 1:
            return {value}
        each = torch.full((self.mesh.size,), value, dtype=torch.float32).to(self.torch_device)
        self._cut(each, ALL_DEVICES)
        return set(self._fetched(each).tolist())

    def gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns whole tensors on the CPU, in float32, each layer's by itself; those of other hosts, nothing."""
        if self._processes == 1:
            whole = split_layers({name: self._put_together(tensor.detach()) for name, tensor in tensors.items()})
            return {name: tensor.float().contiguous() for name, tensor in whole.items()}
        out: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            # all hosts take part; a layer at a time: a device has no room for a large model's joined tensor
            for layer in range(tensor.shape[0] if is_joined(name) else 1):
                part = self._fetched(tensor.detach(), layer if is_joined(name) else None)
                if self.rank == 0:
                    out[layer_name(name, layer)] = part.float().contiguous()
        return out

    def _fetched(self, tensor: Tensor, layer: int | None = None) -> Tensor:
        """Returns a copy on the CPU of a tensor, or of a layer of it, of which every device has been sent the whole."""
        if layer is not None:  # the index is data: one program for all layers
            tensor = tensor.index_select(0, torch.tensor([layer], dtype=torch.int32).to(self.torch_device))[0]
        if self.mesh is not None:
            tensor = self._lay(tensor, (None,) * tensor.dim())
        self._xla.sync()
        return tensor.to("cpu")

    def _put_together(self, tensor: Tensor) -> Tensor:
        """Returns a copy on the CPU, put together from its parts, which this process has all."""
        held = self._spmd.wrap_if_sharded(tensor)
        if held is tensor:
            uncut: Tensor = tensor.to("cpu")
            return uncut
        whole = torch.empty(tensor.shape, dtype=tensor.dtype)
        for shard in held.local_shards:
            if shard.indices is Ellipsis:  # not cut
                return torch.Tensor(shard.data)
            part = whole[tuple(shard.indices)]
            part.copy_(shard.data[tuple(slice(size) for size in part.shape)])  # without its padding
        return whole

    def scattered(self, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the tensors on the device, under the names and in the form that ``like`` has them."""
        return super().scattered(join_layers(tensors) if any(map(is_joined, like)) else tensors, like)

    def end_step(self) -> None:
        """Compiles what was recorded, if it is new, and runs it."""
        self._xla.sync()

    def compilations(self) -> int:
        """Returns how many graphs were compiled so far in this process."""
        data = self._metrics.metric_data("CompileTime")
        return int(data[0]) if data else 0

    def fallbacks(self) -> tuple[str, ...]:
        """Returns the operations that XLA did not know and that ran on the host; fetching a number is none."""
        names = self._metrics.counter_names()
        return tuple(n for n in names if n.startswith("aten::") and n != "aten::_local_scalar_dense")

    def decisions(self) -> tuple[Decision, ...]:
        """Returns what was decided, with reasons."""
        low = self.compute_dtype == torch.bfloat16
        on = f"xla on {self._pjrt}"
        if self.mesh is None:
            device = Decision(what="device", value=on, why="accelerator=xla was asked for, and no mesh")
            sharding = Decision(what="sharding", value="none", why="one device")
        else:
            grid = f"{self.mesh.data} data x {self.mesh.model} model"
            device = Decision(what="device", value=f"{on}, {grid}", why="a mesh of all devices: one program (SPMD)")
            sharding = Decision(
                what="sharding",
                value="batch along data; matrices along data and model",
                why="a device keeps its part of weights, gradients and moments; norms are small and kept whole",
            )
            if self._whole is not None:
                sharding = Decision(what="sharding", value="batch along data; weights whole", why=self._whole)
        return (
            device,
            sharding,
            Decision(
                what="precision",
                value="bfloat16 over float32 weights" if low else "float32",
                why="matrix units take it; range as in float32" if low else "losses are compared with the CPU's",
            ),
            Decision(what="kernel", value="one program a step", why="shapes are static, so each graph compiles once"),
            Decision(
                what="programs",
                value="kept" if self._keeps else "of this process",
                why="the user's cache: later processes compile nothing again"
                if self._keeps
                else "no cache of them here",
            ),
            Decision(what="layers", value="scanned", why="the time to compile does not grow with depth"),
        )


def _mesh_here(mesh: MeshConfig | None, runtime: Any) -> MeshConfig | None:
    """Returns the mesh to use, or None for one device; raises ConfigError if it does not fit."""
    if not runtime.is_spmd():
        return None
    devices = runtime.global_runtime_device_count()
    if mesh is None:
        return MeshConfig(data=devices)
    if mesh.size != devices:
        asked = f"{mesh.data}x{mesh.model}"
        raise ConfigError("mesh", asked, f"its axes must multiply to {devices}, the devices of this run")
    return mesh
