"""The tracker: what MLflow shows, that writing it twice adds nothing, and that an absent server costs nothing."""

import http.server
import itertools
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.store import Store
from orchestrator.tracking.address import check_tracking_uri
from orchestrator.tracking.curves import curve_points, thinned
from orchestrator.tracking.view import MlflowView, flat
from orchestrator.tracking.writer import Tracker
from t5core.config import CorpusConfig, TaskContent, TasksConfig
from t5core.errors import ConfigError

if TYPE_CHECKING:
    from mlflow.entities import Run

SCORES = {"summary/rougeL": 31.25, "average": 40.0}


def small_plan(store: Store, *names: str, finish: bool = True) -> Plan:
    """Rows that share a corpus; each has its own pre-training, with a curve of 1,000 points."""
    corpus = Stage.of("corpus", "embedded", corpus={"source": "embedded"})
    rows = []
    for name in names:
        pretrain = Stage.of("pretrain", name, inputs={"corpus": corpus}, train={"steps": 1000, "row": name})
        rows.append((PlannedRow(name=name, label=name.title()), {"corpus": corpus, "pretrain": pretrain}))
    plan = Plan.of("objectives", "tiny", rows)
    for stage in plan.stages.values() if finish else ():
        work = store.work(stage)
        if stage.kind == "pretrain":
            lines = [json.dumps({"step": i, "loss": 5 - i / 1000, "learning_rate": 0.01}) for i in range(1, 1001)]
            (work / "metrics.jsonl").write_text("\n".join(lines))
        (work / "data").write_text(stage.name)
        store.commit(stage, work, {"last_loss": 4.0, "nested": {"tokens": 7}}, started_at=1_700_000_000.0, seconds=100)
    return plan


def project(tracker: Tracker, plan: Plan, store: Store, status: str = "finished") -> None:
    for row in plan.rows:
        tracker.row_started(replace(row, axes={"objective": row.name}))
    for stage in plan.stages.values():
        manifest = store.finished(stage)
        assert manifest is not None
        tracker.stage_finished(plan.rows_of(stage.key), stage, manifest)
    for row in plan.rows:
        tracker.row_finished(row, status, SCORES if status == "finished" else {})  # type: ignore[arg-type]


def runs_at(uri: str, experiment: str = "t5grid/objectives/tiny") -> "list[Run]":
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id], max_results=1000))


def test_a_study_is_parents_per_row_and_children_per_stage(uri: str, store: Store, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    plan = small_plan(store, "baseline", "span '3'")
    tracker = Tracker.open(uri, "objectives", "tiny", store)
    project(tracker, plan, store)
    assert tracker.close(timeout_s=60) == 0

    runs = runs_at(uri)
    parents = {run.data.tags["t5grid.row"]: run for run in runs if run.data.tags["t5grid.kind"] == "row"}
    assert sorted(parents) == ["baseline", "span '3'"] and len(runs) == 6
    parent = parents["span '3'"]
    assert parent.info.status == "FINISHED" and parent.info.run_name == "span '3' seed 0"
    tags = {name: value for name, value in parent.data.tags.items() if not name.startswith("mlflow.")}
    assert tags == {
        "t5grid.study": "objectives",
        "t5grid.scale": "tiny",
        "t5grid.row": "span '3'",
        "t5grid.label": "Span '3'",
        "t5grid.seed": "0",
        "t5grid.rate": "1x",
        "t5grid.key": plan.rows[1].key,
        "t5grid.kind": "row",
        "t5grid.status": "finished",
        "t5grid.complete": "yes",
        "axis.objective": "span '3'",
    }
    assert parent.data.metrics == {
        "final/summary/rougeL": 31.25,
        "final/average": 40.0,
        "corpus/last_loss": 4.0,
        "pretrain/last_loss": 4.0,
    }
    assert parent.data.params["pretrain.train.steps"] == "1000"
    note = parent.data.tags["mlflow.note.content"]
    assert "| summary/rougeL | 31.25 |" in note and "| pretrain | 100.0 | `pretrain/span '3'-" in note

    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert sorted(run.data.tags["t5grid.stage_key"] for run in children) == sorted(plan.rows[1].stages.values())
    (pretrain,) = [run for run in children if run.data.tags["t5grid.kind"] == "pretrain"]
    assert (pretrain.info.status, pretrain.info.start_time, pretrain.info.end_time) == (
        "FINISHED",
        1_700_000_000_000,
        1_700_000_100_000,
    )
    assert pretrain.data.params == {"train.steps": "1000", "train.row": "span '3'"}
    assert pretrain.data.metrics["result/nested/tokens"] == 7 and pretrain.data.metrics["seconds"] == 100
    curve = MlflowClient(uri).get_metric_history(pretrain.info.run_id, "loss")
    assert len(curve) == 200
    assert (curve[0].step, curve[0].value) == (1, 4.999) and (curve[-1].step, curve[-1].value) == (1000, 4.0)
    assert not (Path.cwd() / "mlruns").exists()
    experiment = MlflowClient(uri).get_experiment_by_name("t5grid/objectives/tiny")
    assert experiment is not None and experiment.artifact_location.startswith(tmp_path.as_uri())


def test_writing_a_study_twice_adds_nothing(uri: str, store: Store) -> None:
    plan = small_plan(store, "baseline", "span-3")
    for _ in range(2):
        tracker = Tracker.open(uri, "objectives", "tiny", store)
        project(tracker, plan, store)
        assert tracker.close(timeout_s=60) == 0
        runs = runs_at(uri)
        assert len(runs) == 6 and {run.info.status for run in runs} == {"FINISHED"}
    more = small_plan(store, "baseline", "span-3", "span-5")
    tracker = Tracker.open(uri, "objectives", "tiny", store)
    project(tracker, more, store)
    assert tracker.close(timeout_s=60) == 0
    assert len(runs_at(uri)) == 9


def test_a_row_that_was_left_in_the_middle_is_completed_in_place(uri: str, store: Store) -> None:
    from mlflow.tracking import MlflowClient

    plan = small_plan(store, "baseline")
    (row,) = plan.rows
    tracker = Tracker.open(uri, "objectives", "tiny", store)
    tracker.row_started(row)
    stage = plan.stages[row.stages["pretrain"]]
    manifest = store.finished(stage)
    assert manifest is not None
    tracker.stage_finished(row, stage, manifest)
    tracker.row_finished(row, "failed", {})
    assert tracker.close(timeout_s=60) == 0
    (parent,) = [run for run in runs_at(uri) if run.data.tags["t5grid.kind"] == "row"]
    assert parent.info.status == "FAILED"
    (child,) = [run for run in runs_at(uri) if run.data.tags["t5grid.kind"] == "pretrain"]
    MlflowClient(uri).update_run(child.info.run_id, status="RUNNING")  # as if the writer had died inside it

    tracker = Tracker.open(uri, "objectives", "tiny", store)
    project(tracker, plan, store)
    assert tracker.close(timeout_s=60) == 0
    runs = runs_at(uri)
    assert len(runs) == 3 and {run.info.status for run in runs} == {"FINISHED"}
    assert parent.info.run_id in {run.info.run_id for run in runs}
    assert len(MlflowClient(uri).get_metric_history(child.info.run_id, "loss")) == 200, "no point twice"


def test_an_experiment_that_was_deleted_comes_back(uri: str, store: Store) -> None:
    from mlflow.tracking import MlflowClient

    plan = small_plan(store, "baseline")
    for _ in range(2):
        tracker = Tracker.open(uri, "objectives", "tiny", store)
        project(tracker, plan, store)
        assert tracker.close(timeout_s=60) == 0
        assert len(runs_at(uri)) == 3
        experiment = MlflowClient(uri).get_experiment_by_name("t5grid/objectives/tiny")
        assert experiment is not None
        MlflowClient(uri).delete_experiment(experiment.experiment_id)


def test_what_mlflow_refuses_is_told_and_the_rest_is_written(
    uri: str, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    plan = small_plan(store, "baseline", "span-3")
    broken = store.path(plan.stages[plan.rows[1].stages["pretrain"]])
    (broken / "metrics.jsonl").unlink()
    tracker = Tracker.open(uri, "objectives", "tiny", store)
    project(tracker, plan, store)
    with caplog.at_level(logging.WARNING, "orchestrator.tracking.writer"):
        assert tracker.close(timeout_s=60) == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert "1 of the rows are not written in full (span-3 seed 0)" in line and "metrics.jsonl" in line
    complete = {
        run.data.tags["t5grid.row"]: run.data.tags["t5grid.complete"]
        for run in runs_at(uri)
        if run.data.tags["t5grid.kind"] == "row"
    }
    assert complete == {"baseline": "yes", "span-3": "no"}

    (broken / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}')
    tracker = Tracker.open(uri, "objectives", "tiny", store)
    project(tracker, plan, store)
    assert tracker.close(timeout_s=60) == 0
    assert len(runs_at(uri)) == 6 and {run.info.status for run in runs_at(uri)} == {"FINISHED"}


def test_more_params_and_points_than_a_call_takes_are_written_in_several(uri: str, store: Store) -> None:
    config = {f"p{i}": "x" * 7000 if i == 0 else [i, None] for i in range(250)}
    stage = Stage.of("pretrain", "big", config={"odd (name)": 1, "../up": 2, **config})
    plan = Plan.of("objectives", "tiny", [(PlannedRow(name="big"), {"pretrain": stage})])
    work = store.work(stage)
    names = [f"m{i}" for i in range(8)]
    rows = [{"step": step, **dict.fromkeys(names, float(step))} for step in range(300)]
    (work / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    store.commit(stage, work, {"nan": float("nan"), "flag": True, "text": "x"})
    tracker = Tracker.open(uri, "objectives", "tiny", store)
    project(tracker, plan, store)
    assert tracker.close(timeout_s=60) == 0
    (child,) = [run for run in runs_at(uri) if run.data.tags["t5grid.kind"] == "pretrain"]
    assert len(child.data.params) == 252 and len(child.data.params["config.p0"]) == 6000
    assert child.data.params["config.p7"] == "[7, null]" and child.data.params["config.odd _name_"] == "1"
    assert {name for name in child.data.metrics if name.startswith("m")} == set(names)


def planned_tasks(folder: Path, *, data_dir: str | None) -> Plan:
    """One row: a corpus, and tasks of which one is made from it, one is a user's own and the others have sets."""
    content = (
        TaskContent(
            name="glue_cola",
            train_examples=8_551,
            train_fingerprint="a" * 16,
            validation_examples=1_043,
            validation_fingerprint="b" * 16,
        ),
        TaskContent(name="super_glue_wsc", validation_examples=104, validation_fingerprint="c" * 16),
        # the same file as both splits
        TaskContent(
            name="reviews",
            definition="d" * 16,
            train_examples=20,
            train_fingerprint="e" * 16,
            validation_examples=20,
            validation_fingerprint="e" * 16,
        ),
    )
    (folder / "task.yaml").write_text(
        "name: reviews\nsource: set\ninputs: '{text}'\ntargets: '{label}'\nmetrics: [accuracy]\n", encoding="utf-8"
    )
    tasks = TasksConfig(
        names=("doc_qa", "glue_cola", "super_glue_wsc", "reviews"),
        files=(str(folder / "task.yaml"),),
        data_dir=data_dir,
        content=content,
    )
    text = CorpusConfig(source="files", paths=(str(folder / "secret" / "text.jsonl"),), content="0123456789abcdef")
    corpus = Stage.of("corpus", "files", corpus=text)
    stage = Stage.of("tasks", "4-tasks", inputs={"corpus": corpus}, tasks=tasks)
    return Plan.of("objectives", "tiny", [(PlannedRow(name="row", label="Row"), {"corpus": corpus, "tasks": stage})])


def committed(plan: Plan, store: Store) -> None:
    for stage in plan.stages.values():
        work = store.work(stage)
        (work / "data").write_text(stage.name)
        store.commit(stage, work, {"documents": 3}, started_at=1_700_000_000.0, seconds=1)


def data_of(run: "Run") -> dict[tuple[str, str], tuple[str, str | None, dict[str, str], str]]:
    """(name, digest) -> (kind, profile, source, context) of a run's dataset inputs; none is there twice."""
    found = {}
    for given in run.inputs.dataset_inputs:
        (tag,) = given.tags
        assert tag.key == "mlflow.data.context"
        d = given.dataset
        assert (d.name, d.digest) not in found
        found[d.name, d.digest] = (d.source_type, d.profile, json.loads(d.source), tag.value)
    return found


GLUE_COMMIT = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"
SUPER_GLUE_COMMIT = "3de24cf8022e94f4ee4b9d55a6f539891524d646"


@pytest.mark.parametrize("where", ["hub", "local"])
def test_a_rows_data_are_its_dataset_inputs(where: str, uri: str, store: Store, tmp_path: Path) -> None:
    plan = planned_tasks(tmp_path, data_dir=None if where == "hub" else str(tmp_path / "sets"))
    committed(plan, store)
    tracker = Tracker.open(uri, "objectives", "tiny", store)
    project(tracker, plan, store)
    assert tracker.close(timeout_s=60) == 0

    cola = {"path": "nyu-mll/glue", "config": "cola", "revision": GLUE_COMMIT} if where == "hub" else {}
    wsc = {"path": "aps/super_glue", "config": "wsc.fixed", "revision": SUPER_GLUE_COMMIT} if where == "hub" else {}
    (parent,) = [run for run in runs_at(uri) if run.data.tags["t5grid.kind"] == "row"]
    assert data_of(parent) == {
        ("corpus", "0123456789abcdef"): ("local", None, {"corpus": "files"}, "pretrain"),
        ("glue_cola", "a" * 16): (
            where,
            '{"num_examples": 8551}',
            {"task": "glue_cola", "split": "train", **cola},
            "train",
        ),
        ("glue_cola", "b" * 16): (
            where,
            '{"num_examples": 1043}',
            {"task": "glue_cola", "split": "validation", **cola},
            "validation",
        ),
        ("super_glue_wsc", "c" * 16): (
            where,
            '{"num_examples": 104}',
            {"task": "super_glue_wsc", "split": "validation", **wsc},
            "validation",
        ),
        ("reviews", "e" * 16): (
            "local",
            '{"num_examples": 20}',
            {"task": "reviews", "split": "train, validation"},
            "train, validation",
        ),
    }
    told = json.dumps([given.to_dictionary() for given in parent.inputs.dataset_inputs])
    assert str(tmp_path) not in told and "secret" not in told
    for child in (run for run in runs_at(uri) if run.data.tags["t5grid.kind"] != "row"):
        assert child.inputs.dataset_inputs == []


def test_data_that_was_written_before_the_writer_failed_is_not_written_again(
    uri: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned_tasks(tmp_path, data_dir=None)
    committed(plan, store)
    (row,) = plan.rows
    (tmp_path / "task.yaml").unlink()  # it was needed for the plan alone
    whole = MlflowView._child
    failures = iter([OSError("the server has gone")] * 2)

    def child(*args: Any) -> Any:
        for error in failures:
            raise error
        return whole(*args)

    monkeypatch.setattr(MlflowView, "_child", child)  # behind the inputs, before the child's run
    tracker = Tracker.open(uri, "objectives", "tiny", store)
    project(tracker, plan, store, status="stopped")
    assert tracker.close(timeout_s=60) == 0
    assert list(failures) == []
    for status in ("failed", "finished", "finished"):
        (parent,) = [run for run in runs_at(uri) if run.data.tags["t5grid.kind"] == "row"]
        assert [name for name, _ in data_of(parent)].count("glue_cola") == 2 and len(data_of(parent)) == 5
        tracker = Tracker.open(uri, "objectives", "tiny", store)
        project(tracker, plan, store, status=status)
        assert tracker.close(timeout_s=60) == 0
    assert len(runs_at(uri)) == 3 and row.key == parent.data.tags["t5grid.key"]


def test_rows_with_the_same_data_name_the_same_datasets(uri: str, store: Store, tmp_path: Path) -> None:
    (one,) = planned_tasks(tmp_path, data_dir=None).rows
    stages = planned_tasks(tmp_path, data_dir=None).stages
    by_role = {role: stages[key] for role, key in one.stages.items()}
    plan = Plan.of(
        "objectives", "tiny", [(PlannedRow(name=name, seed=seed), by_role) for name in "ab" for seed in (0, 1)]
    )
    committed(plan, store)
    tracker = Tracker.open(uri, "objectives", "tiny", store)
    project(tracker, plan, store)
    assert tracker.close(timeout_s=60) == 0
    parents = [run for run in runs_at(uri) if run.data.tags["t5grid.kind"] == "row"]
    assert len(parents) == 4 and all(data_of(run) == data_of(parents[0]) for run in parents)
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        assert database.execute("SELECT count(*) FROM datasets").fetchone() == (5,)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A real MLflow server on loopback."""

    def __init__(self, database: str, folder: Path) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database, "--workers", "1"]
        self.command += ["--artifacts-destination", str(folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError("the server did not start")

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(uri: str, tmp_path: Path) -> Iterator[Server]:
    server = Server(uri, tmp_path / "artifacts")
    server.start()
    yield server
    server.kill()


@pytest.mark.slow
def test_a_server_that_goes_away_costs_nothing_and_is_made_up_for(
    server: Server,
    uri: str,
    store: Store,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    plan = small_plan(store, "baseline", "span-3", "span-5")
    stays = Tracker.open(server.uri, "objectives", "tiny", store)
    leaves = Tracker.open(server.uri, "other", "tiny", store)
    project(stays, small_plan(store, "baseline", finish=False), store)
    deadline = time.monotonic() + 60
    while not any(run.data.tags.get("t5grid.complete") for run in runs_at(uri)) and time.monotonic() < deadline:
        time.sleep(0.1)
    server.kill()

    started = time.monotonic()
    project(stays, plan, store)
    project(leaves, plan, store)
    assert time.monotonic() - started < 1, "the driver does not wait"
    with caplog.at_level(logging.WARNING, "orchestrator.tracking.writer"):
        assert leaves.close(timeout_s=1) == 3
    assert time.monotonic() - started < 4, "closing waits for a bounded time"
    (record,) = caplog.records
    assert "3 of the rows are not written in full" in record.getMessage()
    with pytest.raises(ConfigError, match="does not answer"):
        Tracker.open(server.uri, "objectives", "tiny", store)

    server.start()
    assert stays.close(timeout_s=60) == 0, "it goes on when the server is back"
    runs = runs_at(uri)
    assert len(runs) == 9 and {run.info.status for run in runs} == {"FINISHED"}
    assert runs_at(uri, "t5grid/other/tiny") == []
    again = Tracker.open(server.uri, "other", "tiny", store)
    project(again, plan, store)
    assert again.close(timeout_s=60) == 0, "the next run of the study makes up for it"
    assert len(runs_at(uri, "t5grid/other/tiny")) == 9
    assert capfd.readouterr().out == "", "MLflow's own lines stay out of the terminal"


def test_nobody_there_is_told_within_seconds_and_without_a_password() -> None:
    started = time.monotonic()
    with pytest.raises(ConfigError, match=r"tracking_uri='http://\*\*\*@127.0.0.1:\d+': does not answer .*t5grid ui"):
        check_tracking_uri(f"http://ann:secret@127.0.0.1:{free_port()}")
    with pytest.raises(ConfigError, match=r"postgresql://\*\*\*@127"):
        check_tracking_uri(f"postgresql://ann:se/cret@127.0.0.1:{free_port()}/mlflow")
    assert time.monotonic() - started < 2


def test_somebody_who_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(ConfigError, match=r"did not answer within 0\.5 s|does not answer"):
            check_tracking_uri(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.5)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ((404, 404), "is no MLflow server"),
        ((401,), "refuses access"),
        ((503,), "is ill"),
        ((404, 200), None),
        ((200,), None),
    ],
)
def test_what_a_server_answers_decides(codes: tuple[int, ...], message: str | None) -> None:
    answers = itertools.cycle(codes)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(answers))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        if message is None:
            assert check_tracking_uri(uri) == uri
        else:
            with pytest.raises(ConfigError, match=message):
                check_tracking_uri(uri)
        server.shutdown()


def test_a_place_that_cannot_be_written_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database, and long enough to be looked at " * 100)
    for uri, message in {
        f"sqlite:///{tmp_path}/file/mlflow.db": "cannot be written",
        "sqlite:////proc/t5grid/mlflow.db": "cannot be written",
        f"sqlite:///{tmp_path}/file": "not a database",
        f"sqlite:///{tmp_path}": "is a folder",
        "sqlite://": "three slashes",
        "sqlite:///:memory:": "would be gone",
        "mysq://host/db": "did you mean 'mysql'",
        "./mlruns": r"use sqlite:///.*/mlruns/mlflow\.db",
        "runs.db": r"use sqlite:///.*/runs\.db",
        "nosuch:x": "plain folders",
    }.items():
        with pytest.raises(ConfigError, match=message):
            check_tracking_uri(uri)


def test_the_check_does_not_import_mlflow(tmp_path: Path) -> None:
    script = (
        "import sys, orchestrator.tracking.writer, orchestrator.tracking.address as t;"
        f"assert t.check_tracking_uri('sqlite:///{tmp_path}/new/a.db') == 'sqlite:///{tmp_path}/new/a.db';"
        "assert 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


def test_curves_are_thinned_and_read_with_care() -> None:
    assert thinned(range(1000), 5) == [0, 250, 500, 749, 999] and thinned([1, 2], 5) == [1, 2]
    lines = '{"step": 10, "loss": 3.0, "note": "x"}\n{"step": 20, "loss": NaN}\n{"step": 10, "loss": 2.0}\n{"step": 3'
    assert curve_points(lines, 0, 100) == [("loss", 2.0, 100, 10)]
    assert curve_points("", 0, 100) == []
    assert flat({"a": {"b": {"c": 1}}, "d": [2]}, ".") == {"a.b.c": 1, "d": [2]}


def test_every_number_of_a_row_is_a_curve_and_what_is_none_is_left_out() -> None:
    row = {"step": 4, "loss": 2.0, "gradient_norm": None, "tokens_per_s": 310.5, "peak_memory_bytes": 2**31}
    assert {name: value for name, value, _, _ in curve_points(json.dumps(row), 0, 1000)} == {
        "loss": 2.0,
        "tokens_per_s": 310.5,
        "peak_memory_bytes": 2.0**31,
    }
