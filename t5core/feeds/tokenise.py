"""A corpus as numbers on disk: text in, a store of ids out (``feeds.store``).

Documents are stored in the order of a keyed permutation (``feeds.shuffle``), so that a feed that cuts the stream into
segments finds unrelated neighbours, and without EOS between them, as in the released code. Ids take 2 bytes each when
the vocabulary fits in 16 bits, as the paper's does.

Text streams through. SentencePiece encodes a chunk on all cores, outside Python's lock, while the chunk before it is
written and the next one is read: three chunks of text are in memory at a time.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from t5core.errors import ConfigError, DataError
from t5core.feeds.shuffle import Limits, write_shuffled
from t5core.feeds.store import store_paths

if TYPE_CHECKING:
    from t5core.vocabulary import Vocabulary

CHUNK_DOCUMENTS = 2048
"""Documents that are encoded in one call, at most, by each thread."""

CHUNK_CHARS = 1 << 19
"""Characters of them, for each thread; a longer document is encoded by itself."""

_CHUNKS_AHEAD = 2
Encoded = tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.int64]]


def tokenise(
    documents: Iterable[str],
    vocabulary: "Vocabulary",
    folder: Path,
    split: str,
    seed: int,
    *,
    threads: int | None = None,
    limits: Limits | None = None,
) -> int:
    """Encodes documents and stores them in random order.

    Of ``n`` documents that have a token, number ``d`` of the input is number ``permuted(d, n, seed)`` of the store
    (``feeds.permutation``).

    Args:
        documents: texts; those without a token are left out.
        vocabulary: encodes a chunk of them at a time.
        folder: where the two files go; made if missing.
        split: their prefix, such as "train".
        seed: of the order, 0 or more.
        threads: how many encode; None: one for each core that this process may use. They change no bit.
        limits: of memory while the order is made; they change no bit either.

    Returns:
        How many tokens were stored.

    Raises:
        ConfigError: for a seed below 0 or threads below 1.
        DataError: when there is no text at all.
    """
    if seed < 0:
        raise ConfigError("seed", seed, "give a number from 0 up")
    if threads is not None and threads < 1:
        raise ConfigError("threads", threads, "give 1 or more")
    folder.mkdir(parents=True, exist_ok=True)
    finals = store_paths(folder, split)
    dtype = np.dtype(np.uint16 if vocabulary.size <= 1 << 16 else np.uint32)
    arrived = folder / f"{split}.tokens.scratch", folder / f"{split}.sizes.scratch"
    partial = finals[0].with_suffix(".partial"), finals[1].with_suffix(".partial")
    total = 0
    try:
        with arrived[0].open("wb") as tokens_file, arrived[1].open("wb") as sizes_file:
            for tokens, sizes in _encoded(documents, vocabulary, threads or usable_cores()):
                tokens_file.write(tokens.astype(dtype).data)
                sizes_file.write(sizes[sizes > 0].data)
                total += len(tokens)
        if not total:
            raise DataError("documents", 0, f"there is no text to tokenise for {split}: add documents")
        write_shuffled(*arrived, partial, dtype, seed, limits)
        finals[1].unlink(missing_ok=True)  # offsets come last: a store that has them is whole
        for written, final in zip(partial, finals, strict=True):
            written.replace(final)
    finally:
        for path in (*arrived, *partial):
            path.unlink(missing_ok=True)
    return total


def usable_cores() -> int:
    """Returns how many cores the system lets this process use.

    The one CPU that a preparatory stage reserves in Ray, and OMP_NUM_THREADS, which follows from it, are no limit here:
    everything waits for the tokens, for a short time, and a large corpus would take one core a day.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _encoded(documents: Iterable[str], vocabulary: "Vocabulary", threads: int) -> Iterator[Encoded]:
    """Encodes chunks in another thread, some ahead, and gives them in the order of their documents."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenise") as pool:
        waiting: deque[Future[Encoded]] = deque()
        for chunk in _chunks(documents, threads):
            waiting.append(pool.submit(vocabulary.encode_flat, chunk, threads))
            if len(waiting) > _CHUNKS_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _chunks(documents: Iterable[str], threads: int) -> Iterator[list[str]]:
    chunk: list[str] = []
    chars = 0
    for text in documents:
        if chunk and (chars + len(text) > threads * CHUNK_CHARS or len(chunk) == threads * CHUNK_DOCUMENTS):
            yield chunk
            chunk, chars = [], 0
        chunk.append(text)
        chars += len(text)
    if chunk:
        yield chunk
