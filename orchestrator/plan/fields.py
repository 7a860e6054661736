"""What tells two stages apart, field by field: config, the code's version and revisions, and what is read.

train.steps: 1300, there 650
corpus: another stage                 (which differs in ...)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

VERSION = "version of the code"
REVISIONS = "revisions of the code"
READS = "reads "
"""Before the role of what a stage reads."""
_SHOWN_CHARS = 60


class Described(Protocol):
    """A stage of a plan, or the manifest of one in a store."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def config(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def inputs(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def version(self) -> int | None: ...  # noqa: D102
    @property
    def revisions(self) -> tuple[str, ...]: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One field in which two stages differ; None where one has it not.

    Attributes:
        field: ``train.steps``; of something that is read, behind its role: ``corpus > corpus.min_chars``.
        here: its value in the one.
        there: in the other.
    """

    field: str
    here: Any
    there: Any


def fields_of(stage: Described) -> dict[str, Any]:
    """Returns all that a stage's key is made of, flat: name -> JSON value."""
    reads = {f"{READS}{role}": key for role, key in sorted(stage.inputs.items())}
    return {**flat(stage.config), VERSION: stage.version, REVISIONS: sorted(stage.revisions), **reads}


def differences(here: Described, there: Described) -> tuple[Difference, ...]:
    """Returns the fields in which two stages differ, in the order of the first one's."""
    ours, theirs = fields_of(here), fields_of(there)
    return tuple(
        Difference(field=name, here=ours.get(name), there=theirs.get(name))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    )


def deep_differences(
    here: Described,
    there: Described,
    ours: Mapping[str, Described],
    theirs: Mapping[str, Described],
) -> tuple[Difference, ...]:
    """Returns the fields in which two stages differ, or else what they read, or what that read.

    Args:
        here: the one.
        there: the other.
        ours: stages by key, that ``here`` may read.
        theirs: the same for ``there``.
    """
    out: list[Difference] = []
    seen: set[tuple[str, str]] = set()

    def walk(one: Described, other: Described, before: str) -> None:
        for d in differences(one, other):
            role = d.field.removeprefix(READS)
            if role == d.field or d.here not in ours or d.there not in theirs:
                out.append(Difference(field=before + d.field, here=d.here, there=d.there))
            elif (d.here, d.there) not in seen:
                seen.add((d.here, d.there))
                walk(ours[d.here], theirs[d.there], f"{before}{role} > ")

    walk(here, there, "")
    return tuple(out)


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Returns nested values as one mapping: names joined by points, named things of a list by their names."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{before}{name}.")
        elif _named(value):
            for part in value:
                out |= flat({k: v for k, v in part.items() if k != "name"}, f"{before}{name}[{part['name']}].")
        else:
            out[f"{before}{name}"] = list(value) if isinstance(value, tuple) else value
    return out


def _named(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and all(isinstance(v, Mapping) and "name" in v for v in value)


def shown(value: Any) -> str:
    """Returns a field's value in a line; "–" for one that is not there, long ones by their beginning."""
    if value is None:
        return "–"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
