"""A plan's rows in MLflow while the plan runs: each begins when the run does and ends when its own last stage does.

    with LiveRows(plan, store, tracker) as rows:
        run_plan(plan, store, events=rows)

A row whose evaluations are finished is finished here too, whatever the others still do. What has not ended when this is
left (Ctrl-C, a signal, an error of the run itself) was stopped: no run stays RUNNING behind a driver that is gone.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from orchestrator.engine.events import Event, StageFailed, StageFinished, StageSkipped
from orchestrator.plan.plan import EVALUATED, LIKELIHOOD, Plan, PlannedRow
from orchestrator.store import Manifest, Store
from orchestrator.tracking.writer import RowStatus, Tracker
from t5core.metrics.averages import paper_columns


class LiveRows:
    """Takes a run's events and tells the tracker; a context manager.

    Args:
        plan: whose rows these are.
        store: where manifests are read.
        tracker: is told.
    """

    def __init__(self, plan: Plan, store: Store, tracker: Tracker) -> None:
        self._plan = plan
        self._store = store
        self._tracker = tracker
        self._left = {row.identity: set(row.stages.values()) for row in plan.rows}
        self._scores: dict[tuple[str, str, int], dict[str, float]] = {}

    def __enter__(self) -> Self:
        for row in self._plan.rows:
            self._tracker.row_started(row)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        match event:
            case StageFinished():
                self._finished(event.key)
            case StageFailed(final=True) | StageSkipped():
                for row in self._plan.rows_of(event.key):
                    self._end(row, "failed")
            case _:
                pass

    def stop(self) -> None:
        """Ends the rows that have not ended as stopped."""
        for row in self._plan.rows:
            self._end(row, "stopped")

    def _finished(self, key: str) -> None:
        stage = self._plan.stages[key]
        manifest = self._store.finished(stage)
        if manifest is None:
            return
        rows = self._plan.rows_of(key)
        self._tracker.stage_finished(rows, stage, manifest)
        for row in rows:
            if row.identity not in self._left:
                continue
            for role, numbers in _NUMBERS.items():
                if key in row.of_role(role):
                    self._scores.setdefault(row.identity, {}).update(numbers(manifest))
            self._left[row.identity].discard(key)
            if not self._left[row.identity]:
                self._end(row, "finished")

    def _end(self, row: PlannedRow, status: RowStatus) -> None:
        if self._left.pop(row.identity, None) is not None:
            scores = self._scores.get(row.identity, {}) if status == "finished" else {}
            self._tracker.row_finished(row, status, scores)


def all_scores(evaluated: Manifest) -> dict[str, float]:
    """Returns every metric of every task, and the paper's columns: ``doc_qa/em``, ``column/GLUE``."""
    scores = evaluated.result["scores"]
    single = {f"{task}/{metric}": value for task, by_metric in scores.items() for metric, value in by_metric.items()}
    return {**single, **{f"column/{name}": value for name, value in paper_columns(scores).items()}}


def all_likelihoods(measured: Manifest) -> dict[str, float]:
    """Returns bits per byte of the right answers, for every task that has any, and what tells its labels apart.

    As ``bits/doc_qa``, ``label_nats/doc_pair``, ``label_auc/doc_pair``; the last two since stages say them. Of several
    checkpoints the bits are the mean, and ``bits_checkpoint_sd/doc_qa`` is how far they lie apart.
    """
    figures = {
        "bits": "bits_per_byte",
        "bits_checkpoint_sd": "bits_per_byte_sd",
        "label_nats": "label_nats",
        "label_auc": "label_auc",
    }
    return {
        f"{name}/{task}": value
        for name, of_result in figures.items()
        for task, value in measured.result.get(of_result, {}).items()
        if value is not None
    }


_NUMBERS: Mapping[str, Callable[[Manifest], dict[str, float]]] = MappingProxyType(
    {EVALUATED: all_scores, LIKELIHOOD: all_likelihoods}
)
"""What a row comes to, by the role of the stage that says it."""
