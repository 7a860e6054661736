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
from dataclasses import dataclass, replace

from orchestrator.plan.stage import Stage


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
