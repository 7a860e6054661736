"""Bytes of files that may be damaged: gzip that is cut short or altered, lines that never end.

A crawl of thousands of files always holds some broken ones. What can be read is read, what cannot is counted.
"""

import io
import os
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Self

from t5core.corpora.places import Place, place_of

_MAGIC = b"\x1f\x8b\x08"
_CHUNK_BYTES = 1 << 16
_TAIL_BYTES = 4


class Stretches(io.RawIOBase):
    """The bytes of a file, through gzip when it is that, as one or more unharmed stretches.

    A stretch reads like a file. It ends at the end of the file or where gzip is damaged; ``resume()`` then goes on with
    the next gzip member that can be found, which is a new stretch. So no reader takes what stands on both sides of a
    gap for one record.

    Args:
        place: of the file. Whether it is gzip is read from its first bytes.

    Attributes:
        damaged: gaps up to here.
        tail: the last bytes of the stretch that were read.
    """

    _file: "BinaryIO | None" = None  # Python closes also what could not be opened

    def __init__(self, place: "str | os.PathLike[str] | Place") -> None:
        super().__init__()
        self._file = file = place_of(place).open()
        self._read = file.read
        self._raw = self._read(_CHUNK_BYTES)
        self._gzip = self._raw.startswith(_MAGIC)
        self._inflate: zlib._Decompress | None = None
        self._at_gap = False
        self._position = 0
        self.damaged = 0
        self.tail = b""

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self.close()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
        super().close()

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Tells where the stretch is read to, which is all the seeking there is: ``seek(0, SEEK_CUR)``."""
        if (offset, whence) not in ((0, io.SEEK_CUR), (self._position, io.SEEK_SET)):
            raise io.UnsupportedOperation("a stretch is read from front to back")
        return self._position

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        """Fills a buffer with the next bytes and returns how many there were, 0 at the end of the stretch."""
        data = self._inflated(len(buffer)) if self._gzip else self._plain(len(buffer))
        buffer[: len(data)] = data
        self.tail = (self.tail + data)[-_TAIL_BYTES:]
        self._position += len(data)
        return len(data)

    def resume(self) -> bool:
        """Goes on behind a gap, at the end of a stretch; returns False when there is nothing more."""
        if not self._at_gap:
            return False
        self._at_gap, self._position, self.tail = False, 0, b""
        return bool(self._raw)

    def _plain(self, size: int) -> bytes:
        data = self._raw[:size] or self._read(size)
        self._raw = self._raw[size:]
        return data

    def _inflated(self, size: int) -> bytes:
        while not self._at_gap:
            if not self._raw:
                self._raw = self._read(_CHUNK_BYTES)
                if not self._raw:
                    if self._inflate is not None:  # the file ends inside a member
                        self._gap(b"")
                    return b""
            if self._inflate is None:
                if not self._raw.startswith(_MAGIC[: len(self._raw)]):
                    if not self._raw.strip(b"\0"):  # padding
                        self._raw = b""
                        continue
                    self._gap(self._raw)
                    return b""
                self._inflate = zlib.decompressobj(wbits=31)
            given = self._raw
            try:
                data = self._inflate.decompress(given, size)
            except zlib.error:
                self._gap(given[1:])
                return b""
            self._raw = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._raw = self._inflate.unused_data
                self._inflate = None
            if data:
                return data
        return b""

    def _gap(self, rest: bytes) -> None:
        """Counts a gap and looks for the next member behind it."""
        self.damaged += 1
        self._at_gap, self._inflate = True, None
        at = rest.find(_MAGIC)
        while at < 0:
            more = self._read(_CHUNK_BYTES)
            if not more:
                self._raw = b""
                return
            rest = rest[-len(_MAGIC) + 1 :] + more
            at = rest.find(_MAGIC)
        self._raw = rest[at:]


def bounded_lines(stretch: io.RawIOBase, max_bytes: int) -> Iterator[bytes | None]:
    r"""Yields the lines of a stretch with their "\n", or None in place of a line of more than ``max_bytes`` bytes."""
    file = io.BufferedReader(stretch, buffer_size=_CHUNK_BYTES)
    while line := file.readline(max_bytes):
        if len(line) < max_bytes or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(_CHUNK_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield None
    file.detach()


def bounded_content(stretch: io.RawIOBase, max_bytes: int) -> bytes | None:
    """Returns all bytes of a stretch, None when there are more than ``max_bytes``."""
    parts, size = [], 0
    while part := stretch.read(_CHUNK_BYTES):
        size += len(part)
        if size > max_bytes:
            return None
        parts.append(part)
    return b"".join(parts)
