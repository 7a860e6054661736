"""What MLflow shows of a study: which runs, tags, params and metrics, and how they get there.

Everything here runs in the tracker's thread, and MLflow is imported only here, when the first event is written.

Each method may be called again after it failed half-way, and ends in the same runs: it looks for what is there before
it makes anything, and the timestamps of metrics follow from the manifest, so that MLflow takes a point that is
written twice for one point. A parent is marked as finished last of all.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.plan.plan import PlannedRow
from orchestrator.plan.rates import OWN, shown
from orchestrator.plan.stage import Stage
from orchestrator.store import Manifest, Store
from orchestrator.tracking.curves import CURVE_FILE, curve_points, is_number
from orchestrator.tracking.datasets import dataset_inputs
from orchestrator.tracking.experiment import TAG_CHARS, MlflowExperiment, tag_texts

if TYPE_CHECKING:
    from mlflow.entities import Run


_STATUS: Mapping[str, str] = {"finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "pruned": "KILLED"}


@dataclass
class _Parent:
    """The parent run of a row as this process knows it."""

    run_id: str
    complete: bool


class MlflowView(MlflowExperiment):
    """One study at one scale in MLflow. Not thread-safe: the tracker's thread alone calls it."""

    def __init__(self, uri: str, study: str, scale: str, store: Store) -> None:
        super().__init__(uri, f"t5grid/{study}/{scale}", f"{study}/{scale}")
        self.study = study
        self.scale = scale
        self._store = store
        self._parents: dict[tuple[str, int, str], _Parent] = {}
        self._children: dict[str, dict[str, Run]] = {}
        self._done: dict[tuple[str, int, str], dict[str, Manifest]] = {}

    def forget(self) -> None:
        """Forgets which runs there are, so that the next call looks again."""
        self._experiment_id = ""
        self._parents.clear()
        self._children.clear()

    def row_started(self, row: PlannedRow, now: float) -> None:
        """Opens the parent run of a row, or finds it; ``now`` is Unix time in seconds."""
        self._parent(row, now)

    def stage_finished(self, row: PlannedRow, stage: Stage, manifest: Manifest) -> None:
        """Writes a stage's child run, and its config, numbers and data to the parent; nothing if they are there."""
        self._done.setdefault(_identity(row), {})[stage.key] = manifest
        parent = self._parent(row)
        if parent.complete:
            return
        start_ms, end_ms = _milliseconds(manifest.started_at), _milliseconds(manifest.started_at + manifest.seconds)
        for role in (role for role, key in row.stages.items() if key == stage.key):
            params = {f"{role}.{name}": value for name, value in flat(manifest.config, ".").items()}
            numbers = {f"{role}/{name}": v for name, v in manifest.result.items() if is_number(v)}
            self._log(parent.run_id, params, [(name, v, end_ms, 0) for name, v in numbers.items()])
        data = dataset_inputs(stage, manifest)
        if data:  # one that the run has already is not added again
            self._mlflow().log_inputs(parent.run_id, data)
        child = self._child(parent.run_id, row, stage, manifest, start_ms)
        if child.info.status == "FINISHED":
            return
        numbers = {f"result/{k}": v for k, v in flat(manifest.result, "/").items() if is_number(v)}
        points = [(name, value, end_ms, 0) for name, value in {**numbers, "seconds": manifest.seconds}.items()]
        points += curve_points(self._store.read_text(manifest, CURVE_FILE) or "", start_ms, end_ms)
        self._log(child.info.run_id, flat(manifest.config, "."), points)
        self._mlflow().set_terminated(child.info.run_id, "FINISHED", end_ms)

    def row_finished(
        self, row: PlannedRow, status: str, scores: Mapping[str, float], now: float, complete: bool
    ) -> None:
        """Writes a row's scores and its note and ends its run; ``complete`` is False if a stage was refused."""
        parent = self._parent(row)
        if parent.complete:
            return
        self._log(
            parent.run_id, {}, [(f"final/{name}", value, _milliseconds(now), 0) for name, value in scores.items()]
        )
        manifests = self._done.get(_identity(row), {})
        client = self._mlflow()
        client.set_tag(parent.run_id, "mlflow.note.content", note(row, status, scores, manifests)[:TAG_CHARS])
        client.set_tag(parent.run_id, "t5grid.status", status)
        client.set_tag(parent.run_id, "t5grid.complete", "yes" if complete else "no")
        client.set_terminated(parent.run_id, _STATUS[status], _milliseconds(now))

    def _parent(self, row: PlannedRow, now: float = 0.0) -> _Parent:
        known = self._parents.get(_identity(row))
        if known is not None:
            return known
        client = self._mlflow()
        wanted = {"t5grid.study": self.study, "t5grid.row": row.name, "t5grid.seed": str(row.seed)}
        runs = [
            run
            for run in self._search(f"tags.`t5grid.key` = '{row.key}'")
            if all(run.data.tags.get(name) == value for name, value in wanted.items())
        ]
        runs.sort(key=lambda run: (not _is_complete(run), run.info.start_time))
        if runs:
            parent = _Parent(run_id=runs[0].info.run_id, complete=_is_complete(runs[0]))
            if not parent.complete and runs[0].info.status != "RUNNING":
                client.update_run(parent.run_id, status="RUNNING")
        else:
            axes = {**({"paper_cell": row.paper_cell} if row.paper_cell else {}), **row.axes}
            tags = {
                **wanted,
                "t5grid.key": row.key,
                "t5grid.kind": "row",
                "t5grid.scale": self.scale,
                "t5grid.label": row.label or row.name,
                "t5grid.rate": shown(row.rate),
                **{f"axis.{name}": _axis(value) for name, value in axes.items()},
            }
            run = client.create_run(
                self._experiment_id,
                start_time=_milliseconds(now or time.time()),
                tags=tag_texts(tags),
                run_name=row.run,
            )
            parent = _Parent(run_id=run.info.run_id, complete=False)
        self._parents[_identity(row)] = parent
        return parent

    def _child(self, parent_id: str, row: PlannedRow, stage: Stage, manifest: Manifest, start_ms: int) -> "Run":
        if parent_id not in self._children:
            runs = self._search(f"tags.`mlflow.parentRunId` = '{parent_id}'")
            self._children[parent_id] = {run.data.tags.get("t5grid.stage_key", ""): run for run in runs}
        children = self._children[parent_id]
        if stage.key not in children:
            tags = {
                "mlflow.parentRunId": parent_id,
                "t5grid.study": self.study,
                "t5grid.row": row.name,
                "t5grid.seed": str(row.seed),
                "t5grid.rate": shown(row.rate),
                "t5grid.kind": stage.kind,
                "t5grid.stage_key": stage.key,
                "t5grid.folder": manifest.folder,
                "t5grid.host": str(manifest.host.get("host", "")),
            }
            children[stage.key] = self._mlflow().create_run(
                self._experiment_id, start_time=start_ms, tags=tag_texts(tags), run_name=f"{stage.kind} {stage.name}"
            )
        return children[stage.key]


def flat(values: Mapping[str, Any], separator: str) -> dict[str, Any]:
    """Returns nested mappings as one, names joined: ``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out |= {f"{name}{separator}{inner}": v for inner, v in flat(value, separator).items()}
        else:
            out[name] = value
    return out


def note(row: PlannedRow, status: str, scores: Mapping[str, float], manifests: Mapping[str, Manifest]) -> str:
    """Returns the note on a row's page: its scores and where its stages lie, as Markdown."""
    at_rate = "" if row.rate == OWN else f", at {shown(row.rate)} its learning rate"
    lines = [f"**{_cell(row.label or row.name)}**, seed {row.seed}{at_rate}: {status}", ""]
    if scores:
        lines += ["| score | value |", "|:--|--:|"]
        lines += [f"| {_cell(name)} | {value:.2f} |" for name, value in scores.items()]
        lines.append("")
    if manifests:
        lines += ["| stage | seconds | folder in the store |", "|:--|--:|:--|"]
        for role, key in row.stages.items():
            if key in manifests:
                lines.append(f"| {role} | {manifests[key].seconds:.1f} | `{_cell(manifests[key].folder)}` |")
    return "\n".join(lines)


def _axis(value: object) -> str:
    return json.dumps(value) if isinstance(value, Mapping | list) else str(value)


def _identity(row: PlannedRow) -> tuple[str, int, str]:
    return row.name, row.seed, row.key


def _is_complete(run: "Run") -> bool:
    return run.info.status == "FINISHED" and run.data.tags.get("t5grid.complete") != "no"


def _milliseconds(unix_s: float) -> int:
    return round(unix_s * 1000)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
