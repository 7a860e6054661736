"""Devices: the only room that knows which hardware it runs on.

In: a name and a mesh. Out: a ``Device``, which says where tensors lie, in which precision they are computed, and how
programs are compiled, sharded and kept in step. Never: what is computed there.
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from t5core.config import MeshConfig
from t5core.devices.decision import Decision
from t5core.devices.layout import PARALLEL_CHOICES, Layout, check_parallel, mesh_of
from t5core.devices.precision import CHOICES as PRECISION_CHOICES
from t5core.devices.precision import PRECISIONS, resolve_precision, usual_precision
from t5core.errors import ConfigError

if TYPE_CHECKING:
    from t5core.devices.cpu import CpuDevice
    from t5core.devices.cuda import CudaDevice
    from t5core.devices.device import Device
    from t5core.devices.processes import SharedBatch
    from t5core.devices.xla import XlaDevice

DEVICE_NAMES = ("auto", "cpu", "cuda", "xla")
_MODULES = {"CpuDevice": "cpu", "CudaDevice": "cuda", "Device": "device", "XlaDevice": "xla"}
"""Name -> the module that it is in, imported when it is asked for: flags need no PyTorch, which takes seconds."""
_DRIVERS = ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/dxg", "/dev/kfd")
"""One of these is there on a Linux with a GPU's driver: of NVIDIA, also on Jetson and in WSL, and of AMD."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def _finds_gpu() -> bool:
    """Whether PyTorch finds a GPU; it is not asked where there is no driver of one, and it is not imported yet."""
    if "torch" not in sys.modules and sys.platform == "linux" and not any(Path(path).exists() for path in _DRIVERS):
        return False
    import torch

    return torch.cuda.is_available()


def resolve_device_name(name: str) -> str:
    """Returns "cpu", "cuda" or "xla" for a name of DEVICE_NAMES; "auto" takes a GPU or a TPU where there is one.

    Raises:
        ConfigError: for an unknown name, or what is not installed or not there.
    """
    if name not in DEVICE_NAMES:
        raise ConfigError("accelerator", name, f"choose one of {', '.join(DEVICE_NAMES)}", choices=DEVICE_NAMES)
    if name == "auto":
        if os.environ.get("PJRT_DEVICE", "").upper() == "TPU" or os.environ.get("TPU_NAME"):
            return "xla"
        return "cuda" if _finds_gpu() else "cpu"
    if name == "xla" and importlib.util.find_spec("torch_xla") is None:
        raise ConfigError("accelerator", name, "install torch-xla (Linux x86-64), or take accelerator=cpu")
    if name == "cuda" and not _finds_gpu():
        raise ConfigError("accelerator", name, "PyTorch finds no CUDA device here: see nvidia-smi, or take cpu")
    return name


def open_device(
    name: str,
    *,
    threads: int | None = None,
    precision: str | None = None,
    shard: bool = False,
    recompute: bool = False,
    parallel: str | None = None,
    mesh: MeshConfig | None = None,
) -> "Device":
    """Opens a device by name.

    Args:
        name: one of DEVICE_NAMES.
        threads: of a CPU's process.
        precision: of activations, "float32", "bfloat16" or "auto"; None: float32 on a CPU, bfloat16 elsewhere.
        mesh: XLA: the devices that one program runs on; None: one device.
        shard: CPU and CUDA: shard the weights over the processes instead of replicating them.
        recompute: CPU and CUDA: keep each layer's input alone and compute the layer again in the backward pass.
        parallel: one of PARALLEL_CHOICES, in place of the two: "auto" is what fits each run's device.

    Raises:
        ConfigError: as ``resolve_device_name``; for ``shard`` in a process that is alone, and what XLA has not.
    """
    if parallel is not None and (shard or recompute):
        raise ConfigError("parallel", parallel, "it says what shard and recompute say: give the one or the others")
    from t5core.devices.cpu import CpuDevice
    from t5core.devices.cuda import CudaDevice
    from t5core.devices.xla import XlaDevice

    device_name = resolve_device_name(name)
    decided = None if precision is None else resolve_precision(precision, device_name).value
    wanted = next((known for known in PRECISIONS if known == decided), None)
    match device_name:
        case "xla":
            check_parallel("xla", parallel or ("shard" if shard else "recompute" if recompute else "none"), mesh)
            return XlaDevice(mesh, precision=None if precision == "auto" else wanted)
        case "cuda":
            device: SharedBatch = CudaDevice(precision=wanted or "bfloat16", shard=shard, recompute=recompute)
        case _:
            device = CpuDevice(threads, precision=precision or "float32", shard=shard, recompute=recompute)
    if parallel is not None:
        device.ask_for(parallel)
    return cast("Device", device)


__all__ = [
    "DEVICE_NAMES",
    "PARALLEL_CHOICES",
    "PRECISION_CHOICES",
    "CpuDevice",
    "CudaDevice",
    "Decision",
    "Device",
    "Layout",
    "XlaDevice",
    "check_parallel",
    "mesh_of",
    "open_device",
    "resolve_device_name",
    "resolve_precision",
    "usual_precision",
]
