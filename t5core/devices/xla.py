"""XLA through torch-xla and PJRT: TPUs, and CPUs for tests (``PJRT_DEVICE=CPU``).

Operations are recorded and compiled at ``end_step``; a step that records the same graph again reuses the program.
So shapes are static, and numbers that change from step to step (learning rate, decay, position) enter as tensors:
as Python numbers they would be part of the graph, and every step would compile again.

torch_xla is imported when a device is opened, so that t5core works without it.
"""

import os
from pathlib import Path
from typing import Any

import torch

from t5core.devices.device import Decision, SingleProcess
from t5core.errors import ConfigError


class XlaDevice(SingleProcess):
    """One PJRT device."""

    name = "xla"
    static_shapes = True
    loss_chunk_bytes = 1 << 28  # every chunk is recorded in the program: few large ones

    def __init__(self) -> None:
        chips = any(Path(path).exists() for path in ("/dev/accel0", "/dev/vfio/0"))
        os.environ.setdefault("PJRT_DEVICE", "TPU" if chips else "CPU")
        try:
            import torch_xla
            from torch_xla.debug import metrics
        except ImportError as error:
            raise ConfigError("accelerator", "xla", f"install torch-xla for this machine ({error})") from error
        self._xla: Any = torch_xla
        self._metrics: Any = metrics
        self.torch_device: torch.device = torch_xla.device()

    def end_step(self) -> None:
        """Compiles what was recorded, if it is new, and runs it."""
        self._xla.sync()

    def compilations(self) -> int:
        """Returns how many graphs were compiled so far in this process."""
        data = self._metrics.metric_data("CompileTime")
        return int(data[0]) if data else 0

    def decisions(self) -> tuple[Decision, ...]:
        """Returns device and precision with their reasons."""
        return (
            Decision(what="device", value=f"xla on {os.environ['PJRT_DEVICE']}", why="accelerator=xla was asked for"),
            Decision(what="precision", value="float32", why="losses are compared with the CPU's"),
            Decision(what="kernel", value="one program a step", why="shapes are static, so each graph compiles once"),
        )
