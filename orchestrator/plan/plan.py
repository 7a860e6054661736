"""A study expanded into stages: a graph whose nodes are named by what determines their result.

A *stage* is one piece of work with one result: a corpus, a vocabulary, a pre-training. Its key is the hash of
its kind, the declared version of its code, its config and the keys of the stages it reads. Two rows that need the
same thing therefore name the same stage, and it is done once: within a study, across studies, across months.

    corpus ─► vocabulary ─► tokens ─► pretrain ─► finetune ─► evaluate
       └────► tasks ─────────────────────────────────┴───────────┘

Thirteen rows of the objectives study share the first three and the tasks; each has its own last three.

Nothing here runs anything. ``Plan.order`` is a topological order; ``shared()`` says what sharing saves.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from t5core.config import Config

STAGE_VERSIONS: Mapping[str, int] = MappingProxyType(
    {
        "corpus": 1,
        "vocabulary": 1,
        "tokens": 2,
        "tasks": 3,
        "pretrain": 2,
        "finetune": 3,
        "multitask": 1,
        "evaluate": 3,
    }
)
"""The declared version of each kind's code: raise it when the code comes to give other results."""

ACCELERATED_KINDS = frozenset({"pretrain", "finetune", "multitask", "evaluate"})
"""Kinds that run on a device, in a lane; the others are plain CPU work."""

TRAINING_KINDS = frozenset({"pretrain", "finetune", "multitask"})
"""Kinds whose result is a checkpoint."""


def corpus_role(number: int) -> str:
    """Returns the role of a stage's corpus by its number from 0: "corpus", "corpus2", "corpus3", ..."""
    return "corpus" if number == 0 else f"corpus{number + 1}"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One node of the plan.

    Attributes:
        kind: one of STAGE_VERSIONS; what ``orchestrator.stages`` dispatches on.
        name: readable, for folders and people; does not count.
        config: JSON values that determine the result (fingerprints of configs).
        settings: the same configs whole, with what does not count; what the stage's function is given.
        inputs: role -> key of the stage read in that role.
        cost: expected cost in FLOPs (0 for CPU work), for scheduling and plans; does not count.
    """

    kind: str
    name: str
    config: Mapping[str, Any]
    settings: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    cost: float = 0.0

    @cached_property
    def key(self) -> str:
        """16 hex digits: the identity of the result."""
        identity = {
            "kind": self.kind,
            "version": STAGE_VERSIONS.get(self.kind, 0),
            "config": self.config,
            "inputs": dict(sorted(self.inputs.items())),
        }
        text = json.dumps(identity, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        """Where the stage lies below the store's root: ``kind/name-key``."""
        return f"{self.kind}/{self.name}-{self.key}"

    @property
    def accelerated(self) -> bool:
        """Whether the stage runs on a device, in a lane."""
        return self.kind in ACCELERATED_KINDS

    @classmethod
    def of(
        cls, kind: str, name: str, *, cost: float = 0.0, inputs: Mapping[str, "Stage"] | None = None, **configs: Any
    ) -> "Stage":
        """Builds a stage from configs by role; plain JSON values are taken as they are."""
        return cls(
            kind=kind,
            name=name,
            config={k: c.fingerprint() if isinstance(c, Config) else c for k, c in configs.items()},
            settings={k: c.to_dict() if isinstance(c, Config) else c for k, c in configs.items()},
            inputs={role: stage.key for role, stage in (inputs or {}).items()},
            cost=cost,
        )


@dataclass(frozen=True, kw_only=True)
class PlannedRow:
    """One row of a study with one seed: the stages it needs, by role."""

    name: str
    seed: int
    stages: Mapping[str, str]
    label: str = ""

    @property
    def key(self) -> str:
        """16 hex digits over the row's stages."""
        return hashlib.sha256(json.dumps(sorted(self.stages.items())).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Rows and the stages they need, each stage once.

    Attributes:
        stages: key -> stage, in an order in which each comes after what it reads.
    """

    study: str
    scale: str
    rows: tuple[PlannedRow, ...]
    stages: Mapping[str, Stage]

    @classmethod
    def of(cls, study: str, scale: str, rows: Sequence[tuple[str, str, int, Mapping[str, Stage]]]) -> "Plan":
        """Builds a plan from ``(row name, label, seed, role -> stage)``; roles in the order they run."""
        stages: dict[str, Stage] = {}
        for _, _, _, by_role in rows:
            for stage in by_role.values():
                missing = [key for key in stage.inputs.values() if key not in stages]
                assert not missing, f"{stage.folder} comes before its inputs {missing}"
                stages.setdefault(stage.key, stage)
        planned = tuple(
            PlannedRow(name=name, label=label, seed=seed, stages={role: s.key for role, s in by_role.items()})
            for name, label, seed, by_role in rows
        )
        return cls(study=study, scale=scale, rows=planned, stages=stages)

    def extended(self, other: "Plan") -> "Plan":
        """Returns this plan with the rows and stages of another added; what is there already stays as it is.

        A row of the same name and seed is replaced: it may have got further stages.
        """
        stages = {**self.stages, **{key: stage for key, stage in other.stages.items() if key not in self.stages}}
        new = {(row.name, row.seed): row for row in other.rows}
        rows = [new.pop((row.name, row.seed), row) for row in self.rows]
        return replace(self, rows=(*rows, *new.values()), stages=stages)

    def shared(self) -> tuple[int, int]:
        """Returns how many stages the rows name in all, and how many there are: the difference is saved."""
        uses = Counter(key for row in self.rows for key in row.stages.values())
        return sum(uses.values()), len(uses)

    def rows_of(self, key: str) -> tuple[PlannedRow, ...]:
        """Returns the rows that need the stage ``key``."""
        return tuple(row for row in self.rows if key in row.stages.values())
