"""Fine-tuning batches: tokenised pairs of several tasks, mixed at given rates.

Every example drawn has a place ``g`` in an endless line of slots. The line is laid out in blocks of 2^16 slots. In
each block every task has a fixed number of slots, its rate times 2^16 by largest remainder (and at least one), and
the block's order is drawn from (seed, block). So which task slot g belongs to, and the how-manieth slot of this task
it is, follow from one block alone, however far one jumps:

    k = block · (task's slots per block) + slots of the task earlier in this block
    epoch, position = divmod(k, examples of the task);  example = keyed permutation(position) of (seed, task, epoch)

A task is gone through in whole epochs: no example comes a third time before each has come twice.

One example per row: slot s of batch i is ``g = i·B + s``.

Packed: how many examples fit into a row depends on the examples, so a batch that took "the next that fit" would
depend on all before it. Instead each block fills the same number of rows, R, chosen when the feed is made: as many
as ``feeds.layout`` needs for block 0, and six standard deviations of the text in a block. A block is packed when a
batch first needs it (about 0.2 s for its 65,536 examples), its rows are put in random order, and row r of batch i is
row ``i·B + r`` of an endless line of rows, R to a block. The price of jumping is small: the spare rows are about 1 %
(of the rows, not of the examples), and should a block ever need more than R rows, its emptiest ones are left out.

Legend: B rows of a batch, Li and Lt columns of inputs and targets, K tasks, N = 2^16 slots of a block, R rows of a
block, S examples of a batch.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from t5core.errors import ConfigError, DataError
from t5core.feeds.batch import Batch
from t5core.feeds.join import joined_length
from t5core.feeds.layout import NOWHERE, best_fit, in_rows
from t5core.feeds.permutation import permuted
from t5core.feeds.ragged import Ints, places
from t5core.feeds.sequences import Ids, Places, Sequences, with_eos, without_eos
from t5core.vocabulary import EOS_ID

BLOCK_SLOTS = 1 << 16
_SPARE_DEVIATIONS = 6.0


@dataclass(frozen=True, eq=False)
class _Block:
    """A block's slots in order: the task of each, and its rank among the block's slots of the task."""

    index: int
    tasks_N: Ints
    ranks_N: Ints


@dataclass(frozen=True, eq=False)
class _PackedBlock:
    """A block's examples, row after row: row r has ``examples[first[r] : first[r + 1]]``."""

    index: int
    examples: Ints
    first: Ints


class ExampleFeed:
    """Batches over a mixture of tasks.

    Args:
        examples: for each task its pairs (input ids, target ids), without EOS (a final EOS is accepted).
        rates: for each task how often it is drawn, in any unit; default: in proportion to its number of examples.
            Tasks with rate 0 are never drawn.
        batch_size: rows per batch.
        inputs_length, targets_length: columns, EOS included; longer rows are cut and keep their EOS.
        seed: of mixing and order, 0 or more.
        packed: put several examples into a row, with ``input_segments`` and ``target_segments``.
        joined_by: ids of the marker that joins inputs and targets for decoder-only models (``feeds.join``); None:
            batches for an encoder-decoder.

    Attributes:
        names: the tasks, sorted; the mixture does not depend on the order they are given in.
        num_examples: of all tasks that can be drawn.
        rates: the mixture in use, for each task; they sum to 1.
        examples_per_row: 1, or the mean over a block where rows are packed.

    Raises:
        ConfigError: for rates that are negative, all 0, or of unknown tasks, and for a seed below 0.
        DataError: for a task without examples that has a rate.
    """

    def __init__(
        self,
        examples: Mapping[str, Sequence[tuple[Ids, Ids]]],
        *,
        batch_size: int,
        inputs_length: int,
        targets_length: int,
        rates: Mapping[str, float] | None = None,
        seed: int = 0,
        packed: bool = False,
        joined_by: Sequence[int] | None = None,
    ) -> None:
        if seed < 0:
            raise ConfigError("seed", seed, "give a number from 0 up")
        self.rates = _shares(examples, rates)
        self.names = tuple(self.rates)
        self.batch_size = batch_size
        self.inputs_length = inputs_length
        self.targets_length = targets_length
        self.seed = seed
        self.packed = packed
        self._sizes_K = np.array([len(examples[name]) for name in self.names])
        self._first_K = np.cumsum(self._sizes_K) - self._sizes_K
        self.num_examples = int(self._sizes_K.sum())
        self._slots_K = _slots_per_block(np.array(list(self.rates.values())))
        pairs = [pair for name in self.names for pair in examples[name]]
        self._inputs: Sequences | None = None
        self._given: Ints | None = None  # joined: tokens of each example up to and including the marker
        targets = (with_eos(pair[1], targets_length) for pair in pairs)
        if joined_by is None:
            self._inputs = Sequences((with_eos(pair[0], inputs_length) for pair in pairs), inputs_length)
            self._targets = Sequences(targets, targets_length)
        else:
            given = [[*without_eos(pair[0], inputs_length - 1), *joined_by] for pair in pairs]
            self._given = np.array([len(ids) for ids in given])
            joined = (before + after for before, after in zip(given, targets, strict=True))
            self._targets = Sequences(joined, joined_length(inputs_length, targets_length, joined_by))
        self._block: _Block | None = None  # the ones used last
        self._packed_block: _PackedBlock | None = None
        self._rows_per_block = self._rows_needed() if packed else BLOCK_SLOTS
        self.examples_per_row = BLOCK_SLOTS / self._rows_per_block

    @property
    def widths(self) -> tuple[int, int]:
        """Columns of a batch's inputs, 0 for decoder-only models, and of its targets."""
        return self._inputs.width if self._inputs else 0, self._targets.width

    @property
    def tokens_per_batch(self) -> int:
        """Tokens of a batch as the paper counts them: of inputs or targets, whichever is more, padding included."""
        return self.batch_size * max(self.widths)

    @property
    def steps_per_epoch(self) -> float:
        """Batches that hold as many examples as there are."""
        return self.num_examples / (self.batch_size * self.examples_per_row)

    def fill(self) -> dict[str, float]:
        """Returns the share of the columns that hold tokens, for "inputs" (if there are any) and "targets"."""
        of_slots_K = self._slots_K / BLOCK_SLOTS
        used = {}
        for name, sequences in (("inputs", self._inputs), ("targets", self._targets)):
            if sequences is not None:
                means_K = np.add.reduceat(sequences.lengths_N, self._first_K) / self._sizes_K
                used[name] = float(of_slots_K @ means_K) * self.examples_per_row / sequences.width
        return used

    def batch(self, i: int) -> Batch:
        """Returns batch ``i``, the same one whenever and wherever it is asked for."""
        return self.rows(i * self.batch_size, self.batch_size)

    def rows(self, first: int, count: int) -> Batch:
        """Returns ``count`` rows of the endless line that batches are cut from, from row ``first`` on."""
        if self.packed:
            return self._packed_rows(first, count)
        tasks_B, nth_B = self._assigned(np.arange(first, first + count))
        chosen_B = self._examples(tasks_B, nth_B)
        targets = self._targets.padded(chosen_B)
        if self._inputs is not None:
            return Batch(inputs=self._inputs.padded(chosen_B), targets=targets)
        assert self._given is not None
        prefix = np.arange(self._targets.width) < self._given[chosen_B][:, None]
        return Batch(inputs=targets[:, :0], targets=targets, prefix=prefix)

    def assignment(self, i: int) -> tuple[Ints, Ints]:
        """Returns per row of batch ``i`` its task (index into ``names``) and how many rows the task had before it.

        Only where there is one example per row.
        """
        assert not self.packed, "a packed row has several tasks"
        return self._assigned(np.arange(i * self.batch_size, (i + 1) * self.batch_size))

    def _assigned(self, slots: Ints) -> tuple[Ints, Ints]:
        blocks_B, within_B = slots // BLOCK_SLOTS, slots % BLOCK_SLOTS
        tasks_B, nth_B = np.empty(len(slots), dtype=np.int64), np.empty(len(slots), dtype=np.int64)
        for index in np.unique(blocks_B):
            here = blocks_B == index
            block = self._laid_out(int(index))
            tasks_B[here], nth_B[here] = block.tasks_N[within_B[here]], block.ranks_N[within_B[here]]
        return tasks_B, nth_B + blocks_B * self._slots_K[tasks_B]

    def _examples(self, tasks: Ints, nth: Ints) -> Ints:
        """Which example of all each draw is, by its task and how many draws the task had before."""
        epochs, positions = np.divmod(nth, self._sizes_K[tasks])
        chosen: Ints = self._first_K[tasks] + permuted(positions, self._sizes_K[tasks], self.seed, tasks, epochs)
        return chosen

    def _laid_out(self, index: int) -> _Block:
        if self._block is None or self._block.index != index:
            tasks_N = self._rng(index).permutation(np.repeat(np.arange(len(self._slots_K)), self._slots_K))
            ranks_N = np.empty_like(tasks_N)
            first_K = np.cumsum(self._slots_K) - self._slots_K
            by_task = np.argsort(tasks_N, kind="stable")
            ranks_N[by_task] = np.arange(BLOCK_SLOTS) - np.repeat(first_K, self._slots_K)
            self._block = _Block(index, tasks_N, ranks_N)
        return self._block

    def _rng(self, index: int, stream: int = 0) -> np.random.Generator:
        key = np.array([self.seed, index], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key).jumped(stream))

    def _packed_rows(self, first: int, rows: int) -> Batch:
        at = self._drawn(first, rows)
        targets, target_segments = self._targets.packed(at, rows)
        if self._inputs is None:
            assert self._given is not None
            prefix = self._targets.first_of_packed(self._given, at, rows)
            return Batch(inputs=targets[:, :0], targets=targets, target_segments=target_segments, prefix=prefix)
        inputs, input_segments = self._inputs.packed(at, rows)
        return Batch(inputs=inputs, targets=targets, input_segments=input_segments, target_segments=target_segments)

    def _drawn(self, first: int, rows: int) -> Places:
        """Which examples so many packed rows hold, and where."""
        blocks_B, within_B = np.divmod(np.arange(first, first + rows), self._rows_per_block)
        examples, counts = [], []
        for index in np.unique(blocks_B):
            block = self._packed(int(index))
            here_B = within_B[blocks_B == index]
            counts.append(np.diff(block.first)[here_B])
            examples.append(block.examples[places(block.first[here_B], counts[-1])])
        counts_B = np.concatenate(counts)
        rows_S = np.repeat(np.arange(rows), counts_B)
        return Places(np.concatenate(examples), rows_S, places(np.ones_like(counts_B), counts_B))

    def _packed(self, index: int) -> _PackedBlock:
        if self._packed_block is None or self._packed_block.index != index:
            examples_N = self._block_examples(index)
            row_N = in_rows(self._needs()[examples_N], self._columns(), self._rows_per_block)
            # the rows opened last are half empty: in random order every batch is a fair sample
            order_R = self._rng(index, 1).permutation(self._rows_per_block)
            examples_N, row_N = examples_N[row_N != NOWHERE], order_R[row_N[row_N != NOWHERE]]
            first = np.searchsorted(np.sort(row_N), np.arange(self._rows_per_block + 1))
            self._packed_block = _PackedBlock(index, examples_N[np.argsort(row_N, kind="stable")], first)
        return self._packed_block

    def _block_examples(self, index: int) -> Ints:
        block = self._laid_out(index)
        return self._examples(block.tasks_N, block.ranks_N + index * self._slots_K[block.tasks_N])

    def _needs(self) -> npt.NDArray[np.int64]:
        """Columns each example needs, ``[examples, features]``."""
        held = [self._targets] if self._inputs is None else [self._inputs, self._targets]
        return np.stack([sequences.lengths_N for sequences in held], axis=1)

    def _columns(self) -> npt.NDArray[np.int64]:
        held = [self._targets] if self._inputs is None else [self._inputs, self._targets]
        return np.array([sequences.width for sequences in held])

    def _rows_needed(self) -> int:
        """Rows that hold the examples of any block: those of block 0, and spare ones for blocks with longer texts.

        Whole epochs of a task have the same text every time, so only what is left of an epoch varies: at most as many
        examples as slots, and no more than half a task counts in full (a part and its complement vary alike).
        """
        _, found = best_fit(self._needs()[self._block_examples(0)], self._columns())
        shares = (self._needs() / self._columns()).max(axis=1)
        means_K = np.add.reduceat(shares, self._first_K) / self._sizes_K
        variances_K = np.add.reduceat(shares**2, self._first_K) / self._sizes_K - means_K**2
        # summed exactly: a batch's shape must not hang on how a processor's library sums
        variance = math.fsum(np.minimum(self._slots_K, self._sizes_K / 2) * variances_K)
        deviation = math.sqrt(max(0.0, variance))
        return min(BLOCK_SLOTS, found + math.ceil(_SPARE_DEVIATIONS * deviation))


def padded_batches(
    rows: Sequence[Ids], batch_size: int, inputs_length: int, joined_by: Sequence[int] | None = None
) -> Iterator[tuple[npt.NDArray[np.int32], int]]:
    """Goes through evaluation inputs in order, at one static shape.

    Args:
        rows: input ids, without EOS (a final EOS is accepted).
        batch_size: rows per batch.
        inputs_length: columns, EOS included; longer rows are cut and keep their EOS.
        joined_by: ids of the marker that decoder-only models read before they answer; it takes EOS's place.

    Yields:
        Ids, int32 ``[batch_size, inputs_length]`` padded with 0 (with a marker of M ids ``inputs_length - 1 + M``
        columns), and how many rows are real. The last batch is filled up with empty rows, an EOS or a marker alone: a
        row of nothing but padding has nothing to attend to.
    """
    width = inputs_length if joined_by is None else inputs_length - 1 + len(joined_by)
    ending = [EOS_ID] if joined_by is None else list(joined_by)
    for start in range(0, len(rows), batch_size):
        part = list(rows[start : start + batch_size])
        real = len(part)
        part += [()] * (batch_size - real)
        prompts = Sequences(([*without_eos(ids, inputs_length - 1), *ending] for ids in part), width)
        yield prompts.padded(np.arange(batch_size)), real


def _shares(examples: Mapping[str, Sequence[tuple[Ids, Ids]]], rates: Mapping[str, float] | None) -> dict[str, float]:
    """The tasks that can be drawn, sorted by name, with rates that sum to 1."""
    if rates is None:
        rates = {name: float(len(pairs)) for name, pairs in examples.items()}
    for name, rate in rates.items():
        if name not in examples:
            raise ConfigError("rates", name, f"no such task; there are {', '.join(examples)}", choices=examples)
        if not (rate >= 0 and math.isfinite(rate)):
            raise ConfigError(f"rates[{name}]", rate, "give a rate of 0 or more")
        if rate > 0 and not examples[name]:
            raise DataError(f"examples[{name}]", 0, "no examples to draw: give some, or rate 0")
    total = sum(rates.values())
    if total <= 0:
        raise ConfigError("rates", dict(rates), "give at least one task with examples a rate above 0")
    return {name: rates[name] / total for name in sorted(rates) if rates[name] > 0}


def _slots_per_block(shares_K: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Splits BLOCK_SLOTS by share: whole numbers, at least 1 each, the rest to the largest remainders."""
    exact_K = shares_K * BLOCK_SLOTS
    slots_K = np.maximum(np.floor(exact_K).astype(np.int64), 1)
    order = np.argsort(-(exact_K - np.floor(exact_K)), kind="stable")
    missing = BLOCK_SLOTS - int(slots_K.sum())
    if missing >= 0:
        slots_K[order[:missing]] += 1
    else:
        slots_K[np.argmax(slots_K)] += missing  # tasks raised to 1 are paid for by the largest
    return slots_K
