"""Which stage runs next, and where: the one state machine behind every way of running a plan.

A `Dispatcher` knows a plan and how far it is. Workers come to it: a *lane* (on_ray/lanes.py) asks `take` for its next
stage and reports how it went. It knows nothing of Ray, of clocks other than the one it is given, or of files; that is
why it can be tested in microseconds and why the run without Ray is the same run.

    waiting ──inputs finished──► ready ──take──► running ──finished──► done
       │                           ▲                │ ├──failed, attempts left──► ready
       └──an input failed──► skipped└──lease busy───┘ └──failed for good──► failed

Asking twice is safe. A lane numbers its questions (turns), and the answer to (incarnation, turn) is remembered, so all
ranks of a lane, which ask separately, get the same stage. An *incarnation* is one life of a lane's processes: when a
lane comes back with a new one while a stage of the old one is in flight, that stage's process has died; this counts
as a failed attempt, and the stage is handed out again.

Choice among ready stages:

1. stages on a device before preparatory ones, which lanes take only when nothing else is ready;
2. the stage that continues what the lane just finished (its files are there, and rows get done early), except near the
   end, when fewer unstarted long chains are left than there are lanes: then the longest remaining path first, so that
   the lanes finish together.

Example with two lanes and rows a, b, c of (pretrain 6, finetune 2): lane 1 takes pretrain a, lane 2 pretrain b; lane 1
comes back while pretrain c (8 to go) is unstarted and fewer such chains than lanes are left, so c comes before
finetune a.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.engine.events import (
    Event,
    LaneFailed,
    LaneStarted,
    StageFailed,
    StageFinished,
    StageProgress,
    StageSkipped,
    StageStarted,
    StageWaiting,
)
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage

BUSY_RETRY_S = 2.0
"""How long a stage that another process holds is left alone before it is offered again."""

MAX_BARREN_INCARNATIONS = 3
"""A lane whose processes die this often in a row without finishing a turn is given no more work."""

Preparatory = Literal["no", "too", "only"]
"""Whether a lane runs preparatory stages: never, when nothing else is ready, or only those."""

State = Literal["waiting", "running", "done", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One stage to run: the stages it reads, by role, and which attempt this is."""

    stage: Stage
    inputs: Mapping[str, Stage]
    attempt: int


@dataclass(frozen=True)
class Wait:
    """Nothing is ready now: ask again, same turn."""


@dataclass(frozen=True)
class Stop:
    """There will be nothing more for this lane."""


Answer = Assignment | Wait | Stop


@dataclass(kw_only=True)
class _Lane:
    """What is known of one lane; ``turn`` counts the answers that were given to this incarnation."""

    incarnation: str = ""
    turn: int = 0
    answers: dict[int, Assignment] = field(default_factory=dict)
    begun: set[int] = field(default_factory=set)
    running: str | None = None
    last: str | None = None
    barren: int = 0
    finished_turns: int = 0


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """How a stage ended, as far as the dispatcher knows; the driver makes an Outcome of it."""

    state: Literal["done", "failed", "skipped", "unfinished"]
    seconds: float = 0.0
    attempts: int = 0
    cached: bool = False
    error: str = ""
    log: str = ""
    because: str = ""
    refused: bool = False


class Dispatcher:
    """Hands out a plan's stages and keeps count. Not thread-safe: one owner calls it.

    Args:
        plan: what is to be done.
        finished: keys that the store already holds.
        num_lanes: how many lanes will ask; only for the order of work.
        max_attempts: how often a stage is tried, when its failures are of a kind that may pass.
        open_ended: more stages may come by ``extend``: lanes wait for them, and nothing is over until ``seal``.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        plan: Plan,
        finished: set[str],
        *,
        num_lanes: int,
        max_attempts: int,
        open_ended: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self._open = open_ended
        self._num_lanes = num_lanes
        self._max_attempts = max_attempts
        self._clock = clock
        self._state: dict[str, State] = {key: "done" if key in finished else "waiting" for key in plan.stages}
        self._report: dict[str, StageReport] = {
            key: StageReport(state="done", cached=True) if key in finished else StageReport(state="unfinished")
            for key in plan.stages
        }
        self._attempts: dict[str, int] = dict.fromkeys(plan.stages, 0)
        self._not_before: dict[str, float] = {}
        self._lanes: dict[str, _Lane] = {}
        # whoever adds stages by what has finished has to hear of all that has
        cached = sorted(finished & set(plan.stages)) if open_ended else []
        self._events: list[Event] = [StageFinished(key=k, lane="", seconds=0.0, cached=True) for k in cached]
        self._progress: dict[str, StageProgress] = {}
        self._stopping = False
        self._refused = ""
        self._seconds = {True: 0.0, False: 0.0}
        self._lane_error = "no lane could be started"
        self._lay_out()

    # What lanes call

    def join(self, lane: str, incarnation: str, start_s: float = 0.0) -> None:
        """A lane's processes are up. A new incarnation means that the old one's processes are gone."""
        known = self._lanes.setdefault(lane, _Lane())
        if known.incarnation == incarnation:
            return
        if known.incarnation:
            self._lose(known)
            known.barren = 0 if known.finished_turns else known.barren + 1
        known.incarnation, known.turn, known.finished_turns = incarnation, 0, 0
        known.answers, known.begun = {}, set()
        self._events.append(LaneStarted(lane=lane, seconds=start_s))

    def take(self, lane: str, incarnation: str, turn: int, *, preparatory: Preparatory) -> Answer:
        """Returns what the lane does in this turn; the same for every rank that asks.

        Args:
            lane: who asks.
            incarnation: in which life.
            turn: number of the question, from 0 in each incarnation.
            preparatory: whether the lane runs preparatory stages: never, when nothing else is ready, or only those.
        """
        known = self._lanes.get(lane)
        if known is None or known.incarnation != incarnation:
            return Stop()
        if turn in known.answers:
            return known.answers[turn]
        if self._stopping or known.barren >= MAX_BARREN_INCARNATIONS or not self._left(preparatory):
            return Stop()
        if known.running is not None:  # another rank is still at the lane's last stage
            return Wait()
        stage = self._choose(known, preparatory)
        if stage is None:
            return Wait()
        self._state[stage.key] = "running"
        self._attempts[stage.key] += 1
        known.running = stage.key
        inputs = {role: self.plan.stages[key] for role, key in stage.inputs.items()}
        known.answers[turn] = Assignment(stage=stage, inputs=inputs, attempt=self._attempts[stage.key])
        known.turn = turn
        return known.answers[turn]

    def started(self, lane: str, incarnation: str, key: str) -> bool:
        """The lane holds the stage's lease and begins. Returns False when the lane is to leave it (it was replaced)."""
        known = self._current(lane, incarnation, key)
        if known is None:
            return False
        known.begun.add(known.turn)
        self._events.append(StageStarted(key=key, lane=lane, attempt=self._attempts[key]))
        return True

    def decided(self, lane: str, incarnation: str, turn: int) -> Literal["begun", "dropped", "open"]:
        """What became of a turn, for the ranks that do not hold the lease."""
        known = self._lanes.get(lane)
        if known is None or known.incarnation != incarnation or self._stopping:
            return "dropped"
        if turn in known.begun:
            return "begun"
        return "open" if known.turn == turn and known.running is not None else "dropped"

    def progress(self, lane: str, incarnation: str, event: StageProgress) -> bool:
        """Notes how far a stage is; only the last word is kept. Returns whether the lane may go on."""
        if self._current(lane, incarnation, event.key) is not None:
            self._progress[event.key] = event
        return not self._stopping

    def finished(self, lane: str, incarnation: str, key: str, seconds: float, *, cached: bool) -> None:
        """The stage's manifest is in the store."""
        known = self._current(lane, incarnation, key)
        if known is None:
            return
        known.running, known.last = None, key
        known.finished_turns += 1
        self._count(key, seconds)
        attempts = self._attempts[key] - 1 if cached else self._attempts[key]
        self._state[key] = "done"
        self._report[key] = StageReport(state="done", seconds=seconds, attempts=attempts, cached=cached)
        self._progress.pop(key, None)
        self._events.append(StageFinished(key=key, lane=lane, seconds=seconds, cached=cached))

    def failed(
        self, lane: str, incarnation: str, key: str, error: str, seconds: float, *, retry: bool, log: str = ""
    ) -> None:
        """The attempt failed; ``retry``: trying again may help."""
        known = self._current(lane, incarnation, key)
        if known is None:
            return
        known.running = None
        known.finished_turns += 1
        self._count(key, seconds)
        self._fail(key, error, retry=retry, log=log)

    def busy(self, lane: str, incarnation: str, key: str) -> None:
        """Another process holds the stage: this was no attempt; it is offered again a little later."""
        known = self._current(lane, incarnation, key)
        if known is None:
            return
        known.running = None
        known.finished_turns += 1
        self._attempts[key] -= 1
        self._state[key] = "waiting"
        if key not in self._not_before:
            self._events.append(StageWaiting(key=key))
        self._not_before[key] = self._clock() + BUSY_RETRY_S

    def interrupted(self, lane: str, incarnation: str, key: str, seconds: float) -> None:
        """The stage was left because the run is stopping."""
        known = self._current(lane, incarnation, key)
        if known is not None:
            known.running = None
            self._count(key, seconds)
            self._state[key] = "waiting"

    def give_up(self, lane: str, incarnation: str, error: str) -> None:
        """The lane cannot work at all (no device, no store): it gets nothing more."""
        known = self._lanes.get(lane)
        if known is not None and known.incarnation == incarnation:
            known.barren = MAX_BARREN_INCARNATIONS
            self._lane_error = error
            self._events.append(LaneFailed(lane=lane, error=error))

    # What the driver calls

    def lane_failed(self, lane: str, error: str) -> bool:
        """A lane's job ended with an error. Returns whether it did some work, so that starting it again makes sense."""
        known = self._lanes.setdefault(lane, _Lane())
        worked = known.finished_turns > 0 and known.barren < MAX_BARREN_INCARNATIONS
        self._lose(known)
        known.incarnation = ""
        self._lane_error = error
        self._events.append(LaneFailed(lane=lane, error=error))
        return worked and not self.is_over()

    def no_lanes_left(self) -> None:
        """Nobody will ask any more: what could run now fails with the lanes' last error, what needs it is skipped."""
        self._open = False
        for key, stage in self.plan.stages.items():
            if self._state[key] == "waiting" and self._refused:  # that is the reason, not the lanes that left for it
                self._state[key] = "skipped"
                self._report[key] = StageReport(state="skipped", because=self._refused)
                self._events.append(StageSkipped(key=key, because=self._refused))
            elif self._state[key] == "waiting" and all(self._state[i] == "done" for i in stage.inputs.values()):
                self._fail(key, f"no lane to run it: {self._lane_error}", retry=False)

    def extend(self, more: Plan, finished: Collection[str]) -> None:
        """Adds the stages of another plan; those that are here already go on as they are.

        Args:
            more: its stages come after what they read, in it or in the plan so far.
            finished: keys among them that the store holds.
        """
        new = [key for key in more.stages if key not in self.plan.stages]
        self.plan = self.plan.extended(more)
        for key in new:
            done = key in finished
            self._state[key] = "done" if done else "waiting"
            self._report[key] = StageReport(state="done" if done else "unfinished", cached=done)
            self._attempts[key] = 0
            if done:
                self._events.append(StageFinished(key=key, lane="", seconds=0.0, cached=True))
        self._lay_out()
        for key in new:  # what a new stage reads may have failed before it came
            gone = [k for k in self.plan.stages[key].inputs.values() if self._state[k] in ("failed", "skipped")]
            if gone and self._state[key] == "waiting":
                because = self._report[gone[0]].because or gone[0]
                self._state[key] = "skipped"
                self._report[key] = StageReport(state="skipped", because=because)
                self._events.append(StageSkipped(key=key, because=because))

    def seal(self) -> None:
        """Says that no more stages will come."""
        self._open = False

    def stop(self) -> None:
        """Hands out nothing more and tells running stages to leave at their next report."""
        self._stopping = True

    def is_over(self) -> bool:
        """Whether no stage is left to run, and none will come."""
        return not self._open and all(state in ("done", "failed", "skipped") for state in self._state.values())

    def events(self, since: int) -> tuple[list[Event], int]:
        """Returns the events from number ``since`` on, then the latest progress, and the next number to ask for."""
        fresh = self._events[since:]
        latest = list(self._progress.values())
        self._progress.clear()
        return [*fresh, *latest], len(self._events)

    def reports(self) -> dict[str, StageReport]:
        """Returns how every stage ended."""
        return dict(self._report)

    def stage_seconds(self) -> tuple[float, float]:
        """Returns seconds inside stage functions: on a device, and preparatory."""
        return self._seconds[True], self._seconds[False]

    # Inside

    def _current(self, lane: str, incarnation: str, key: str) -> _Lane | None:
        known = self._lanes.get(lane)
        return known if known and known.incarnation == incarnation and known.running == key else None

    def _left(self, preparatory: Preparatory) -> bool:
        """Whether a stage of the lane's kind may still come up: also one that now runs elsewhere and may fail there."""
        return (self._open and preparatory != "only") or any(
            state in ("waiting", "running") and (preparatory != "only" or not self.plan.stages[key].accelerated)
            for key, state in self._state.items()
        )

    def _ready(self, preparatory: Preparatory) -> list[Stage]:
        now = self._clock()
        ready = [
            stage
            for key, stage in self.plan.stages.items()
            if self._state[key] == "waiting"
            and self._not_before.get(key, now) <= now
            and all(self._state[i] == "done" for i in stage.inputs.values())
        ]
        accelerated = [stage for stage in ready if stage.accelerated]
        if preparatory == "only" or (preparatory == "too" and not accelerated):
            return [stage for stage in ready if not stage.accelerated]
        return accelerated

    def _choose(self, lane: _Lane, preparatory: Preparatory) -> Stage | None:
        ready = sorted(self._ready(preparatory), key=lambda s: (-self._path[s.key], self._order[s.key]))
        if not ready:
            return None
        own = self._own(lane, ready)
        if own is None:
            return ready[0]
        longer = sum(self._path[stage.key] > self._path[own.key] for stage in ready)
        return ready[0] if 0 < longer < self._num_lanes else own

    def _own(self, lane: _Lane, ready: Sequence[Stage]) -> Stage | None:
        """What goes on with the lane's last stage, else what looks at the same model, so that a row ends soon."""
        last = None if lane.last is None else self.plan.stages[lane.last]
        if last is None:
            return None
        models = {key for key in last.inputs.values() if self.plan.stages[key].accelerated}
        behind, beside = ([s for s in ready if keys & set(s.inputs.values())] for keys in ({last.key}, models))
        return next(iter([*behind, *beside]), None)

    def _lay_out(self) -> None:
        stages = self.plan.stages
        cost = {key: stage.cost or 1.0 for key, stage in stages.items()}
        self._path = remaining_paths(self.plan, cost)
        self._order = {key: i for i, key in enumerate(stages)}

    def _count(self, key: str, seconds: float) -> None:
        self._seconds[self.plan.stages[key].accelerated] += seconds

    def _lose(self, lane: _Lane) -> None:
        if lane.running is not None:
            key, lane.running = lane.running, None
            self._fail(key, "the worker process died (killed, out of memory, or its node is gone)", retry=True)

    def _fail(self, key: str, error: str, *, retry: bool, log: str = "") -> None:
        attempts = self._attempts[key]
        final = not retry or attempts >= self._max_attempts
        self._progress.pop(key, None)
        self._events.append(StageFailed(key=key, error=error, attempt=attempts, final=final, log=log))
        if not final:
            self._state[key] = "waiting"
            return
        self._state[key] = "failed"
        refused = not retry and not self.plan.stages[key].accelerated
        self._report[key] = StageReport(state="failed", attempts=attempts, error=error, log=log, refused=refused)
        # The plan's order is topological: one pass reaches everything downstream.
        gone = {key}
        for other, stage in self.plan.stages.items():
            if self._state[other] == "waiting" and gone & set(stage.inputs.values()):
                gone.add(other)
                self._state[other] = "skipped"
                self._report[other] = StageReport(state="skipped", because=key)
                self._events.append(StageSkipped(key=other, because=key))
        if refused:  # the input has to be mended: nothing that was prepared from it is worth training on
            self._refused = self._refused or key
            self.stop()


def remaining_paths(plan: Plan, cost: Mapping[str, float]) -> dict[str, float]:
    """Returns, by key, the cost of the longest path from a stage to the end of the plan, itself included."""
    path = dict.fromkeys(plan.stages, 0.0)
    for key, stage in reversed(list(plan.stages.items())):
        path[key] += cost[key]
        for read in stage.inputs.values():
            path[read] = max(path[read], path[key])
    return path
