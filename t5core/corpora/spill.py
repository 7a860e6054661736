"""Files between two steps of work that exchange by hash: one folder a bucket, one file in it a part of the work."""

from pathlib import Path
from types import TracebackType
from typing import Self

_HELD_BYTES = 32 << 20


def bucket_of(key: bytes, buckets: int) -> int:
    """Returns which of ``buckets`` a key of 8 or more evenly spread bytes falls into; they follow the keys' order."""
    return int.from_bytes(key[:8], "big") * buckets >> 64


class Spill:
    """Writes to FOLDER/BUCKET/SEGMENT, with some megabytes held back and no file kept open.

    Args:
        folder: of the exchange.
        segment: of this part of the work; what an earlier try of the same part left there is removed.
    """

    def __init__(self, folder: Path, segment: str) -> None:
        self._folder, self._segment = folder, segment
        self._held: dict[int, bytearray] = {}
        self._bytes = 0

    def __enter__(self) -> Self:
        """Clears the segment and returns the spill."""
        for path in self._folder.glob(f"*/{self._segment}"):
            path.unlink()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes what is held."""
        if error is None:
            self._flush()

    def add(self, bucket: int, data: bytes) -> None:
        """Appends to a bucket."""
        self._held.setdefault(bucket, bytearray()).extend(data)
        self._bytes += len(data)
        if self._bytes >= _HELD_BYTES:
            self._flush()

    def _flush(self) -> None:
        for bucket, data in self._held.items():
            path = self._folder / str(bucket) / self._segment
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(data)
        self._held, self._bytes = {}, 0

    @staticmethod
    def files(folder: Path, bucket: int) -> list[Path]:
        """Returns what all parts wrote for a bucket."""
        return sorted((folder / str(bucket)).glob("*"))
