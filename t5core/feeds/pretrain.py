"""Pre-training batches: segments of stored text, corrupted when they are asked for.

    batch i ──► places i·B ... i·B + B - 1 of an endless run over the segments, epoch after epoch
            ──► each place's segment, by a keyed permutation that belongs to (seed, epoch)
            ──► raw tokens [B, L] ──► corrupt_batch, with a generator that belongs to (seed, i)
            ──► for decoder-only models, inputs and targets joined (feeds.join)

Segments: "joined" objectives cut the whole stream of documents into pieces of ``lengths.raw_tokens``, dropping the
rest at the end; the others cut each document by itself and drop pieces of fewer than 8 tokens. The cuts are the
same in every epoch, order and noise are new in each.

Legend: B rows of a batch, L raw tokens per segment.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from t5core.config import ObjectiveConfig
from t5core.errors import ConfigError, DataError
from t5core.feeds.batch import Batch, stacked
from t5core.feeds.join import join, joined_length
from t5core.feeds.permutation import permuted
from t5core.feeds.ragged import gather
from t5core.objectives.catalogue import Lengths, lengths, recipe
from t5core.objectives.corruption import corrupt_batch

MIN_PIECE_TOKENS = 8
_BATCHES_AT_ONCE = 32
Ints = npt.NDArray[np.integer[Any]]


class PretrainFeed:
    """Corrupted batches of one objective over one tokenised corpus.

    Args:
        tokens: all documents' ids end to end, ``[total]``, any integer type, maybe memory-mapped.
        offsets: document ``d`` is ``tokens[offsets[d] : offsets[d + 1]]``; int64 ``[documents + 1]``.
        objective: what to do with them.
        vocab_size: pieces and sentinels together (``Vocabulary.sentinels_end``).
        num_sentinels: sentinels among them.
        batch_size: rows per batch.
        inputs_length: columns of the inputs, EOS included.
        targets_length: columns of the targets; None: what the objective needs (``lengths(...).targets``).
        seed: of order and noise, 0 or more.
        joined_by: ids of the marker that joins inputs and targets for decoder-only models (``feeds.join``); None:
            batches for an encoder-decoder. "lm" has no inputs, so its batches are decoder-only either way, without
            marker and prefix.

    Attributes:
        lengths: raw tokens read per row, and columns of a batch's inputs and targets.
        num_segments: segments in one epoch.

    Raises:
        ConfigError: for a seed below 0 or inputs too short.
        DataError: for a corpus without a single segment.
    """

    def __init__(
        self,
        tokens: Ints,
        offsets: Ints,
        objective: ObjectiveConfig,
        *,
        vocab_size: int,
        num_sentinels: int,
        batch_size: int,
        inputs_length: int,
        targets_length: int | None = None,
        seed: int = 0,
        joined_by: Sequence[int] | None = None,
    ) -> None:
        if seed < 0:
            raise ConfigError("seed", seed, "give a number from 0 up")
        size = lengths(objective, inputs_length)
        targets = size.targets if targets_length is None else targets_length
        how = recipe(objective)
        self.objective = objective
        self.vocab_size = vocab_size
        self.num_sentinels = num_sentinels
        self.batch_size = batch_size
        self.seed = seed
        self.joined_by = None if how.inputs == "nothing" else joined_by
        self._corrupted = Lengths(raw_tokens=size.raw_tokens, inputs=size.inputs, targets=targets)
        self.lengths = self._corrupted
        if self.joined_by is not None:
            width = joined_length(size.inputs, targets, self.joined_by)
            self.lengths = Lengths(raw_tokens=size.raw_tokens, inputs=0, targets=width)
        self._tokens = np.asarray(tokens)  # a plain view; memory-mapped tokens stay on disk
        self._segments_SL: Ints | None = None
        self._ahead: tuple[int, Ints] | None = None  # segments of the batches around the one used last
        if how.joined:
            self._segments_SL = _joined(self._tokens, size.raw_tokens)
            self.num_segments = len(self._segments_SL)
        else:
            self._starts_S, self._lengths_S = _alone(offsets, size.raw_tokens)
            self.num_segments = len(self._starts_S)
        if self.num_segments == 0:
            raise DataError(
                "tokens", len(tokens), f"not enough text for one segment of {size.raw_tokens} tokens: add text"
            )

    @property
    def tokens_per_batch(self) -> int:
        """Tokens of a batch as the paper counts them (2^16 for 128 × 512): of inputs or targets, whichever is more."""
        return self.batch_size * max(self.lengths.inputs, self.lengths.targets)

    @property
    def raw_tokens_per_batch(self) -> int:
        """Tokens of text that a batch reads, at most."""
        return self.batch_size * self.lengths.raw_tokens

    @property
    def steps_per_epoch(self) -> float:
        """Batches until every segment was seen once."""
        return self.num_segments / self.batch_size

    def batch(self, i: int) -> Batch:
        """Returns batch ``i``, the same one whenever and wherever it is asked for."""
        tokens_BL, lengths_B = self.raw(i)
        inputs, targets = corrupt_batch(
            self.objective,
            tokens_BL,
            lengths_B,
            vocab_size=self.vocab_size,
            extra_ids=self.num_sentinels,
            inputs_length=self._corrupted.inputs,
            targets_length=self._corrupted.targets,
            rng=np.random.Generator(np.random.SFC64(np.random.SeedSequence((self.seed, i)))),
        )
        batch = Batch(inputs=inputs, targets=targets)
        return batch if self.joined_by is None else join(batch, self.joined_by)

    def rows(self, first: int, count: int) -> Batch:
        """Returns ``count`` rows of the endless line that batches are cut from, from row ``first`` on."""
        start, skipped = divmod(first, self.batch_size)
        needed = range(start, max(start + 1, -(-(first + count) // self.batch_size)))
        return stacked([self.batch(i) for i in needed]).part(skipped, skipped + count)

    def raw(self, i: int) -> tuple[Ints, Ints]:
        """Returns the text of batch ``i`` before it is corrupted: ids ``[B, L]`` and each row's length ``[B]``."""
        chosen_B = self._chosen(i)
        if self._segments_SL is not None:
            return self._segments_SL[chosen_B], np.full(self.batch_size, self.lengths.raw_tokens)
        lengths_B = self._lengths_S[chosen_B]
        return gather(self._tokens, self._starts_S[chosen_B], lengths_B, self.lengths.raw_tokens), lengths_B

    def _chosen(self, i: int) -> Ints:
        """The segments of batch ``i``, looked up for some batches at once: few cost nearly as much as many."""
        index = i // _BATCHES_AT_ONCE
        if self._ahead is None or self._ahead[0] != index:
            first = index * _BATCHES_AT_ONCE * self.batch_size
            places = np.arange(first, first + _BATCHES_AT_ONCE * self.batch_size)
            epochs, positions = np.divmod(places, self.num_segments)
            self._ahead = index, permuted(positions, self.num_segments, self.seed, epochs)
        start = i % _BATCHES_AT_ONCE * self.batch_size
        return self._ahead[1][start : start + self.batch_size]


def _joined(tokens: Ints, raw_tokens: int) -> Ints:
    """A view of the stream as segments, ``[segments, raw_tokens]``; nothing is read yet."""
    count = len(tokens) // raw_tokens
    return tokens[: count * raw_tokens].reshape(count, raw_tokens)


def _alone(offsets: Ints, raw_tokens: int) -> tuple[Ints, Ints]:
    """Where each document's pieces start in the stream, and how long they are, int64 ``[segments]`` each."""
    sizes = np.diff(offsets)
    pieces = -(-sizes // raw_tokens)
    nth = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)  # of its document
    before = nth * raw_tokens
    piece_lengths = np.minimum(np.repeat(sizes, pieces) - before, raw_tokens)
    enough = piece_lengths >= MIN_PIECE_TOKENS
    return (np.repeat(offsets[:-1], pieces) + before)[enough], piece_lengths[enough]
