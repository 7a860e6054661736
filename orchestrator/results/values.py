"""What a comparison is made of, and what it is: values without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.plan.plan import Fact
from orchestrator.plan.rates import OWN
from orchestrator.results.agreement import Agreement
from orchestrator.results.noise import Aggregate, Measured
from orchestrator.results.signal import Measure, Signal
from orchestrator.results.significance import Difference

Status = Literal["done", "failed"]

AVERAGE = "average"
STANDING = "standing"


@dataclass(frozen=True, kw_only=True)
class TaskColumn:
    """One of our tasks as a column.

    Attributes:
        task: name, the key into a row's scores.
        paper_column: the paper's column it stands against: "GLUE", "CNNDM", "SQuAD", "SGLUE"; "" for none.
        aggregate: [N, k] per-example numbers -> score x100, as ``Task.aggregate``; None: no bootstrap for this task.
        label: head of the column; the task's name if empty.
        majority: score x100 of always giving training's commonest answer: what a model has to beat; None: not known.
    """

    task: str
    paper_column: str = ""
    aggregate: Aggregate | None = None
    label: str = ""
    majority: float | None = None


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """What the last checkpoints of one run came to.

    Attributes:
        likelihoods: step -> task -> per-example numbers, as ``RowResult.likelihoods``; ascending, the end the last one.
        steady: whether the learning rate is kept up to the end. Where it falls the weights come to rest, and
            how far these checkpoints lie apart says nothing of how far other runs would.
    """

    likelihoods: Mapping[int, Mapping[str, NDArray[np.float64]]]
    steady: bool


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """What one row came to with one seed. Rows of the same name are runs of one row with several seeds.

    Attributes:
        scores: task -> score x100.
        example_scores: task -> per-example numbers [N, k], the same examples in the same order in every row.
        likelihoods: task -> per-example [N, 2] or, with a label set, [N, 4]: negative log-likelihood of the reference
            in nats, its bytes, normalised cross-entropy over the labels, margin of the right one; None: not taken.
        checkpoints: the same at several checkpoints, of which bits per byte are the mean; None: at the end alone.
        label_auc: task of two labels -> how well the margin tells them apart, x100; without those where it cannot be.
        seconds: work behind this row, shared stages included or not as the caller likes; None: not known.
        paper: the paper's column -> score x100.
        reason: why a row failed, or what a finished one lacks, one line.
        rate: the multiple of its own learning rate that it was trained at.
        held_out_loss: of its pre-training; None: it has none.
        members: of an ensemble: what was trained for it, by key; empty for one model.
        tries: of how many rates this one was chosen by what the row is compared by; 1 where it was by something else.
        facts: what the study says of the row beside its scores, by column (``PlannedRow.facts``).
    """

    name: str
    label: str
    status: Status = "done"
    reason: str = ""
    seed: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    example_scores: Mapping[str, NDArray[np.float64]] | None = None
    likelihoods: Mapping[str, NDArray[np.float64]] | None = None
    checkpoints: Checkpoints | None = None
    label_auc: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    paper: Mapping[str, float] = field(default_factory=dict)
    rate: float = OWN
    held_out_loss: float | None = None
    members: frozenset[str] = frozenset()
    tries: int = 1
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Number:
    """One number of a row, its standard deviation as far as it is known, and the difference to the baseline's.

    Attributes:
        value: as it is: a score x100, bits per byte, a standing.
        sd: of the examples and, where known, of training; None: neither is known.
        difference: None in the baseline, and where the baseline has no such number.
    """

    value: float
    sd: float | None
    difference: Difference | None

    @property
    def mark(self) -> str:
        """``▲``, ``▼`` or ``≈``, with ``?`` for noise not of its own seeds, alone for none; "" without a baseline."""
        return self.difference.mark if self.difference else ""


@dataclass(frozen=True, kw_only=True)
class Cell(Number):
    """One score of ours x100.

    Attributes:
        bits: bits per byte of the right answers, the mean over the runs; None: not known.
        label_nats: normalised cross-entropy over the labels, the mean over examples and runs; None: no labels, or not
            known of every run. Rows are not ranked by it.
        label_auc: how well the margin tells two labels apart, x100, the mean over the runs; likewise.
        bits_checkpoint_sd: deviation between the checkpoints that ``bits`` are the mean of, within a run; None: of the
            end alone.
        bold: by the paper's rule: within two standard deviations of the baseline of the best score in the column.
    """

    bits: Number | None = None
    label_nats: float | None = None
    label_auc: float | None = None
    bits_checkpoint_sd: float | None = None
    bold: bool = False

    @property
    def score(self) -> float:
        """The score x100."""
        return self.value


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One line of the table, all seeds together.

    Attributes:
        cells: task -> cell; also AVERAGE, the paper's own plain mean of scores, when every task has a score.
        standing: what rows are ranked by (``orchestrator.results.signal``); None: not on every task that takes part.
        rank, rank_shared: place by standing, and whether other rows share it; None without a standing.
        rank_known: whether the noise that would tell this rank from others is known.
        rank_within_run: whether that noise is what moves within runs, which is a lower bound.
        paper_rank: place by the mean of the paper's columns among the rows shown; None without them.
        rate: the multiple of its own learning rate that these are the runs of; 1 where no others were tried.
        facts: what the study says of the row beside its scores, by column.
    """

    name: str
    label: str
    status: Status
    reason: str
    seeds: int
    cells: Mapping[str, Cell]
    standing: Number | None
    rank: int | None
    rank_shared: bool
    rank_known: bool
    paper: Mapping[str, float]
    paper_rank: int | None
    seconds: float | None
    rate: float = OWN
    rank_within_run: bool = False
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How far the runs of a row lie apart.

    Attributes:
        sd: between them, of a score x100.
        low, high: 95 % interval of what more and more runs would come to.
        runs: how many there are.
    """

    sd: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True, kw_only=True)
class TriedRate:
    """A row at one multiple of its learning rate.

    Attributes:
        held_out_loss: of its pre-training, the mean over its seeds; None: it has none.
        standing: on the table's scale; None: not on every task that takes part.
        reason: why it is not chosen from: a run that failed; "" where all are finished.
    """

    rate: float
    held_out_loss: float | None
    standing: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class RowRates:
    """Which rate a row stands in the table with.

    Attributes:
        rate: the multiple of its own.
        by: what it was chosen by; "": by nothing, it is the row's own.
        tried: all of them, ascending.
    """

    rate: float
    by: Literal["held-out loss", "standing", ""]
    tried: tuple[TriedRate, ...]


@dataclass(frozen=True, kw_only=True)
class ReversedPair:
    """Two rows whose order at one rate for both is not that at the rates they stand in the table with.

    Attributes:
        better, worse: as they stand in the table.
        at: the multiples at which the order is the other way round.
        told: those of them at which this order is told from noise, as that of the table is; empty: it is open whether
            the order depends on the rate.
        known: whether the noise of all these orders is.
    """

    better: str
    worse: str
    at: tuple[float, ...]
    told: tuple[float, ...]
    known: bool


@dataclass(frozen=True, kw_only=True)
class RateCheck:
    """What several learning rates do to a table.

    Attributes:
        rates: the multiples that were tried, ascending.
        rows: row -> its own.
        pairs: the ones whose order is another at some rate, told ones first.
        looked_at: of how many.
    """

    rates: tuple[float, ...]
    rows: Mapping[str, RowRates]
    pairs: tuple[ReversedPair, ...]
    looked_at: int


@dataclass(frozen=True, kw_only=True)
class RowCompute:
    """What all training behind a row takes.

    Attributes:
        flops: operations.
        parameters: of its largest model.
        tokens: of inputs, padding counted.
        unequal: "flops", "parameters", "tokens" -> ratio to the baseline's, where it is far from 1.
    """

    flops: float
    parameters: int
    tokens: int
    unequal: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The whole table.

    Attributes:
        rows: best first, rows without a result last.
        paper_columns: the paper's columns that some task stands against, in the order of the tasks.
        signals: task -> what it can tell in this table; without the tasks that no row has a score on.
        agreement: paper's column, AVERAGE or STANDING -> how our order agrees with the paper's.
        tau_rows: how many rows the taus are over.
        level: the chance that one of the marks of the table is false, if no row differs from the baseline.
        notes: what the table should be read with.
        standing: what the rows are ranked by, for ``orchestrator.results.sequential``.
        columns: task -> measure -> the rows' numbers, for ``orchestrator.results.confirm``.
        rates: what other learning rates do to it; None: none was tried.
        baseline_deviations: the paper's column (a task without one), or AVERAGE -> how far the baseline's runs lie
            apart; empty where it has too few.
        compute: row -> what is behind it; empty where that is not known.
    """

    title: str
    baseline: str
    tasks: tuple[TaskColumn, ...]
    paper_columns: tuple[str, ...]
    rows: tuple[ComparedRow, ...]
    signals: Mapping[str, Signal]
    agreement: Mapping[str, Agreement]
    tau_rows: int
    level: float
    notes: tuple[str, ...]
    standing: Measured = field(repr=False, compare=False)
    columns: Mapping[str, Mapping[Measure, Measured]] = field(repr=False, compare=False)
    rates: RateCheck | None = None
    baseline_deviations: Mapping[str, Deviation] = field(default_factory=dict)
    compute: Mapping[str, RowCompute] = field(default_factory=dict)

    @property
    def tau(self) -> dict[str, float | None]:
        """Kendall's tau alone; None: too few rows."""
        return {name: agreement.tau for name, agreement in self.agreement.items()}
