"""A store in a folder: commits by rename, durable before they count.

A commit goes: checksums → files and folders to disk (fsync) → the work folder renamed into place → manifest to a
temporary name, to disk → ``os.replace`` → folder to disk. Killed anywhere before the last replace, the stage is not
finished: its files lie either in the work folder or, renamed and without a manifest, in their final place, from where
``work`` takes them back. There is no moment at which a manifest names a file that is not there whole.
"""

import contextlib
import errno
import glob
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.plan.stage import Stage
from orchestrator.store.manifest import MANIFEST_NAME, Manifest, StoreError, check_files, describe, folder_name
from orchestrator.store.store import NOT_KINDS, Store, Unfinished
from t5core.errors import ConfigError
from t5core.lease import HEARTBEAT_S, STALE_AFTER_S, LocalLeaseFile
from t5core.readable import readable_bytes

_NEW_MANIFEST = f".{MANIFEST_NAME}.new"
_logger = logging.getLogger(__name__)


class LocalStore(Store):
    """A store below one folder, which one or several hosts see. See Store for what the methods give."""

    def __init__(self, root: Path, *, heartbeat_s: float = HEARTBEAT_S, stale_after_s: float = STALE_AFTER_S) -> None:
        super().__init__(str(root.absolute()), heartbeat_s=heartbeat_s, stale_after_s=stale_after_s)
        self.root = root.absolute()

    def check_writable(self, required_bytes: int = 0) -> None:
        """See Store."""
        probe = self.root / f".probe-{uuid.uuid4().hex}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"t5grid")
            free_bytes = shutil.disk_usage(self.root).free
        except OSError as error:
            raise ConfigError("store", self.shown_uri, f"{_reason(error)}; {_way_out(error)}") from None
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
        if free_bytes < required_bytes:
            raise ConfigError(
                "store",
                self.shown_uri,
                f"needs {readable_bytes(required_bytes)} and its disk has {readable_bytes(free_bytes)} free;"
                " free some space or name a folder on another disk",
            )

    def finished(self, stage: Stage) -> Manifest | None:
        """See Store."""
        folder = self._finished_folder(stage)
        return None if folder is None else self._read(folder, stage.key)

    def path(self, stage: Stage) -> Path:
        """See Store."""
        folder, manifest = self._finished(stage)
        check_files(manifest, folder, content=False)
        return folder

    def verify(self, stage: Stage) -> Manifest:
        """See Store."""
        folder, manifest = self._finished(stage)
        check_files(manifest, folder, content=True)
        return manifest

    def work(self, stage: Stage) -> Path:
        """See Store."""
        earlier = _by_key(self.root / "work" / stage.kind, stage.key)
        work = earlier[0] if earlier else self.root / "work" / stage.kind / folder_name(stage.name, stage.key)
        with _as_store_errors(self.shown_uri):
            work.parent.mkdir(parents=True, exist_ok=True)
            for moved in _by_key(self.root / stage.kind, stage.key):
                if (moved / MANIFEST_NAME).exists():
                    continue
                if work.exists():  # two attempts: the one in the work folder is the later
                    shutil.rmtree(moved)
                else:
                    moved.rename(work)
            work.mkdir(exist_ok=True)
            (work / _NEW_MANIFEST).unlink(missing_ok=True)
        return work

    def commit(
        self,
        stage: Stage,
        work: Path,
        result: Mapping[str, Any],
        *,
        started_at: float | None = None,
        seconds: float | None = None,
        made_with: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """See Store."""
        if not work.absolute().is_relative_to(self.root):
            raise StoreError("work", str(work), f"give the folder that work() gave, below {self.root}")
        started_at, seconds = self._times(stage, time.time(), started_at, seconds)
        with _as_store_errors(self.shown_uri):
            made = describe(stage, work, result, started_at=started_at, seconds=seconds, made_with=made_with or {})
            installed = self.install(made, work)
        self._forget_failure(stage.key)
        return installed

    def install(self, manifest: Manifest, work: Path) -> Manifest:
        """Moves ``work``, a folder on the store's file system, into place as the content of ``manifest``."""
        text = manifest.to_json()
        folder = self.root / manifest.folder
        _flush_tree(work)
        folder.parent.mkdir(parents=True, exist_ok=True)
        for other in _by_key(self.root / manifest.kind, manifest.key):
            if (other / MANIFEST_NAME).exists():
                shutil.rmtree(work, ignore_errors=True)
                return self._read(other, manifest.key)
            shutil.rmtree(other)  # left by a commit that was killed after its rename
        work.rename(folder)
        _flush(folder.parent)
        _flush(work.parent)
        temporary = folder / _NEW_MANIFEST
        temporary.write_text(text, encoding="utf-8")
        _flush(temporary)
        temporary.replace(folder / MANIFEST_NAME)
        _flush(folder)
        return manifest

    def manifests(self) -> Iterator[Manifest]:
        """See Store."""
        for folder in _folders(self.root):
            if folder.name not in NOT_KINDS:
                for stage_folder in _folders(folder):
                    if (stage_folder / MANIFEST_NAME).exists():
                        try:
                            yield self._read(stage_folder, None)
                        except StoreError as error:
                            _logger.warning("passed over: %s", error)

    def partial(self) -> Iterator[Unfinished]:
        """See Store."""
        for kind in _folders(self.root / "work"):
            for folder in _folders(kind):
                name, _, key = folder.name.rpartition("-")
                if any((done / MANIFEST_NAME).exists() for done in _by_key(self.root / kind.name, key)):
                    continue
                yield Unfinished(
                    kind=kind.name,
                    name=name,
                    key=key,
                    path=folder,
                    modified_at=_modified_at(folder),
                    owner=self._lease_file(key, f"{kind.name}/{folder.name}").holder(),
                )

    def read_text(self, manifest: Manifest, name: str) -> str | None:
        """See Store."""
        if name not in manifest.files:
            return None
        folder = self.root / manifest.folder
        try:
            return (folder / name).read_text(encoding="utf-8")
        except OSError as error:
            way_out = f"cannot be read ({error.strerror}); remove {folder} to have the stage done again"
            raise StoreError("store", str(folder / name), way_out) from None

    def write_record(self, path: str, text: str) -> None:
        """See Store."""
        target = self.root / path
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        with _as_store_errors(self.shown_uri):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(text, encoding="utf-8")
                _flush(temporary)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            _flush(target.parent)

    def read_record(self, path: str) -> str | None:
        """See Store."""
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError("store", str(self.root / path), f"cannot be read ({error})") from None

    def record_names(self, folder: str) -> list[str]:
        """See Store."""
        return sorted(path.name for path in (self.root / folder).glob("*.json") if not path.name.startswith("."))

    def remove_record(self, path: str) -> None:
        """See Store."""
        with _as_store_errors(self.shown_uri):
            (self.root / path).unlink(missing_ok=True)

    def _lease_file(self, key: str, folder: str) -> LocalLeaseFile:
        return LocalLeaseFile(self.root / "leases" / f"{key}.json", folder, self._stale_after_s)

    def _finished(self, stage: Stage) -> tuple[Path, Manifest]:
        folder = self._finished_folder(stage)
        if folder is None:
            raise self._missing(stage)
        return folder, self._read(folder, stage.key)

    def _finished_folder(self, stage: Stage) -> Path | None:
        exact = self.root / stage.kind / folder_name(stage.name, stage.key)
        candidates = [exact] if (exact / MANIFEST_NAME).exists() else _by_key(self.root / stage.kind, stage.key)
        return next((folder for folder in candidates if (folder / MANIFEST_NAME).exists()), None)

    @staticmethod
    def _read(folder: Path, key: str | None) -> Manifest:
        where = folder / MANIFEST_NAME
        try:
            manifest = Manifest.from_json(where.read_text(encoding="utf-8"), str(where))
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError("manifest", str(where), f"cannot be read ({error})") from None
        if key is not None and manifest.key != key:
            raise StoreError("manifest", str(where), f"belongs to stage {manifest.key}; remove that folder")
        return manifest


def _by_key(kind_folder: Path, key: str) -> list[Path]:
    return sorted(kind_folder.glob(f"*-{glob.escape(key)}"))


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _modified_at(folder: Path) -> float:
    times = [folder.stat().st_mtime]
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        _flush(path)
    _flush(folder)


@contextlib.contextmanager
def _as_store_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError("store", uri, f"{_reason(error)}; {_way_out(error)}") from error


def _reason(error: OSError) -> str:
    return f"{error.strerror or error} ({error.filename})" if error.filename else str(error.strerror or error)


def _way_out(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space or name a folder on another disk"
    return "name a folder that you may write to"
