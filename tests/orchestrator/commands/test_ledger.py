"""What a study leaves behind: its plan before anything runs, its run, report and rows in MLflow, however it ends."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import micro_study
import pytest
from micro_place import RUN_PLAN, locally

from orchestrator.commands.finished import shown_if_finished
from orchestrator.commands.study import FREE_BYTES_WANTED, main
from orchestrator.plan.cost import bytes_left
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Row, Study
from orchestrator.store import Store, StoreError, open_store
from orchestrator.store.plans import read_plans
from orchestrator.store.runs import read_runs
from orchestrator.tracking.writer import Tracker
from t5core.config import ObjectiveConfig, TasksConfig
from t5core.errors import ConfigError

RunPlan = Callable[..., Any]


class Place:
    """A folder with text, a store and an MLflow database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.corpus = micro_study.write_documents(folder / "text.jsonl")
        self.store = open_store(folder / "store")
        self.tracking_uri = f"sqlite:///{folder / 'mlflow.db'}"

    def run(self, study: Study, *argv: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        scales = {"micro": micro_study.scale(self.corpus)}
        flags = ["--store", str(self.folder / "store"), "--tracking-uri", self.tracking_uri, *argv]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(study, scales, flags)
        return code, out.getvalue(), err.getvalue()

    def rows_in_mlflow(self) -> dict[str, str]:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(self.tracking_uri)
        experiment = client.get_experiment_by_name("t5grid/trial/micro")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id], "tags.`t5grid.kind` = 'row'")
        return {run.data.tags["t5grid.row"]: run.info.status for run in runs}

    def how_runs_ended(self) -> list[str]:
        return [run.state(time.time()) for run in read_runs(self.store)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The baseline, finished."""
    place = Place(tmp_path_factory.mktemp("ledger"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RUN_PLAN, locally)
        code, _, err = place.run(micro_study.study(), "--rows", "spans")
    assert code == 0, err
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """A copy of the place in which the baseline is finished."""
    shutil.copytree(made.folder / "store", tmp_path / "store")
    shutil.copy(made.folder / "mlflow.db", tmp_path / "mlflow.db")
    return Place(tmp_path)


def use(monkeypatch: pytest.MonkeyPatch, run_plan: RunPlan) -> None:
    monkeypatch.setattr(RUN_PLAN, run_plan)


def test_the_plan_is_kept_before_anything_runs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Plan] = []

    def look(plan: Plan, store: Store, **_: Any) -> Any:
        seen.extend(found for found in read_plans(store) if found.key == plan.key)
        assert [run.state(time.time()) for run in read_runs(store) if run.plan == plan.name] == ["alive"]
        raise ConfigError("accelerator", "cuda", "Ray has no GPU")

    use(monkeypatch, look)
    code, _, err = place.run(micro_study.study())
    assert (code, err) == (2, "error: accelerator='cuda': Ray has no GPU\n")
    assert [[row.name for row in plan.rows] for plan in seen] == [["spans", "none"]]


@pytest.mark.parametrize(
    ("error", "code", "how"),
    [
        (ConfigError("accelerator", "cuda", "Ray has no GPU"), 2, "refused"),
        (StoreError("store", "x", "no space"), 2, "refused"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_no_row_stays_running_however_a_run_ends(
    place: Place, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, how: str
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise error

    use(monkeypatch, fails)
    got, _, err = place.run(micro_study.study(micro_study.diverging_row(place.corpus)))
    assert got == code and err.count("\n") == 1
    assert place.rows_in_mlflow() == {"spans": "FINISHED", "none": "KILLED", "diverges": "KILLED"}
    assert place.how_runs_ended()[-1] == how


def test_the_table_is_there_before_mlflow_has_everything(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, locally)
    close = Tracker.close

    def late(self: Tracker, timeout_s: float = 30.0) -> int:
        print("now MLflow is waited for")
        return close(self, timeout_s)

    monkeypatch.setattr(Tracker, "close", late)
    code, out, _ = place.run(micro_study.study(), "--rows", "spans")
    assert code == 0
    assert out.index("A trial, scale micro") < out.index("in all;") < out.index("now MLflow is waited for")


def test_a_report_of_some_rows_leaves_that_of_all(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, locally)
    assert place.run(micro_study.study())[0] == 0
    assert place.run(micro_study.study(), "--rows", "spans")[0] == 0
    reports = [json.loads(path.read_text()) for path in (place.folder / "store" / "reports").iterdir()]
    assert sorted(len(report["rows"]) for report in reports) == [1, 2]


def test_a_resumed_run_needs_space_for_what_is_left_only(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = next(read_plans(place.store))
    whole = bytes_left(plan, ())
    assert whole > 0
    free = FREE_BYTES_WANTED + whole - 1  # too little for the row that is finished, were it still to be made
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    use(monkeypatch, locally)
    assert place.run(micro_study.study(), "--rows", "spans")[0] == 0
    code, _, err = place.run(micro_study.study(), "--rows", "spans", "--finetune-steps", "11", "--pretrain-steps", "21")
    assert code == 2 and "free some space" in err


def test_rows_may_differ_in_their_tasks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_qa(baseline: Experiment) -> dict[str, TasksConfig]:
        return {"tasks": baseline.tasks.replace(names=("doc_acceptability", "doc_cloze"))}

    use(monkeypatch, locally)
    row = Row(
        name="without-qa", label="Without QA", changes=lambda e: {**without_qa(e), "objective": ObjectiveConfig()}
    )
    code, out, err = place.run(micro_study.study(row), "--rows", "without-qa", "--json")
    assert code == 0, err
    table = json.loads(out)
    cells = {row["name"]: set(row["cells"]) for row in table["rows"]}
    assert [task["task"] for task in table["tasks"]] == ["doc_acceptability", "doc_qa", "doc_cloze"]
    assert cells["spans"] == {"doc_acceptability", "doc_qa", "doc_cloze", "average"}
    assert cells["without-qa"] == {"doc_acceptability", "doc_cloze"}


def test_finished_only_shows_what_is_finished_and_starts_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def files() -> dict[str, float]:
        return {str(path): path.stat().st_mtime for path in place.folder.rglob("*") if path.is_file()}

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a run was begun")

    use(monkeypatch, refuse)
    before = files()
    assert place.run(micro_study.study(), "--finished-only") == (3, "", "")
    assert place.run(micro_study.study(), "--finished-only", "--plan") == (3, "", "")
    assert files() == before
    use(monkeypatch, locally)
    code, out, err = place.run(micro_study.study(), "--rows", "spans", "--finished-only")
    assert (code, err) == (0, "")
    assert out.index("A trial, scale micro") < out.index("every stage was finished already, none ran")


STUDY = """
import sys
sys.path.insert(0, {tests!r})
import micro_study
from pathlib import Path
from orchestrator.commands.study import main
code = main(micro_study.study(), {{"micro": micro_study.scale(Path({corpus!r}))}})
print("imported:", [name for name in ("ray", "mlflow", "sympy", "torch._dynamo") if name in sys.modules])
sys.exit(code)
"""


def test_a_finished_study_is_shown_without_a_job_or_anything_that_takes_seconds_to_import(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = str(Path(__file__).parents[1])
    (place.folder / "study.py").write_text(STUDY.format(tests=tests, corpus=str(place.corpus)))
    flags = ["--rows", "spans", "--store", str(place.folder / "store"), "--tracking-uri", place.tracking_uri]
    assert shown_if_finished(["study.py", *flags], os.environ, place.folder)
    out, err = capsys.readouterr()
    assert "A trial, scale micro" in out
    assert out.endswith("imported: []\n")
    assert err == ""


TERMINATED = """
    import sys, time
    sys.path.insert(0, {tests!r})
    import micro_study, mlflow.tracking  # the latter takes seconds, which a run that is stopped does not wait
    from pathlib import Path
    import orchestrator.commands.study as study
    def slow(*_, stopped, **__):
        print("running", flush=True)
        try:
            time.sleep(100)
        except BaseException:
            stopped()
            raise
    study.run_plan = slow
    corpus = Path({corpus!r})
    flags = ["--store", {store!r}, "--tracking-uri", {tracking!r}]
    sys.exit(study.main(micro_study.study(), {{"micro": micro_study.scale(corpus)}}, flags))
"""


def test_sigterm_ends_a_run_as_ctrl_c_does(place: Place) -> None:
    code = textwrap.dedent(TERMINATED).format(
        tests=str(Path(__file__).parents[1]),
        corpus=str(place.corpus),
        store=str(place.folder / "store"),
        tracking=place.tracking_uri,
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        while run.stdout.readline() != "running\n":
            assert run.poll() is None, run.stderr and run.stderr.read()
        run.send_signal(signal.SIGTERM)
        _, err = run.communicate(timeout=120)
    assert run.returncode == 128 + signal.SIGTERM
    assert err == "stopped: what is finished is kept; the same command goes on from there\n"
    assert place.rows_in_mlflow()["none"] == "KILLED"
    assert place.how_runs_ended()[-1] == "stopped"
