"""What lies in the store, derived from the store alone: no database is asked, so nothing can be out of step."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TextIO

from rich.console import Console

from orchestrator.store import Store, open_store
from orchestrator.store.failures import read_failures
from orchestrator.store.runs import read_runs
from t5core.readable import duration, readable_bytes
from t5core.tables import Column, Output, print_line, print_table

LAST = 10
_SEE_ALL = "| cat, or --json"
STATES = ("finished", "running", "failed", "interrupted")
"""Of a stage. Failed: it was tried, and the reason is kept. Interrupted: it was begun, and nobody is at it now."""


@dataclass(frozen=True, kw_only=True)
class KindStatus:
    """All stages of one kind. Seconds are the work of the finished ones, bytes their files."""

    kind: str
    finished: int
    running: int
    failed: int
    interrupted: int
    seconds: float
    bytes: int


@dataclass(frozen=True, kw_only=True)
class StageStatus:
    """One stage: ``at`` is its end (finished, failed) or last change (others) in Unix seconds.

    ``error`` is why it failed the last time, "" for others.
    """

    stage: str
    state: str
    at: float
    seconds: float | None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """One run of a plan: ``state`` is alive, lost, finished, failed, refused or stopped; times in Unix seconds."""

    plan: str
    state: str
    host: str
    pid: int
    started_at: float
    seen_at: float


@dataclass(frozen=True, kw_only=True)
class StoreStatus:
    """The store in numbers; ``last`` holds the latest stages and ``runs`` the latest runs, newest first.

    Runs that are alive are all there.
    """

    store: str
    kinds: tuple[KindStatus, ...]
    last: tuple[StageStatus, ...]
    runs: tuple[RunStatus, ...]


def status_of(store: Store) -> StoreStatus:
    """Counts what lies in a store; a store that does not exist yet is an empty one."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: dict[str, float] = defaultdict(float)
    stages: list[StageStatus] = []
    finished: set[str] = set()
    for m in store.manifests():
        finished.add(m.key)
        counts[m.kind].update(finished=1, bytes=m.total_bytes)
        seconds[m.kind] += m.seconds
        stage = f"{m.kind}/{m.name}-{m.key}"
        stages.append(StageStatus(stage=stage, state="finished", at=m.started_at + m.seconds, seconds=m.seconds))
    failures = {failure.key: failure for failure in read_failures(store) if failure.key not in finished}
    for u in store.partial():
        if u.owner:
            failures.pop(u.key, None)  # it is tried again
        elif u.key in failures:
            continue
        state = "running" if u.owner else "interrupted"
        counts[u.kind].update([state])
        stages.append(StageStatus(stage=f"{u.kind}/{u.name}-{u.key}", state=state, at=u.modified_at, seconds=None))
    for failure in failures.values():
        counts[failure.stage.partition("/")[0]].update(["failed"])
        stages.append(
            StageStatus(stage=failure.stage, state="failed", at=failure.at, seconds=None, error=failure.error)
        )
    kinds = tuple(
        KindStatus(
            kind=kind,
            **{state: count[state] for state in STATES},
            seconds=round(seconds[kind], 3),
            bytes=count["bytes"],
        )
        for kind, count in sorted(counts.items())
    )
    last = tuple(sorted(stages, key=lambda stage: -stage.at)[:LAST])
    return StoreStatus(store=store.shown_uri, kinds=kinds, last=last, runs=_runs(store))


def _runs(store: Store) -> tuple[RunStatus, ...]:
    now = time.time()
    runs = [
        RunStatus(
            plan=run.plan,
            state=run.state(now),
            host=run.owner.host,
            pid=run.owner.pid,
            started_at=run.owner.started,
            seen_at=run.beat_at,
        )
        for run in read_runs(store)
    ]
    runs.sort(key=lambda run: -run.started_at)
    return tuple(run for number, run in enumerate(runs) if number < LAST or run.state == "alive")


def show_status(store_uri: str, *, as_json: bool = False, file: TextIO | None = None) -> None:
    """Prints a store's status as tables or as one JSON object; raises ConfigError for a store that cannot be read."""
    status = status_of(open_store(store_uri))
    console = Output(file=file, highlight=False)
    if as_json:
        print(json.dumps(asdict(status), indent=1), file=console.file)
        return
    if not status.kinds and not status.runs:
        print_line(f"nothing in {status.store} yet: start with `make demo`", console=console)
        return
    _show_kinds(status, console)
    _show_last(status, console)
    if status.runs:
        _show_runs(status, console)


def _show_kinds(status: StoreStatus, console: Console) -> None:
    def line(name: str, counts: Iterable[int], seconds: float, length: int) -> tuple[str, ...]:
        return (name, *map(str, counts), duration(seconds), readable_bytes(length))

    columns = [Column(head="kind", kind="name"), *(Column(head=state, short=state[:5]) for state in STATES)]
    columns += [Column(head="work", priority=2), Column(head="size", priority=2)]
    rows = [line(k.kind, (getattr(k, state) for state in STATES), k.seconds, k.bytes) for k in status.kinds]
    sums = [sum(getattr(k, state) for k in status.kinds) for state in STATES]
    totals = line("all", sums, sum(k.seconds for k in status.kinds), sum(k.bytes for k in status.kinds))
    print_table(columns, rows, title=f"store {status.store}", totals=totals, see_all=_SEE_ALL, console=console)


def _show_last(status: StoreStatus, console: Console) -> None:
    columns = [
        Column(head="at", kind="name", priority=2),
        Column(head="state", kind="name", priority=0),
        Column(head="work", priority=3),
        Column(head="stage", kind="text", priority=0),
    ]
    rows = [(_time(stage.at), stage.state, duration(stage.seconds), stage.stage) for stage in status.last]
    print_table(columns, rows, title="last stages", see_all=_SEE_ALL, console=console)
    for stage in status.last:
        if stage.error:
            print_line(f"{stage.stage}: {stage.error}", style="red", console=console)


def _show_runs(status: StoreStatus, console: Console) -> None:
    columns = [
        Column(head="since", kind="name", priority=2),
        Column(head="state", kind="name", priority=0),
        Column(head="seen", kind="name", priority=3),
        Column(head="process", kind="name"),
        Column(head="plan", kind="text", priority=0),
    ]
    rows = [
        (_time(run.started_at), run.state, _time(run.seen_at), f"{run.pid} on {run.host}", run.plan)
        for run in status.runs
    ]
    print_table(columns, rows, title="last runs", see_all=_SEE_ALL, console=console)


def _time(unix_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))
