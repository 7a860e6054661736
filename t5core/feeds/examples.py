"""Fine-tuning batches: tokenised pairs of several tasks, mixed at given rates.

Every slot of every batch has a place ``g`` in an endless row of slots (slot s of batch i is ``g = i·B + s``). The row
is laid out in blocks of 2^16 slots. In each block every task has a fixed number of slots, its rate times 2^16 by
largest remainder (and at least one), and the block's order is drawn from (seed, block). So which task slot g
belongs to, and the how-manieth slot of this task it is, follow from one block alone, however far one jumps:

    k = block · (task's slots per block) + slots of the task earlier in this block
    epoch, position = divmod(k, examples of the task);  example = keyed permutation(position) of (seed, task, epoch)

A task is gone through in whole epochs: no example comes a third time before each has come twice.

Legend: B rows of a batch, Li and Lt columns of inputs and targets, K tasks.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from t5core.errors import ConfigError, DataError
from t5core.feeds.batch import Batch
from t5core.feeds.permutation import permuted
from t5core.feeds.ragged import Ints, gather
from t5core.vocabulary import EOS_ID

Ids = Sequence[int]
BLOCK_SLOTS = 1 << 16


class ExampleFeed:
    """Batches over a mixture of tasks.

    Args:
        examples: for each task its pairs (input ids, target ids), without EOS (a final EOS is accepted).
        rates: for each task how often it is drawn, in any unit; default: in proportion to its number of examples.
            Tasks with rate 0 are never drawn.
        batch_size: rows per batch.
        inputs_length, targets_length: columns, EOS included; longer rows are cut and keep their EOS.
        seed: of mixing and order, 0 or more.

    Attributes:
        names: the tasks, sorted; the mixture does not depend on the order they are given in.
        num_examples: of all tasks that can be drawn.
        rates: the mixture in use, for each task; they sum to 1.

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
    ) -> None:
        if seed < 0:
            raise ConfigError("seed", seed, "give a number from 0 up")
        self.rates = _shares(examples, rates)
        self.names = tuple(self.rates)
        self.batch_size = batch_size
        self.inputs_length = inputs_length
        self.targets_length = targets_length
        self.seed = seed
        self._sizes_K = np.array([len(examples[name]) for name in self.names])
        self._first_K = np.cumsum(self._sizes_K) - self._sizes_K
        self.num_examples = int(self._sizes_K.sum())
        self._slots_K = _slots_per_block(np.array(list(self.rates.values())))
        pairs = [pair for name in self.names for pair in examples[name]]
        self._inputs = _Rows([pair[0] for pair in pairs], inputs_length)
        self._targets = _Rows([pair[1] for pair in pairs], targets_length)
        self._block: tuple[int, Ints, Ints] | None = None  # the block used last: index, tasks, ranks

    @property
    def tokens_per_batch(self) -> int:
        """Tokens of a batch as the paper counts them: of inputs or targets, whichever is more, padding included."""
        return self.batch_size * max(self.inputs_length, self.targets_length)

    @property
    def steps_per_epoch(self) -> float:
        """Batches that hold as many rows as there are examples."""
        return self.num_examples / self.batch_size

    def batch(self, i: int) -> Batch:
        """Returns batch ``i``, the same one whenever and wherever it is asked for."""
        tasks_B, nth_B = self.assignment(i)
        epochs_B, positions_B = np.divmod(nth_B, self._sizes_K[tasks_B])
        rows_B = self._first_K[tasks_B] + permuted(positions_B, self._sizes_K[tasks_B], self.seed, tasks_B, epochs_B)
        return Batch(inputs=self._inputs.padded(rows_B), targets=self._targets.padded(rows_B))

    def assignment(self, i: int) -> tuple[Ints, Ints]:
        """Returns per row of batch ``i`` its task (index into ``names``) and how many rows the task had before it."""
        slots = np.arange(i * self.batch_size, (i + 1) * self.batch_size)
        blocks_B, within_B = slots // BLOCK_SLOTS, slots % BLOCK_SLOTS
        tasks_B, nth_B = np.empty(len(slots), dtype=np.int64), np.empty(len(slots), dtype=np.int64)
        for block in np.unique(blocks_B):
            here = blocks_B == block
            tasks, ranks = self._laid_out(int(block))
            tasks_B[here], nth_B[here] = tasks[within_B[here]], ranks[within_B[here]]
        return tasks_B, nth_B + blocks_B * self._slots_K[tasks_B]

    def _laid_out(self, block: int) -> tuple[Ints, Ints]:
        """A block's tasks, and each slot's rank among the block's slots of its task, ``[BLOCK_SLOTS]`` each."""
        if self._block is None or self._block[0] != block:
            rng = np.random.Generator(np.random.Philox(key=np.array([self.seed, block], dtype=np.uint64)))
            tasks = rng.permutation(np.repeat(np.arange(len(self._slots_K)), self._slots_K))
            ranks = np.empty_like(tasks)
            first_K = np.cumsum(self._slots_K) - self._slots_K
            by_task = np.argsort(tasks, kind="stable")
            ranks[by_task] = np.arange(BLOCK_SLOTS) - np.repeat(first_K, self._slots_K)
            self._block = block, tasks, ranks
        return self._block[1], self._block[2]


class _Rows:
    """Rows of ids, cut to length, each ended by EOS, stored end to end."""

    def __init__(self, rows: Sequence[Ids], width: int) -> None:
        cut = [_with_eos(row, width) for row in rows]
        self._lengths = np.array([len(row) for row in cut], dtype=np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._flat = np.fromiter((token for row in cut for token in row), np.int32, int(self._lengths.sum()))
        self._width = width

    def padded(self, rows: Ints) -> npt.NDArray[np.int32]:
        out = gather(self._flat, self._starts[rows], self._lengths[rows], self._width)
        return out.astype(np.int32, copy=False)


def padded_batches(
    rows: Sequence[Ids], batch_size: int, inputs_length: int
) -> Iterator[tuple[npt.NDArray[np.int32], int]]:
    """Goes through evaluation inputs in order, at one static shape.

    Args:
        rows: input ids, without EOS (a final EOS is accepted).
        batch_size: rows per batch.
        inputs_length: columns, EOS included; longer rows are cut and keep their EOS.

    Yields:
        Ids, int32 ``[batch_size, inputs_length]`` padded with 0, and how many rows are real. The last batch is filled
        up with empty rows, an EOS alone: a row of nothing but padding has nothing to attend to.
    """
    for start in range(0, len(rows), batch_size):
        part = list(rows[start : start + batch_size])
        real = len(part)
        part += [()] * (batch_size - real)
        yield _Rows(part, inputs_length).padded(np.arange(batch_size)), real


def _with_eos(ids: Ids, width: int) -> list[int]:
    kept = list(ids[:width])
    if kept and kept[-1] == EOS_ID:
        kept.pop()
    return [*kept[: width - 1], EOS_ID]


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
