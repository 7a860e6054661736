"""What lies in the store, derived from the store alone: no database is asked, so nothing can be out of step."""

import json
import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.results.table import PLAIN_WIDTH
from orchestrator.store import Store, open_store
from t5core.readable import duration, readable_bytes

LAST = 10


@dataclass(frozen=True, kw_only=True)
class KindStatus:
    """All stages of one kind. Seconds are the work of the finished ones, bytes their files."""

    kind: str
    finished: int
    running: int
    interrupted: int
    seconds: float
    bytes: int


@dataclass(frozen=True, kw_only=True)
class StageStatus:
    """One stage: ``at`` is its end (finished) or last change (others) in Unix seconds."""

    stage: str
    state: str
    at: float
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class StoreStatus:
    """The store in numbers; ``last`` holds the latest stages, newest first."""

    store: str
    kinds: tuple[KindStatus, ...]
    last: tuple[StageStatus, ...]


def status_of(store: Store) -> StoreStatus:
    """Counts what lies in a store; a store that does not exist yet is an empty one."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: dict[str, float] = defaultdict(float)
    stages: list[StageStatus] = []
    for m in store.manifests():
        counts[m.kind].update(finished=1, bytes=sum(entry.bytes for entry in m.files.values()))
        seconds[m.kind] += m.seconds
        stage = f"{m.kind}/{m.name}-{m.key}"
        stages.append(StageStatus(stage=stage, state="finished", at=m.started_at + m.seconds, seconds=m.seconds))
    for u in store.partial():
        state = "running" if u.owner else "interrupted"
        counts[u.kind].update([state])
        stages.append(StageStatus(stage=f"{u.kind}/{u.name}-{u.key}", state=state, at=u.modified_at, seconds=None))
    kinds = tuple(
        KindStatus(
            kind=kind,
            finished=count["finished"],
            running=count["running"],
            interrupted=count["interrupted"],
            seconds=round(seconds[kind], 3),
            bytes=count["bytes"],
        )
        for kind, count in sorted(counts.items())
    )
    last = tuple(sorted(stages, key=lambda stage: -stage.at)[:LAST])
    return StoreStatus(store=store.shown_uri, kinds=kinds, last=last)


def show_status(store_uri: str, *, as_json: bool = False, file: TextIO | None = None) -> None:
    """Prints a store's status as tables or as one JSON object; raises ConfigError for a store that cannot be read."""
    status = status_of(open_store(store_uri))
    console = Console(file=file)
    if as_json:
        print(json.dumps(asdict(status), indent=1), file=console.file)
        return
    if not console.is_terminal:
        console = Console(file=file, width=PLAIN_WIDTH, no_color=True, highlight=False)
    if not status.kinds:
        console.print(f"nothing in {status.store} yet: start with `make demo`", soft_wrap=True, markup=False)
        return
    console.print(_kinds_table(status))
    console.print(_last_table(status))


def _kinds_table(status: StoreStatus) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(f"store {status.store}", style="table.title"),
        title_justify="left",
        show_footer=True,
    )
    table.add_column("kind", "all")
    for name, total in (
        ("finished", sum(k.finished for k in status.kinds)),
        ("running", sum(k.running for k in status.kinds)),
        ("interrupted", sum(k.interrupted for k in status.kinds)),
    ):
        table.add_column(name, str(total), justify="right")
    table.add_column("work", duration(sum(k.seconds for k in status.kinds)), justify="right")
    table.add_column("size", readable_bytes(sum(k.bytes for k in status.kinds)), justify="right")
    for k in status.kinds:
        numbers = (str(k.finished), str(k.running), str(k.interrupted))
        table.add_row(Text(k.kind), *numbers, duration(k.seconds), readable_bytes(k.bytes))
    return table


def _last_table(status: StoreStatus) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="last stages", title_justify="left")
    for name in ("at", "state", "work", "stage"):
        table.add_column(name, justify="right" if name == "work" else "left", no_wrap=name != "stage")
    for stage in status.last:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stage.at))
        table.add_row(at, stage.state, duration(stage.seconds), Text(stage.stage))
    return table
