"""A store in a bucket, through fsspec: files first, manifest last, and a local store as cache and workbench.

Object stores write an object whole or not at all, but know no rename and no order between objects. The manifest is
therefore the only thing that is looked for: objects without one are no stage, and are written over by the next commit.
A download is checked against the manifest's checksums before it counts as cached.
"""

import contextlib
import hashlib
import logging
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.plan.stage import Stage
from orchestrator.store.lease import BucketLeaseFile
from orchestrator.store.local import LocalStore
from orchestrator.store.manifest import MANIFEST_NAME, Manifest, StoreError, check_files, describe, folder_name
from orchestrator.store.store import NOT_KINDS, Store, Unfinished
from t5core.cache import user_cache_dir
from t5core.errors import ConfigError
from t5core.lease import HEARTBEAT_S, STALE_AFTER_S, LeaseFile
from t5core.uris import file_system, masked

_logger = logging.getLogger(__name__)


class BucketStore(Store):
    """A store below one address in a bucket. See Store for what the methods give.

    Leases are best effort: written if absent and read back. ``partial`` sees this machine's work only.
    """

    def __init__(
        self,
        uri: str,
        *,
        cache_dir: Path | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        stale_after_s: float = STALE_AFTER_S,
    ) -> None:
        super().__init__(uri, heartbeat_s=heartbeat_s, stale_after_s=stale_after_s)
        self._fs, root = file_system(uri, "store", "name a folder")
        self._root = root.rstrip("/")
        digest = hashlib.sha256(uri.rstrip("/").encode()).hexdigest()[:16]
        self.cache = LocalStore((cache_dir or user_cache_dir()) / digest)

    def check_writable(self, required_bytes: int = 0) -> None:
        """See Store; the cache folder, in which the work is done, is looked at too."""
        probe = f"{self._root}/.probe-{uuid.uuid4().hex}"
        with self._as_config_errors():
            self._fs.pipe_file(probe, b"t5grid")
            self._fs.rm_file(probe)
        self.cache.check_writable(required_bytes)

    def finished(self, stage: Stage) -> Manifest | None:
        """See Store."""
        found = self._find(stage)
        return None if found is None else found[1]

    def path(self, stage: Stage) -> Path:
        """See Store; downloads the stage into the cache the first time."""
        folder, manifest = self._found(stage)
        if self.cache.finished(stage) != manifest:
            self._download(folder, manifest, stage)
        return self.cache.path(stage)

    def verify(self, stage: Stage) -> Manifest:
        """See Store; reads what lies in the bucket, not what is cached."""
        folder, manifest = self._found(stage)
        scratch = self._scratch()
        try:
            self._fetch(folder, manifest, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return manifest

    def work(self, stage: Stage) -> Path:
        """See Store."""
        return self.cache.work(stage)

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
        started_at, seconds = self._times(stage, time.time(), started_at, seconds)
        manifest = describe(stage, work, result, started_at=started_at, seconds=seconds, made_with=made_with or {})
        text = manifest.to_json()
        earlier = self.finished(stage)
        if earlier is not None:
            shutil.rmtree(work, ignore_errors=True)
            return earlier
        folder = f"{self._root}/{manifest.folder}"
        with self._as_store_errors(folder):
            for name in manifest.files:
                self._fs.makedirs(f"{folder}/{name}".rpartition("/")[0], exist_ok=True)
                self._fs.put_file(str(work / name), f"{folder}/{name}")
            self._fs.pipe_file(f"{folder}/{MANIFEST_NAME}", text.encode())
        self._forget_failure(stage.key)
        self._drop_cached(stage)
        return self.cache.install(manifest, work)

    def manifests(self) -> Iterator[Manifest]:
        """See Store."""
        for kind in self._list(self._root):
            if kind.rpartition("/")[2] in NOT_KINDS:
                continue
            for folder in self._list(kind):
                try:
                    manifest = self._read(folder)
                except StoreError as error:
                    _logger.warning("passed over: %s", error)
                    continue
                if manifest is not None:
                    yield manifest

    def partial(self) -> Iterator[Unfinished]:
        """See Store."""
        for unfinished in self.cache.partial():
            holder = self._lease_file(unfinished.key, f"{unfinished.kind}/{unfinished.name}").holder()
            yield Unfinished(**{**vars(unfinished), "owner": holder})

    def read_text(self, manifest: Manifest, name: str) -> str | None:
        """See Store."""
        if name not in manifest.files:
            return None
        path = f"{self._root}/{manifest.folder}/{name}"
        with self._as_store_errors(path):
            return bytes(self._fs.cat_file(path)).decode()

    def write_record(self, path: str, text: str) -> None:
        """See Store."""
        place = f"{self._root}/{path}"
        with self._as_store_errors(place):
            self._fs.makedirs(place.rpartition("/")[0], exist_ok=True)
            self._fs.pipe_file(place, text.encode())

    def read_record(self, path: str) -> str | None:
        """See Store."""
        place = f"{self._root}/{path}"
        with self._as_store_errors(place):
            try:
                return bytes(self._fs.cat_file(place)).decode(errors="replace")
            except FileNotFoundError:
                return None

    def record_names(self, folder: str) -> list[str]:
        """See Store."""
        place = f"{self._root}/{folder}"
        with self._as_store_errors(place):
            self._fs.invalidate_cache()
            try:
                entries = self._fs.ls(place, detail=False)
            except FileNotFoundError:
                return []
        return sorted(name for name in (str(e).rpartition("/")[2] for e in entries) if name.endswith(".json"))

    def remove_record(self, path: str) -> None:
        """See Store."""
        place = f"{self._root}/{path}"
        with self._as_store_errors(place), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(place)

    def _lease_file(self, key: str, folder: str) -> LeaseFile:
        return BucketLeaseFile(self._fs, f"{self._root}/leases/{key}.json", folder, self._stale_after_s)

    def _found(self, stage: Stage) -> tuple[str, Manifest]:
        found = self._find(stage)
        if found is None:
            raise self._missing(stage)
        return found

    def _find(self, stage: Stage) -> tuple[str, Manifest] | None:
        """Looks under the stage's own name first: one request. Only then are the kind's folders listed."""
        kind = f"{self._root}/{stage.kind}"
        exact = f"{kind}/{folder_name(stage.name, stage.key)}"
        manifest = self._read(exact)
        if manifest is not None:
            return exact, manifest
        for folder in self._list(kind):
            if folder.endswith(f"-{stage.key}") and folder != exact:
                manifest = self._read(folder)
                if manifest is not None:
                    return folder, manifest
        return None

    def _read(self, folder: str) -> Manifest | None:
        path = f"{folder}/{MANIFEST_NAME}"
        with self._as_store_errors(path):
            try:
                content = bytes(self._fs.cat_file(path))
            except FileNotFoundError:
                return None
        return Manifest.from_json(content.decode(errors="replace"), path)

    def _list(self, folder: str) -> list[str]:
        with self._as_store_errors(folder):
            self._fs.invalidate_cache()
            try:
                entries = self._fs.ls(folder, detail=True)
            except FileNotFoundError:
                return []
        return sorted(str(e["name"]).rstrip("/") for e in entries if e["type"] == "directory")

    def _download(self, folder: str, manifest: Manifest, stage: Stage) -> None:
        scratch = self._scratch()
        try:
            self._fetch(folder, manifest, scratch)
            self._drop_cached(stage)
            self.cache.install(manifest, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _fetch(self, folder: str, manifest: Manifest, target: Path) -> None:
        for name in manifest.files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with self._as_store_errors(f"{folder}/{name}"), contextlib.suppress(FileNotFoundError):
                self._fs.get_file(f"{folder}/{name}", str(target / name))
        try:
            check_files(manifest, target, content=True)
        except StoreError as error:
            problem = str(error).partition(": ")[2].partition(";")[0]
            name = str(error.value).removeprefix(f"{target}/")
            raise StoreError(
                "store", masked(f"{folder}/{name}"), f"{problem}; remove {folder} to have the stage done again"
            ) from None

    def _drop_cached(self, stage: Stage) -> None:
        """Forgets a cached copy, manifest first; the bucket has the last word."""
        for folder in (self.cache.root / stage.kind).glob(f"*-{stage.key}"):
            (folder / MANIFEST_NAME).unlink(missing_ok=True)
            shutil.rmtree(folder)

    def _scratch(self) -> Path:
        scratch = self.cache.root / f".download-{uuid.uuid4().hex}"
        scratch.mkdir(parents=True)
        return scratch

    @contextlib.contextmanager
    def _as_config_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # every fsspec package raises its own
            reason = masked(f"{type(error).__name__}: {error}")
            raise ConfigError(
                "store", self.shown_uri, f"cannot be written ({reason}); check the bucket's name and your credentials"
            ) from None

    @contextlib.contextmanager
    def _as_store_errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except Exception as error:  # every fsspec package raises its own
            reason = masked(f"{type(error).__name__}: {error}")
            raise StoreError(
                "store", masked(path), f"{reason}; check network and credentials, then run again"
            ) from error
