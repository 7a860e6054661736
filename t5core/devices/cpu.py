"""The CPU: eager PyTorch in float32, in one process or in several that share their batches (gloo)."""

import torch

from t5core.devices.device import Decision
from t5core.devices.processes import SharedBatch, join


class CpuDevice(SharedBatch):
    """Runs on the processor's cores, one operation at a time.

    Args:
        threads: of this process; None: as PyTorch finds them.
        shard: shard weights over the processes (see ``t5core.devices.processes``).
    """

    name = "cpu"
    loss_chunk_bytes = 1 << 20  # about a core's own cache
    kernels: tuple[str, ...] = ("reference", "blocked")
    queued = False

    def __init__(self, threads: int | None = None, *, shard: bool = False) -> None:
        super().__init__(join("gloo"), torch.device("cpu"), shard=shard)
        if threads is not None:
            torch.set_num_threads(threads)
        # Denormal numbers appear in optimizer states and cost a hundred times a normal operation.
        torch.set_flush_denormal(True)

    def end_step(self) -> None:
        """Does nothing: operations have already run."""

    def compilations(self) -> int:
        """Returns 0: nothing is compiled."""
        return 0

    def decisions(self) -> tuple[Decision, ...]:
        """Returns precision, kernel, threads and processes with their reasons."""
        return (
            Decision(what="device", value="cpu", why="asked for, or no accelerator was found"),
            Decision(what="precision", value="float32", why="bfloat16 is slower on CPUs without matrix units"),
            Decision(what="kernel", value="eager", why="compiling costs more than it saves in short runs"),
            Decision(what="threads", value=str(torch.get_num_threads()), why="one per core of the worker"),
            *self.group_decisions(),
        )
