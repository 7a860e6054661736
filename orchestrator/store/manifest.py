"""The manifest: what a finished stage is, which files it has and what came out. Written last, never changed.

``manifest.json`` is one JSON object with sorted keys. Its own field ``digest`` is the SHA-256 of all the others in
canonical form, so a manifest that was cut short or edited by hand is noticed as well as a file that was.
"""

import hashlib
import json
import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from orchestrator.plan.stage import Stage
from orchestrator.store.provenance import software
from t5core.errors import ConfigError

MANIFEST_NAME = "manifest.json"
FORMAT = 2
"""1 had no code version, no revisions and no ``made_with``; it is read as before."""
_CHUNK_BYTES = 1 << 20
_MAX_NAME_BYTES = 180


class StoreError(ConfigError):
    """A store, or a stage in it, that is missing, cut short or altered; same one-line form as ConfigError."""


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of a stage: its length and SHA-256, in hex."""

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A finished stage. It knows nothing of the study that asked for it, so studies share it.

    Attributes:
        kind, name, key, config, inputs: as in ``orchestrator.plan.plan.Stage``.
        files: path below the stage's folder, with ``/`` -> length and checksum.
        result: what the stage's function returned, JSON values.
        started_at: Unix time of the start of the attempt that finished, in seconds.
        seconds: how long that attempt took.
        host: where it ran: host, platform, python, cpus.
        version: of the kind's code; None in manifests of the first release, which did not say.
        revisions: of the kind's code that touch this stage's config.
        made_with: versions of the software, ``commit`` of the code; of a stage on a device what was decided, like
            ``device``, ``threads``, ``precision``.
    """

    kind: str
    name: str
    key: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    files: Mapping[str, FileEntry]
    result: Mapping[str, Any]
    started_at: float
    seconds: float
    host: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None
    revisions: tuple[str, ...] = ()
    made_with: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Where the stage lies below the store's root: ``kind/name-key``."""
        return f"{self.kind}/{folder_name(self.name, self.key)}"

    @property
    def total_bytes(self) -> int:
        """Length of all files together."""
        return sum(entry.bytes for entry in self.files.values())

    def to_json(self) -> str:
        """Returns the text of ``manifest.json``; raises StoreError if config or result are not JSON values."""
        values = {"format": FORMAT, **asdict(self)}
        try:
            return json.dumps({**values, "digest": _digest(values)}, indent=1, sort_keys=True, ensure_ascii=False)
        except TypeError as error:
            raise StoreError("result", self.folder, f"must hold plain JSON values only: {error}") from None

    @classmethod
    def from_json(cls, text: str, where: str = MANIFEST_NAME) -> Self:
        """Rebuilds a manifest; raises StoreError naming ``where`` if the text was cut short or altered."""
        try:
            values = json.loads(text)
            digest, number = values.pop("digest"), values.pop("format")
            if number > FORMAT:
                raise StoreError("manifest", where, f"is of format {number}; update t5grid to read it")
            if digest != _digest({"format": number, **values}):
                raise ValueError("its digest does not fit")
            files = {path: FileEntry(**entry) for path, entry in values.pop("files").items()}
            return cls(**{**values, "revisions": tuple(values.get("revisions", ()))}, files=files)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                "manifest",
                where,
                f"was cut short or altered ({error}); remove that folder to have the stage done again",
            ) from None


def describe(
    stage: Stage,
    work: Path,
    result: Mapping[str, Any],
    *,
    started_at: float,
    seconds: float,
    made_with: Mapping[str, Any],
) -> Manifest:
    """Returns the manifest of what lies in ``work``, with checksums; reads every file once."""
    return Manifest(
        kind=stage.kind,
        name=stage.name,
        key=stage.key,
        config=dict(stage.config),
        inputs=dict(stage.inputs),
        files=entries_of(work),
        result=dict(result),
        started_at=started_at,
        seconds=seconds,
        host=host_info(),
        version=stage.version,
        revisions=stage.revisions,
        made_with={**software(), **made_with},
    )


def entries_of(folder: Path) -> dict[str, FileEntry]:
    """Returns path -> entry of every file below ``folder``; raises StoreError for links and special files."""
    entries = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise StoreError("work", str(path), "a stage's content must be plain files and folders")
        if name == MANIFEST_NAME:
            raise StoreError("work", str(path), "that name is the store's own; write the file under another")
        if path.is_file():
            entries[name] = entry_of(path)
    return entries


def entry_of(path: Path) -> FileEntry:
    """Returns length and checksum of one file, read in pieces."""
    with path.open("rb") as file:
        digest, length = hashlib.sha256(), 0
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            length += len(chunk)
    return FileEntry(bytes=length, sha256=digest.hexdigest())


def check_files(manifest: Manifest, folder: Path, *, content: bool) -> None:
    """Compares what lies in ``folder`` with the manifest: lengths, and with ``content`` the checksums too.

    Raises:
        StoreError: a file is missing, short or altered; the message names the first and says the way out.
    """
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            problem = "is missing"
        elif (length := path.stat().st_size) != entry.bytes:
            problem = f"has {length:,} bytes instead of {entry.bytes:,}"
        elif content and entry_of(path).sha256 != entry.sha256:
            problem = "was altered: its checksum does not fit"
        else:
            continue
        raise StoreError("store", f"{folder}/{name}", f"{problem}; remove {folder} to have the stage done again")


def folder_name(name: str, key: str) -> str:
    """Returns ``name-key``, with what no file system takes in a folder's name replaced, at most 197 bytes long."""
    clean = "".join("_" if c in "/\\" or ord(c) < 32 else c for c in name).lstrip(".") or "stage"
    return f"{clean.encode()[:_MAX_NAME_BYTES].decode(errors='ignore')}-{key}"


def host_info() -> dict[str, Any]:
    """Returns where this process runs: host name, platform, Python, CPU count."""
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count() or 0,
    }


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
