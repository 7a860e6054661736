"""Processes that share a batch: each is given whole batches, computes its rows, and the gradients are summed.

    global batch of 6 rows, 2 processes      rank 0: rows 0 1 2      rank 1: rows 3 4 5

``torchrun``, Ray Train's TorchTrainer or a test starts the processes; a device joins the group that it finds.

Two ways to hold the weights:

- replicated: every process has all of them (DistributedDataParallel). Gradients are averaged bucket by bucket while
  the backward pass goes on; an all-reduce gives every rank the same bits, so the weights stay the same everywhere.
- sharded: every process has a part of each weight, of its gradient and of its moments (FSDP2). A layer's weights are
  gathered where it is computed, its gradients are summed into their parts. A layer is a child of an ``nn.ModuleList``;
  what lies outside of all layers, the embedding above all, is one further unit.

Both average over the processes, while a step wants the sum over the whole batch: ``gradient_scale`` makes up for it.
"""

import atexit
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, distribute_tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from t5core.devices.decision import Decision
from t5core.devices.device import SingleProcess
from t5core.devices.layout import Layout, ways
from t5core.devices.rates import peak_flops_per_s, process_peak_bytes
from t5core.errors import ConfigError

FORWARD_METHOD = "hidden"
"""What training calls of a model, beside ``forward``; a sharded model gathers its weights for it."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The processes that share a batch.

    Attributes:
        rank: this process among all.
        size: how many there are; 1: no others, and no process group is needed.
        local_rank: this process among those of its machine: which of its devices to take.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0


def join(backend: str) -> Group:
    """Returns the group that this process belongs to, made with ``backend`` unless it is there already.

    It is found by an initialised ``torch.distributed``, or by the variables that ``torchrun`` sets: RANK, WORLD_SIZE,
    MASTER_ADDR and MASTER_PORT, all four. Without either the process is alone. A group that is made here is left when
    the process ends; one that was there belongs to whoever made it.
    """
    if not dist.is_initialized():
        named = all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))
        if not named or os.environ["WORLD_SIZE"] == "1":
            return Group()
        dist.init_process_group(backend)
        atexit.register(_leave)
    rank = dist.get_rank()
    return Group(rank=rank, size=dist.get_world_size(), local_rank=int(os.environ.get("LOCAL_RANK", rank)))


def _leave() -> None:
    """Ends the group's threads. A process that ends with them running is now and then killed by the C++ runtime."""
    if dist.is_initialized():
        dist.destroy_process_group()


class SharedBatch(SingleProcess):
    """What a device does whose process shares its batches with the others of a group; for inheriting.

    Args:
        group: the processes.
        torch_device: where this one computes.
        shard: whether weights are sharded over the group; else every process has all of them.
        recompute: whether layers keep their input alone and are computed again in the backward pass.
        compiler: compiles a module or a function; None: nothing is compiled.

    Raises:
        ConfigError: for ``shard`` without other processes.
    """

    def __init__(
        self,
        group: Group,
        torch_device: torch.device,
        *,
        shard: bool = False,
        recompute: bool = False,
        compiler: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
    ) -> None:
        if shard and group.size == 1:
            raise ConfigError("shard", shard, "start several processes (torchrun), or leave the weights whole")
        self.group = group
        self.torch_device = torch_device
        self.layouts = (Layout(shard=shard, recompute=recompute),)
        self.parallel = "shard" if shard else "recompute" if recompute else "none"
        self.hold(self.layouts[0])
        self._compiler = compiler
        self.rank = group.rank
        self.processes = group.size
        self.gradient_scale = float(group.size)

    def ask_for(self, parallel: str) -> None:
        """Offers the ways to hold a model that one of PARALLEL_CHOICES leaves; raises ConfigError for none."""
        self.layouts = ways(parallel, self.group.size)
        self.parallel = parallel
        self.hold(self.layouts[0])

    def hold(self, layout: Layout) -> None:
        """Has what is placed from now on be held in this way."""
        self.shard = layout.shard
        self.recompute = layout.recompute

    def place(self, model: nn.Module) -> nn.Module:
        """Moves a model's weights here; if they are sharded, layer by layer, so that only one is here in full."""
        for layer in _layers(model):
            forward = layer.forward
            if self.shard and self._compiler is not None:
                forward = self._compiler(forward)  # one graph for all layers; what gathers their weights is around it
            if self.recompute:
                # dropout is a function of place: there is no generator to put back
                forward = partial(checkpoint, forward, use_reentrant=False, preserve_rng_state=False)
            layer.forward = forward
        if not self.shard:
            return model.to(self.torch_device)
        # a second of importing, of every command that knows of devices
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

        mesh = init_device_mesh(self.torch_device.type, (self.group.size,), mesh_dim_names=("data",))
        low = None if self.compute_dtype == torch.float32 else self.compute_dtype
        # what a layer is given has the right precision already
        policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32, cast_forward_inputs=False)
        for layer in _layers(model):
            fully_shard(layer, mesh=mesh, mp_policy=policy)
        fully_shard(model, mesh=mesh, mp_policy=policy)
        register_fsdp_forward_method(model, FORWARD_METHOD)
        return model

    def wrap(self, program: nn.Module) -> nn.Module:
        """Returns the program compiled, its gradients averaged over the processes; sharded layers see to both."""
        if self.shard:
            return program
        compiled: Any = program if self._compiler is None else self._compiler(program)
        if self.group.size == 1:
            return cast(nn.Module, compiled)
        devices = None if self.torch_device.index is None else [self.torch_device.index]
        return DistributedDataParallel(
            compiled, device_ids=devices, gradient_as_bucket_view=True, broadcast_buffers=False
        )

    def adding_up(self, program: nn.Module) -> AbstractContextManager[None]:
        """Has replicated weights' gradients averaged once, behind the last part of a step.

        Those of sharded weights are summed into their parts each time: as a whole they would take the memory that parts
        of a batch save.
        """
        return program.no_sync() if isinstance(program, DistributedDataParallel) else nullcontext()

    def rows(self, batch_size: int) -> range:
        """Returns this process's rows; raises ConfigError if the batch cannot be shared evenly."""
        each, rest = divmod(batch_size, self.group.size)
        if rest:
            raise ConfigError("batch_size", batch_size, f"give a multiple of {self.group.size}, the processes' number")
        return range(self.rank * each, (self.rank + 1) * each)

    def total(self, value: Tensor) -> Tensor:
        """Returns the sum over the processes, the same bits in all of them."""
        if self.group.size == 1:
            return value
        out = value.detach().clone()
        dist.all_reduce(out)
        return out

    def norm(self, tensors: Sequence[Tensor]) -> Tensor:
        """Returns the Euclidean norm of tensors together, of all their parts where they are sharded."""
        if not self.shard:
            return super().norm(tensors)
        parts: dict[bool, list[Tensor]] = {True: [], False: []}
        for tensor in tensors:
            parts[_is_cut(tensor)].append(tensor.to_local() if isinstance(tensor, DTensor) else tensor)
        squared = self.scalar(0.0)
        for cut, mine in parts.items():
            if mine:  # what every process has in full would be counted once for each
                squared = squared + super().norm(mine).square() / (1 if cut else self.group.size)
        return self.total(squared).sqrt()

    def peak_flops_per_s(self) -> float | None:
        """Returns what as many GPUs of this kind reach together; None for CPUs and GPUs that no table knows."""
        if self.torch_device.type != "cuda":
            return None
        each = peak_flops_per_s(torch.cuda.get_device_name(self.torch_device), self.compute_dtype)
        return None if each is None else each * self.group.size

    def peak_memory_bytes(self) -> int | None:
        """Returns what PyTorch held at most on this GPU; on a CPU what the process did, ever."""
        if self.torch_device.type != "cuda":
            return process_peak_bytes()
        return torch.cuda.max_memory_allocated(self.torch_device)

    def reset_peak_memory(self) -> None:
        """Has a GPU's peak begin anew; a process's stays."""
        if self.torch_device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.torch_device)

    def everywhere(self, value: float) -> set[float]:
        """Returns the different numbers that the processes give."""
        mine = [value if rank == self.rank else 0.0 for rank in range(self.group.size)]
        return set(self.total(torch.tensor(mine, device=self.torch_device)).tolist())

    def gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns whole copies on the CPU in float32 to the first process, which writes; nothing to the others."""
        whole = {}
        for name, tensor in tensors.items():  # one by one: a large model's weights fit on no device together
            full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
            if self.rank == 0:
                whole[name] = full.detach().to("cpu", torch.float32).contiguous()
        return whole

    def scattered(self, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns whole tensors, the same in every process, placed and sharded as their namesakes in ``like``."""
        return {name: _placed_like(tensor, like[name]) for name, tensor in tensors.items() if name in like}

    def group_decisions(self) -> tuple[Decision, ...]:
        """Returns how the batch and the weights are shared, with reasons; nothing when this process is alone."""
        if self.group.size == 1:
            return ()
        shared = Decision(what="processes", value=str(self.group.size), why="as many as were started share each batch")
        if self.shard:
            return (shared, Decision(what="weights", value="sharded (FSDP2)", why="less memory per process"))
        return (shared, Decision(what="weights", value="replicated (DDP)", why="less is sent than sharded"))


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    for module in model.modules():
        if isinstance(module, nn.ModuleList):
            yield from module


def _is_cut(tensor: Tensor) -> bool:
    return isinstance(tensor, DTensor) and not all(isinstance(placement, Replicate) for placement in tensor.placements)


def _placed_like(tensor: Tensor, like: Tensor) -> Tensor:
    tensor = tensor.to(like.device, like.dtype)
    if not isinstance(like, DTensor):
        return tensor
    if all(isinstance(placement, Replicate) for placement in like.placements):
        return DTensor.from_local(tensor, like.device_mesh, like.placements, run_check=False)
    # every process has the whole tensor: it takes its part without asking the others
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
