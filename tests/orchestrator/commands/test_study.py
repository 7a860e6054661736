"""A whole study from flags to table, report and MLflow, on a real Ray; what a second run does; how rows fail."""

import contextlib
import io
import json
import math
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import micro_study
import pytest

from orchestrator.commands.flags import Options
from orchestrator.commands.study import main
from orchestrator.engine.events import Event, StageStarted
from orchestrator.engine.inline import run_locally
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Study, plan_of
from orchestrator.store import Store, open_store

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str


class Place:
    """A folder with text, a store and an MLflow database, and the study that runs in it: one of its rows fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.corpus = micro_study.write_documents(folder / "text.jsonl")
        self.study: Study = micro_study.study(micro_study.diverging_row(self.corpus))
        self.scales = {"micro": micro_study.scale(self.corpus)}
        self.store = open_store(folder / "store")
        self.tracking_uri = f"sqlite:///{folder / 'mlflow.db'}"

    def command(self, *argv: str) -> list[str]:
        return ["--store", str(self.folder / "store"), "--tracking-uri", self.tracking_uri, *argv]

    def run(self, *argv: str) -> Said:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(self.study, self.scales, self.command(*argv))
        return Said(code=code, out=out.getvalue(), err=err.getvalue())

    def plan(self) -> Plan:
        options = Options.parse(self.study, list(self.scales), self.command())
        return plan_of(self.study, options.scale_of(self.scales))

    def experiments(self) -> list[str]:
        from mlflow.tracking import MlflowClient

        return sorted(e.name for e in MlflowClient(self.tracking_uri).search_experiments() if e.name != "Default")

    def runs(self) -> "list[Run]":
        from mlflow.tracking import MlflowClient

        client = MlflowClient(self.tracking_uri)
        experiment = client.get_experiment_by_name("t5grid/trial/micro")
        assert experiment is not None
        return list(client.search_runs([experiment.experiment_id], max_results=1000))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def first(place: Place, local_ray: str) -> Said:
    """The study's first run, on Ray."""
    return place.run("--accelerator", "cpu")


@pytest.fixture
def without_ray(first: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes taking Ray an error."""

    def refuse(*_: Any) -> None:
        raise AssertionError("Ray was asked for")

    monkeypatch.setattr("orchestrator.engine.on_ray.run.connected", refuse)


@pytest.fixture
def on_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs plans in this process: quicker, where how they run does not matter."""

    def locally(plan: Plan, store: Store, *, events: Any, **_: Any) -> Any:
        return run_locally(plan, store, events=events)

    monkeypatch.setattr("orchestrator.commands.study.run_plan", locally)


def test_rows_that_work_are_finished_and_one_that_fails_is_marked(first: Said, place: Place) -> None:
    assert first.code == 1, first.err
    assert "Traceback" not in first.out + first.err
    plan = place.plan()
    finished = {(m.kind, m.name) for m in place.store.manifests()}
    assert finished == {(stage.kind, stage.name) for stage in plan.stages.values() if "diverges" not in stage.name}
    assert "A trial, scale micro" in first.out
    for label in ("Spans", "No pre-training", "Diverges"):
        assert label in first.out
    assert "loss=nan at step 2" in first.out
    assert "orchestration took" in first.out


def test_what_was_decided_is_said_first(first: Said, place: Place) -> None:
    said = dict(line.split(maxsplit=1) for line in first.out.splitlines()[:6])
    assert said.pop("precision").startswith("float32 (")  # why, depends on the processor
    assert said == {
        "study": "A trial: 3 rows, 1 seed(s) each",
        "scale": "micro: a test",
        # text and tasks 4, twice 3 with pre-training, 2 without; 7 + 5 + 7 places
        "stages": "15 for 22 places in the rows (shared ones run once); 0 are finished already",
        "store": str(place.folder / "store"),
        "tracking": f"{place.tracking_uri}, experiment t5grid/trial/micro",
    }
    decided = next(line for line in first.out.splitlines() if "accelerator" in line)
    assert decided.endswith("accelerator cpu (asked for), 2 lanes (Ray has 2 CPUs, and a lane takes 1 CPU)")


def test_the_report_holds_the_table(first: Said, place: Place) -> None:
    name = f"trial-micro-{place.plan().key}"
    assert [path.name for path in (place.folder / "store" / "reports").iterdir()] == [f"{name}.json"]
    report = json.loads((place.folder / "store" / "reports" / f"{name}.json").read_text(encoding="utf-8"))
    assert report["plan"] == name and "accounting" not in report
    rows = {row["name"]: row for row in report["rows"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        "spans": "done",
        "none": "done",
        "diverges": "failed",
    }
    assert "pretrain: loss=nan at step 2" in json.dumps(rows["diverges"])
    assert "\\n" not in json.dumps(rows["diverges"])


def test_mlflow_has_one_experiment_a_parent_per_row_and_a_child_per_stage(first: Said, place: Place) -> None:
    assert place.experiments() == ["t5grid/trial/micro"]
    runs = place.runs()
    parents = {run.data.tags["t5grid.row"]: run for run in runs if run.data.tags["t5grid.kind"] == "row"}
    assert {name: run.info.status for name, run in parents.items()} == {
        "spans": "FINISHED",
        "none": "FINISHED",
        "diverges": "FAILED",
    }
    plan = place.plan()
    for row in plan.rows:
        children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parents[row.name].info.run_id]
        kinds = Counter(run.data.tags["t5grid.kind"] for run in children)
        missing = {"pretrain", "finetune", "evaluate", "likelihood"} if row.name == "diverges" else set()
        expected = set(row.stages) - missing
        assert kinds == Counter(expected)
    assert len(runs) == 3 + 8 + 6 + 4
    for name in ("spans", "none"):
        final = {k: v for k, v in parents[name].data.metrics.items() if k.startswith("final/")}
        assert set(final) == {
            "final/doc_acceptability/accuracy",
            "final/doc_acceptability/matthews",
            "final/doc_qa/em",
            "final/doc_qa/f1",
            "final/doc_cloze/em",
            "final/doc_cloze/f1",
            *(f"final/bits/{task}" for task in micro_study.TASK_NAMES),
            "final/label_nats/doc_acceptability",
            "final/label_auc/doc_acceptability",
        }
        assert all(math.isfinite(value) for value in final.values())
    assert not any(name.startswith("final/") for name in parents["diverges"].data.metrics)
    (pretrain,) = [
        run for run in runs if run.data.tags["t5grid.kind"] == "pretrain" and "validation_loss" in str(run.data.metrics)
    ]
    assert pretrain.data.params["train.steps"] == "20"


def test_a_second_run_of_the_rows_that_are_finished_starts_nothing(
    first: Said, place: Place, without_ray: None
) -> None:
    before = {manifest.key: manifest.started_at for manifest in place.store.manifests()}
    runs = {run.info.run_id for run in place.runs()}
    again = place.run("--rows", "spans,none")
    assert (again.code, again.err) == (0, "")
    assert "every stage was finished already, none ran" in again.out
    assert "11 are finished already" in again.out
    assert {manifest.key: manifest.started_at for manifest in place.store.manifests()} == before
    assert {run.info.run_id for run in place.runs()} == runs
    assert place.experiments() == ["t5grid/trial/micro"]


def test_the_table_as_json_goes_to_stdout_alone(first: Said, place: Place, without_ray: None) -> None:
    again = place.run("--rows", "spans,none", "--json")
    table = json.loads(again.out)
    assert [row["name"] for row in table["rows"]] == ["spans", "none"]
    assert table["accounting"]["lanes"] == 0 and table["accounting"]["orchestration_share"] == 0
    assert "A trial: 2 rows" in again.err


def test_a_second_run_of_all_rows_does_only_what_is_missing(first: Said, place: Place) -> None:
    events: list[Event] = []
    plan = place.plan()
    run_locally(plan, place.store, events=events.append)
    started = [plan.stages[event.key].folder for event in events if isinstance(event, StageStarted)]
    diverges = next(row for row in plan.rows if row.name == "diverges")
    assert started == [plan.stages[diverges.stages["pretrain"]].folder]  # once: such a loss comes again


def test_a_plan_says_what_is_finished(first: Said, place: Place, without_ray: None) -> None:
    said = place.run("--plan", "--json")
    stages = json.loads(said.out)["stages"]
    assert said.code == 0 and Counter(stage["finished"] for stage in stages) == {True: 11, False: 4}
    assert json.loads(said.out)["rates"][0]["from"].startswith("median of 3 finished stages")


def test_a_vocabulary_too_small_for_its_characters_is_the_users_to_mend(
    first: Said, place: Place, on_this_process: None
) -> None:
    said = place.run("--vocabulary-pieces", "262")
    assert said.code == 2
    assert said.err.startswith("error: num_pieces=262: 256 bytes, 3 special pieces and the characters need ")
    assert said.err.count("\n") == 1 and "Traceback" not in said.out
    needed = int(said.err.partition(" need ")[2].split()[0])
    assert 280 < needed < 400
    assert not [m for m in place.store.manifests() if m.kind == "vocabulary" and m.name == "262-pieces"]


def test_a_corpus_too_small_to_hold_some_out_is_the_users_to_mend(
    first: Said, place: Place, on_this_process: None
) -> None:
    (place.folder / "short.txt").write_text("Too short a text to train on.")
    said = place.run("--corpus", str(place.folder / "short.txt"))
    assert said.code == 2
    assert said.err.startswith(f"error: corpus='{place.folder / 'short.txt'}': no text there of 200 characters or more")
    assert said.err.count("\n") == 1


def test_every_seed_is_trained_and_the_table_takes_them_together(
    first: Said, place: Place, on_this_process: None
) -> None:
    said = place.run("--rows", "none", "--seeds", "2", "--json")
    assert said.code == 0, said.err
    assert [(row["name"], row["seeds"]) for row in json.loads(said.out)["rows"]] == [("spans", 2), ("none", 2)]
    assert Counter(m.name for m in place.store.manifests() if m.kind == "finetune") == {
        f"{row}-seed{seed}": 1 for row in ("spans", "none") for seed in (0, 1)
    }


def test_a_damaged_result_is_one_line_and_is_not_used(first: Said, place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.folder / "store", tmp_path / "store")
    (manifest,) = (tmp_path / "store" / "tokens").glob("*/manifest.json")
    manifest.write_text(manifest.read_text()[:-40])
    said = place.run("--rows", "spans", "--store", str(tmp_path / "store"))
    assert said.code == 2
    assert said.err.startswith("error: ") and said.err.count("\n") == 1 and "tokens" in said.err


def test_ctrl_c_is_one_line_and_exit_code_130(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.commands.study.run_plan", interrupted)
    said = place.run()
    assert said.code == 130
    assert said.err == "stopped: what is finished is kept; the same command goes on from there\n"
