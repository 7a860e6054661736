"""MLflow: a view of the store, written by the driver alone.

    experiment  t5grid/<study>/<scale>
      parent run  one per row and seed     tags t5grid.row, .seed, .key, axis.*; metrics final/...; a note; its data
        child run   one per stage          tag t5grid.stage_key; the stage's config; its curve, thinned

The driver only puts events into a queue. One thread writes them, in order, each until it succeeds: MLflow's import and
the first migration of a database, many seconds together, and a server that is away for a while cost the study nothing.
What is not written when ``close`` has waited long enough is told in one line, and the next run of the same study writes
it: its stages are all in the store, and everything written here follows from them. So writing is idempotent: a row
that is there and finished is left alone, one that is there in part is completed.

    tracker = Tracker.open("sqlite:///mlflow.db", "objectives", "tiny", store)
    tracker.row_started(row)
    tracker.stage_finished(row, stage, manifest)
    tracker.row_finished(row, "finished", {"summary/rougeL": 31.2})
    tracker.close(timeout_s=30)
"""

import functools
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Literal, Self

from orchestrator.plan.plan import PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.store import Manifest, Store
from orchestrator.tracking.address import check_tracking_uri
from orchestrator.tracking.experiment import is_hopeless
from orchestrator.tracking.view import MlflowView
from orchestrator.tracking.written import holds_all
from t5core.uris import masked

RowStatus = Literal["finished", "failed", "stopped", "pruned"]

CLOSE_WAIT_S = 60.0
"""How long the end of a run waits for MLflow to take what is still in the queue."""
STOPPED_WAIT_S = 10.0
"""The same for a run that was stopped."""

_RETRY_S = (0.5, 1.0, 2.0, 4.0)
_HOPELESS_TRIES = 3
_QUIET = {
    # no messages to MLflow's makers; retries and their timing are ours, so that outages neither pile up nor chatter
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_logger = logging.getLogger(__name__)

Event = tuple[str, MlflowView, Callable[[MlflowView], None]]
"""Which row it is about, for messages, where to write, and what."""


def quiet_mlflow() -> None:
    """Sets what MLflow reads when it is imported: no chatter, no messages to its makers, no retries of its own."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


class Tracker:
    """Writes the runs of a study, or of several, to MLflow in the background. Open one with ``Tracker.open``."""

    def __init__(self, views: Sequence[MlflowView], *, has_all: bool = False) -> None:
        self._views = {view.study: view for view in views}
        self._has_all = has_all
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._open_events: dict[str, int] = {}
        self._refused: dict[str, str] = {}
        self._trouble = ""
        self._thread = threading.Thread(target=self._write, name="mlflow-writer", daemon=True)
        if not has_all:
            self._thread.start()

    @classmethod
    def open(
        cls,
        uri: str,
        study: str | Sequence[str],
        scale: str,
        store: Store,
        rows: Collection[PlannedRow] | None = None,
    ) -> "Tracker":
        """Looks whether ``uri`` answers, within 5 s, and starts the writer; returns at once after that.

        Args:
            uri: an MLflow tracking URI, see ``check_tracking_uri``.
            study: name of the study; of several, those that the rows say they are of.
            scale: name of its scale; together they name the experiment.
            store: where the stages' curves are read.
            rows: all that will be written, if that is known: MLflow is not even imported when it has them already.

        Raises:
            ConfigError: nobody answers there, or it cannot be written.
        """
        uri = check_tracking_uri(uri)
        quiet_mlflow()
        views = [MlflowView(uri, name, scale, store) for name in ((study,) if isinstance(study, str) else study)]
        has_all = rows is not None and all(
            holds_all(
                uri, view.experiment, view.study, [row for row in rows if len(views) == 1 or row.study == view.study]
            )
            for view in views
        )
        return cls(views, has_all=has_all)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(CLOSE_WAIT_S if kind is None else STOPPED_WAIT_S)

    @property
    def uri(self) -> str:
        """The tracking URI as it may be shown."""
        return masked(next(iter(self._views.values())).uri)

    @property
    def experiment(self) -> str:
        """The name of the experiment that is written to; of several, with commas between them."""
        return ", ".join(view.experiment for view in self._views.values())

    def _view(self, row: PlannedRow) -> MlflowView:
        return next(iter(self._views.values())) if len(self._views) == 1 else self._views[row.study]

    def _name(self, row: PlannedRow) -> str:
        return row.run if len(self._views) == 1 else f"{row.study}/{row.run}"

    def row_started(self, row: PlannedRow) -> None:
        """Opens the row's parent run."""
        now = time.time()
        self._put(row, lambda view: view.row_started(row, now))

    def stage_finished(self, rows: PlannedRow | Iterable[PlannedRow], stage: Stage, manifest: Manifest) -> None:
        """Writes a finished stage as a child run of each of ``rows``, also if it was finished long ago."""
        chosen = (rows,) if isinstance(rows, PlannedRow) else tuple(rows)
        for row in chosen:
            self._put(row, functools.partial(_stage_finished, row, stage, manifest))

    def row_finished(self, row: PlannedRow, status: RowStatus, scores: Mapping[str, float]) -> None:
        """Writes the row's scores as ``final/...`` and its note, and ends its run; call it after its stages."""
        now, final = time.time(), dict(scores)

        def write(view: MlflowView) -> None:
            view.row_finished(row, status, final, now, complete=self._name(row) not in self._refused)

        self._put(row, write)

    def close(self, timeout_s: float = 30.0) -> int:
        """Waits until everything is written, at most ``timeout_s``; warns in one line if something is missing.

        Returns:
            How many rows are not written in full.
        """
        if self._has_all:
            return 0
        self._events.put(None)
        self._thread.join(timeout_s)
        self._stop.set()
        with self._lock:
            missing = sorted({*self._open_events, *self._refused})
            trouble = self._trouble or "; ".join(sorted(set(self._refused.values())))
        if missing:
            names = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            _logger.warning(
                "MLflow at %s: %d of the rows are not written in full (%s)%s; every result is in the store, and"
                " the next run of the study writes what is missing",
                self.uri,
                len(missing),
                names,
                f": {trouble}" if trouble else "",
            )
        return len(missing)

    def _put(self, row: PlannedRow, write: Callable[[MlflowView], None]) -> None:
        if self._has_all:
            return
        name = self._name(row)
        with self._lock:
            self._open_events[name] = self._open_events.get(name, 0) + 1
        self._events.put((name, self._view(row), write))

    def _write(self) -> None:
        """The writer's thread: each event in turn, until it succeeds, is hopeless or the tracker is closed."""
        for view in self._views.values():
            self._until_done("", view, lambda view: view.connect())
        while (event := self._events.get()) is not None and not self._stop.is_set():
            name, view, write = event
            if self._until_done(name, view, write):
                with self._lock:
                    self._open_events[name] -= 1
                    if not self._open_events[name]:
                        del self._open_events[name]

    def _until_done(self, name: str, view: MlflowView, write: Callable[[MlflowView], None]) -> bool:
        tries = 0
        while not self._stop.is_set():
            try:
                write(view)
            except Exception as error:  # MLflow, requests, SQLAlchemy and sockets each raise their own
                tries += 1
                trouble = masked(f"{type(error).__name__}: {error}".splitlines()[0])[:400]
                _logger.debug("MLflow: %s: %s", name, trouble)
                view.forget()  # the server may have come back as another one
                with self._lock:
                    self._trouble = trouble
                    if is_hopeless(error) and tries >= _HOPELESS_TRIES:
                        if name:
                            self._refused[name] = trouble
                        return True
                self._stop.wait(_RETRY_S[min(tries, len(_RETRY_S)) - 1])
            else:
                with self._lock:
                    self._trouble = ""
                return True
        return False


def _stage_finished(row: PlannedRow, stage: Stage, manifest: Manifest, view: MlflowView) -> None:
    view.stage_finished(row, stage, manifest)
