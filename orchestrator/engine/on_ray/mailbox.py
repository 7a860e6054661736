"""The dispatcher as a Ray actor, and a worker's way to it: the same calls from afar, with waiting.

One event loop owns the dispatcher, so its methods never run at the same time. ``take`` and ``events`` wait for
something to be there; hundreds of lanes may wait at once, each costs a coroutine.
"""

import asyncio
import time
from typing import Any, Literal

from orchestrator.engine.dispatch import Answer, Dispatcher, Preparatory, Wait
from orchestrator.engine.ending import Summary
from orchestrator.engine.events import Event, StageProgress
from orchestrator.plan.plan import Plan

TAKE_WAIT_S = 10.0
LOOK_EVERY_S = 0.05


class DispatcherActor:
    """A `Dispatcher` to be made a Ray actor."""

    def __init__(
        self,
        plan: Plan,
        finished: set[str],
        num_lanes: int,
        max_attempts: int,
        open_ended: bool,
        store_uri: str,
    ) -> None:
        self._dispatcher = Dispatcher(
            plan, finished, num_lanes=num_lanes, max_attempts=max_attempts, open_ended=open_ended
        )
        self._stopping = False
        self._store_uri = store_uri

    async def store_uri(self) -> str:
        """Returns the store's address in full; may hold a password."""
        return self._store_uri

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls one of the dispatcher's methods that do not wait."""
        return getattr(self._dispatcher, method)(*args, **kwargs)

    async def take(self, lane: str, incarnation: str, turn: int, preparatory: Preparatory) -> Answer:
        """Returns the lane's next stage as soon as there is one; Wait after some seconds without."""
        until_s = time.monotonic() + TAKE_WAIT_S
        while True:
            answer = self._dispatcher.take(lane, incarnation, turn, preparatory=preparatory)
            if not isinstance(answer, Wait) or time.monotonic() > until_s:
                return answer
            await asyncio.sleep(LOOK_EVERY_S)

    async def events(self, since: int, wait_s: float) -> tuple[list[Event], int, bool]:
        """Returns new events as soon as there are some, the next number to ask for, and whether all is over."""
        until_s = time.monotonic() + wait_s
        while True:
            fresh, cursor = self._dispatcher.events(since)
            over = self._dispatcher.is_over()
            if fresh or over or time.monotonic() > until_s:
                return fresh, cursor, over
            await asyncio.sleep(LOOK_EVERY_S)

    async def stop(self) -> None:
        """Hands out nothing more."""
        self._stopping = True
        self._dispatcher.stop()

    async def is_stopping(self) -> bool:
        """Whether the run is being stopped."""
        return self._stopping

    async def summary(self) -> Summary:
        """Returns how everything ended."""
        return Summary.of(self._dispatcher)


class RayPort:
    """The way to a dispatcher that is a Ray actor.

    Calls wait for their answer, except ``progress``: that one is sent off, and what the previous one answered is
    looked at only if it is already there.
    """

    def __init__(self, dispatcher: Any, lane: str, incarnation: str, preparatory: Preparatory) -> None:
        self._dispatcher = dispatcher
        self._me = (lane, incarnation)
        self._preparatory = preparatory
        self._pending: Any = None

    def _ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        import ray

        return ray.get(self._dispatcher.call.remote(method, *self._me, *args, **kwargs))

    def store_uri(self) -> str:
        """Returns the address of the store, to be opened here."""
        import ray

        return str(ray.get(self._dispatcher.store_uri.remote()))

    def join(self, start_s: float) -> None:
        """Says that this incarnation of the lane is up."""
        self._ask("join", start_s)

    def give_up(self, error: str) -> None:
        """Says that this lane cannot work at all."""
        self._ask("give_up", error)

    def take(self, turn: int) -> Answer:
        """Returns this turn's answer; waits up to some seconds for something to become ready."""
        import ray

        answer: Answer = ray.get(self._dispatcher.take.remote(*self._me, turn, self._preparatory))
        return answer

    def started(self, key: str) -> bool:
        """See `Port`."""
        return bool(self._ask("started", key))

    def decided(self, turn: int) -> Literal["begun", "dropped", "open"]:
        """See `Port`."""
        decision: Literal["begun", "dropped", "open"] = self._ask("decided", turn)
        return decision

    def progress(self, event: StageProgress) -> bool:
        """See `Port`."""
        import ray

        go_on = True
        if self._pending is not None:
            ready, _ = ray.wait([self._pending], timeout=0)
            if not ready:
                return True
            try:
                go_on = bool(ray.get(ready[0]))
            except ray.exceptions.RayActorError:  # the driver is gone: nobody waits for this stage
                return False
        self._pending = self._dispatcher.call.remote("progress", *self._me, event)
        return go_on

    def finished(self, key: str, seconds: float, *, cached: bool) -> None:
        """See `Port`."""
        self._ask("finished", key, seconds, cached=cached)

    def failed(self, key: str, error: str, seconds: float, *, retry: bool, log: str) -> None:
        """See `Port`."""
        self._ask("failed", key, error, seconds, retry=retry, log=log)

    def busy(self, key: str) -> None:
        """See `Port`."""
        self._ask("busy", key)

    def interrupted(self, key: str, seconds: float) -> None:
        """See `Port`."""
        self._ask("interrupted", key, seconds)
