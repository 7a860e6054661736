"""A corpus as numbers on disk: ``{split}.tokens.npy``, all documents end to end, and ``{split}.offsets.npy``.

Documents are stored in a seeded random order, so that a feed that cuts the stream into segments finds unrelated
neighbours, and without EOS between them, as in the released code. Ids take 2 bytes each when the vocabulary fits in
16 bits, as the paper's does. Both files are read memory-mapped: a feed touches only the segments of its batch.

Text streams through: one chunk of documents is in memory at a time. Their tokens go to a scratch file in the order
they come, and from there, document by document, to their places in the final one.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from t5core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from t5core.vocabulary import Vocabulary

CHUNK_DOCUMENTS = 2048
Ints = npt.NDArray[np.integer[Any]]


def tokenise(documents: Iterable[str], vocabulary: "Vocabulary", folder: Path, split: str, seed: int) -> int:
    """Encodes documents and stores them in random order.

    Args:
        documents: texts; those without a token are left out.
        vocabulary: encodes a chunk of them at a time.
        folder: where the two files go; made if missing.
        split: their prefix, such as "train".
        seed: of the order, 0 or more.

    Returns:
        How many tokens were stored.

    Raises:
        ConfigError: for a seed below 0.
        DataError: when there is no text at all.
    """
    if seed < 0:
        raise ConfigError("seed", seed, "give a number from 0 up")
    folder.mkdir(parents=True, exist_ok=True)
    tokens_path, offsets_path = _paths(folder, split)
    dtype = np.dtype(np.uint16 if vocabulary.size <= 1 << 16 else np.uint32)
    scratch = folder / f"{split}.tokens.scratch"
    sizes: list[int] = []
    try:
        with scratch.open("wb") as file:
            for rows in _encoded(documents, vocabulary):
                sizes += [len(row) for row in rows]
                np.fromiter(chain.from_iterable(rows), dtype, sum(map(len, rows))).tofile(file)
        if not sizes:
            raise DataError("documents", 0, f"there is no text to tokenise for {split}: add documents")
        _write_ordered(np.memmap(scratch, dtype=dtype, mode="r"), np.array(sizes), tokens_path, offsets_path, seed)
    finally:
        scratch.unlink(missing_ok=True)
    return sum(sizes)


def load_tokens(folder: Path, split: str) -> tuple[Ints, npt.NDArray[np.int64]]:
    """Returns a split's ``(tokens, offsets)``: ids ``[total]``, memory-mapped, and int64 ``[documents + 1]``.

    Raises:
        DataError: when the split was not tokenised, or not to its end.
    """
    tokens_path, offsets_path = _paths(folder, split)
    for path in (tokens_path, offsets_path):
        if not path.is_file():
            raise DataError("split", split, f"{path} is missing: tokenise the corpus first")
    tokens: Ints = np.load(tokens_path, mmap_mode="r", allow_pickle=False)
    offsets: npt.NDArray[np.int64] = np.load(offsets_path, allow_pickle=False)
    if len(offsets) < 2 or offsets[-1] != len(tokens):
        raise DataError("split", split, f"{tokens_path} does not match its offsets: tokenise the corpus again")
    return tokens, offsets


def first_tokens(tokens: Ints, offsets: npt.NDArray[np.int64], count: int) -> tuple[Ints, npt.NDArray[np.int64]]:
    """Returns the first ``count`` tokens of a split and the offsets of their documents, the last of which is cut.

    Raises:
        DataError: there are no more than ``count``, so that nothing would be left out.
    """
    if count >= len(tokens):
        raise DataError("unlabeled_tokens", count, f"the corpus has {len(tokens)} tokens: take fewer, or all of it")
    whole = offsets[offsets < count]
    return tokens[:count], np.append(whole, np.int64(count))


def _paths(folder: Path, split: str) -> tuple[Path, Path]:
    return folder / f"{split}.tokens.npy", folder / f"{split}.offsets.npy"


def _encoded(documents: Iterable[str], vocabulary: "Vocabulary") -> Iterator[list[list[int]]]:
    texts = iter(documents)
    while chunk := list(islice(texts, CHUNK_DOCUMENTS)):
        yield [ids for ids in vocabulary.encode_batch(chunk) if ids]


def _write_ordered(tokens: Ints, sizes: Ints, tokens_path: Path, offsets_path: Path, seed: int) -> None:
    """Writes the documents in seeded order; the files get their names when they are complete, offsets last."""
    starts = np.cumsum(sizes) - sizes
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(sizes))
    offsets = np.concatenate([[0], np.cumsum(sizes[order])]).astype(np.int64)
    partial = tokens_path.with_suffix(".partial")
    out = np.lib.format.open_memmap(partial, mode="w+", dtype=tokens.dtype, shape=(int(offsets[-1]),))
    for place, document in enumerate(order):
        start = starts[document]
        out[offsets[place] : offsets[place + 1]] = tokens[start : start + sizes[document]]
    out.flush()
    del out
    offsets_path.unlink(missing_ok=True)
    partial.replace(tokens_path)
    partial = offsets_path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, offsets, allow_pickle=False)
    partial.replace(offsets_path)
