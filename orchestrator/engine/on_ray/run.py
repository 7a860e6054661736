"""Runs a plan on Ray.

The driver holds little: a `Dispatcher` (see dispatch.py) lives in an actor and knows what is next; workers (see
lanes.py) come to it. What is left to do here is to have the workers there, to pass events on, and to clean up.

    driver ──► slots: Ray tasks, 1 CPU each, preparatory stages, until none are left
       ├─────► lanes: one thread per lane, in it one Ray Train job; devices
       └─────► dispatcher: an actor without CPUs ──events──► driver ──► display, tracker

CPUs are few on a laptop, and a lane holds its own as long as it lives. So while there are preparatory stages one CPU
belongs to a slot, which keeps it until preparation is done. As many lanes as fit beside it start at once, so that
their start-up (imports, placement) overlaps with preparation; the others are asked for as soon as the slots run: their
controllers start and their workers wait for the CPU that a slot gives back. Idle lanes help with preparation, too;
nothing can therefore wait for a CPU that only a lane could free.

Ray Train's ``fit()`` installs a Ctrl-C handler only in the main thread and otherwise runs in any thread, so lanes are
threads of the driver, and Ctrl-C stays the driver's: it stops the dispatcher, stages leave at their next report,
workers that do not are ended, and Ray, if it was started here, is shut down.
"""

import contextlib
import importlib
import queue
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.engine.dispatch import Preparatory
from orchestrator.engine.ending import Summary, all_cached, finished_before, keep_failure, settle
from orchestrator.engine.events import Event, LanesDecided, LaneStarted, RayStarted
from orchestrator.engine.on_ray.connect import connected, data_parallel_trainer, failure_line
from orchestrator.engine.on_ray.crew import Crew, LaneConfig, decided_device, default_lane
from orchestrator.engine.on_ray.lanes import WorkerSpec, lane_main, slot_main, spec_values
from orchestrator.engine.outcomes import Outcomes
from orchestrator.engine.steering import Steering, held
from orchestrator.engine.worker import RUN_STAGE, STOP_GRACE_S, DeviceOpener, StageFunction, threads_of
from orchestrator.engine.worker import open_device as open_t5core_device
from orchestrator.plan.by_name import reference
from orchestrator.plan.plan import Plan
from orchestrator.store import Store
from t5core.config import MeshConfig
from t5core.errors import ConfigError
from t5core.uris import without_user

ACCELERATORS = ("auto", "cpu", "cuda", "xla")

EVENTS_WAIT_S = 0.5
STOP_WAIT_S = STOP_GRACE_S + 20.0
"""How long a stopped run waits for its lanes before it leaves them to Ray's own clean-up."""

DISPATCHER_PREFIX = "t5grid-dispatcher-"
"""The dispatcher's actor is called this and the run's id; workers find it by that."""


def run_plan(
    plan: Plan,
    store: Store,
    *,
    accelerator: str = "auto",
    num_lanes: int | None = None,
    parallel: str = "auto",
    mesh: MeshConfig | None = None,
    events: Callable[[Event], None] = lambda _: None,
    run_stage: StageFunction | None = None,
    max_attempts: int = 2,
    address: str | None = None,
    lane: LaneConfig | None = None,
    open_device: DeviceOpener | None = None,
    steering: Steering | None = None,
    stopped: Callable[[], None] = lambda: None,
) -> Outcomes:
    """Runs what is not finished of a plan on Ray and returns how every stage ended.

    When everything is finished, Ray is not started, nor even imported.

    Args:
        plan: what is to be done.
        store: where results are; workers open it again by its URI.
        accelerator: "cpu", "cuda", "xla", or "auto": xla where Ray has TPUs, else cuda where it has GPUs.
        num_lanes: how many stages run on devices at a time; None: as many as are useful and fit.
        parallel: how models are held, one of ``t5core.devices.PARALLEL_CHOICES``; no part of what a stage is.
        mesh: a lane's devices (see ``default_lane``).
        events: called in this thread with everything that happens.
        run_stage: a top-level function; None for ``orchestrator.stages.run_stage``.
        max_attempts: how often a stage is tried. Errors that would come again are not tried again: ConfigError,
            DataError, NonFiniteLoss.
        address: of a running Ray; None: the environment's, else a Ray of this run's own.
        lane: what a lane is made of, such as a TPU slice; None for one CPU, one GPU, or the chips of one TPU host.
        open_device: a top-level function; None for ``t5core.devices.open_device``.
        steering: adds stages while the plan runs; the outcomes are then of all that there was.
        stopped: called first of all when the run is stopped: ending its workers may take longer than it has left.

    Raises:
        ConfigError: for settings that cannot be used, before anything is started.
        KeyboardInterrupt: after everything that was started has been stopped.
    """
    if accelerator not in ACCELERATORS:
        way_out = f"choose one of {', '.join(ACCELERATORS)}"
        raise ConfigError("accelerator", accelerator, way_out, choices=ACCELERATORS)
    for name, value in (("num_lanes", num_lanes), ("max_attempts", max_attempts)):
        if value is not None and value < 1:
            raise ConfigError(name, value, "give a whole number from 1 up")
    functions = (
        RUN_STAGE if run_stage is None else reference(run_stage),
        reference(open_t5core_device if open_device is None else open_device),
    )
    started_s = time.monotonic()
    finished = finished_before(plan, store, events)
    if len(finished) == len(plan.stages) and steering is None:
        return all_cached(plan, store, started_s)
    if accelerator != "auto" and lane is None:  # else it is checked when it is known
        from t5core.devices.layout import (
            check_parallel,
        )  # imports torch: seconds

        check_parallel(accelerator, parallel, mesh)
    with connected(address) as connection:
        events(RayStarted(address=connection.address, cpus=connection.cpus, started_here=connection.started_here))
        device, why = decided_device(accelerator, connection) if lane is None else (lane.device, "asked for")
        config = lane or default_lane(device, connection, parallel=parallel, mesh=mesh)
        crew = Crew.of(plan, finished, config, connection, num_lanes)
        events(LanesDecided(device=device, why=why, lanes=crew.lanes, why_lanes=crew.why))
        one_node = connection.nodes == 1
        with _Run(plan, finished, store, config, crew, functions, max_attempts, steering, one_node) as run:
            try:
                run.drive(events)
            except BaseException:
                stopped()
                raise
            summary = run.summary()
    return settle(run.plan, store, summary, crew.lanes, started_s)


@dataclass
class _Run:
    """One run on a Ray that is there: a context that leaves nothing behind."""

    plan: Plan
    finished: set[str]
    store: Store
    lane: LaneConfig
    crew: Crew
    functions: tuple[str, str]
    max_attempts: int
    steering: Steering | None
    one_node: bool
    _id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    _sealed: bool = False
    _threads: dict[str, threading.Thread] = field(default_factory=dict)
    _slots: dict[Any, str] = field(default_factory=dict)
    _ended: "queue.SimpleQueue[tuple[str, str]]" = field(default_factory=queue.SimpleQueue)
    _cleanup: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> Self:
        import ray

        from orchestrator.engine.on_ray.mailbox import DispatcherActor

        scratch = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="t5grid-train-"))
        # Ray Train keeps a few small files per job; on several nodes they must lie where all nodes see them. It exports
        # their address, and takes credentials from the nodes' environment only.
        self._train_folder = (
            scratch if self.one_node else f"{without_user(_absolute(self.store.uri)).rstrip('/')}/.ray-train"
        )
        self._actor: Any = (
            ray.remote(DispatcherActor)
            .options(name=DISPATCHER_PREFIX + self._id, num_cpus=0, max_concurrency=1000)
            .remote(
                self.plan,
                self.finished,
                max(1, self.crew.lanes),
                self.max_attempts,
                self.steering is not None,
                _absolute(self.store.uri),
            )
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        try:
            with contextlib.suppress(ray.exceptions.RayActorError):
                ray.get(self._actor.stop.remote())
            until_s = time.monotonic() + STOP_WAIT_S
            for thread in self._threads.values():
                thread.join(max(0.0, until_s - time.monotonic()))
            if self._slots:
                ray.wait(list(self._slots), num_returns=len(self._slots), timeout=max(0.0, until_s - time.monotonic()))
            for slot in self._slots:
                ray.cancel(slot, force=True)
            ray.kill(self._actor)
        finally:
            self._cleanup.close()

    def drive(self, events: Callable[[Event], None]) -> None:
        """Starts the workers and passes events on until no stage is left."""
        import ray

        for i in range(self.crew.slots):
            self._start_slot(f"slot-{i + 1}")
        names = [f"lane-{i + 1}" for i in range(self.crew.lanes)]
        waiting = names[self.crew.first :]
        for name in names[: self.crew.first]:
            self._start_lane(name)
        cursor, slots_up = 0, 0
        while True:
            fresh, cursor, over = ray.get(self._actor.events.remote(cursor, EVENTS_WAIT_S))
            for event in fresh:
                keep_failure(event, self.plan, self.store)
                events(event)
                self._steer(event)
                slots_up += isinstance(event, LaneStarted) and event.lane.startswith("slot")
            if over:
                return
            self._look_after_slots()
            self._look_after_lanes()
            if waiting and (slots_up >= self.crew.slots or not self._slots):
                for name in waiting:
                    self._start_lane(name)
                waiting = []
            if not self._slots and not self._threads and not waiting:
                ray.get(self._actor.call.remote("no_lanes_left"))

    def _steer(self, event: Event) -> None:
        """Adds what the steering wants after an event."""
        import ray

        if self.steering is None or self._sealed:
            return
        more = self.steering.after(event)
        if more is not None:
            self.plan = self.plan.extended(more)
            ray.get(self._actor.call.remote("extend", more, held(more, self.store)))
        if not self.steering.open:
            self._sealed = True
            ray.get(self._actor.call.remote("seal"))

    def summary(self) -> Summary:
        """Returns what the dispatcher knows."""
        import ray

        summary: Summary = ray.get(self._actor.summary.remote())
        return summary

    def _spec(self, name: str, *, slot: bool) -> dict[str, Any]:
        run_stage, open_device = self.functions
        helps: Preparatory = "too" if self.lane.num_workers == 1 else "no"
        spec = WorkerSpec(
            dispatcher=DISPATCHER_PREFIX + self._id,
            lane=name,
            run_stage=run_stage,
            open_device=open_device,
            device="" if slot else self.lane.device,
            threads=threads_of(None if slot else self.lane.cpus_per_worker),
            preparatory="only" if slot else helps,
            launched_at=time.time(),
            held={} if slot else self.lane.held,
        )
        return spec_values(spec)

    def _start_slot(self, name: str) -> None:
        import ray

        task = ray.remote(slot_main).options(num_cpus=1, max_retries=0, name=f"t5grid-{name}")
        self._slots[task.remote(self._spec(name, slot=True))] = name

    def _look_after_slots(self) -> None:
        import ray

        if not self._slots:
            return
        done, _ = ray.wait(list(self._slots), num_returns=len(self._slots), timeout=0)
        for slot in done:
            name = self._slots.pop(slot)
            try:
                ray.get(slot)
            except ray.exceptions.RayError as error:  # the process died; what was in flight is handed out again
                if ray.get(self._actor.call.remote("lane_failed", name, f"{type(error).__name__}: it died")):
                    self._start_slot(name)

    def _start_lane(self, name: str) -> None:
        thread = threading.Thread(target=self._fit, args=(name,), name=name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def _fit(self, name: str) -> None:
        """Runs a lane's Ray Train job to its end; in a thread."""
        try:
            self._trainer(name).fit()
        except Exception as error:  # whatever Ray Train gives up with: it is the lane's reason
            self._ended.put((name, failure_line(error)))
        else:
            self._ended.put((name, ""))

    def _trainer(self, name: str) -> Any:
        train: Any = importlib.import_module("ray.train")  # its types are those of the version before
        lane = self.lane
        resources: dict[str, float] | None = {"CPU": lane.cpus_per_worker}
        if lane.gpus_per_worker:
            resources = {"CPU": lane.cpus_per_worker, "GPU": lane.gpus_per_worker}
        if lane.use_tpu:
            resources = {"TPU": lane.tpus_per_worker} if lane.tpus_per_worker else None
        return data_parallel_trainer()(
            lane_main,
            train_loop_config=self._spec(name, slot=False),
            backend_config=_backend(lane),
            scaling_config=train.ScalingConfig(
                num_workers=lane.num_workers,
                resources_per_worker=resources,
                use_gpu=lane.gpus_per_worker > 0,
                use_tpu=lane.use_tpu,
                topology=lane.topology,
                accelerator_type=lane.accelerator_type,
            ),
            run_config=train.RunConfig(
                name=f"{self._id}-{name}",
                storage_path=self._train_folder,
                # A stage that kills its process is tried max_attempts times; a lane that did some work before it
                # failed is started again.
                failure_config=train.FailureConfig(max_failures=self.max_attempts + 1),
                logging_config=train.LoggingConfig(log_level="ERROR"),
            ),
        )

    def _look_after_lanes(self) -> None:
        import ray

        while True:
            try:
                name, error = self._ended.get_nowait()
            except queue.Empty:
                return
            self._threads.pop(name).join()
            if error and ray.get(self._actor.call.remote("lane_failed", name, error)):
                self._start_lane(name)


def _backend(lane: LaneConfig) -> Any:
    """What a lane's workers are set up by: those of several that share batches find each other."""
    if lane.device != "xla" and lane.num_workers == 1:
        return None
    if lane.device != "xla":
        torch: Any = importlib.import_module("ray.train.torch")
        return torch.TorchConfig(backend="cpu:gloo,cuda:nccl" if lane.device == "cuda" else "gloo")
    from orchestrator.engine.on_ray.xla import XlaBackendConfig

    chips = lane.tpus_per_worker or 1
    devices = lane.num_workers * (chips if lane.use_tpu else lane.virtual_devices)
    return XlaBackendConfig(
        pjrt_device="TPU" if lane.use_tpu else "CPU",
        virtual_devices=lane.virtual_devices,
        spmd=devices > 1 or lane.topology is not None,
    )


def _absolute(uri: str) -> str:
    """Returns a store's URI as workers with another current folder must have it."""
    return uri if "://" in uri else str(Path(uri).absolute())
