"""Runs as files of a store, ``runs/ID.json``: a driver at work on a plan, its signs of life, and how it ended.

    with running(store, plan.name) as run:
        ...
        run.ends("failed")

A driver beats every few seconds. One that says no end and has not beaten for a minute, or whose process is seen to be
gone, was lost: killed, or its machine with it. What it finished is in the store, and the same command goes on.
"""

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from orchestrator.store.store import Store
from t5core.lease import STALE_AFTER_S, Owner

FOLDER = "runs"
BEAT_S = 10.0
"""How often a driver gives a sign of life."""

End = Literal["", "finished", "failed", "refused", "stopped", "lost"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A driver at work on a plan.

    Attributes:
        plan: its name, STUDY-SCALE-KEY.
        owner: host and process of the driver.
        beat_at: Unix time in seconds of its last sign of life.
        ended_at: Unix time in seconds; None as long as it has not ended.
        how: "" as long as it has not; "finished" all stages are; "failed" some failed; "refused" what was asked for
            cannot be done; "stopped" by a person or the system.
    """

    id: str
    plan: str
    owner: Owner
    beat_at: float
    ended_at: float | None = None
    how: End = ""

    def state(self, now: float) -> str:
        """Returns how it ended, "alive" or "lost"; ``now`` is Unix time in seconds."""
        if self.how:
            return self.how
        gone = self.owner.is_gone() or now - self.beat_at > STALE_AFTER_S
        return "lost" if gone else "alive"

    def to_json(self) -> str:
        """Returns the run as one JSON object."""
        return json.dumps({**asdict(self), "owner": asdict(self.owner)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Run":
        """Rebuilds a run; raises ValueError or TypeError for anything else."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "owner": Owner(**values["owner"])})


class RunFile:
    """The file of a run that goes on; a thread keeps it fresh. Safe to call from any thread."""

    def __init__(self, store: Store, run: Run) -> None:
        self._store = store
        self._run = run
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._write()
        self._thread = threading.Thread(target=self._beat, name="run-heartbeat", daemon=True)
        self._thread.start()

    @property
    def run(self) -> Run:
        """The run as it stands."""
        return self._run

    def ends(self, how: End) -> None:
        """Says how it ended; the first word counts."""
        with self._lock:
            if not self._run.how:
                now = time.time()
                self._run = replace(self._run, how=how, ended_at=now, beat_at=now)
                self._write()

    def close(self) -> None:
        """Gives no more signs of life; a run that nobody said an end of stopped."""
        self._left.set()
        self._thread.join()
        self.ends("stopped")

    def _beat(self) -> None:
        while not self._left.wait(BEAT_S):
            with self._lock, contextlib.suppress(Exception):  # a store that is away for a moment: the next beat tells
                if not self._run.how:
                    self._run = replace(self._run, beat_at=time.time())
                    self._write()

    def _write(self) -> None:
        self._store.write_record(f"{FOLDER}/{self._run.id}.json", self._run.to_json())


@contextlib.contextmanager
def running(store: Store, plan: str) -> Iterator[RunFile]:
    """Keeps the file of a run as long as it goes on; ``plan`` is the name that its plan is kept under."""
    owner = Owner.me()
    identity = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(owner.started))}-{uuid.uuid4().hex[:6]}"
    file = RunFile(store, Run(id=identity, plan=plan, owner=owner, beat_at=owner.started))
    try:
        yield file
    finally:
        with contextlib.suppress(Exception):  # a store that went away: the file tells of a lost run, which is so
            file.close()


def read_runs(store: Store) -> Iterator[Run]:
    """Iterates over the runs that a store knows, oldest first; what cannot be read is passed over."""
    for name in store.record_names(FOLDER):
        text = store.read_record(f"{FOLDER}/{name}")
        with contextlib.suppress(ValueError, TypeError, KeyError):
            if text is not None:
                yield Run.from_json(text)
