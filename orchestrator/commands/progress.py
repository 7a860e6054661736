"""What a person sees while a plan runs: a live table on a terminal, plain lines anywhere else.

`Progress` takes events (see engine/events.py) and shows, per row of the study, the stage it is in:

    row          stage       step                  loss   seconds
    baseline     finetune    ━━━━━━━───  210/300  1.234      41 s
    span 3       pretrain    ━━────────   90/400  4.871      17 s
    no pretrain  waiting

A shared stage (the corpus) shows in every row that needs it. Where output is not a terminal, as under
``ray job submit``, a line is printed when a stage starts, ends or fails, and every half minute one that says how far
the run is.

    with Progress(plan) as progress:
        run_plan(plan, store, events=progress)
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.engine.events import (
    Event,
    LaneFailed,
    LanesDecided,
    LaneStarted,
    RayStarted,
    StageFailed,
    StageFinished,
    StageProgress,
    StageSkipped,
    StageStarted,
    StageWaiting,
)
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.rates import OWN, shown
from orchestrator.plan.stage import Stage

LINE_EVERY_S = 30.0
"""How often a run without a terminal says how far it is."""

_SHOWN_AT_ONCE = 4


@dataclass(kw_only=True)
class _Seen:
    """What is known of one stage."""

    state: str = "waiting"
    cached: bool = False
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    started_s: float = 0.0
    seconds: float = 0.0


class Progress:
    """Shows events as they come; a context manager, because a live table must be taken down.

    Args:
        plan: whose rows are shown.
        console: where to; None for stdout.
        clock: seconds, monotonic.
    """

    def __init__(
        self, plan: Plan, *, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan = plan
        self._console = console or Console(highlight=False)
        self._clock = clock
        self._began_s = clock()
        self._line_s = self._began_s
        self._seen = {key: _Seen() for key in plan.stages}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(get_renderable=self.table, console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        self._note(event)
        important = isinstance(event, StageFailed | LaneFailed | LanesDecided)
        if self._live is None or important:
            line = self._line(event)
            if line:
                self._print(line)
        if self._live is None and self._clock() - self._line_s >= LINE_EVERY_S:
            self._print(self.summary())

    def extend(self, plan: Plan) -> None:
        """Shows the rows of another plan as well."""
        # another thread draws: it must find every stage of the plan it sees, in a mapping that does not grow
        self._seen = {**{key: _Seen() for key in plan.stages}, **self._seen}
        self._plan = self._plan.extended(plan)

    def table(self) -> Table:
        """Returns the rows as they stand; of several studies those at work, which are few enough for a screen."""
        several = len(self._plan.studies) > 1
        table = Table(box=None, pad_edge=False, caption=self.summary(), caption_justify="left")
        table.add_column("row", no_wrap=True)
        table.add_column("stage", no_wrap=True)
        table.add_column("", width=16)
        for heading in ("step", "loss", "seconds"):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in self._plan.rows:
            key = self._current(row)
            stage, seen = self._plan.stages[key], self._seen[key]
            if several and seen.state != "running":
                continue
            whole = self._row_state(row)
            bar = ProgressBar(total=seen.steps, completed=seen.step or 0, width=16) if seen.steps else Text("")
            running = seen.state == "running" and not whole
            table.add_row(
                f"{row.study}: {_row_name(row)}" if several else _row_name(row),
                Text(whole or (stage.kind if running else f"{stage.kind}: {seen.state}"), style=_style(whole)),
                bar if running else Text(""),
                f"{seen.step}/{seen.steps}" if running and seen.steps else "",
                f"{seen.loss:.3f}" if seen.loss is not None and not whole else "",
                f"{self._row_seconds(row):.0f} s" if self._row_seconds(row) else "",
            )
        return table

    def summary(self) -> str:
        """Returns one line: stages done, and what runs now."""
        states = [seen.state for seen in self._seen.values()]
        line = f"{states.count('finished')}/{len(states)} stages"
        for state in ("failed", "skipped"):
            line += f", {states.count(state)} {state}" if state in states else ""
        running = [key for key, seen in self._seen.items() if seen.state == "running"]
        shown = "; ".join(self._describe(key) for key in running[:_SHOWN_AT_ONCE])
        more = f"; and {len(running) - _SHOWN_AT_ONCE} more" if len(running) > _SHOWN_AT_ONCE else ""
        return f"{line}{'; ' if shown else ''}{shown}{more}"

    def _note(self, event: Event) -> None:
        match event:
            case StageStarted():
                self._seen[event.key] = _Seen(state="running", started_s=self._clock())
            case StageProgress():
                seen = self._seen[event.key]
                seen.step, seen.steps = event.step, event.steps
                seen.loss = seen.loss if event.loss is None else event.loss
            case StageFinished():
                seen = self._seen[event.key]
                seen.state, seen.seconds, seen.cached = "finished", event.seconds, event.cached
            case StageFailed():
                self._seen[event.key].state = "failed" if event.final else "waiting"
            case StageSkipped():
                self._seen[event.key].state = "skipped"
            case StageWaiting():
                self._seen[event.key].state = "held by another run"
            case RayStarted() | LanesDecided() | LaneStarted() | LaneFailed():
                pass

    def _line(self, event: Event) -> str:
        match event:
            case RayStarted():
                how = "started" if event.started_here else "joined"
                return f"Ray {how} at {event.address} with {event.cpus} CPUs"
            case LanesDecided():
                many = "lane" if event.lanes == 1 else "lanes"
                return f"accelerator {event.device} ({event.why}), {event.lanes} {many} ({event.why_lanes})"
            case LaneStarted():
                return f"{event.lane} is up after {event.seconds:.0f} s"
            case LaneFailed():
                return f"{event.lane} failed: {event.error}"
            case StageStarted():
                again = f", attempt {event.attempt}" if event.attempt > 1 else ""
                return f"{self._name(event.key)}: started in {event.lane}{again}"
            case StageFinished(cached=True):
                return f"{self._name(event.key)}: was finished before" if event.lane else ""
            case StageFinished():
                return f"{self._name(event.key)}: finished in {event.seconds:.1f} s"
            case StageFailed():
                after = "" if event.final else "; it is tried again"
                log = f" ({event.log})" if event.log and event.final else ""
                return f"{self._name(event.key)}: attempt {event.attempt} failed: {event.error}{log}{after}"
            case StageSkipped():
                return f"{self._name(event.key)}: skipped, because {self._name(event.because)} failed"
            case StageWaiting():
                return f"{self._name(event.key)}: another run works on it; waiting"
            case StageProgress():
                return ""

    def _print(self, line: str) -> None:
        self._line_s = self._clock()
        self._console.print(f"[{self._clock() - self._began_s:6.0f} s] {line}", markup=False, soft_wrap=True)

    def _name(self, key: str) -> str:
        stage: Stage = self._plan.stages[key]
        return f"{stage.kind} {stage.name}"

    def _describe(self, key: str) -> str:
        seen = self._seen[key]
        step = f" {seen.step}/{seen.steps}" if seen.steps else ""
        loss = f" loss {seen.loss:.3f}" if seen.loss is not None else ""
        return f"{self._name(key)}{step}{loss}"

    def _keys(self, row: PlannedRow) -> list[str]:
        return list(dict.fromkeys(row.stages.values()))

    def _current(self, row: PlannedRow) -> str:
        """The stage to show for a row: the last one that runs, else the first that is not finished, else the last."""
        keys = self._keys(row)
        running = [key for key in keys if self._seen[key].state == "running"]
        unfinished: Iterable[str] = (key for key in keys if self._seen[key].state != "finished")
        return running[-1] if running else next(iter(unfinished), keys[-1])

    def _row_state(self, row: PlannedRow) -> str:
        states = [self._seen[key].state for key in self._keys(row)]
        if "failed" in states:
            return "failed"
        if all(state == "finished" for state in states):
            return "was finished before" if all(self._seen[key].cached for key in self._keys(row)) else "finished"
        return ""

    def _row_seconds(self, row: PlannedRow) -> float:
        total_s = 0.0
        for key in self._keys(row):
            seen = self._seen[key]
            total_s += self._clock() - seen.started_s if seen.state == "running" else seen.seconds
        return total_s


def _row_name(row: PlannedRow) -> str:
    name = row.label or row.name
    name = name if row.rate == OWN else f"{name} at {shown(row.rate)}"
    return f"{name} (seed {row.seed})" if row.seed else name


def _style(state: str) -> str:
    return {"failed": "red", "finished": "green", "was finished before": "dim"}.get(state, "")
