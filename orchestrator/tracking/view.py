"""What MLflow shows of a study: which runs, tags, params and metrics, and how they get there.

Everything here runs in the tracker's thread, and MLflow is imported only here, when the first event is written.

Each method may be called again after it failed half-way, and ends in the same runs: it looks for what is there before
it makes anything, and the timestamps of metrics follow from the manifest, so that MLflow takes a point that is
written twice for one point. A parent is marked as finished last of all.
"""

import json
import logging
import math
import posixpath
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from orchestrator.plan.plan import PlannedRow, Stage
from orchestrator.store import Manifest, Store
from orchestrator.tracking.datasets import dataset_inputs

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

T = TypeVar("T")

MAX_POINTS = 200
"""Points of a curve that are written per metric; the whole curve stays in the store."""

CURVE_FILE = "metrics.jsonl"
"""Where a stage writes its curve: one JSON object per line, ``step`` and numbers."""

_STATUS: Mapping[str, str] = {"finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "pruned": "KILLED"}
# MLflow's limits per call and per value (mlflow/utils/validation.py)
_PARAMS_PER_CALL = 100
_METRICS_PER_CALL = 1000
_PARAM_CHARS = 6000
_TAG_CHARS = 8000
_KEY_CHARS = 250
_NOT_IN_KEYS = re.compile(r"[^\w.\-/: ]")
_OUTAGES = frozenset(
    {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_DOES_NOT_EXIST", "IO_ERROR"}
)


def is_hopeless(error: Exception) -> bool:
    """Whether trying again will not help: neither network, nor server, nor database are the reason."""
    code = getattr(error, "error_code", None)
    if code is not None:
        return str(code) not in _OUTAGES
    return not isinstance(error, OSError | TimeoutError) and not type(error).__module__.startswith("sqlalchemy")


@dataclass
class _Parent:
    """The parent run of a row as this process knows it."""

    run_id: str
    complete: bool


class MlflowExperiment:
    """One experiment in MLflow. Not thread-safe."""

    def __init__(self, uri: str, experiment: str, artifact_folder: str) -> None:
        self.uri = uri
        self.experiment = experiment
        self._artifact_folder = artifact_folder
        self._client: MlflowClient | None = None
        self._experiment_id = ""

    def connect(self) -> None:
        """Imports MLflow, migrates a new database and finds or makes the experiment; takes seconds."""
        if self._client is None:
            from mlflow.tracking import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.ERROR)
            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        if not self._experiment_id:
            found = self._client.get_experiment_by_name(self.experiment)
            if found is None:
                self._experiment_id = self._client.create_experiment(self.experiment, self._artifacts())
            else:
                if found.lifecycle_stage == "deleted":  # its name is taken until it is back or purged
                    self._client.restore_experiment(found.experiment_id)
                self._experiment_id = found.experiment_id

    def _mlflow(self) -> "MlflowClient":
        self.connect()
        assert self._client is not None
        return self._client

    def _artifacts(self) -> str | None:
        """Next to a sqlite file, not in whatever folder the driver was started in; a server knows its own place."""
        if not self.uri.startswith("sqlite"):
            return None
        database = Path(unquote(self.uri.partition(":///")[2].partition("?")[0]))
        return (database.parent / "mlartifacts" / self._artifact_folder).as_uri()

    def _search(self, condition: str) -> "list[Run]":
        client, runs, token = self._mlflow(), [], None
        while True:
            page = client.search_runs([self._experiment_id], condition, max_results=1000, page_token=token)
            runs += list(page)
            token = page.token
            if not token:
                return runs

    def _log(self, run_id: str, params: Mapping[str, object], points: Sequence[tuple[str, float, int, int]]) -> None:
        from mlflow.entities import Metric, Param

        client = self._mlflow()
        texts = [Param(_key(name), _text(value)[:_PARAM_CHARS]) for name, value in params.items()]
        metrics = [Metric(_key(name), float(value), at, step) for name, value, at, step in points]
        for chunk in _chunks(texts, _PARAMS_PER_CALL):
            client.log_batch(run_id, params=chunk)
        for some in _chunks(metrics, _METRICS_PER_CALL):
            client.log_batch(run_id, metrics=some)


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

    def row_started(self, row: PlannedRow, axes: Mapping[str, object], now: float) -> None:
        """Opens the parent run of a row, or finds it; ``now`` is Unix time in seconds."""
        self._parent(row, axes, now)

    def stage_finished(self, row: PlannedRow, stage: Stage, manifest: Manifest) -> None:
        """Writes a stage's child run, and its config, numbers and data to the parent; nothing if they are there."""
        self._done.setdefault(_identity(row), {})[stage.key] = manifest
        parent = self._parent(row)
        if parent.complete:
            return
        start_ms, end_ms = _milliseconds(manifest.started_at), _milliseconds(manifest.started_at + manifest.seconds)
        for role in (role for role, key in row.stages.items() if key == stage.key):
            params = {f"{role}.{name}": value for name, value in flat(manifest.config, ".").items()}
            numbers = {f"{role}/{name}": v for name, v in manifest.result.items() if _is_number(v)}
            self._log(parent.run_id, params, [(name, v, end_ms, 0) for name, v in numbers.items()])
        data = dataset_inputs(stage, manifest)
        if data:  # one that the run has already is not added again
            self._mlflow().log_inputs(parent.run_id, data)
        child = self._child(parent.run_id, row, stage, manifest, start_ms)
        if child.info.status == "FINISHED":
            return
        numbers = {f"result/{k}": v for k, v in flat(manifest.result, "/").items() if _is_number(v)}
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
        client.set_tag(parent.run_id, "mlflow.note.content", note(row, status, scores, manifests)[:_TAG_CHARS])
        client.set_tag(parent.run_id, "t5grid.status", status)
        client.set_tag(parent.run_id, "t5grid.complete", "yes" if complete else "no")
        client.set_terminated(parent.run_id, _STATUS[status], _milliseconds(now))

    def _parent(self, row: PlannedRow, axes: Mapping[str, object] | None = None, now: float = 0.0) -> _Parent:
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
            tags = {
                **wanted,
                "t5grid.key": row.key,
                "t5grid.kind": "row",
                "t5grid.scale": self.scale,
                "t5grid.label": row.label or row.name,
                **{f"axis.{name}": str(value) for name, value in (axes or {}).items()},
            }
            run = client.create_run(
                self._experiment_id,
                start_time=_milliseconds(now or time.time()),
                tags=_tags(tags),
                run_name=f"{row.name} seed {row.seed}",
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
                "t5grid.kind": stage.kind,
                "t5grid.stage_key": stage.key,
                "t5grid.folder": manifest.folder,
                "t5grid.host": str(manifest.host.get("host", "")),
            }
            children[stage.key] = self._mlflow().create_run(
                self._experiment_id, start_time=start_ms, tags=_tags(tags), run_name=f"{stage.kind} {stage.name}"
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


def curve_points(lines: str, start_ms: int, end_ms: int) -> list[tuple[str, float, int, int]]:
    """Reads a curve and thins it.

    Args:
        lines: JSON Lines with ``step`` and numbers. Of a step that a resumed run wrote twice, the last counts;
            a line that was cut short is passed over, and so are values that are not finite.
        start_ms: Unix time of the stage's start; the lines carry no time, so points are spread evenly over it.
        end_ms: and of its end.

    Returns:
        (metric, value, Unix time in ms, step), at most MAX_POINTS per metric, with its first and last point.
    """
    curves: dict[str, dict[int, float]] = {}
    for line in lines.splitlines():
        try:
            values = json.loads(line)
            step = int(values["step"])
        except (ValueError, KeyError, TypeError):
            continue
        for name, value in values.items():
            if name != "step" and _is_number(value) and math.isfinite(value):
                curves.setdefault(name, {})[step] = float(value)
    points = []
    for name, curve in curves.items():
        steps = sorted(curve)
        last = steps[-1] or 1
        for step in thinned(steps, MAX_POINTS):
            points.append((name, curve[step], start_ms + (end_ms - start_ms) * max(step, 0) // max(last, 1), step))
    return points


def thinned(items: Sequence[T], most: int) -> list[T]:
    """Returns at most ``most`` (2 or more) of ``items``, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def note(row: PlannedRow, status: str, scores: Mapping[str, float], manifests: Mapping[str, Manifest]) -> str:
    """Returns the note on a row's page: its scores and where its stages lie, as Markdown."""
    lines = [f"**{_cell(row.label or row.name)}**, seed {row.seed}: {status}", ""]
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


def _identity(row: PlannedRow) -> tuple[str, int, str]:
    return row.name, row.seed, row.key


def _is_complete(run: "Run") -> bool:
    return run.info.status == "FINISHED" and run.data.tags.get("t5grid.complete") != "no"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _milliseconds(unix_s: float) -> int:
    return round(unix_s * 1000)


def _key(name: str) -> str:
    clean = _NOT_IN_KEYS.sub("_", posixpath.normpath(name).replace("..", "_").strip("/"))
    return clean[:_KEY_CHARS] or "_"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {_key(name): value[:_TAG_CHARS] for name, value in tags.items()}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for begin in range(0, len(items), size):
        yield list(items[begin : begin + size])
