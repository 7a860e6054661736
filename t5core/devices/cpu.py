"""The CPU: eager PyTorch in float32 or bfloat16, in one process or in several that share their batches (gloo).

Two things that change the last bits belong to threads here, not to the process: how many of them compute, and whether
they make denormal numbers 0. PyTorch sets both for the thread of Python that asks; the threads that compute beside it
are started by its first large operation and take over what is set then, for good.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from t5core.devices.decision import Decision
from t5core.devices.precision import resolve_precision
from t5core.devices.processes import SharedBatch, join

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
THREAD_NUMBERS = 1 << 15
"""Numbers of a tensor from which on PyTorch gives another thread a part of the work."""


class CpuDevice(SharedBatch):
    """Runs on the processor's cores, one operation at a time.

    Args:
        threads: of this process; None: as PyTorch finds them.
        precision: of activations: "auto" takes bfloat16 where the processor has units for it.
        shard: shard weights over the processes (see ``t5core.devices.processes``).
        recompute: keep each layer's input alone and compute the layer again in the backward pass.
    """

    name = "cpu"
    loss_chunk_bytes = 5 << 20  # rows enough for large products; what is done between them fits the caches of a core
    kernels: tuple[str, ...] = ("reference", "blocked")
    queued = False

    def __init__(
        self, threads: int | None = None, *, precision: str = "float32", shard: bool = False, recompute: bool = False
    ) -> None:
        super().__init__(join("gloo"), torch.device("cpu"), shard=shard, recompute=recompute)
        self._precision = resolve_precision(precision, "cpu")
        self.compute_dtype = _DTYPES[self._precision.value]
        self._asked = threads is not None
        if threads is not None:
            torch.set_num_threads(threads)
        # Denormal numbers appear in optimizer states and cost a hundred times a normal operation.
        torch.set_flush_denormal(True)

    def wrap(self, program: nn.Module) -> nn.Module:
        """Returns the program, its gradients averaged over the processes in the same order in every step."""
        wrapped = super().wrap(program)
        if isinstance(wrapped, DistributedDataParallel) and self.group.size > 2:  # a sum of two has no order
            wrapped.register_comm_hook(None, _averaged_one_by_one)
        return wrapped

    def end_step(self) -> None:
        """Does nothing: operations have already run."""

    def compilations(self) -> int:
        """Returns 0: nothing is compiled."""
        return 0

    def threads(self) -> int:
        """Returns how many threads of this process compute now."""
        return torch.get_num_threads()

    @contextmanager
    def with_threads(self, count: int) -> Iterator[None]:
        """Computes with so many threads inside a ``with``, in this thread of Python, and as before behind it."""
        earlier = torch.get_num_threads()
        # also where it is the number already: MKL may take fewer for a product until it is told one
        torch.set_num_threads(count)
        torch.set_flush_denormal(True)  # the device may have been opened in another thread of Python
        try:
            yield
        finally:
            torch.set_num_threads(earlier)

    def decisions(self) -> tuple[Decision, ...]:
        """Returns precision, kernel, threads, denormal numbers and processes with their reasons."""
        why = "as many as were asked for" if self._asked else "as many as PyTorch finds"
        return (
            Decision(what="device", value="cpu", why="asked for, or no accelerator was found"),
            self._precision_now(),
            Decision(what="kernel", value="eager", why="compiling costs more than it saves in short runs"),
            Decision(what="threads", value=str(torch.get_num_threads()), why=why),
            _denormals(),
            *self.group_decisions(),
        )

    def _precision_now(self) -> Decision:
        if self.compute_dtype == _DTYPES[self._precision.value]:
            return self._precision
        return resolve_precision(str(self.compute_dtype).removeprefix("torch."), "cpu")


def _averaged_one_by_one(
    _: object,
    bucket: dist.GradBucket,  # type: ignore[name-defined]
) -> torch.futures.Future[Tensor]:
    """Averages a bucket's gradients over the processes, one after another.

    Gloo sums a tensor in parts, each beginning at another process, so the order of a sum depends on where in the tensor
    it lies. PyTorch sorts gradients into other buckets after an attempt's first step: summed bucket by bucket, a run
    that goes on would end in other bits. Here it is a gradient's place that counts, not a bucket's.
    """
    size = dist.get_world_size()
    pending = [dist.all_reduce(gradient.div_(size), async_op=True).get_future() for gradient in bucket.gradients()]
    done: torch.futures.Future[Tensor] = torch.futures.collect_all(pending).then(lambda _: bucket.buffer())
    return done


def _denormals() -> Decision:
    """Returns what becomes of denormal numbers, as found by making some in every thread."""
    made = torch.full((torch.get_num_threads() * THREAD_NUMBERS,), 2.0 * torch.finfo(torch.float32).tiny) * 0.25
    kept = float((made.view(torch.int32) != 0).float().mean())  # as whole numbers: who flushes takes them for 0
    if kept == 0.0:
        return Decision(what="denormal numbers", value="made 0", why="they cost a hundred times a normal operation")
    if kept == 1.0:
        return Decision(what="denormal numbers", value="kept", why="this processor cannot make them 0")
    late = "PyTorch had started threads before the device was opened: slower, and the last bits may be others"
    return Decision(what="denormal numbers", value="made 0 by some threads", why=late)
