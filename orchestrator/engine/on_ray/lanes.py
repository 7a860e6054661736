"""The processes of a run on Ray: what a lane's Ray Train job and a slot's Ray task do, and what they are told.

Starting a Ray Train job costs seconds (a controller, a placement group, a worker process and its imports), a stage at
the smallest scale not much more. So workers are kept: a *lane* is one Ray Train job whose function, `lane_main`, asks
for stage after stage until there are none. Preparatory stages run in *slots*: plain Ray tasks with one CPU that do
the same and end when preparation is done.
"""

import os
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

from orchestrator.engine.dispatch import Preparatory
from orchestrator.engine.on_ray.mailbox import RayPort
from orchestrator.engine.worker import STOP_GRACE_S, one_line, work_through
from orchestrator.plan.by_name import resolve
from orchestrator.store import open_store


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """What a worker process is told as it starts, by value: names, no objects.

    Ray keeps these values and exports them, so the store's address, which may hold a password, is none of them: the
    worker asks the dispatcher for it.

    Attributes:
        dispatcher: name of the dispatcher's actor, in the job's namespace.
        lane: this lane's name.
        run_stage, open_device: functions as "module:name", imported by the worker.
        device: as in LaneConfig; "" for slots.
        threads: for PyTorch; see `threads_of`.
        preparatory: whether to take preparatory stages.
        launched_at: seconds since the epoch when the driver launched the lane.
        held: how models are held, by name, as ``open_device`` takes it; empty: as it does by itself.
    """

    dispatcher: str
    lane: str
    run_stage: str
    open_device: str
    device: str
    threads: int
    preparatory: Preparatory
    launched_at: float
    held: dict[str, Any] = field(default_factory=dict)


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
            opened.append(resolve(spec.open_device)(spec.device, spec.threads, **spec.held))
        return opened[0]

    try:
        try:
            store, run_stage = open_store(port.store_uri()), resolve(spec.run_stage)
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
