"""How a stage ended, and where the time of a run went: plain frozen values.

Every stage of a plan ends in exactly one `Outcome`, and whoever reads them matches all three:

    match outcome:
        case Finished(): ...     # its manifest lies in the store
        case Failed(): ...       # it was tried `attempts` times
        case Skipped(): ...      # a stage it reads failed; `because` is the key of the one that failed first
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.store import Manifest


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The stage's result lies in the store.

    Attributes:
        manifest: what the store holds for it.
        cached: it was there already (from an earlier run, or made meanwhile by another one).
        seconds: in the stage's function in this run; 0 when cached.
        attempts: how often it was started in this run; 0 when cached.
    """

    manifest: "Manifest"
    cached: bool
    seconds: float
    attempts: int = 0


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The stage could not be finished.

    Attributes:
        error: the reason, one line.
        attempts: how often it was tried.
        log: path of the file with the whole traceback, "" when there is none (the process was killed).
        refused: preparation refused what it was given: corpus, vocabulary or tasks have to be changed by the user.
    """

    error: str
    attempts: int
    log: str = ""
    refused: bool = False


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """The stage was never started, because the stage with the key ``because`` failed."""

    because: str


Outcome = Finished | Failed | Skipped


@dataclass(frozen=True, kw_only=True)
class Accounting:
    """Where the time of one run went, measured in the driver and the workers.

    ``lanes * wall_s`` is the time that was there to be used: each lane stands for one slot (a CPU, a slice) that the
    run held from its start to its end. What was not spent inside a stage's function is the price of orchestration:
    starting Ray and lanes, scheduling, committing, waiting for work, and slots idle because too few stages were ready.

        2 lanes, 600 s, stage functions took 400 s + 480 s in the lanes, and 100 s of preparation:
        share = 1 - (880 + 100) / 1200 = 0.18

    Attributes:
        wall_s: from the call of the run to its end.
        lanes: how many lanes the run used; 0 when everything was there already.
        lane_s: seconds inside stage functions on a device, over all lanes.
        prepared_s: seconds inside preparatory stage functions, wherever they ran.
    """

    wall_s: float
    lanes: int
    lane_s: float
    prepared_s: float

    @property
    def stage_s(self) -> float:
        """Seconds inside stage functions of any kind."""
        return self.lane_s + self.prepared_s

    @property
    def orchestration_share(self) -> float:
        """1 - stage_s / (lanes * wall_s), not below 0; 0 when nothing ran."""
        available_s = self.lanes * self.wall_s
        return max(0.0, 1.0 - self.stage_s / available_s) if available_s else 0.0


@dataclass(frozen=True, kw_only=True)
class Outcomes(Mapping[str, Outcome]):
    """The outcome of every stage of a plan by key, and the accounting of the run that led to them."""

    by_key: Mapping[str, Outcome]
    accounting: Accounting

    def __getitem__(self, key: str) -> Outcome:
        return self.by_key[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_key)

    def __len__(self) -> int:
        return len(self.by_key)

    @property
    def ok(self) -> bool:
        """Whether every stage is finished."""
        return all(isinstance(outcome, Finished) for outcome in self.by_key.values())
