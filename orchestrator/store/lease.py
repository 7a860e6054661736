"""Leases in a bucket: best effort, because not every object store can write only if absent."""

import time
from typing import Any

from t5core.lease import Busy as StageBusy
from t5core.lease import Owner


class BucketLeaseFile:
    """A lease in a bucket: best effort, because not every object store can write only if absent."""

    SETTLE_S = 0.05

    def __init__(self, fs: Any, path: str, folder: str, stale_after_s: float) -> None:
        self.fs = fs
        self.path = path
        self.folder = folder
        self.stale_after_s = stale_after_s

    def take(self, owner: Owner) -> None:
        """See LeaseFile."""
        holder = self.holder()
        if holder is not None:
            raise StageBusy(self.folder, holder)
        self.fs.makedirs(self.path.rpartition("/")[0], exist_ok=True)
        self._write(owner)
        time.sleep(self.SETTLE_S)  # whoever wrote last in the same moment has it
        held = self._read()
        if held is None or held[0].token != owner.token:
            raise StageBusy(self.folder, held[0] if held else None)

    def beat(self, owner: Owner) -> bool:
        """See LeaseFile."""
        held = self._read()
        if held is None or held[0].token != owner.token:
            return False
        self._write(owner)
        return True

    def drop(self, owner: Owner) -> None:
        """See LeaseFile."""
        held = self._read()
        if held is not None and held[0].token == owner.token:
            self.fs.rm_file(self.path)

    def holder(self) -> Owner | None:
        """See LeaseFile."""
        held = self._read()
        if held is None or held[0].is_gone() or time.time() - held[1] > self.stale_after_s:
            return None
        return held[0]

    def _write(self, owner: Owner) -> None:
        self.fs.pipe_file(self.path, f"{owner.to_json()}\n{time.time()}".encode())

    def _read(self) -> tuple[Owner, float] | None:
        try:
            first, _, beat = bytes(self.fs.cat_file(self.path)).decode().partition("\n")
        except FileNotFoundError:
            return None
        owner = Owner.from_json(first)
        return None if owner is None else (owner, float(beat or 0))
