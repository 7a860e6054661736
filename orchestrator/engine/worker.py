"""What a worker does: takes stages from the dispatcher one after another and runs them.

All ranks of a lane ask for the same turn and get the same stage. Rank 0 alone holds the stage's lease, commits its
result and reports; the others wait until it has begun, and run the same function.

A failing stage is no failing lane: the exception is caught here, its traceback written to ``failure.log`` in the
stage's work folder, and the lane goes on. Only in a lane of several ranks is it raised again, because the other ranks
may hang in a collective: Ray Train then restarts the group.
"""

import contextlib
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol

from orchestrator.engine.dispatch import Answer, Assignment, Stop, Wait
from orchestrator.engine.events import StageProgress
from orchestrator.plan.stage import Stage
from orchestrator.store import StageBusy, Store, StoreError
from orchestrator.store.failures import write_failure
from t5core.errors import ConfigError, NonFiniteLoss

Report = Callable[[dict[str, Any]], None]
StageFunction = Callable[[Stage, Mapping[str, Path], Path, Any, Report], dict[str, Any]]
"""(stage, inputs, work, device, report) -> result. ``device`` is None for preparatory stages."""

DeviceOpener = Callable[..., Any]
"""(name, threads) -> device; where a lane says how models are held, with ``parallel`` and ``mesh`` by name."""

RUN_STAGE = "orchestrator.stages:run_stage"
"""What runs a stage unless something else is asked for; by name, because it imports torch."""

REPORT_INTERVAL_S = 1.0
"""Reports closer together than this are dropped, but for the last step's."""

STOP_GRACE_S = 10.0
"""A worker whose stage does not leave within this time after the run was stopped ends its process."""

FAILURE_LOG = "failure.log"

CPUS_PER_WORKER = 1
"""Of a lane that nothing was said about."""


def threads_of(cpus: int | None = None) -> int:
    """Returns how many threads PyTorch computes with in a process that runs stages.

    Sums on a CPU depend on the number, so it is decided here for all of them, and not left to what PyTorch finds. A
    lane's workers have one for each CPU that Ray reserves for them, which is one unless the lane says otherwise: the
    models that studies train on CPUs are small, and more cores are better given to more lanes. A process without a
    lane, a slot's or that of ``run_locally``, has as many as a lane that nothing was said about, so that the same plan
    comes to the same on either way.

    Args:
        cpus: that are the process's own; None: of a process without a lane.
    """
    return CPUS_PER_WORKER if cpus is None else cpus


class LaneStopped(BaseException):
    """Raised by ``report`` inside a stage when the run is stopping; not an Exception, so that stages let it through."""


def open_device(name: str, threads: int | None, *, parallel: str = "auto", mesh: tuple[int, int] | None = None) -> Any:
    """Opens a device of t5core; imports torch, so call it where waiting costs nothing.

    Args:
        name: "cpu", "cuda" or "xla".
        threads: of a CPU's process.
        parallel: how models are held, one of ``t5core.devices.PARALLEL_CHOICES``.
        mesh: data and model; None: as the device finds it. Elsewhere than on "xla" it says how many processes there
            are, which have found each other.
    """
    from t5core import devices
    from t5core.config import MeshConfig

    grid = None if mesh is None or name != "xla" else MeshConfig(data=mesh[0], model=mesh[1])
    return devices.open_device(name, threads=threads, parallel=parallel, mesh=grid)


class Port(Protocol):
    """A lane's way to the dispatcher; see `Dispatcher` for what the calls mean."""

    def take(self, turn: int) -> Answer:
        """Returns this turn's answer."""

    def started(self, key: str) -> bool:
        """Says that the stage begins; returns whether it is still the lane's."""

    def decided(self, turn: int) -> Literal["begun", "dropped", "open"]:
        """What rank 0 did with the turn."""

    def progress(self, event: StageProgress) -> bool:
        """Says how far the stage is, without waiting; returns whether the lane may go on, as far as is known."""

    def finished(self, key: str, seconds: float, *, cached: bool) -> None:
        """Says that the result is in the store."""

    def failed(self, key: str, error: str, seconds: float, *, retry: bool, log: str) -> None:
        """Says that the attempt failed."""

    def busy(self, key: str) -> None:
        """Says that another process holds the stage."""

    def interrupted(self, key: str, seconds: float) -> None:
        """Says that the stage was left because the run stops."""


class Reporter:
    """The ``report`` that a stage is given: at most once a second, never waiting.

    Raises:
        LaneStopped: inside the stage, when the run is stopping.
    """

    def __init__(self, port: Port, key: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._port = port
        self._key = key
        self._clock = clock
        self._last_s = float("-inf")

    def __call__(self, values: dict[str, Any]) -> None:
        """Takes ``step``, ``steps`` and ``loss`` out of ``values``, each of which may be missing."""
        step, steps, loss = values.get("step"), values.get("steps"), values.get("loss")
        if self._clock() - self._last_s < REPORT_INTERVAL_S and (step is None or step != steps):
            return
        self._last_s = self._clock()
        event = StageProgress(
            key=self._key,
            step=None if step is None else int(step),
            steps=None if steps is None else int(steps),
            loss=None if loss is None else float(loss),
        )
        if not self._port.progress(event):
            raise LaneStopped


def work_through(
    port: Port,
    store: Store,
    run_stage: StageFunction,
    device: Callable[[], Any],
    *,
    rank: int = 0,
    world_size: int = 1,
) -> None:
    """Takes and runs stages until there are no more.

    Args:
        port: the way to the dispatcher.
        store: where results are.
        run_stage: what a stage is.
        device: gives the open device; called before the first stage that needs one.
        rank: of this process in its lane.
        world_size: processes in the lane.
    """
    turn = 0
    while True:
        match port.take(turn):
            case Stop():
                return
            case Wait():
                continue
            case Assignment() as assignment:
                try:
                    if rank == 0:
                        _lead(port, store, run_stage, device, assignment, reraise=world_size > 1)
                    else:
                        _follow(port, store, run_stage, device, assignment, turn)
                except LaneStopped:
                    return
                turn += 1


def _lead(
    port: Port,
    store: Store,
    run_stage: StageFunction,
    device: Callable[[], Any],
    assignment: Assignment,
    *,
    reraise: bool,
) -> None:
    stage, started_s, work = assignment.stage, time.monotonic(), None
    try:
        if store.finished(stage):
            port.finished(stage.key, 0.0, cached=True)
            return
        with store.lease(stage):
            if store.finished(stage):  # by the one who held the lease just now
                port.finished(stage.key, 0.0, cached=True)
                return
            if not port.started(stage.key):
                return
            inputs = {role: store.path(read) for role, read in assignment.inputs.items()}
            work = store.work(stage)
            opened = device() if stage.accelerated else None
            started_s = time.monotonic()
            result = run_stage(stage, inputs, work, opened, Reporter(port, stage.key))
            seconds = time.monotonic() - started_s
            (work / FAILURE_LOG).unlink(missing_ok=True)
            store.commit(stage, work, result, seconds=seconds, made_with=made_with(opened, result))
        port.finished(stage.key, seconds, cached=False)
    except StageBusy:
        port.busy(stage.key)
    except LaneStopped:
        port.interrupted(stage.key, time.monotonic() - started_s)
        raise
    except Exception as error:
        # what a store says of itself (a full disk) may pass; what a config or a text says stays true
        retry = isinstance(error, StoreError) or not isinstance(error, ConfigError | NonFiniteLoss)
        log = _write_log(work)
        with contextlib.suppress(Exception):  # the store may be what failed; the driver hears of it anyway
            write_failure(store, stage, one_line(error), assignment.attempt, traceback.format_exc())
        port.failed(stage.key, one_line(error), time.monotonic() - started_s, retry=retry, log=log)
        if reraise:
            raise


def _follow(
    port: Port,
    store: Store,
    run_stage: StageFunction,
    device: Callable[[], Any],
    assignment: Assignment,
    turn: int,
) -> None:
    while (decision := port.decided(turn)) == "open":
        time.sleep(0.1)
    if decision == "begun":
        inputs = {role: store.path(read) for role, read in assignment.inputs.items()}
        opened = device() if assignment.stage.accelerated else None
        run_stage(assignment.stage, inputs, store.work(assignment.stage), opened, lambda _: None)


def _write_log(work: Path | None) -> str:
    if work is None:
        return ""
    try:
        path = work / FAILURE_LOG
        path.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:  # the disk may be what failed
        return ""
    return str(path)


def made_with(device: Any, result: Mapping[str, Any]) -> dict[str, str]:
    """Returns what was decided for a stage, like device, precision and threads: by its run, else by its device."""
    told = result.get("decisions") or [asdict(decision) for decision in getattr(device, "decisions", tuple)()]
    return {str(decision["what"]): str(decision["value"]) for decision in told}


def one_line(error: BaseException) -> str:
    """Returns an error as one line: a user error's own sentence, others with their type in front."""
    text = " ".join(str(error).split())
    if isinstance(error, ConfigError | NonFiniteLoss):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
