"""Devices: the only room that knows which hardware it runs on."""

import importlib.util
import os

from t5core.devices.cpu import CpuDevice
from t5core.devices.device import Decision, Device
from t5core.devices.xla import XlaDevice
from t5core.errors import ConfigError

DEVICE_NAMES = ("auto", "cpu", "xla")


def resolve_device_name(name: str) -> str:
    """Returns "cpu" or "xla" for a name of DEVICE_NAMES; "auto" takes a TPU where there is one.

    Raises:
        ConfigError: for an unknown name, or "xla" where torch_xla is not installed.
    """
    if name not in DEVICE_NAMES:
        raise ConfigError("accelerator", name, f"choose one of {', '.join(DEVICE_NAMES)}", choices=DEVICE_NAMES)
    if name == "auto":
        return "xla" if os.environ.get("PJRT_DEVICE", "").upper() == "TPU" or os.environ.get("TPU_NAME") else "cpu"
    if name == "xla" and importlib.util.find_spec("torch_xla") is None:
        raise ConfigError("accelerator", name, "install torch-xla (Linux x86-64), or take accelerator=cpu")
    return name


def open_device(name: str, *, threads: int | None = None) -> Device:
    """Opens a device by name; ``threads`` limits a CPU's."""
    return XlaDevice() if resolve_device_name(name) == "xla" else CpuDevice(threads)


__all__ = ["DEVICE_NAMES", "CpuDevice", "Decision", "Device", "XlaDevice", "open_device", "resolve_device_name"]
