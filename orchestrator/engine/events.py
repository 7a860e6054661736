"""What is told about a run on its way: plain frozen values.

A progress display and a tracker live on them; they come in the order in which things happened and are delivered in the
driver's main thread.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class RayStarted:
    """Ray is there: its address, its CPUs, and whether this run started it."""

    address: str
    cpus: int
    started_here: bool


@dataclass(frozen=True, kw_only=True)
class LanesDecided:
    """What the run's stages run on: the device, why that one, how many lanes, and why so many."""

    device: str
    why: str
    lanes: int
    why_lanes: str


@dataclass(frozen=True, kw_only=True)
class LaneStarted:
    """A lane's worker group is up; ``seconds`` from the call to start it until its function ran."""

    lane: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class StageStarted:
    """Attempt ``attempt`` (1, 2, ...) of a stage began in ``lane``."""

    key: str
    lane: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class StageProgress:
    """A stage is at ``step`` of ``steps``; None where it did not say."""

    key: str
    step: int | None
    steps: int | None
    loss: float | None


@dataclass(frozen=True, kw_only=True)
class StageWaiting:
    """Another process holds the stage; it is asked for again until that one has finished or gone."""

    key: str


@dataclass(frozen=True, kw_only=True)
class StageFinished:
    """A stage's result was committed (or found in the store)."""

    key: str
    lane: str
    seconds: float
    cached: bool


@dataclass(frozen=True, kw_only=True)
class StageFailed:
    """An attempt failed; ``final`` when there will be no other."""

    key: str
    error: str
    attempt: int
    final: bool
    log: str = ""


@dataclass(frozen=True, kw_only=True)
class StageSkipped:
    """A stage will not run because the stage ``because`` failed."""

    key: str
    because: str


@dataclass(frozen=True, kw_only=True)
class LaneFailed:
    """A lane broke down for good; what it was doing goes back to the queue."""

    lane: str
    error: str


Event = (
    RayStarted
    | LanesDecided
    | LaneStarted
    | LaneFailed
    | StageStarted
    | StageProgress
    | StageWaiting
    | StageFinished
    | StageFailed
    | StageSkipped
)
