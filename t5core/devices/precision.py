"""In which precision activations are computed: a setting, or what the hardware is made for.

Weights, moments, softmax, norms and loss are float32 in either. bfloat16 halves what activations take and, where a
processor has matrix units for it (AMX, avx512_bf16, bf16 on ARM), multiplies its rate; without them it is emulated, and
slower. Which one computed a result is part of its identity: rounding differs far above the last bits.
"""

import os
from functools import cache
from pathlib import Path
from typing import Literal

from t5core.devices.decision import Decision
from t5core.errors import ConfigError

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
CHOICES = ("auto", *PRECISIONS)

_CPU_INFO = Path("/proc/cpuinfo")
_UNITS = {"amx_bf16": "AMX", "avx512_bf16": "avx512_bf16", "bf16": "bf16 instructions"}
"""What Linux calls units that multiply in bfloat16, on x86 and ARM -> what people call them."""


def resolve_precision(asked: str, device_name: str) -> Decision:
    """Returns the precision for a device, with the reason.

    Args:
        asked: one of CHOICES.
        device_name: "cpu", "cuda" or "xla".

    Raises:
        ConfigError: for another word.
    """
    if asked not in CHOICES:
        raise ConfigError("precision", asked, f"choose one of {', '.join(CHOICES)}", choices=CHOICES)
    if asked != "auto":
        slow = asked == "bfloat16" and device_name == "cpu" and not matrix_unit()
        why = "asked for; slower here, this processor has no units for it" if slow else "asked for"
        return Decision(what="precision", value=asked, why=why)
    if device_name != "cpu":
        return Decision(what="precision", value=usual_precision(device_name), why="what the hardware is made for")
    unit = matrix_unit()
    if unit:
        return Decision(what="precision", value="bfloat16", why=f"this processor has {unit}")
    return Decision(what="precision", value="float32", why="bfloat16 is slower on processors without units for it")


def usual_precision(device_name: str) -> Precision:
    """Returns what a device computes in where nothing is said: bfloat16 but on a CPU."""
    return "float32" if device_name == "cpu" else "bfloat16"


@cache
def matrix_unit() -> str:
    """Returns the name of this processor's unit that multiplies in bfloat16; "" where it has none or nothing says so.

    PyTorch's library for products looks at the same flags, and at a variable that caps what it uses.
    """
    try:
        text = _CPU_INFO.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    flags = {flag for line in text.splitlines() if line.startswith(("flags", "Features")) for flag in line.split()}
    cap = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    return next((name for flag, name in _UNITS.items() if flag in flags and _is_used(flag, cap)), "")


def _is_used(flag: str, cap: str) -> bool:
    if cap in ("ALL", "DEFAULT"):
        return True
    return "AMX" in cap if flag == "amx_bf16" else "BF16" in cap or "FP16" in cap or "AMX" in cap


def processor_name() -> str:
    """Returns the processor as its maker calls it, for figures that depend on it."""
    try:
        lines = _CPU_INFO.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return "unknown processor"
    found = dict(line.replace("\t", "").split(":", 1) for line in lines if ":" in line)
    model = found.get("model name", found.get("CPU part", "unknown processor")).strip()
    family = f" family {found['cpu family'].strip()} model {found['model'].strip()}" if "cpu family" in found else ""
    return f"{model}{family}, {matrix_unit() or 'no units for bfloat16'}"
