"""The tokenised store: a split's ids end to end on disk, and where each document starts.

    {split}.tokens.npy     uint16 [total], or uint32 for more than 65,536 pieces
    {split}.offsets.npy    int64 [documents + 1]; document d is tokens[offsets[d] : offsets[d + 1]]

Both are mapped read-only: opening reads some hundred bytes, memory holds only the pages that are touched, and all
processes of a node share them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from t5core.errors import DataError

Ints = npt.NDArray[np.integer[Any]]

TOKEN_TYPES = (np.dtype(np.uint16), np.dtype(np.uint32))


def store_paths(folder: Path, split: str) -> tuple[Path, Path]:
    """Returns where a split's tokens and offsets lie."""
    return folder / f"{split}.tokens.npy", folder / f"{split}.offsets.npy"


@dataclass(frozen=True, eq=False)
class TokenStore:
    """Documents as ids, reached by index.

    ``len(store)`` is the number of documents, ``store[d]`` the ids of one of them, a view.

    Attributes:
        tokens: uint16 or uint32 ``[total]``, all documents end to end, without EOS between them.
        offsets: int64 ``[documents + 1]``, from 0 to ``total``.
    """

    tokens: Ints
    offsets: npt.NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path, split: str) -> "TokenStore":
        """Maps a split that ``tokenise`` wrote.

        Raises:
            DataError: it was not tokenised, or not to its end, or the files are others.
        """
        tokens_path, offsets_path = store_paths(folder, split)
        tokens, offsets = _mapped(tokens_path, split), _mapped(offsets_path, split)
        if tokens.dtype not in TOKEN_TYPES or tokens.ndim != 1:
            raise _foreign(tokens_path, split, "uint16 or uint32 ids", tokens)
        if offsets.dtype != np.int64 or offsets.ndim != 1:
            raise _foreign(offsets_path, split, "int64 offsets", offsets)
        if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(tokens):
            raise DataError("split", split, f"{tokens_path} does not match its offsets: tokenise the corpus again")
        return cls(tokens, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, document: int) -> Ints:
        """Returns the ids of one document, ``[its tokens]``; a view, nothing is copied.

        Raises:
            IndexError: there is no such document. Negative numbers do not count from the end.
        """
        if not 0 <= document < len(self):
            raise IndexError(f"document {document}: there are {len(self)}, from 0 up")
        return self.tokens[self.offsets[document] : self.offsets[document + 1]]

    def first(self, count: int) -> "TokenStore":
        """Returns the first ``count`` tokens and their documents, the last of which is cut.

        Raises:
            DataError: there are no more than ``count``, so that nothing would be left out.
        """
        total = len(self.tokens)
        if count >= total:
            raise DataError("unlabeled_tokens", count, f"the corpus has {total} tokens: take fewer, or all of it")
        whole = self.offsets[: np.searchsorted(self.offsets, count)]
        return TokenStore(self.tokens[:count], np.append(whole, np.int64(count)))


def _mapped(path: Path, split: str) -> npt.NDArray[Any]:
    if not path.is_file():
        raise DataError("split", split, f"{path} is missing: tokenise the corpus first")
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:  # no array, or a shorter one than its head says
        raise DataError("split", split, f"{path} is cut or no array ({error}): tokenise the corpus again") from error
    if not isinstance(array, np.ndarray):  # an archive of arrays
        raise DataError("split", split, f"{path} is no array: tokenise the corpus again")
    return array


def _foreign(path: Path, split: str, expected: str, found: npt.NDArray[Any]) -> DataError:
    what = f"{found.dtype} with {found.ndim} dimensions in place of {expected}"
    return DataError("split", split, f"{path} holds {what}: tokenise the corpus again")
