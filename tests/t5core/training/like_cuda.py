"""The CPU in a GPU's place, so that tests of the CUDA device run where there is none.

Everything but the hardware's own is the CUDA device's: what is compiled and how often, batches made ahead, results
fetched a step later, its kernels. Graphs are made as they are for a GPU, and run as they are: nothing is
generated from them.
"""

import pytest
import torch

from t5core.devices import Decision
from t5core.devices.compiled import CompiledBatch
from t5core.devices.cuda import CudaDevice
from t5core.devices.processes import Group

GPU = pytest.param(
    "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
)
DEVICES = ["cpu", GPU]
"""For a test's parameter ``device``."""


class LikeCuda(CompiledBatch):
    """What CudaDevice is, on the processor.

    Args:
        backend: of ``torch.compile``; "eager" runs the graph as it is, "aot_eager" its gradient's as well.
    """

    name = "cpu"

    def __init__(self, *, precision: str = "bfloat16", recompute: bool = False, backend: str = "eager") -> None:
        torch.compiler.reset()
        self.compute_dtype = getattr(torch, precision)
        super().__init__(Group(), torch.device("cpu"), recompute=recompute, backend=backend)

    def decisions(self) -> tuple[Decision, ...]:
        """Returns what was decided, with reasons."""
        return (
            Decision(what="device", value="cpu", why="in a GPU's place"),
            Decision(what="precision", value=str(self.compute_dtype), why="asked for"),
            *self.program_decisions(),
        )


def opened(name: str, **settings) -> CompiledBatch:
    """Returns the GPU, or the CPU in its place, whose float32 is float32 in products too."""
    device = CudaDevice(**settings) if name == "cuda" else LikeCuda(**settings)
    if settings.get("precision") == "float32":
        torch.set_float32_matmul_precision("highest")
    return device
