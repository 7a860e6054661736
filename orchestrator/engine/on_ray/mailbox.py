"""The dispatcher as a Ray actor: the same calls from afar, with waiting.

One event loop owns the dispatcher, so its methods never run at the same time. ``take`` and ``events`` wait for
something to be there; hundreds of lanes may wait at once, each costs a coroutine.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from orchestrator.engine.dispatch import Answer, Dispatcher, Preparatory, Wait
from orchestrator.engine.ending import Summary
from orchestrator.engine.outcomes import Event
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
        cost: Mapping[str, float] | None,
        open_ended: bool,
    ) -> None:
        self._dispatcher = Dispatcher(
            plan, finished, num_lanes=num_lanes, max_attempts=max_attempts, cost=cost, open_ended=open_ended
        )
        self._stopping = False

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
