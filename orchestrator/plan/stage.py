"""A stage: one piece of work with one result, named by the hash of all that determines it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from orchestrator.plan.kinds import KINDS
from t5core.config import Config
from t5core.uris import masked


def corpus_role(number: int) -> str:
    """Returns the role of a stage's corpus by its number from 0: "corpus", "corpus2", "corpus3", ..."""
    return "corpus" if number == 0 else f"corpus{number + 1}"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One node of the plan.

    Attributes:
        kind: one of KINDS, which says what is done.
        name: readable, for folders and people; does not count.
        config: JSON values that determine the result (fingerprints of configs).
        settings: the same configs whole, with what does not count; what the stage's function is given.
        inputs: role -> key of the stage read in that role.
        cost: expected cost in FLOPs (0 for CPU work), for scheduling and plans; does not count.
        planned_as: the key and the code's version and revisions that it was planned under, where a stored plan says
            so and today's code would say something else; None: today's.
    """

    kind: str
    name: str
    config: Mapping[str, Any]
    settings: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    cost: float = 0.0
    planned_as: tuple[str, int, tuple[str, ...]] | None = None

    @cached_property
    def key(self) -> str:
        """16 hex digits: the identity of the result."""
        if self.planned_as is not None:
            return self.planned_as[0]
        identity: dict[str, Any] = {
            "kind": self.kind,
            "version": self.version,
            "config": self.config,
            "inputs": dict(sorted(self.inputs.items())),
        }
        if self.revisions:
            identity["revisions"] = self.revisions
        text = json.dumps(identity, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def version(self) -> int:
        """The declared version of the kind's code; 0 for a kind that is not in the table."""
        if self.planned_as is not None:
            return self.planned_as[1]
        known = KINDS.get(self.kind)
        return 0 if known is None else known.version

    @property
    def revisions(self) -> tuple[str, ...]:
        """Names of the changes of the kind's code that touch this stage's config."""
        if self.planned_as is not None:
            return self.planned_as[2]
        known = KINDS.get(self.kind)
        return () if known is None else known.revised(self.config)

    @property
    def folder(self) -> str:
        """Where the stage lies below the store's root: ``kind/name-key``."""
        return f"{self.kind}/{self.name}-{self.key}"

    @property
    def accelerated(self) -> bool:
        """Whether the stage runs on a device, in a lane."""
        known = KINDS.get(self.kind)
        return known is not None and known.accelerated

    @property
    def trains(self) -> bool:
        """Whether the stage's result is a checkpoint."""
        known = KINDS.get(self.kind)
        return known is not None and known.trains

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

    def to_dict(self) -> dict[str, Any]:
        """Returns the stage as JSON values, for a stored plan; passwords in addresses are masked."""
        values: dict[str, Any] = {
            "kind": self.kind,
            "name": self.name,
            "key": self.key,
            "version": self.version,
            "revisions": list(self.revisions),
            "config": _masked(dict(self.config)),
            "settings": _masked(dict(self.settings)),
            "inputs": dict(self.inputs),
            "cost": self.cost,
        }
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Stage":
        """Rebuilds a stage. It keeps the key that it was planned under, whatever the code says today."""
        names = ("kind", "name", "config", "settings", "inputs", "cost")
        today = cls(**{name: values[name] for name in names})
        then = values["key"], values["version"], tuple(values["revisions"])
        return today if (today.key, today.version, today.revisions) == then else replace(today, planned_as=then)


def _masked(value: Any) -> Any:
    """Returns JSON values with the passwords in their texts masked."""
    if isinstance(value, Mapping):
        return {name: _masked(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    return masked(value) if isinstance(value, str) and "://" in value else value
