"""Files between two steps of work that exchange by hash: one file for each part of the work, all its buckets in it.

A file for each part and bucket would be millions for a large corpus. Here a part writes blocks, each a table of where
its buckets begin and then their bytes, and at the end where its blocks are:

    block: P + 1 places | bytes of bucket 0 | ... | bytes of bucket P - 1   block ...   places of blocks | their number
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

_HELD_BYTES = 32 << 20
_PLACE = np.dtype("<i8")
_COUNT = struct.Struct("<q")
_ENDS = struct.Struct("<qq")


def bucket_of(key: bytes, buckets: int) -> int:
    """Returns which of ``buckets`` a key of 8 or more evenly spread bytes falls into; they follow the keys' order."""
    return int.from_bytes(key[:8], "big") * buckets >> 64


@dataclass(frozen=True)
class Extent:
    """Where bytes of a bucket lie.

    Attributes:
        path: of the file.
        start, end: in bytes.
    """

    path: Path
    start: int
    end: int

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yields the lines with where each of them begins; no bucket ends inside a line."""
        with self.path.open("rb") as file:
            at = self.start
            file.seek(at)
            while at < self.end:
                line = file.readline()
                yield at, line
                at += len(line)


class Spill:
    """Writes FOLDER/SEGMENT, with some megabytes held back.

    Args:
        folder: of the exchange.
        segment: of this part of the work; what an earlier try of the same part left there is replaced.
        buckets: how many there are.
    """

    def __init__(self, folder: Path, segment: str, buckets: int) -> None:
        self._path, self._buckets = folder / segment, buckets
        self._held: dict[int, bytearray] = {}
        self._bytes = 0
        self._blocks: list[int] = []
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Opens the file and returns the spill."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes what is held; after an error the file has no end and counts as none."""
        assert self._file is not None
        with self._file:
            if error is None:
                self._flush()
                self._file.write(np.array(self._blocks, _PLACE).tobytes() + _COUNT.pack(len(self._blocks)))

    def add(self, bucket: int, data: bytes) -> None:
        """Appends to a bucket."""
        self._held.setdefault(bucket, bytearray()).extend(data)
        self._bytes += len(data)
        if self._bytes >= _HELD_BYTES:
            self._flush()

    def _flush(self) -> None:
        assert self._file is not None
        if not self._held:
            return
        start = self._file.tell()
        self._blocks.append(start)
        sizes = np.zeros(self._buckets + 1, _PLACE)
        for bucket, data in self._held.items():
            sizes[bucket + 1] = len(data)
        self._file.write((np.cumsum(sizes) + start + sizes.nbytes).astype(_PLACE).tobytes())
        for bucket in sorted(self._held):
            self._file.write(self._held[bucket])
        self._held, self._bytes = {}, 0


def extents(folder: Path, bucket: int) -> list[Extent]:
    """Returns where the bytes of a bucket lie, those of all parts, in the order of the parts' names."""
    found = []
    for path in sorted(folder.glob("*")):
        with path.open("rb") as file:
            file.seek(-_COUNT.size, 2)
            (count,) = _COUNT.unpack(file.read())
            file.seek(-_COUNT.size - count * _PLACE.itemsize, 2)
            for block in np.frombuffer(file.read(count * _PLACE.itemsize), _PLACE).tolist():
                file.seek(block + bucket * _PLACE.itemsize)
                start, end = _ENDS.unpack(file.read(_ENDS.size))
                if end > start:
                    found.append(Extent(path, start, end))
    return found


def bucket_array(folder: Path, bucket: int, kind: "np.dtype[np.void]") -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    """Returns a bucket of records of a fixed form as one array."""
    parts = [np.empty(0, kind)]
    for extent in extents(folder, bucket):
        count = (extent.end - extent.start) // kind.itemsize
        parts.append(np.fromfile(extent.path, kind, count=count, offset=extent.start))
    return np.concatenate(parts)
