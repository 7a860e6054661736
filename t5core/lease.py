"""Leases: one worker on a thing, also between hosts that share a folder, and no thing blocked by a dead one.

A lease is a file with the owner's host, pid and start. Its holder touches it every few seconds. A lease is void when
nobody has touched it for ``stale_after_s``, or at once when its owner was a process of this host that is no more.

Taking over a void lease is where such schemes go wrong: two takers see it void, the first replaces it, the second
removes the *new* one. So every look-and-change happens under a short ``flock`` on a guard file next to the leases.
Times are compared by the file system's own clock (the guard is touched first), so hosts' clocks may differ.
"""

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

HEARTBEAT_S = 5.0
STALE_AFTER_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who holds a lease.

    Attributes:
        host: host name; with ``space`` it says whether ``pid`` means anything here.
        space: the process namespace, because containers may share a host name.
        pid, born: process id and its start in clock ticks since boot, because pids are used again.
        started: Unix time in seconds at which the lease was taken.
        token: unique to this holding.
    """

    host: str
    space: str
    pid: int
    born: str
    started: float
    token: str

    @classmethod
    def me(cls) -> "Owner":
        """Returns this process as a new owner."""
        pid = os.getpid()
        return cls(
            host=socket.gethostname(),
            space=_process_space(),
            pid=pid,
            born=_born(pid),
            started=time.time(),
            token=uuid.uuid4().hex,
        )

    def is_gone(self) -> bool:
        """Whether it was a process of this host and has ended; False when that cannot be known from here."""
        if (self.host, self.space) != (socket.gethostname(), _process_space()):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return _born(self.pid) != self.born

    def to_json(self) -> str:
        """Returns one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Owner | None":
        """Rebuilds an owner; None for a lease whose text was cut short."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None


class Busy(RuntimeError):
    """Somebody else works on it; ``owner`` is who, None if the lease is being written this moment."""

    def __init__(self, folder: str, owner: Owner | None) -> None:
        who = "another process"
        if owner is not None:
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner.started))
            who = f"process {owner.pid} on {owner.host} since {since}"
        super().__init__(f"{folder}: {who} works on it; wait, or end that process and it is taken over")
        self.folder = folder
        self.owner = owner

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuilds the error from its parts, so that it survives the way between processes."""
        return (type(self), (self.folder, self.owner))


class LeaseFile(Protocol):
    """Where a lease lies: what differs between a folder and a bucket."""

    def take(self, owner: Owner) -> None:
        """Writes ``owner`` unless somebody else's lease is alive; raises Busy."""

    def beat(self, owner: Owner) -> bool:
        """Refreshes the lease; False if it is no longer ``owner``'s."""

    def drop(self, owner: Owner) -> None:
        """Removes the lease if it is still ``owner``'s."""

    def holder(self) -> Owner | None:
        """Returns the living owner, None if there is none."""


class Lease:
    """A lease that is held: a context manager's value, kept alive by a thread until it is left."""

    def __init__(self, file: LeaseFile, heartbeat_s: float) -> None:
        self.owner = Owner.me()
        self._file = file
        self._heartbeat_s = heartbeat_s
        self._left = threading.Event()
        self._lost = False
        file.take(self.owner)
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)
        self._thread.start()

    def is_ours(self) -> bool:
        """Looks whether the lease is still held; it may be lost after the process was stopped for a while."""
        if not self._lost and not self._file.beat(self.owner):
            self._lost = True
        return not self._lost

    def release(self) -> None:
        """Gives the lease back; does nothing if it was lost."""
        self._left.set()
        self._thread.join()
        with contextlib.suppress(Exception):  # nobody beats it any more, so it is void before long
            self._file.drop(self.owner)

    def _beat(self) -> None:
        while not self._left.wait(self._heartbeat_s):
            with contextlib.suppress(Exception):  # a share or bucket that is away for a moment: the next beat tells
                if not self.is_ours():
                    return


class LocalLeaseFile:
    """A lease in a folder that one or several hosts see.

    Args:
        path: of the lease.
        folder: what it is a lease of, for messages.
        stale_after_s: it is void when nobody has touched it for so long.
        own_folder: whether its folder is there for it alone, and goes with it.
    """

    def __init__(self, path: Path, folder: str, stale_after_s: float, *, own_folder: bool = False) -> None:
        self.path = path
        self.folder = folder
        self.stale_after_s = stale_after_s
        self.own_folder = own_folder

    def take(self, owner: Owner) -> None:
        """See LeaseFile."""
        with self._guarded():
            if self.path.exists():
                if not self._is_void():
                    raise Busy(self.folder, self._read())
                self.path.unlink(missing_ok=True)
            try:
                with self.path.open("x", encoding="utf-8") as file:
                    file.write(owner.to_json())
            except FileExistsError:  # the file system has no flock and another host was faster
                raise Busy(self.folder, self._read()) from None

    def beat(self, owner: Owner) -> bool:
        """See LeaseFile."""
        held = self._read()
        if held is None or held.token != owner.token:
            return False
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.path)
            return True
        return False

    def drop(self, owner: Owner) -> None:
        """See LeaseFile."""
        with self._guarded():
            held = self._read()
            if held is not None and held.token == owner.token:
                self.path.unlink(missing_ok=True)
                if self.own_folder:
                    (self.path.parent / ".guard").unlink(missing_ok=True)
                    with contextlib.suppress(OSError):
                        self.path.parent.rmdir()

    def holder(self) -> Owner | None:
        """See LeaseFile."""
        return self._read() if self.path.exists() and not self._is_void() else None

    def _is_void(self) -> bool:
        owner = self._read()
        if owner is not None and owner.is_gone():
            return True
        try:
            return self._now() - self.path.stat().st_mtime > self.stale_after_s
        except FileNotFoundError:
            return True

    def _read(self) -> Owner | None:
        try:
            return Owner.from_json(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def _now(self) -> float:
        guard = self.path.parent / ".guard"
        try:
            guard.touch()
            return guard.stat().st_mtime
        except OSError:  # a store that this process may only read
            return time.time()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        descriptor = self._guard()
        try:
            yield
        finally:
            os.close(descriptor)

    def _guard(self) -> int:
        """Opens and locks the guard that lies there; another holder may have removed the one that was waited for."""
        path = self.path.parent / ".guard"
        while True:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:  # its folder went meanwhile
                continue
            with contextlib.suppress(OSError):  # some network file systems have no flock: O_EXCL has to do
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
            except FileNotFoundError:
                pass
            os.close(descriptor)


@contextlib.contextmanager
def held(place: Path, folder: str) -> Iterator[Lease]:
    """Holds a lease, in a folder ``place`` that is there for it alone and goes in the end.

    Raises:
        Busy: somebody else holds it.
    """
    lease = Lease(LocalLeaseFile(place / "owner", folder, STALE_AFTER_S, own_folder=True), HEARTBEAT_S)
    try:
        yield lease
    finally:
        lease.release()


def _process_space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _born(pid: int) -> str:
    """Returns the process's start time as Linux tells it (field 22 of its stat), "" where that is not known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return "" if fields[0] == "Z" else fields[19]
