"""The search command: bad input, a driver that is killed, MLflow's runs, and the table at the end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import micro_study
import optuna
import pytest
from optuna.trial import TrialState

from orchestrator.store import open_store

HERE = Path(__file__).parents[1]
ROOT = HERE.parents[1]


def command(folder: Path, *flags: str) -> list[str]:
    corpus = folder / "text.jsonl"
    if not corpus.exists():
        micro_study.write_documents(corpus)
    return [sys.executable, str(HERE / "search_micro.py"), str(corpus), *flags]


def environment(folder: Path) -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT), str(HERE)])
    return {**os.environ, "T5GRID_HOME": str(folder / "home"), "PYTHONPATH": paths}


def run(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *flags), env=environment(folder), capture_output=True, text=True, timeout=280, check=False
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--trials", "0"], "error: trials=0: give a whole number from 1 up\n"),
        (["--space", "rate"], "error: space='rate': choose one of mixture, maximum, temperature, rates"),
        (["--storage", "mysq://x"], "error: storage='mysq://x': this database cannot be used ("),
        (["--rows", "a"], "error: "),
        (["--tasks", "doc_clozze"], "error: tasks='doc_clozze': choose from doc_acceptability, "),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(flags: list[str], said: str, tmp_path: Path) -> None:
    done = run(tmp_path, *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said) and done.stderr.count("\n") == 1, done.stderr


def test_the_plan_of_the_fixed_mixtures_starts_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "--plan")
    assert done.returncode == 0, done.stderr
    assert "multitask/K0.9-seed0-part2-" in done.stdout and "still to do" in done.stdout
    assert not (tmp_path / "home" / "search.db").exists()


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_search_whose_driver_is_killed_goes_on_and_ends_with_as_many_trials(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/home/search.db"
    with (tmp_path / "log").open("w") as log:
        driver = subprocess.Popen(
            command(tmp_path, "--trials", "5"),
            env=environment(tmp_path),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            finished = 0
            until_s = time.monotonic() + 200
            while finished < 2 and time.monotonic() < until_s and driver.poll() is None:
                time.sleep(0.5)
                finished = sum(t.state is TrialState.COMPLETE for t in trials(storage))
            assert finished >= 2, (tmp_path / "log").read_text()
        finally:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
    before = {t.number: t.value for t in trials(storage) if t.state is TrialState.COMPLETE}

    store = open_store(tmp_path / "home" / "store")
    kept = {m.key: m.started_at for m in store.manifests()}
    done = run(tmp_path, "--trials", "5")
    assert done.returncode == 0, done.stderr + done.stdout
    ended = trials(storage)
    left = {t.user_attrs["instead_of"] for t in ended if "instead_of" in t.user_attrs}
    assert sum(t.state.is_finished() and t.number not in left for t in ended) == 5
    assert {n: t.value for n, t in enumerate(ended) if n in before} == before
    again = {m.key: m.started_at for m in store.manifests()}
    assert {key: again[key] for key in kept} == kept, "what was finished was not done again"
    assert "best: trial" in done.stdout and "best of the paper's fixed mixtures:" in done.stdout

    told = run(tmp_path, "--trials", "5", "--json")
    rows = json.loads(told.stdout)["trials"]
    assert len(rows) == 5 and rows[0]["average"] == max(r["average"] for r in rows if r["state"] == "complete")
    check_mlflow(tmp_path, {r["row"] for r in rows})


def check_mlflow(folder: Path, names: set[str]) -> None:
    """Every trial is one run with its scores; what the killed driver left open is closed."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/home/mlflow.db")
    experiment = client.get_experiment_by_name("t5grid/mixing_search/micro")
    assert experiment is not None
    rows = client.search_runs([experiment.experiment_id], "tags.`t5grid.kind` = 'row'")
    named = {run.data.tags["t5grid.row"]: run for run in rows}
    assert len(rows) == len(named) == len(names) == 5 and set(named) == names
    for run in rows:
        assert run.info.status in ("FINISHED", "KILLED")
        assert "final/average" in run.data.metrics


def trials(storage: str) -> list[optuna.trial.FrozenTrial]:
    if not Path(storage.removeprefix("sqlite:///")).exists():
        return []
    try:
        names = optuna.get_all_study_names(storage)
        return optuna.load_study(study_name=names[0], storage=storage).get_trials() if names else []
    except Exception:  # the driver is making the tables
        return []
