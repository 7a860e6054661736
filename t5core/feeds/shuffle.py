"""Documents on disk put in the order of a keyed permutation, in memory that their number does not change.

Document ``d`` of ``n`` goes to place ``permuted(d, n, seed)`` (``feeds.permutation``): computed, never stored. Copying
document by document to its place would read or write all over a file that may be larger than memory. So the places
are cut into buckets that fit in memory, and everything is read and written in long runs:

    arrival order, a chunk at a time ──► each document behind the others of its bucket, in the final file
    the final file, a bucket at a time ──► its documents in order

A split that fits in one chunk is in order after the first pass. Memory: about five chunks (160 MB).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from t5core.feeds.permutation import permuted

CHUNK_BYTES = 1 << 25
"""Tokens of a chunk: buckets are as large, more or less, so this bounds memory."""

CHUNK_DOCUMENTS = 1 << 17
"""Documents of a chunk, which bounds memory where they are short."""

Int64s = npt.NDArray[np.int64]
_SIZE = np.dtype(np.int64)
_ENTRY = np.dtype([("place", np.int64), ("size", np.int64)])


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is held in memory at once."""

    chunk_bytes: int = CHUNK_BYTES
    chunk_documents: int = CHUNK_DOCUMENTS


def write_shuffled(
    tokens: Path, sizes: Path, into: tuple[Path, Path], dtype: np.dtype[Any], seed: int, limits: Limits | None = None
) -> None:
    """Writes documents in the order of their permutation as two ``.npy`` files.

    Args:
        tokens: all documents end to end in the order they came, raw numbers of ``dtype``.
        sizes: how many tokens each has, raw int64; at least one document.
        into: the files of tokens and of offsets.
        dtype: of the tokens.
        seed: of the order.
        limits: of memory; they do not change what is written.
    """
    limits = limits or Limits()
    documents = sizes.stat().st_size // _SIZE.itemsize
    chunks = list(_chunks(sizes, dtype, limits))
    places = _Buckets(documents, len(chunks), seed)
    entries = into[0].with_suffix(".entries")
    try:
        with into[0].open("w+b") as out, into[1].open("wb") as offsets:
            head = _head(out, dtype, tokens.stat().st_size // dtype.itemsize)
            _head(offsets, _SIZE, documents + 1)
            offsets.write(np.zeros(1, _SIZE).tobytes())
            with entries.open("w+b") as index:
                bucket_bytes = _partition(tokens, sizes, chunks, places, dtype, (out, index))
                _put_in_order(out, index, offsets, head, bucket_bytes, places, dtype)
    finally:
        entries.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Buckets:
    """Which documents go where: the places are cut into ``count`` nearly equal runs."""

    documents: int
    count: int
    seed: int

    def places(self, first: int, count: int) -> Int64s:
        """Where ``count`` documents from ``first`` on go."""
        return permuted(np.arange(first, first + count), self.documents, self.seed)

    @cached_property
    def bounds(self) -> Int64s:
        """Bucket ``b`` holds the places ``bounds[b] ... bounds[b + 1] - 1``."""
        # in Python's numbers: the product may not fit in 64 bits
        return np.array([b * self.documents // self.count for b in range(self.count + 1)], dtype=np.int64)

    def of(self, places: Int64s) -> Int64s:
        """The bucket of each place."""
        return np.searchsorted(self.bounds, places, side="right").astype(np.int64) - 1


def _chunks(sizes: Path, dtype: np.dtype[Any], limits: Limits) -> Iterator[tuple[int, int]]:
    """Cuts arrival order into ``(first document, documents)``; a document above the limit is a chunk by itself."""
    first = 0
    most = max(1, limits.chunk_bytes // dtype.itemsize)
    with sizes.open("rb") as file:
        while True:
            file.seek(first * _SIZE.itemsize)
            ahead = np.fromfile(file, _SIZE, limits.chunk_documents)
            if not len(ahead):
                return
            count = max(1, int(np.searchsorted(np.cumsum(ahead), most, side="right")))
            yield first, count
            first += count


def _partition(
    tokens: Path,
    sizes: Path,
    chunks: list[tuple[int, int]],
    buckets: _Buckets,
    dtype: np.dtype[Any],
    into: tuple[BinaryIO, BinaryIO],
) -> Int64s:
    """Writes each document, and its place and size, behind those of its bucket; returns the buckets' bytes."""
    bucket_bytes = np.zeros(buckets.count, np.int64)
    with sizes.open("rb") as file:
        for first, count in chunks:
            of_bucket = buckets.of(buckets.places(first, count))
            np.add.at(bucket_bytes, of_bucket, np.fromfile(file, _SIZE, count) * dtype.itemsize)
    out, index = into
    next_byte = out.tell() + np.cumsum(bucket_bytes) - bucket_bytes
    next_entry = buckets.bounds[:-1] * _ENTRY.itemsize
    with tokens.open("rb") as text, sizes.open("rb") as file:
        for first, count in chunks:
            entries = np.empty(count, _ENTRY)
            entries["place"], entries["size"] = buckets.places(first, count), np.fromfile(file, _SIZE, count)
            entries, ordered = _in_order(text.read(int(entries["size"].sum()) * dtype.itemsize), entries, dtype)
            cuts = np.searchsorted(entries["place"], buckets.bounds)
            byte_cuts = np.concatenate([[0], np.cumsum(entries["size"])])[cuts] * dtype.itemsize
            runs = memoryview(ordered)
            for b in np.flatnonzero(np.diff(cuts)):
                out.seek(next_byte[b])
                next_byte[b] += out.write(runs[byte_cuts[b] : byte_cuts[b + 1]])
                index.seek(next_entry[b])
                next_entry[b] += index.write(entries[cuts[b] : cuts[b + 1]].tobytes())
    return bucket_bytes


def _put_in_order(
    out: BinaryIO,
    index: BinaryIO,
    offsets: BinaryIO,
    head: int,
    bucket_bytes: Int64s,
    buckets: _Buckets,
    dtype: np.dtype[Any],
) -> None:
    """Puts the documents of each bucket in order, and writes where they end."""
    index.seek(0)
    start = 0
    for size, documents in zip(bucket_bytes.tolist(), np.diff(buckets.bounds).tolist(), strict=True):
        entries = np.frombuffer(index.read(documents * _ENTRY.itemsize), _ENTRY)
        if buckets.count > 1:
            out.seek(head + start * dtype.itemsize)
            entries, ordered = _in_order(out.read(size), entries, dtype)
            out.seek(head + start * dtype.itemsize)
            out.write(ordered)
        ends = start + np.cumsum(entries["size"])
        offsets.write(ends.tobytes())
        start = int(ends[-1]) if len(ends) else start


def _in_order(text: bytes, entries: npt.NDArray[Any], dtype: np.dtype[Any]) -> tuple[npt.NDArray[Any], bytes]:
    """Sorts documents that lie end to end by their places."""
    order = np.argsort(entries["place"])
    ends = np.cumsum(entries["size"]) * dtype.itemsize
    starts = ends - entries["size"] * dtype.itemsize
    # one gather by index takes twice the time at 250 tokens a document, eight times at 1,500, and as long at 60
    bounds = zip(starts[order].tolist(), ends[order].tolist(), strict=True)
    return entries[order], b"".join([text[a:b] for a, b in bounds])


def _head(file: BinaryIO, dtype: np.dtype[Any], length: int) -> int:
    """Writes the head of a one-dimensional ``.npy`` file; returns its bytes."""
    head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(file, head)
    return file.tell()
