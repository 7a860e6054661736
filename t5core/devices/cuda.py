"""CUDA: one GPU per process, the training program compiled, bf16 activations over float32 weights.

What is compiled, and when gradients are averaged, says ``t5core.devices.compiled``. A large model keeps few activations
if its layers are computed again in the backward pass (``recompute``).
"""

import numpy as np
import torch
from torch import Tensor

from t5core.devices.compiled import CompiledBatch, keep_compiled
from t5core.devices.decision import Decision
from t5core.devices.precision import Precision
from t5core.devices.processes import join
from t5core.errors import ConfigError


class CudaDevice(CompiledBatch):
    """The GPU of this process.

    Args:
        precision: of activations: "bfloat16", or "float32", whose matrix products then use TF32.
        shard: shard weights, gradients and moments over the processes (see ``t5core.devices.processes``).
        recompute: keep each layer's input alone and compute the layer again in the backward pass.

    Raises:
        ConfigError: where there is no GPU, fewer of them than processes on this machine, or one too old for bfloat16.
    """

    name = "cuda"

    def __init__(self, *, precision: Precision = "bfloat16", shard: bool = False, recompute: bool = False) -> None:
        group = join("cpu:gloo,cuda:nccl")
        if group.local_rank >= torch.cuda.device_count():
            way_out = f"start one process per GPU; this machine has {torch.cuda.device_count()}"
            raise ConfigError("LOCAL_RANK", group.local_rank, way_out)
        torch.cuda.set_device(group.local_rank)
        if precision == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise ConfigError("precision", precision, "this GPU has no bfloat16: take float32")
        self.compute_dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        super().__init__(group, torch.device("cuda", group.local_rank), shard=shard, recompute=recompute)
        self.hardware = torch.cuda.get_device_name(self.torch_device)
        keep_compiled()
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

    def decisions(self) -> tuple[Decision, ...]:
        """Returns what was decided, with reasons."""
        low = self.compute_dtype == torch.bfloat16
        return (
            Decision(what="device", value=self.hardware, why="asked for, or found"),
            Decision(
                what="precision",
                value="bfloat16 over float32 weights" if low else "float32 with TF32 products",
                why="matrix units are many times faster in it; range as in float32" if low else "asked for",
            ),
            *self.program_decisions(),
        )
