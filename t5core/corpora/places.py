"""A place with bytes: a local file, or an object at an address that fsspec knows.

    place_of("/data/a.warc.gz")           place_of("s3://bucket/a.warc.gz")          place_of("https://host/a.warc.gz")

A remote object is fetched whole, into a nameless file below TMPDIR, before the first byte of it is read. So what is
found broken is broken where it lies: a lost connection is never taken for a damaged record, and no connection has to
outlive slow reading. It takes disk for one object at a time and process.

What stands for the bytes is their SHA-256 for local files, and for remote ones what the store says of them (``ETag``,
MD5, the hub's own SHA-256), so that nothing is fetched twice; an object whose store says nothing is fetched and hashed.
"""

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from t5core.errors import ConfigError
from t5core.uris import file_system, local_path, masked

HUB_PREFIX = "hf:"
"""What sets on the hub begin with, see ``t5core.corpora.hub``; with // it is a file there."""

_TRIES = 3
_PAUSE_S = 1.0
_FIELD = "files"
_CHECKSUMS = ("sha256", "md5Hash", "Content-MD5", "ETag", "etag", "blob_id")

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Where some bytes lie. It can be sent to other processes and hosts.

    Attributes:
        address: an absolute path, or a URI with ``://`` that is not file://.
        listed: what a listing of the store said of the object; None where it is still to be asked.
    """

    address: str
    listed: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether it is a file that this machine's paths lead to."""
        return not is_uri(self.address)

    @property
    def name(self) -> str:
        """The last part of the address, which says by its ending what is there."""
        address = self.address
        if address.startswith(("http://", "https://")):
            address = address.partition("?")[0].partition("#")[0]
        return address.rpartition("/")[2]

    @property
    def shown(self) -> str:
        """The address as it may be shown."""
        return masked(self.address)

    @property
    def size(self) -> int | None:
        """Bytes, packed as they lie there; None when the store does not say.

        Raises:
            OSError: there is no such file, or it cannot be looked at.
            ConfigError: the same of a remote object.
        """
        if self.is_local:
            return Path(self.address).stat().st_size
        size = (self.listed or {}).get("size")
        size = self._info().get("size") if size is None else size
        return None if size is None else int(size)

    def __str__(self) -> str:
        """Returns the address as it may be shown."""
        return self.shown

    def __fspath__(self) -> str:
        """Returns the path of a local file; raises TypeError for a remote object."""
        if not self.is_local:
            raise TypeError(f"{self.shown} is no path")
        return self.address

    def is_there(self) -> bool:
        """Whether this machine sees a local file. Of remote objects it is taken for granted until they are opened."""
        return not self.is_local or Path(self.address).is_file()

    def open(self) -> io.BufferedReader:
        """Opens it for reading from its first byte; it can be sought in.

        Raises:
            OSError: of a local file.
            ConfigError: a remote object cannot be fetched.
        """
        return Path(self.address).open("rb") if self.is_local else self._asked("fetched", self._fetched)

    def content(self) -> str:
        """Returns what stands for the bytes: their SHA-256, or what the store says of them, with its name.

        Raises:
            OSError: of a local file.
            ConfigError: a remote object cannot be looked at.
        """
        stated = "" if self.is_local else _checksum(self._info())
        if stated:
            return stated
        with self.open() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _info(self) -> Mapping[str, Any]:
        if self.listed is not None and _checksum(self.listed):
            return self.listed
        fs, path = _opened(self.address)
        return self._asked("looked at", lambda: dict(fs.info(path)))

    def _fetched(self) -> io.BufferedReader:
        fs, path = _opened(self.address)
        size = (self.listed or {}).get("size")
        handle, name = tempfile.mkstemp(prefix="t5-")
        os.close(handle)
        try:
            fs.get_file(path, name)
            file = Path(name).open("rb")  # noqa: SIM115 - it is the caller's
        finally:
            Path(name).unlink(missing_ok=True)
        found = os.fstat(file.fileno()).st_size
        if size is not None and found != int(size):
            file.close()
            raise OSError(f"{found:,} bytes came of {int(size):,}")
        return file

    def _asked(self, what: str, question: Callable[[], T]) -> T:
        """What a store answers, asked again when it does not; every fsspec package raises errors of its own."""
        for attempt in range(1, _TRIES + 1):
            try:
                return question()
            except Exception as error:
                final = isinstance(error, FileNotFoundError | PermissionError)
                if final or attempt == _TRIES:
                    way_out = f"cannot be {what} ({reason_of(error)}); check the address, network and credentials"
                    raise ConfigError(_FIELD, self.shown, way_out) from None
            time.sleep(_PAUSE_S * 4 ** (attempt - 1))
        raise AssertionError("unreachable")


def is_uri(text: str) -> bool:
    """Whether it is the address of something remote, or the name of a set on the hub."""
    return "://" in text or text.startswith(HUB_PREFIX)


def place_of(given: "str | os.PathLike[str] | Place") -> Place:
    """Returns the place of a path or URI; file:// URIs and paths become absolute paths.

    Raises:
        ConfigError: a path in the home of nobody.
    """
    if isinstance(given, Place):
        return given
    text = without_file_scheme(os.fspath(given))
    return Place(text) if is_uri(text) else Place(str(local_path(text, _FIELD).absolute()))


def address_of(text: str) -> str:
    """Returns what a person typed, a path, glob or URI, so that it means the same in any folder."""
    return place_of(text).address


def without_file_scheme(text: str) -> str:
    """Returns the path of a file:// URI, everything else as it is."""
    return text[len("file://") :] if text.lower().startswith("file://") else text


def reason_of(error: Exception) -> str:
    """Returns the kind and first line of an error, without passwords."""
    line = (str(error).strip().splitlines() or [""])[0][:200]
    return masked(f"{type(error).__name__}: {line}" if line else type(error).__name__)


def _opened(address: str) -> tuple[Any, str]:
    return file_system(address, _FIELD, "give a path")


def _checksum(info: Mapping[str, Any]) -> str:
    """What a store says of an object's bytes, "" when it says nothing that changes with them."""
    lfs = info.get("lfs")
    sha256 = lfs.get("sha256") if isinstance(lfs, dict) else getattr(lfs, "sha256", None)
    known = {"sha256": sha256, **info}
    for name in _CHECKSUMS:
        value = str(known.get(name) or "").strip('"')
        if value:
            return f"{name} {value} {info.get('size')}"
    return ""
