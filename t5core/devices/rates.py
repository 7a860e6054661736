"""What devices are said to be able to do, by their names: the most a step could reach.

Peak rates are those of the makers' data sheets, in dense products (sheets that give rates "with sparsity" give twice
that) in bfloat16 with sums in float32; in TF32, which float32's products take here, each of these does half as many.

    NVIDIA B200 data sheet (HGX, an eighth of it)                 2,250 TFLOP/s
    NVIDIA H200, H100 and GH200 data sheets: SXM, NVL, PCIe       989, 835, 756
    NVIDIA A100 data sheet, all variants                          312
    NVIDIA L40S, L40, L4 and A10 data sheets                      362, 181, 121, 125

A part of a GPU (MIG) has a part of its rate, which no sheet gives.

Memory of a GPU is asked of it; that of a TPU's chip (a core of v2 and v3) is told by its name, as Google's pages on the
versions give it.
"""

import os
import re
import resource
import sys

import torch

_TERA = 1e12
_PEAKS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("B200",), 2_250),
    (("H200", "NVL"), 835),
    (("H200",), 989),
    (("GH200",), 989),
    (("H100", "PCIe"), 756),
    (("H100", "NVL"), 835),
    (("H100",), 989),
    (("A100",), 312),
    (("L40S",), 362),
    (("L40",), 181),
    (("L4",), 121),
    (("A10",), 125),
)
"""Words of a name, and the rate in TFLOP/s; the first that fits."""
_TPU_GB = {"v2": 8, "v3": 16, "v4": 32, "v5litepod": 16, "v5p": 95, "v6e": 32}
"""High-bandwidth memory of what PJRT shows as one device, by the first part of a name like v5litepod-16. Not checked on
any TPU yet."""


def memory_bytes(torch_device: torch.device) -> int | None:
    """Returns the memory of a GPU or a TPU; None for a CPU, whose memory is not its own, and for unknown ones."""
    if torch_device.type == "cuda":
        return int(torch.cuda.get_device_properties(torch_device).total_memory)
    if torch_device.type == "xla" and os.environ.get("PJRT_DEVICE", "").upper() == "TPU":
        gigabytes = _TPU_GB.get(os.environ.get("TPU_ACCELERATOR_TYPE", "").lower().partition("-")[0])
        return None if gigabytes is None else gigabytes * 10**9
    return None


def peak_flops_per_s(name: str, dtype: torch.dtype) -> float | None:
    """Returns the operations per second that a GPU reaches at most, or None for one that is not in the table.

    Args:
        name: as ``torch.cuda.get_device_name`` gives it: "NVIDIA H100 80GB HBM3".
        dtype: of activations: bfloat16, or float32, which is computed in TF32.
    """
    words = set(re.split(r"[\s-]+", name))
    if "MIG" in words:
        return None
    peak = next((rate for needed, rate in _PEAKS if words.issuperset(needed)), None)
    if peak is None:
        return None
    return peak * _TERA / (1 if dtype == torch.bfloat16 else 2)


def process_peak_bytes() -> int:
    """Returns the most memory that this process has held so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
