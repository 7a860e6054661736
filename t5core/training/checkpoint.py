"""Checkpoints: safetensors and JSON, checksummed, written under a temporary name and renamed.

    checkpoints/step-00000400/model.safetensors
                              optimizer.safetensors
                              average.safetensors    while the last weights are averaged (``t5core.training.average``)
                              state.json             step, configs, sha256 of the others and of itself; written last

A process killed at any moment leaves either a whole checkpoint or a folder that ``newest`` passes over. A file that
was cut short or altered fails its checksum, and the checkpoint before it is used.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from t5core.config import ModelConfig
from t5core.errors import CheckpointError
from t5core.finite import check_finite
from t5core.model import T5, on_meta

MODEL_FILE = "model.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
AVERAGE_FILE = "average.safetensors"
STATE_FILE = "state.json"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint on disk whose checksums hold."""

    folder: Path
    step: int
    state: Mapping[str, Any]

    def model(self) -> T5:
        """Returns the model with its weights, on the CPU, in eval mode; raises CheckpointError if one is not finite."""
        model = T5(ModelConfig.from_dict(self.state["model"]))
        path = self.folder / MODEL_FILE
        weights = load_file(path)
        for name, tensor in weights.items():
            check_finite(name, tensor, path)
        model.load_state_dict(weights)
        return model.eval()

    def check_shapes(self) -> None:
        """Raises CheckpointError where the weights are not those of the model that ``state.json`` describes."""
        expected = {
            k: tuple(v.shape) for k, v in on_meta(ModelConfig.from_dict(self.state["model"])).state_dict().items()
        }
        path = self.folder / MODEL_FILE
        with safe_open(path, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in list(file.keys())}
        for name in sorted(expected.keys() | found.keys()):
            if found.get(name) != expected.get(name):
                way_out = f"{STATE_FILE} asks for {expected.get(name, 'no such tensor')}; give a whole checkpoint"
                raise CheckpointError(name, found.get(name), f"{way_out} ({path})")

    def optimizer(self) -> dict[str, Tensor]:
        """Returns AdaFactor's moments by name."""
        return load_file(self.folder / OPTIMIZER_FILE)

    def average(self) -> dict[str, Tensor]:
        """Returns the mean of late weights by name, as far as it was taken; empty where there is none."""
        return load_file(self.folder / AVERAGE_FILE) if AVERAGE_FILE in self.state["sha256"] else {}


def save(
    folder: Path,
    step: int,
    model: ModelConfig,
    weights: Mapping[str, Tensor],
    moments: Mapping[str, Tensor] | None,
    extra: Mapping[str, Any],
    average: Mapping[str, Tensor] | None = None,
) -> Checkpoint:
    """Writes a checkpoint as ``folder`` in one rename; an existing one there is replaced.

    ``weights``, ``moments`` and ``average``, a mean that is being taken, are whole float32 tensors on the CPU by name,
    as ``Device.gathered`` gives them. Without ``moments`` it is for judging alone.
    """
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    files = {MODEL_FILE: weights}
    files |= {OPTIMIZER_FILE: moments} if moments is not None else {}
    files |= {AVERAGE_FILE: average} if average else {}
    for name, tensors in files.items():
        save_file(dict(tensors), temporary / name)
    checksums = {name: _sha256(temporary / name) for name in files}
    state = {"step": step, "model": model.to_dict(), "sha256": checksums, **extra}
    state["state_sha256"] = _state_digest(state)
    (temporary / STATE_FILE).write_text(json.dumps(state, indent=1))
    for path in temporary.iterdir():
        _sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)
    _sync(folder.parent)
    return Checkpoint(folder=folder, step=step, state=state)


def load(folder: Path) -> Checkpoint:
    """Reads a checkpoint; raises CheckpointError if it is missing, cut short or altered."""
    try:
        state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        names = {MODEL_FILE, *({OPTIMIZER_FILE, AVERAGE_FILE} & set(state["sha256"]))}
        digests = {folder / name: (_sha256(folder / name), state["sha256"][name]) for name in sorted(names)}
        digests[folder / STATE_FILE] = (_state_digest(state), state.get("state_sha256", _state_digest(state)))
    except (OSError, ValueError, KeyError, TypeError) as error:  # ValueError: neither JSON nor UTF-8
        raise CheckpointError(
            "checkpoint", str(folder), f"not a whole checkpoint ({error}); use an older one"
        ) from error
    for path, (found, expected) in digests.items():
        if found != expected:
            raise CheckpointError("checkpoint", str(path), "its checksum does not hold; use an older one")
    return Checkpoint(folder=folder, step=state["step"], state=state)


def step_folder(root: Path, step: int) -> Path:
    """Returns where the checkpoint of a step lies below ``root``."""
    return root / f"step-{step:08d}"


def newest(root: Path) -> Checkpoint | None:
    """Returns the newest checkpoint below ``root`` whose checksums hold, or None."""
    for folder in sorted(root.glob("step-*"), reverse=True):
        try:
            return load(folder)
        except CheckpointError:
            continue
    return None


def keep_newest(root: Path, count: int) -> None:
    """Removes all but the newest ``count`` checkpoints below ``root``."""
    for folder in sorted(root.glob("step-*"), reverse=True)[count:]:
        shutil.rmtree(folder, ignore_errors=True)


def _state_digest(state: Mapping[str, Any]) -> str:
    """Returns the digest of everything in ``state`` but the digest itself."""
    text = json.dumps({name: value for name, value in state.items() if name != "state_sha256"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
