"""What a result was made with: versions of the software and the commit of the code, as a manifest holds them."""

import functools
import importlib.metadata
import os
import subprocess
from pathlib import Path
from typing import Any

COMMIT_VARIABLE = "T5GRID_COMMIT"
"""Names the commit where the code lies without its history, as in a job's copy of the working folder."""

_PACKAGES = ("t5grid", "torch", "torch-xla", "ray", "sentencepiece", "numpy")
_ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def software() -> dict[str, Any]:
    """Returns package -> version of what is installed, and ``commit`` where it is known (see ``code_commit``)."""
    versions: dict[str, Any] = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    commit = code_commit()
    return versions if commit is None else {**versions, "commit": commit}


@functools.cache
def code_commit() -> str | None:
    """Returns the git commit of this code, "-dirty" behind it when files differ from it; None where nobody knows."""
    if os.environ.get(COMMIT_VARIABLE):
        return os.environ[COMMIT_VARIABLE]
    if not (_ROOT / ".git").exists():
        return None
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):  # no git here, or somebody else's folder
        return None
    return told.stdout.strip() or None
