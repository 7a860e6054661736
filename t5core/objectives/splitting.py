"""From documents to texts of one example's length, as the released code cuts them.

Objectives that read joined documents (see ``catalogue``) join them, in the released code 128 at a time, and cut the
result; the others cut each document by itself. ``t5core.feeds`` does the same to a whole corpus without copying it:
there all documents are joined, so that only the corpus' very end is left over, not that of every 128 documents.
"""

from collections.abc import Iterable
from itertools import islice

import numpy as np
import numpy.typing as npt

from t5core.errors import ConfigError
from t5core.objectives.noise import Ints


def split_tokens(tokens: npt.ArrayLike, max_tokens_per_segment: int) -> list[Ints]:
    """Cuts a text into segments of ``max_tokens_per_segment`` tokens, the last of which may be shorter.

    Args:
        tokens: ids, ``[L]``.
        max_tokens_per_segment: 1 or more.

    Returns:
        The segments in order, none of them empty; of an empty text, none at all.

    Raises:
        ConfigError: for a length below 1.
    """
    if max_tokens_per_segment < 1:
        raise ConfigError("max_tokens_per_segment", max_tokens_per_segment, "give a length of 1 or more tokens")
    whole_L = np.asarray(tokens)
    return [whole_L[i : i + max_tokens_per_segment] for i in range(0, len(whole_L), max_tokens_per_segment)]


def reduce_concat_tokens(documents: Iterable[npt.ArrayLike], batch_size: int = 128) -> list[Ints]:
    """Joins each ``batch_size`` documents into one; id 0 is padding and dropped wherever it stands.

    Args:
        documents: ids of each, ``[L]``.
        batch_size: how many are joined, 1 or more; what is left at the end is joined, too.

    Returns:
        The joined documents, int32.

    Raises:
        ConfigError: for a batch size below 1.
    """
    if batch_size < 1:
        raise ConfigError("batch_size", batch_size, "join 1 or more documents")
    joined = []
    rest = iter(documents)
    while group := list(islice(rest, batch_size)):
        joined_L = np.concatenate([np.asarray(document, dtype=np.int32) for document in group])
        joined.append(joined_L[joined_L != 0])
    return joined
