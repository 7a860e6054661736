"""The CPU: eager PyTorch in float32."""

import numpy as np
import torch
from torch import Tensor

from t5core.devices.device import Decision, mix


class CpuDevice:
    """Runs on the processor's cores, one operation at a time."""

    name = "cpu"
    loss_chunk_bytes = 1 << 20  # about a core's own cache

    def __init__(self, threads: int | None = None) -> None:
        self.torch_device = torch.device("cpu")
        if threads is not None:
            torch.set_num_threads(threads)
        # Denormal numbers appear in optimizer states and cost a hundred times a normal operation.
        torch.set_flush_denormal(True)

    def put(self, array: np.ndarray) -> Tensor:
        """Returns the array as a tensor; integers become int64."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor if tensor.is_floating_point() else tensor.long()

    def scalar(self, value: float) -> Tensor:
        """Returns a float32 tensor of no dimensions."""
        return torch.tensor(value, dtype=torch.float32)

    def end_step(self) -> None:
        """Does nothing: operations have already run."""

    def seed(self, *words: int) -> None:
        """Seeds PyTorch's CPU generator."""
        torch.manual_seed(mix(words))

    def compilations(self) -> int:
        """Returns 0: nothing is compiled."""
        return 0

    def decisions(self) -> tuple[Decision, ...]:
        """Returns precision, kernel and threads with their reasons."""
        return (
            Decision(what="device", value="cpu", why="asked for, or no accelerator was found"),
            Decision(what="precision", value="float32", why="bfloat16 is slower on CPUs without matrix units"),
            Decision(what="kernel", value="eager", why="compiling costs more than it saves in short runs"),
            Decision(what="threads", value=str(torch.get_num_threads()), why="one per core of the worker"),
        )
