"""Why a stage is in the store, or is not: what is said of it there, else its nearest neighbour, field by field.

A stage is found by its key, the hash of its kind, code version, config and inputs. Where it is not there although "the
same" was done before, some field is another. The nearest stage of its kind in the store, the one with the most fields
alike, shows which; where that is something it reads, the search goes on in what is read.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.plan.fields import Described, Difference, deep_differences, fields_of
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.store import Manifest, Store
from orchestrator.store.failures import read_failure
from t5core.readable import duration, readable_bytes


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """The stage of the same kind in a store that is most like another one.

    Attributes:
        folder: where it lies.
        equal: how many fields are alike, of ``fields``.
        differences: in what it differs: ``here`` in the stage that was asked for.
        by_reading: it differs by what it reads alone.
    """

    folder: str
    equal: int
    fields: int
    differences: tuple[Difference, ...]
    by_reading: bool


@dataclass(frozen=True, kw_only=True)
class Explained:
    """What a store says of a stage.

    Attributes:
        state: "stored", "running", "failed", "interrupted" or "missing".
        said: more of that, in words.
        neighbour: of one that is not stored; None where there is none of its kind.
    """

    key: str
    folder: str
    state: str
    said: str
    neighbour: Neighbour | None = None


class Explanations:
    """Explains stages by one look at what is in a store.

    Args:
        store: is asked.
        stages: by key, that are asked about and what they read.
    """

    def __init__(self, store: Store, stages: Mapping[str, Stage]) -> None:
        self._store = store
        self._stages = stages
        self._manifests = {manifest.key: manifest for manifest in store.manifests()}
        self._begun = {begun.key: begun for begun in store.partial()}

    def of(self, key: str) -> Explained:
        """Explains the stage with this key, of ``stages`` or of the store."""
        manifest = self._manifests.get(key)
        if manifest is not None:
            return Explained(key=key, folder=manifest.folder, state="stored", said=_said_of(manifest))
        stage = self._stages[key]
        state, said = self._why_not(stage)
        return Explained(key=key, folder=stage.folder, state=state, said=said, neighbour=self._nearest(stage))

    def _why_not(self, stage: Stage) -> tuple[str, str]:
        begun = self._begun.get(stage.key)
        owner = begun.owner if begun else self._store.owner(stage)
        if owner is not None:
            return "running", f"process {owner.pid} on {owner.host} is at it"
        failure = read_failure(self._store, stage.key)
        if failure is not None:
            return "failed", f"{failure.error} (attempt {failure.attempts})"
        if begun is not None:
            return "interrupted", f"begun, last changed {_time(begun.modified_at)}; the next run goes on from there"
        missing = [role for role, key in stage.inputs.items() if key not in self._manifests]
        reads = f"; what it reads is not there either: {', '.join(missing)}" if missing else ""
        return "missing", f"no run has begun it{reads}"

    def _nearest(self, stage: Stage) -> Neighbour | None:
        ours = fields_of(stage)
        alike = [(self._equal(ours, manifest), manifest) for manifest in self._of_kind(stage.kind)]
        if not alike:
            return None
        equal, found = max(alike, key=lambda pair: (pair[0], pair[1].started_at))
        others: Mapping[str, Described] = self._manifests
        there = deep_differences(stage, found, self._stages, others)
        return Neighbour(
            folder=found.folder,
            equal=equal,
            fields=len(ours.keys() | fields_of(found).keys()),
            differences=there,
            by_reading=all(" > " in d.field for d in there),
        )

    def _of_kind(self, kind: str) -> Iterable[Manifest]:
        return (manifest for manifest in self._manifests.values() if manifest.kind == kind)

    def _equal(self, ours: Mapping[str, object], manifest: Manifest) -> int:
        theirs = fields_of(manifest)
        return sum(name in theirs and theirs[name] == value for name, value in ours.items())


def stages_by_prefix(text: str, plans: Sequence[Plan], store: Store) -> tuple[dict[str, str], dict[str, Stage]]:
    """Returns the stages that a user may mean: key -> folder, and all stages that are known, by key.

    Args:
        text: a key, a stage's name with its key, or its folder, or how one of them begins.
        plans: in which stages are looked for, besides the store.
        store: likewise.
    """
    known = {key: stage for plan in reversed(plans) for key, stage in plan.stages.items()}
    folders = {manifest.key: manifest.folder for manifest in store.manifests()}
    folders |= {key: stage.folder for key, stage in known.items() if key not in folders}
    for fits in (_is, _begins):
        found = {key: folder for key, folder in folders.items() if fits(text, key, folder)}
        if found:
            return found, known
    return {}, known


def _is(text: str, key: str, folder: str) -> bool:
    return text in (key, folder, folder.partition("/")[2])


def _begins(text: str, key: str, folder: str) -> bool:
    return any(name.startswith(text) for name in (key, folder, folder.partition("/")[2]))


def rows_with(key: str, plans: Iterable[Plan]) -> list[PlannedRow]:
    """Returns the rows of some plans that need a stage, each once."""
    rows = {row.identity: row for plan in plans for row in plan.rows_of(key)}
    return list(rows.values())


def _said_of(manifest: Manifest) -> str:
    ended = _time(manifest.started_at + manifest.seconds)
    host = manifest.host.get("host", "an unknown host")
    commit = manifest.made_with.get("commit")
    of = f", by commit {commit}" if commit else ""
    return f"finished {ended} on {host} in {duration(manifest.seconds)}, {readable_bytes(manifest.total_bytes)}{of}"


def _time(unix_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))
