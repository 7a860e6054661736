"""What a worker does: takes stages from the dispatcher one after another and runs them.

Starting a Ray Train job costs seconds (a controller, a placement group, a worker process and its imports), a stage at
the smallest scale not much more. So workers are kept: a *lane* is one Ray Train job whose function, `lane_main`, asks
for stage after stage until there are none. Preparatory stages run in *slots*: plain Ray tasks with one CPU that do
the same and end when preparation is done.

All ranks of a lane ask for the same turn and get the same stage. Rank 0 alone holds the stage's lease, commits its
result and reports; the others wait until it has begun, and run the same function.

A failing stage is no failing lane: the exception is caught here, its traceback written to ``failure.log`` in the
stage's work folder, and the lane goes on. Only in a lane of several ranks is it raised again, because the other ranks
may hang in a collective: Ray Train then restarts the group.
"""

import importlib
import os
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from orchestrator.engine.dispatch import Answer, Assignment, Preparatory, Stop, Wait
from orchestrator.engine.outcomes import StageProgress
from orchestrator.plan.plan import Stage
from orchestrator.store import StageBusy, Store, StoreError
from t5core.errors import ConfigError, NonFiniteLoss

Report = Callable[[dict[str, Any]], None]
StageFunction = Callable[[Stage, Mapping[str, Path], Path, Any, Report], dict[str, Any]]
"""(stage, inputs, work, device, report) -> result. ``device`` is None for preparatory stages."""

DeviceOpener = Callable[[str, int | None], Any]
"""(name, threads) -> device."""

RUN_STAGE = "orchestrator.stages:run_stage"
"""What runs a stage unless something else is asked for; by name, because it imports torch."""

REPORT_INTERVAL_S = 1.0
"""Reports closer together than this are dropped, but for the last step's."""

STOP_GRACE_S = 10.0
"""A worker whose stage does not leave within this time after the run was stopped ends its process."""

FAILURE_LOG = "failure.log"


class LaneStopped(BaseException):
    """Raised by ``report`` inside a stage when the run is stopping; not an Exception, so that stages let it through."""


@dataclass(frozen=True, kw_only=True)
class LaneConfig:
    """What one lane's worker group is made of.

    The fields ``use_tpu``, ``topology`` and ``accelerator_type`` go to Ray Train's ScalingConfig as they are. They need
    real TPU slices (or nodes that declare them); everything else runs on any machine.

    Attributes:
        device: "cpu", "cuda" or "xla", for ``t5core.devices.open_device``.
        num_workers: processes; on TPU slices one per host.
        cpus_per_worker: CPUs that Ray reserves for each; also the threads PyTorch may use.
        gpus_per_worker: GPUs that Ray reserves for each; one process uses one.
        use_tpu: reserve TPU hosts.
        topology: of the slice, like "2x2x2".
        accelerator_type: like "TPU-V4".
        tpus_per_worker: chips of each worker; None with a topology, which says it.
        virtual_devices: how many devices PJRT shows where there is no TPU. For "xla" only.
    """

    device: str = "cpu"
    num_workers: int = 1
    cpus_per_worker: int = 1
    gpus_per_worker: int = 0
    use_tpu: bool = False
    topology: str | None = None
    accelerator_type: str | None = None
    tpus_per_worker: int | None = None
    virtual_devices: int = 1

    def __post_init__(self) -> None:
        if self.num_workers < 1:
            raise ConfigError("num_workers", self.num_workers, "give a lane at least one worker")
        if (self.device == "cuda") != (self.gpus_per_worker == 1):
            way_out = "a process uses one GPU where the accelerator is cuda, and none elsewhere"
            raise ConfigError("gpus_per_worker", self.gpus_per_worker, way_out)
        if self.use_tpu and self.device != "xla":
            raise ConfigError("use_tpu", self.use_tpu, "TPUs need the accelerator xla")
        if self.topology is not None and not self.use_tpu:
            raise ConfigError("topology", self.topology, "a topology belongs to TPU slices: set use_tpu too")


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """All that a worker process is told, by value: names and addresses, no objects.

    Attributes:
        dispatcher: name of the dispatcher's actor, in the job's namespace.
        lane: this lane's name.
        store_uri: opened by the worker itself.
        run_stage, open_device: functions as "module:name", imported by the worker.
        device: as in LaneConfig; "" for slots.
        threads: for PyTorch.
        preparatory: whether to take preparatory stages.
        launched_at: seconds since the epoch when the driver launched the lane.
    """

    dispatcher: str
    lane: str
    store_uri: str
    run_stage: str
    open_device: str
    device: str
    threads: int
    preparatory: Preparatory
    launched_at: float


def reference(function: Callable[..., Any]) -> str:
    """Returns "module:name" of a top-level function.

    Raises:
        ConfigError: when the function cannot be found again under that name.
    """
    name = f"{function.__module__}:{function.__qualname__}"
    if "<" in name or function.__module__ == "__main__":
        raise ConfigError("function", name, "workers import functions by name: give a top-level function of a module")
    return name


def resolve(name: str) -> Callable[..., Any]:
    """Returns the function that `reference` named."""
    module, _, qualname = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    assert callable(found), name
    function: Callable[..., Any] = found
    return function


def open_device(name: str, threads: int | None) -> Any:
    """Opens a device of t5core; imports torch, so call it where waiting costs nothing."""
    from t5core import devices

    return devices.open_device(name, threads=threads)


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
            store.commit(stage, work, result, seconds=seconds)
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


def one_line(error: BaseException) -> str:
    """Returns an error as one line: a user error's own sentence, others with their type in front."""
    text = " ".join(str(error).split())
    if isinstance(error, ConfigError | NonFiniteLoss):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


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


def lane_main(values: dict[str, Any]) -> None:
    """The training function of a lane's Ray Train job; ``values`` are a WorkerSpec's fields."""
    from ray import train
    from ray.train.collective import broadcast_from_rank_zero

    context = train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    incarnation = uuid.uuid4().hex
    if world_size > 1:
        incarnation = broadcast_from_rank_zero(incarnation)
    _serve(WorkerSpec(**values), incarnation, rank, world_size)


def slot_main(values: dict[str, Any]) -> None:
    """The body of a preparatory slot's Ray task; ``values`` are a WorkerSpec's fields."""
    _serve(WorkerSpec(**values), uuid.uuid4().hex, 0, 1)


def _serve(spec: WorkerSpec, incarnation: str, rank: int, world_size: int) -> None:
    import ray

    dispatcher = ray.get_actor(spec.dispatcher)
    port = RayPort(dispatcher, spec.lane, incarnation, spec.preparatory)
    port.join(time.time() - spec.launched_at)
    done = threading.Event()
    threading.Thread(target=_watch, args=(dispatcher, done), daemon=True, name="stop-watch").start()
    opened: list[Any] = []

    def device() -> Any:
        if not opened:
            opened.append(resolve(spec.open_device)(spec.device, spec.threads))
        return opened[0]

    try:
        try:
            store, run_stage = Store.open(spec.store_uri), resolve(spec.run_stage)
            if spec.device:
                device()  # now, while the first stages are being prepared elsewhere
        except Exception as error:  # whatever is missing here is missing for every stage
            port.give_up(one_line(error))
            return
        work_through(port, store, run_stage, device, rank=rank, world_size=world_size)
    finally:
        done.set()


def _watch(dispatcher: Any, done: threading.Event) -> None:
    """Ends the process when the run stops (or its driver is gone) and the stage does not leave by itself."""
    import ray

    while not done.wait(2.0):
        try:
            stopping = ray.get(dispatcher.is_stopping.remote())
        except Exception:  # whatever it is: there is nobody left to work for
            stopping = True
        if stopping:
            if not done.wait(STOP_GRACE_S):
                os._exit(1)
            return


def spec_values(spec: WorkerSpec) -> dict[str, Any]:
    """Returns a spec as plain values, to be sent to a worker."""
    return asdict(spec)
