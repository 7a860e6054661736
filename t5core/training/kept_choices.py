"""Choices of an attention kernel that are kept between runs, where timing the candidates takes a compiler minutes.

    ~/.cache/t5grid/kernels/3f0c9a12b4d5e678.json      {"asked": {hardware, versions, shapes, ...}, "decision": {...}}

A GPU's candidates are compiled to be timed, one to two minutes for each stage of a study, and stages of the same shapes
would choose the same. A choice holds for the hardware, the version of PyTorch, precision, shapes and kinds of mask that
it was made for; a file that is damaged or of something else is passed over, and the candidates are timed again. So they
are when the file is deleted.

On a CPU nothing is kept. Timing takes a second there, next to other work of the machine: a bad measurement would
decide for all later runs.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from t5core.cache import user_cache_dir
from t5core.config import ModelConfig
from t5core.devices import Decision, Device

if TYPE_CHECKING:  # it asks this module
    from t5core.training.kernel_choice import Attention

WHAT = "attention kernel"
"""What the decision is about."""
VERSION = 1
"""Raised when a kernel, or how it is timed, changes so that an earlier choice says nothing."""


def question(kinds: "Sequence[Attention]", names: Sequence[str], config: ModelConfig, device: Device) -> dict[str, Any]:
    """Returns all that a choice among kernels depends on, as JSON values."""
    return {
        "version": VERSION,
        "hardware": device.hardware,
        "torch": torch.__version__,
        "precision": [str(device.compute_dtype), torch.get_float32_matmul_precision()],
        "candidates": list(names),
        "heads": config.num_heads,
        "d_kv": config.d_kv,
        "attentions": [_described(kind) for kind in kinds],
    }


def _described(kind: "Attention") -> dict[str, Any]:
    v = kind.visibility
    hiding = {"padding": v.visible_BK, "segments": v.query_segments_BQ, "prefix": v.prefix_BK}
    return {
        "layers": kind.layers,
        "rows": kind.rows,
        "queries": v.num_queries,
        "keys": v.num_keys,
        "biased": kind.biased,
        "causal": v.causal,
        "hidden": [name for name, mask in hiding.items() if mask is not None],
    }


def find(asked: dict[str, Any], device: Device) -> Decision | None:
    """Returns what an earlier run decided, or None.

    Every process that shares the batch must call it; what the first one finds counts for all.
    """
    if not device.hardware:
        return None
    names = asked["candidates"]
    kept = _read(asked) if device.rank == 0 else None
    mine = names.index(kept.value) + 1 if kept is not None and kept.value in names else 0
    place = int(device.total(device.scalar(mine)))
    if not place:
        return None
    if kept is None:
        return Decision(what=WHAT, value=names[place - 1], why="the first process kept it")
    return replace(kept, why=f"kept from an earlier run here: {kept.why}")


def keep(asked: dict[str, Any], decision: Decision, device: Device) -> None:
    """Keeps a decision for later runs, at once; where that is not possible they decide anew."""
    if not device.hardware or device.rank != 0:
        return
    try:
        path = _path(asked)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
        temporary.write_text(json.dumps({"asked": asked, "decision": asdict(decision)}) + "\n", encoding="utf-8")
        temporary.replace(path)
    except (OSError, RuntimeError):  # no home, a full disk, a folder of somebody else's
        return


def _path(asked: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return user_cache_dir() / "kernels" / f"{digest[:16]}.json"


def _read(asked: dict[str, Any]) -> Decision | None:
    try:
        found = json.loads(_path(asked).read_text(encoding="utf-8"))
        return Decision(**found["decision"]) if found["asked"] == asked else None
    except (OSError, RuntimeError, ValueError, TypeError, KeyError):
        return None
