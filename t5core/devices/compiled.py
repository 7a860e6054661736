"""What a device that compiles is, whatever hardware it compiles for: ``CudaDevice``, and in tests the CPU in its place.

What is compiled depends on how the weights are held. Whole weights: the program is one graph from ids to sums
(``fullgraph``, static shapes), and data parallelism is put around it. Its gradients come out of one backward graph
together, so they are averaged behind it, not meanwhile; for models that fit on a GPU that is some percent of a step.
Sharded weights: each layer is a graph of its own, because they are gathered and freed between layers; all layers share
what was compiled.
"""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from t5core.cache import user_cache_dir
from t5core.devices.decision import Decision
from t5core.devices.processes import Group, SharedBatch

SHAPES = 64
"""How often one function may be compiled for other shapes. PyTorch gives up after 8 and goes on without compiling,
while AdaFactor meets 9 shapes in a model of 3B with adapters, and none has more than some dozens."""


class Compiler:
    """Compiles functions at static shapes and counts the graphs.

    Args:
        backend: of ``torch.compile``.
    """

    def __init__(self, backend: str = "inductor") -> None:
        self._backend = backend
        self._before = _graphs()
        dynamo: Any = torch._dynamo.config
        dynamo.recompile_limit = max(dynamo.recompile_limit, SHAPES)

    @property
    def graphs(self) -> int:
        """Graphs that this process compiled since this compiler was made."""
        return _graphs() - self._before

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function, or the module, compiled as one graph."""
        compiled: Callable[..., Any] = torch.compile(function, backend=self._backend, dynamic=False, fullgraph=True)
        return compiled

    def for_shapes(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function compiled once for each of the shapes it is called with, up to ``SHAPES`` of them.

        Calls with sharded tensors are left as they are.
        """
        fast: Callable[..., Any] = torch.compile(function, backend=self._backend, dynamic=False)

        def called(*arguments: Any) -> Any:
            sharded = any(isinstance(argument, DTensor) for argument in arguments)
            return function(*arguments) if sharded else fast(*arguments)

        return called


INDUCTOR_CACHE = "TORCHINDUCTOR_CACHE_DIR"
"""PyTorch's variable for where compiled kernels are kept."""


def keep_compiled() -> None:
    """Lets PyTorch keep what it compiles in the user's cache, so that the next stage or run need not compile it again.

    A folder that was named, or is in use already, stays; so does PyTorch's own, below /tmp, where there is no other.
    """
    if os.environ.get(INDUCTOR_CACHE):
        return
    try:
        folder = user_cache_dir() / "inductor"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return
    if os.access(folder, os.W_OK):
        os.environ[INDUCTOR_CACHE] = str(folder)


def _graphs() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


class CompiledBatch(SharedBatch):
    """A device whose programs are compiled; for inheriting.

    Args:
        group: the processes that share a batch.
        torch_device: where this one computes.
        shard: shard weights, gradients and moments over the processes.
        recompute: keep each layer's input alone and compute the layer again in the backward pass.
        backend: of ``torch.compile``.
    """

    prefetch = 2  # batches are made and sent while the device computes
    loss_chunk_bytes = 1 << 29  # a few chunks of a paper's batch: large products, and no logits of a whole batch
    kernels: tuple[str, ...] = ("sdpa", "flex")

    def __init__(
        self,
        group: Group,
        torch_device: torch.device,
        *,
        shard: bool = False,
        recompute: bool = False,
        backend: str = "inductor",
    ) -> None:
        self.compiler = Compiler(backend)
        super().__init__(group, torch_device, shard=shard, recompute=recompute, compiler=self.compiler)

    def wrap(self, program: nn.Module) -> nn.Module:
        """Returns the program compiled, its gradients averaged over the processes."""
        # what was compiled before was for another program: of an earlier episode, or an earlier run of this worker
        torch.compiler.reset()
        return super().wrap(program)

    def end_step(self) -> None:
        """Does nothing: work is queued, and the host runs ahead until a loss is fetched."""

    def compilations(self) -> int:
        """Returns how many graphs were compiled so far."""
        return self.compiler.graphs

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function compiled, for each of the shapes it is called with."""
        return self.compiler.for_shapes(function)

    def program_decisions(self) -> tuple[Decision, ...]:
        """Returns how the program is compiled and shared, with reasons."""
        layers = Decision(what="activations", value="computed twice", why="less memory, a third more work")
        return (
            Decision(
                what="compiled",
                value="layer by layer" if self.shard else "as one program",
                why="sharded weights come and go between layers" if self.shard else "shapes are static",
            ),
            *((layers,) if self.recompute else ()),
            *self.group_decisions(),
        )
