"""The beginning and the end of every run of a plan: what is there already, and what came of the rest."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.engine.dispatch import Dispatcher, StageReport
from orchestrator.engine.events import Event, StageFailed, StageFinished
from orchestrator.engine.outcomes import Accounting, Failed, Finished, Outcome, Outcomes, Skipped
from orchestrator.plan.plan import Plan
from orchestrator.store import Store, StoreError
from orchestrator.store.failures import forget_failure, read_failure, write_failure


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a dispatcher knows at the end.

    Attributes:
        reports: how each stage ended, by key.
        lane_s, prepared_s: seconds inside stage functions, on devices and preparatory.
    """

    reports: Mapping[str, StageReport]
    lane_s: float
    prepared_s: float

    @classmethod
    def of(cls, dispatcher: Dispatcher) -> "Summary":
        """Takes it from a dispatcher."""
        lane_s, prepared_s = dispatcher.stage_seconds()
        return cls(
            reports=dispatcher.reports(),
            lane_s=lane_s,
            prepared_s=prepared_s,
        )


def finished_before(plan: Plan, store: Store, events: Callable[[Event], None]) -> set[str]:
    """Returns the keys that the store already holds, each told as a cached StageFinished."""
    finished = set()
    for key, stage in plan.stages.items():
        if store.finished(stage) is not None:
            finished.add(key)
            events(StageFinished(key=key, lane="", seconds=0.0, cached=True))
    return finished


def keep_failure(event: Event, plan: Plan, store: Store) -> None:
    """Writes a failure down of which the worker could not: its process died, or there was none.

    Events come late: the worker may have written of a later attempt by now, which stays.
    """
    if not isinstance(event, StageFailed) or event.log:
        return
    with contextlib.suppress(StoreError):  # a full disk, say: the run tells of it
        stage, known = plan.stages[event.key], read_failure(store, event.key)
        if known is None or not known.log or known.attempts < event.attempt:
            write_failure(store, stage, event.error, event.attempt, "", host="")
            if store.finished(stage) is not None:  # the next attempt was done before this was heard of
                forget_failure(store, event.key)


def all_cached(plan: Plan, store: Store, started_s: float) -> Outcomes:
    """Returns the outcome of a run that had nothing to do."""
    reports = {key: StageReport(state="done", cached=True) for key in plan.stages}
    return settle(plan, store, Summary(reports=reports, lane_s=0, prepared_s=0), 0, started_s)


def settle(plan: Plan, store: Store, summary: Summary, lanes: int, started_s: float) -> Outcomes:
    """Makes outcomes of reports; reads the manifests of what finished.

    Args:
        plan: of the run.
        store: of the run.
        summary: what its dispatcher knew at the end.
        lanes: how many it used.
        started_s: of the run, by ``time.monotonic``.
    """
    by_key = {key: _outcome(plan, store, key, summary.reports[key]) for key in plan.stages}
    accounting = Accounting(
        wall_s=time.monotonic() - started_s,
        lanes=lanes,
        lane_s=summary.lane_s,
        prepared_s=summary.prepared_s,
    )
    return Outcomes(by_key=by_key, accounting=accounting)


def _outcome(plan: Plan, store: Store, key: str, report: StageReport) -> Outcome:
    match report.state:
        case "done":
            manifest = store.finished(plan.stages[key])
            if manifest is None:
                return Failed(error="its result was removed from the store during the run", attempts=report.attempts)
            return Finished(manifest=manifest, cached=report.cached, seconds=report.seconds, attempts=report.attempts)
        case "failed":
            return Failed(error=report.error, attempts=report.attempts, log=report.log, refused=report.refused)
        case "skipped":
            return Skipped(because=report.because)
        case "unfinished":
            return Failed(error="the run was stopped before it was finished", attempts=report.attempts)
