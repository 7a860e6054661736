"""How many workers of which kind a run on Ray has, and what one is made of."""

from dataclasses import dataclass, field
from typing import Any

from orchestrator.engine.on_ray.connect import RayConnection
from orchestrator.engine.worker import CPUS_PER_WORKER
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from t5core.config import MeshConfig
from t5core.errors import ConfigError


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
        parallel: how models are held, one of ``t5core.devices.PARALLEL_CHOICES``.
        mesh: data and model, the devices of one program. For "xla" only; None: as they are found.
    """

    device: str = "cpu"
    num_workers: int = 1
    cpus_per_worker: int = CPUS_PER_WORKER
    gpus_per_worker: int = 0
    use_tpu: bool = False
    topology: str | None = None
    accelerator_type: str | None = None
    tpus_per_worker: int | None = None
    virtual_devices: int = 1
    parallel: str = "auto"
    mesh: tuple[int, int] | None = None

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

    @property
    def held(self) -> dict[str, Any]:
        """How models are held, as ``open_device`` is told: only what differs from what it does by itself."""
        said: dict[str, Any] = {} if self.parallel == "auto" else {"parallel": self.parallel}
        return said if self.mesh is None else {**said, "mesh": self.mesh}

    @property
    def described(self) -> str:
        """What a lane takes, in words: ``1 CPU``, ``1 GPU``."""
        of_each = f"{self.gpus_per_worker} GPU" if self.gpus_per_worker else f"{self.cpus_per_worker} CPU"
        many = "" if of_each.startswith("1 ") else "s"
        return f"{of_each}{many}" if self.num_workers == 1 else f"{self.num_workers} times {of_each}{many}"


MAX_SLOTS = 4
"""More preparatory stages than this are hardly ever ready at once."""


@dataclass(frozen=True, kw_only=True)
class Crew:
    """How many workers of which kind a run has.

    Attributes:
        lanes: in all.
        why: that many lanes.
        first: lanes that start at once; the others once the slots run.
        slots: Ray tasks for preparatory stages.
    """

    lanes: int
    first: int
    slots: int
    why: str = field(default="", compare=False)

    @classmethod
    def of(
        cls, plan: Plan, finished: set[str], lane: LaneConfig, connection: RayConnection, num_lanes: int | None
    ) -> "Crew":
        """Counts what the unfinished stages can use and what there are CPUs for.

        2 CPUs, 4 preparatory stages, 14 chains on CPUs: 2 lanes, one of them at once, and 1 slot.
        """
        left = [stage for key, stage in plan.stages.items() if key not in finished]
        read = {key for stage in left if stage.accelerated for key in stage.inputs.values()}
        ends = len({_chain(plan, stage) for stage in left if stage.accelerated and stage.key not in read})
        preparatory = sum(not stage.accelerated for stage in left)
        cpus, cpus_per_lane = max(1, connection.cpus), lane.cpus_per_worker * lane.num_workers
        fitting = max(1, cpus // cpus_per_lane)
        if lane.gpus_per_worker:
            fitting = max(1, min(fitting, connection.gpus // (lane.gpus_per_worker * lane.num_workers)))
        useful = ends if num_lanes is None else min(num_lanes, ends)
        if lane.use_tpu:  # how many slices there are, the user knows
            lanes = min(useful, num_lanes or 1)
            why = _why(lanes, ends, num_lanes, "how many slices there are, --lanes says")
            return cls(lanes=lanes, first=lanes, slots=min(preparatory, MAX_SLOTS, cpus), why=why)
        lanes = min(useful, fitting)
        has = f"{connection.gpus} GPUs" if lane.gpus_per_worker else f"{cpus} CPUs"
        why = _why(lanes, ends, num_lanes, f"Ray has {has}, and a lane takes {lane.described}")
        slots = min(preparatory, MAX_SLOTS, max(1, cpus - lanes * cpus_per_lane))
        first = min(lanes, (cpus - slots) // cpus_per_lane) if slots else lanes
        return cls(lanes=lanes, first=first, slots=slots, why=why)


def _chain(plan: Plan, end: Stage) -> str:
    """What tells the chain of a last stage: the model that it looks at, as another may too; else the stage itself."""
    models = [] if end.trains else [key for key in end.inputs.values() if plan.stages[key].accelerated]
    return models[0] if models else end.key


def _why(lanes: int, ends: int, asked: int | None, fitting: str) -> str:
    """Why there are so many lanes, in words."""
    if asked is not None and lanes == asked:
        return "asked for"
    told = "no more stages can run at a time" if lanes == ends else fitting
    return told if asked is None else f"{asked} were asked for, but {told}"


def decided_device(accelerator: str, connection: RayConnection) -> tuple[str, str]:
    """Returns the device that stages run on, "cpu", "cuda" or "xla", and why.

    Raises:
        ConfigError: "cuda" on a Ray without GPUs.
    """
    if accelerator == "cuda" and not connection.gpus:
        raise ConfigError("accelerator", accelerator, "Ray has no GPU: add a node with one, or take cpu")
    if accelerator != "auto":
        return accelerator, "asked for"
    if connection.tpus:
        return "xla", f"auto: Ray has {connection.tpus} TPU chips"
    if not connection.gpus:
        return "cpu", "auto: Ray has no TPU and no GPU"
    if _has_cuda():
        return "cuda", f"auto: Ray has no TPU, but {connection.gpus} GPUs"
    return "cpu", f"auto: Ray has {connection.gpus} GPUs, but this PyTorch is built without CUDA"


def default_lane(
    device: str, connection: RayConnection, *, parallel: str = "auto", mesh: MeshConfig | None = None
) -> LaneConfig:
    """Returns one CPU per lane, or one GPU, or for "xla" on a Ray with TPUs one TPU host.

    Args:
        device: "cpu", "cuda" or "xla".
        connection: to Ray.
        parallel: how models are held.
        mesh: a lane's devices: on "xla" those of one program, elsewhere so many processes of one device each; None: as
            above.

    Raises:
        ConfigError: for what such a device cannot do, and for more devices than Ray has.
    """
    from t5core.devices.layout import check_parallel  # imports torch: seconds

    check_parallel(device, parallel, mesh)
    if device != "xla":
        processes = 1 if mesh is None else mesh.data
        there, of = (connection.gpus, "GPUs") if device == "cuda" else (connection.cpus, "CPUs")
        if mesh is not None and processes > there:
            raise ConfigError("mesh", f"{mesh.data}x{mesh.model}", f"Ray has {there} {of}: give at most {there}x1")
        return LaneConfig(
            device=device, gpus_per_worker=int(device == "cuda"), num_workers=processes, parallel=parallel
        )
    grid = None if mesh is None else (mesh.data, mesh.model)
    if not connection.tpus:
        devices = 1 if mesh is None else mesh.size
        return LaneConfig(device=device, virtual_devices=devices, mesh=grid if devices > 1 else None)
    chips = max(1, connection.tpus // connection.nodes)
    if mesh is not None and mesh.size != chips:
        way_out = f"a lane is a TPU host of {chips} chips, which the axes must multiply to"
        raise ConfigError("mesh", f"{mesh.data}x{mesh.model}", way_out)
    return LaneConfig(device=device, use_tpu=True, tpus_per_worker=chips, mesh=grid)


def _has_cuda() -> bool:
    """Whether the PyTorch that is installed, here as on all nodes, can use GPUs."""
    import torch

    return bool(torch.backends.cuda.is_built())  # type: ignore[no-untyped-call]
