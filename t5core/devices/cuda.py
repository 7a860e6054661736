"""CUDA: one GPU per process, the training program compiled, bf16 activations over float32 weights.

What is compiled depends on how the weights are held. Whole weights: the program is one graph from ids to sums
(``fullgraph``, static shapes), and data parallelism is put around it. Its gradients come out of one backward graph
together, so they are averaged behind it, not meanwhile; for models that fit on a GPU that is some percent of a step.
Sharded weights: each layer is a graph of its own, because they are gathered and freed between layers; all layers share
what was compiled.

A large model keeps few activations if its layers are computed again in the backward pass (``recompute``).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from t5core.devices.device import Decision
from t5core.devices.precision import Precision
from t5core.devices.processes import SharedBatch, join
from t5core.errors import ConfigError


class Compiler:
    """Compiles functions at static shapes and counts the graphs.

    Args:
        backend: of ``torch.compile``.
    """

    def __init__(self, backend: str = "inductor") -> None:
        self.graphs = 0
        self._backend: Callable[..., Any] = torch._dynamo.lookup_backend(backend)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function, or the module, compiled as one graph."""
        compiled: Callable[..., Any] = torch.compile(function, backend=self._counted, dynamic=False, fullgraph=True)
        return compiled

    def for_shapes(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function compiled once for each of the shapes it is called with.

        Beyond a few of them PyTorch goes on without compiling. Calls with sharded tensors are left as they are.
        """
        fast: Callable[..., Any] = torch.compile(function, backend=self._counted, dynamic=False)

        def called(*arguments: Any) -> Any:
            sharded = any(isinstance(argument, DTensor) for argument in arguments)
            return function(*arguments) if sharded else fast(*arguments)

        return called

    def _counted(self, graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        self.graphs += 1
        compiled: Callable[..., Any] = self._backend(graph, inputs)
        return compiled


class CudaDevice(SharedBatch):
    """The GPU of this process.

    Args:
        precision: of activations: "bfloat16", or "float32", whose matrix products then use TF32.
        shard: shard weights, gradients and moments over the processes (see ``t5core.devices.processes``).
        recompute: keep each layer's input alone and compute the layer again in the backward pass.

    Raises:
        ConfigError: where there is no GPU, fewer of them than processes on this machine, or one too old for bfloat16.
    """

    name = "cuda"
    static_shapes = True
    prefetch = 2  # batches are made and sent while the GPU computes
    loss_chunk_bytes = 1 << 29  # a few chunks of a paper's batch: large products, and no logits of a whole batch
    kernels: tuple[str, ...] = ("sdpa", "flex")

    def __init__(self, *, precision: Precision = "bfloat16", shard: bool = False, recompute: bool = False) -> None:
        group = join("cpu:gloo,cuda:nccl")
        if group.local_rank >= torch.cuda.device_count():
            way_out = f"start one process per GPU; this machine has {torch.cuda.device_count()}"
            raise ConfigError("LOCAL_RANK", group.local_rank, way_out)
        torch.cuda.set_device(group.local_rank)
        if precision == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise ConfigError("precision", precision, "this GPU has no bfloat16: take float32")
        self.compute_dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.compiler = Compiler()
        super().__init__(
            group, torch.device("cuda", group.local_rank), shard=shard, recompute=recompute, compiler=self.compiler
        )
        # TF32 for what is left in float32: a tenth of the time, three digits; sums stay in float32
        torch.set_float32_matmul_precision("high")

    def put(self, array: np.ndarray) -> Tensor:
        """Returns the array on the GPU, integers as int64, without waiting for it: from pages that stay in place."""
        tensor = torch.from_numpy(np.ascontiguousarray(array)).pin_memory().to(self.torch_device, non_blocking=True)
        return tensor if tensor.is_floating_point() or tensor.dtype == torch.bool else tensor.long()

    def scalar(self, value: float) -> Tensor:
        """Returns a float32 tensor of no dimensions, filled on the GPU: a copy from the host would wait."""
        return torch.full((), value, dtype=torch.float32, device=self.torch_device)

    def whole(self, value: int) -> Tensor:
        """Returns an int64 tensor of no dimensions, filled on the GPU."""
        return torch.full((), value, dtype=torch.int64, device=self.torch_device)

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

    def decisions(self) -> tuple[Decision, ...]:
        """Returns what was decided, with reasons."""
        low = self.compute_dtype == torch.bfloat16
        layers = Decision(what="activations", value="computed twice", why="less memory, a third more work")
        return (
            Decision(what="device", value=torch.cuda.get_device_name(self.torch_device), why="asked for, or found"),
            Decision(
                what="precision",
                value="bfloat16 over float32 weights" if low else "float32 with TF32 products",
                why="matrix units are many times faster in it; range as in float32" if low else "asked for",
            ),
            Decision(
                what="compiled",
                value="layer by layer" if self.shard else "as one program",
                why="sharded weights come and go between layers" if self.shard else "shapes are static",
            ),
            *((layers,) if self.recompute else ()),
            *self.group_decisions(),
        )
