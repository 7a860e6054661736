"""What an objective shows the model, as text a person can read.

The same ``corrupt_batch`` that feeds training makes the examples, on words instead of pieces when there is no
vocabulary at hand: "Thank you for inviting me to your party last week ." at 15 % may become

    inputs:  Thank you for inviting me to <extra_id_0> last week .
    targets: <extra_id_0> your party
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from t5core.config import ObjectiveConfig
from t5core.objectives.catalogue import lengths
from t5core.objectives.corruption import corrupt_batch
from t5core.objectives.encodings import RESERVED_IDS
from t5core.objectives.splitting import split_tokens
from t5core.vocabulary import EOS_ID, PAD_ID


class Codec(Protocol):
    """The part of ``Vocabulary`` that is needed here."""

    @property
    def sentinels_end(self) -> int:
        """One more than the id of the first sentinel."""

    @property
    def num_sentinels(self) -> int:
        """How many there are, counted downwards from it."""

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text, without EOS."""

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids up to EOS, sentinels as ``<extra_id_k>``."""


class Words:
    """A stand-in for a vocabulary whose tokens are the white-space separated words of one text.

    Ids as in a real one: 3 reserved, then the words in order of appearance, then the sentinels, the first highest.
    """

    def __init__(self, text: str, num_sentinels: int = 100) -> None:
        self._words = list(dict.fromkeys(text.split()))
        self._ids = {word: RESERVED_IDS + i for i, word in enumerate(self._words)}
        self.num_sentinels = num_sentinels
        self.sentinels_end = RESERVED_IDS + len(self._words) + num_sentinels

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text's words; it has to consist of words of the text given at first."""
        return [self._ids[word] for word in text.split()]

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the words up to EOS, joined by spaces."""
        shown = []
        for token in ids:
            if token == EOS_ID:
                break
            if token >= self.sentinels_end - self.num_sentinels:
                shown.append(f"<extra_id_{self.sentinels_end - 1 - token}>")
            elif token != PAD_ID:
                shown.append(self._words[token - RESERVED_IDS])
        return " ".join(shown)


@dataclass(frozen=True, kw_only=True)
class ShownExample:
    """One example, decoded, and its ids with EOS and without padding."""

    inputs: str
    targets: str
    input_ids: tuple[int, ...]
    target_ids: tuple[int, ...]


def shown_examples(
    text: str, codec: Codec, objective: ObjectiveConfig, *, inputs_length: int, seed: int
) -> Iterator[ShownExample]:
    """Cuts one document to the objective's length and corrupts each part.

    Args:
        text: the document.
        codec: a Vocabulary, or ``Words(text)``.
        objective: which one.
        inputs_length: tokens of the input at most, EOS included; for "lm", of the target.
        seed: of the noise; a part's noise depends on the seed and its place, not on the text around it.
    """
    tokens = np.array(codec.encode(text), dtype=np.int32)
    size = lengths(objective, inputs_length)
    for part, raw_L in enumerate(split_tokens(tokens, size.raw_tokens)):
        inputs, targets = corrupt_batch(
            objective,
            raw_L[None, :],
            np.array([len(raw_L)]),
            vocab_size=codec.sentinels_end,
            extra_ids=codec.num_sentinels,
            inputs_length=size.inputs,
            targets_length=size.targets,
            rng=np.random.Generator(np.random.Philox(key=np.array([seed, part], dtype=np.uint64))),
        )
        input_ids, target_ids = _trimmed(inputs[0]), _trimmed(targets[0])
        yield ShownExample(
            inputs=codec.decode(input_ids),
            targets=codec.decode(target_ids),
            input_ids=input_ids,
            target_ids=target_ids,
        )


def _trimmed(row: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> tuple[int, ...]:
    ids: list[int] = row.tolist()
    return tuple(ids[: ids.index(EOS_ID) + 1]) if ids else ()
