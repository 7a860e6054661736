"""A plan without Ray: in this process, one stage after another.

The same dispatcher, the same worker loop, the same events and outcomes as on Ray; for notebooks, debuggers and tests.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

from orchestrator.engine.dispatch import Answer, Dispatcher, Wait
from orchestrator.engine.ending import Summary, all_cached, finished_before, keep_failure, settle
from orchestrator.engine.events import Event, StageProgress
from orchestrator.engine.outcomes import Outcomes
from orchestrator.engine.steering import Steering, held
from orchestrator.engine.worker import RUN_STAGE, StageFunction, open_device, threads_of, work_through
from orchestrator.plan.by_name import resolve
from orchestrator.plan.plan import Plan
from orchestrator.store import Store


def run_locally(
    plan: Plan,
    store: Store,
    *,
    events: Callable[[Event], None] = lambda _: None,
    run_stage: StageFunction | None = None,
    device: Any = None,
    max_attempts: int = 2,
    steering: Steering | None = None,
) -> Outcomes:
    """Runs what is not finished of a plan in this process and returns how every stage ended.

    Args:
        plan: what is to be done.
        store: where results are.
        events: called with everything that happens.
        run_stage: None for ``orchestrator.stages.run_stage``.
        device: an open device; None opens the CPU's when a stage needs one, with the threads of a lane (one, see
            ``threads_of``), so that what is computed here is what Ray computes on this machine. The process has its own
            again when the plan has run. ``t5core.devices.open_device("cpu", threads=8)`` takes more.
        max_attempts: as for ``run_plan``.
        steering: as for ``run_plan``.
    """
    started_s = time.monotonic()
    finished = finished_before(plan, store, events)
    if len(finished) == len(plan.stages) and steering is None:
        return all_cached(plan, store, started_s)
    steered = steering is not None
    dispatcher = Dispatcher(plan, finished, num_lanes=1, max_attempts=max_attempts, open_ended=steered)
    port = _LocalPort(dispatcher, events, store, steering)
    opened = [] if device is None else [device]
    with contextlib.ExitStack() as until_done:

        def use_device() -> Any:
            if not opened:
                until_done.enter_context(_threads_given_back())
                opened.append(open_device("cpu", threads_of()))
            return opened[0]

        work_through(port, store, resolve(RUN_STAGE) if run_stage is None else run_stage, use_device)
    port.deliver()
    return settle(dispatcher.plan, store, Summary.of(dispatcher), 1, started_s)


@contextlib.contextmanager
def _threads_given_back() -> Iterator[None]:
    """Has PyTorch compute with as many threads behind the ``with`` as before it: who opens a device sets them."""
    import torch

    earlier = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(earlier)


class _LocalPort:
    """A lane's way to a dispatcher in the same process; delivers events as they come."""

    def __init__(
        self, dispatcher: Dispatcher, events: Callable[[Event], None], store: Store, steering: Steering | None
    ) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._steering = steering
        self._events = events
        self._me = ("local", "local")
        self._cursor = 0
        dispatcher.join(*self._me)

    def deliver(self) -> None:
        fresh, self._cursor = self._dispatcher.events(self._cursor)
        for event in fresh:
            keep_failure(event, self._dispatcher.plan, self._store)
            self._events(event)
            if self._steering is not None:
                more = self._steering.after(event)
                if more is not None:
                    self._dispatcher.extend(more, held(more, self._store))
                if not self._steering.open:
                    self._dispatcher.seal()

    def take(self, turn: int) -> Answer:
        self.deliver()
        answer = self._dispatcher.take(*self._me, turn, preparatory="too")
        self.deliver()
        if isinstance(answer, Wait):  # for a stage that another process holds
            time.sleep(0.1)
        return answer

    def started(self, key: str) -> bool:
        begun = self._dispatcher.started(*self._me, key)
        self.deliver()
        return begun

    def decided(self, turn: int) -> Literal["begun", "dropped", "open"]:
        return self._dispatcher.decided(*self._me, turn)

    def progress(self, event: StageProgress) -> bool:
        go_on = self._dispatcher.progress(*self._me, event)
        self.deliver()
        return go_on

    def finished(self, key: str, seconds: float, *, cached: bool) -> None:
        self._dispatcher.finished(*self._me, key, seconds, cached=cached)

    def failed(self, key: str, error: str, seconds: float, *, retry: bool, log: str) -> None:
        self._dispatcher.failed(*self._me, key, error, seconds, retry=retry, log=log)

    def busy(self, key: str) -> None:
        self._dispatcher.busy(*self._me, key)

    def interrupted(self, key: str, seconds: float) -> None:
        self._dispatcher.interrupted(*self._me, key, seconds)
