"""The store as its users see it: what every kind of store can do. See the package's note."""

import abc
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.plan.stage import Stage
from orchestrator.store.manifest import Manifest, StoreError
from t5core.lease import HEARTBEAT_S, STALE_AFTER_S, Lease, LeaseFile, Owner
from t5core.uris import masked

FAILURES = "failures"
RECORDS = ("plans", "runs", FAILURES, "reports")
"""Folders of files that are no part of any stage: see plans.py, runs.py, failures.py, reports.py."""

NOT_KINDS = frozenset({"work", "leases", *RECORDS})
"""Folders below a store's root that hold no finished stages."""


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A stage that was begun and is not finished.

    Attributes:
        path: its work folder on this machine.
        modified_at: Unix time in seconds of the last change in it.
        owner: who works on it now; None if nobody does, so that it was interrupted.
    """

    kind: str
    name: str
    key: str
    path: Path
    modified_at: float
    owner: Owner | None


class Store(abc.ABC):
    """Finished stages, and the work towards them. Open one with ``open_store``."""

    def __init__(self, uri: str, *, heartbeat_s: float = HEARTBEAT_S, stale_after_s: float = STALE_AFTER_S) -> None:
        self._uri = uri
        self._heartbeat_s = heartbeat_s
        self._stale_after_s = stale_after_s
        self._held: dict[str, Lease] = {}

    @property
    def uri(self) -> str:
        """The store's address in full, what ``open_store`` takes on any process; may hold a password."""
        return self._uri

    @property
    def shown_uri(self) -> str:
        """The store's address as it may be shown."""
        return masked(self._uri)

    @abc.abstractmethod
    def check_writable(self, required_bytes: int = 0) -> None:
        """Tries to write, before anything runs; raises ConfigError for no permission, no folder or no space."""

    @abc.abstractmethod
    def finished(self, stage: Stage) -> Manifest | None:
        """Returns the stage's manifest, whatever its readable name was; None if it is not finished.

        Raises:
            StoreError: there is a manifest and it was cut short or altered.
        """

    @abc.abstractmethod
    def path(self, stage: Stage) -> Path:
        """Returns the local folder of a finished stage, after a look at its files' lengths.

        Raises:
            StoreError: it is not finished, or a file is missing or short.
        """

    @abc.abstractmethod
    def verify(self, stage: Stage) -> Manifest:
        """Reads every file of a finished stage again; raises StoreError for the first that does not fit."""

    @abc.abstractmethod
    def work(self, stage: Stage) -> Path:
        """Returns the stage's local work folder, made if need be; what a killed attempt left is still in it."""

    @abc.abstractmethod
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
        """Makes ``work``, as ``work(stage)`` gave it, the content of a finished stage; it is gone afterwards.

        A stage that somebody finished meanwhile stays as it is, and its manifest is returned.

        Args:
            stage: what was done.
            work: the folder with its files; only plain files and folders.
            result: JSON values.
            started_at: Unix time in seconds; by default when this store's lease was taken, else now.
            seconds: by default from then to now.
            made_with: what to tell besides the software: device, threads, precision.

        Raises:
            StoreError: no space, no permission, links in ``work``, a lost lease.
        """

    @abc.abstractmethod
    def manifests(self) -> Iterator[Manifest]:
        """Iterates over the finished stages; what is half written or unreadable is passed over."""

    @abc.abstractmethod
    def partial(self) -> Iterator[Unfinished]:
        """Iterates over the stages that were begun on this machine and are not finished."""

    @abc.abstractmethod
    def read_text(self, manifest: Manifest, name: str) -> str | None:
        """Returns one file of a finished stage without fetching the others; None if it has no such file."""

    @abc.abstractmethod
    def write_record(self, path: str, text: str) -> None:
        """Writes a file of the store's own, ``FOLDER/NAME.json`` with a folder of RECORDS, at once or not at all.

        Raises:
            StoreError: no space, no permission.
        """

    @abc.abstractmethod
    def read_record(self, path: str) -> str | None:
        """Returns such a file's text; None if it is not there."""

    @abc.abstractmethod
    def record_names(self, folder: str) -> list[str]:
        """Returns the names of the files in a folder of RECORDS, in order."""

    @abc.abstractmethod
    def remove_record(self, path: str) -> None:
        """Removes such a file if it is there."""

    def _forget_failure(self, key: str) -> None:
        """Removes what is kept of a stage's failure, now that it is finished; a store that cannot be written may."""
        with contextlib.suppress(StoreError):
            self.remove_record(f"{FAILURES}/{key}.json")

    @contextlib.contextmanager
    def lease(self, stage: Stage) -> Iterator[Lease]:
        """Holds the stage against other workers; raises StageBusy, naming the owner, if another holds it."""
        lease = Lease(self._lease_file(stage.key, stage.folder), self._heartbeat_s)
        self._held[stage.key] = lease
        try:
            yield lease
        finally:
            del self._held[stage.key]
            lease.release()

    def owner(self, stage: Stage) -> Owner | None:
        """Returns who works on the stage now, None if nobody does."""
        return self._lease_file(stage.key, stage.folder).holder()

    @abc.abstractmethod
    def _lease_file(self, key: str, folder: str) -> LeaseFile:
        """Returns where the lease of a stage lies."""

    def _times(self, stage: Stage, now: float, started_at: float | None, seconds: float | None) -> tuple[float, float]:
        """Returns start and duration of the attempt that ends now, and makes sure that a lease held is held still."""
        lease = self._held.get(stage.key)
        if lease is not None and not lease.is_ours():
            raise StoreError(
                "store", stage.folder, "this process was away too long and lost its lease; run again to go on"
            )
        if started_at is None:
            started_at = lease.owner.started if lease is not None else now
        return started_at, max(0.0, now - started_at) if seconds is None else seconds

    @staticmethod
    def _missing(stage: Stage) -> StoreError:
        return StoreError("store", stage.folder, "is not finished; run the study that makes it")
