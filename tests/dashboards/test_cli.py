"""``t5grid``: errors are one line with exit code 2, an empty store is no error."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from dashboards.cli import main
from dashboards.commands.ui import server_command, server_environment
from orchestrator.plan.stage import Stage
from orchestrator.store import open_store
from orchestrator.store.failures import write_failure
from orchestrator.store.runs import running


def finished_stage(store, name="embedded"):
    stage = Stage.of("corpus", name, corpus={"source": name})
    with store.lease(stage):
        work = store.work(stage)
        (work / "train.jsonl").write_text("x" * 1500)
        store.commit(stage, work, {"documents": 1}, started_at=1_700_000_000.0, seconds=65.0)
    return stage


def test_the_status_of_a_store_that_is_not_there_says_how_to_start(tmp_path, capsys):
    assert main(["status", "--store", str(tmp_path / "none")]) == 0
    assert "start with `make demo`" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_the_status_counts_finished_and_interrupted_stages(tmp_path, capsys):
    store = open_store(tmp_path)
    done = finished_stage(store)
    begun = Stage.of("pretrain", "span-3", train={"steps": 7})
    (store.work(begun) / "checkpoint").write_text("half")
    assert main(["status", "--store", str(tmp_path), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    kinds = {kind.pop("kind"): kind for kind in status["kinds"]}
    assert kinds["corpus"] == {
        "finished": 1,
        "running": 0,
        "failed": 0,
        "interrupted": 0,
        "seconds": 65.0,
        "bytes": 1500,
    }
    assert (kinds["pretrain"]["finished"], kinds["pretrain"]["interrupted"]) == (0, 1)
    assert {stage["stage"]: stage["state"] for stage in status["last"]} == {
        done.folder: "finished",
        begun.folder: "interrupted",
    }


def test_a_stage_that_is_worked_on_is_running(tmp_path, capsys):
    store = open_store(tmp_path)
    stage = Stage.of("pretrain", "span-3", train={"steps": 7})
    with store.lease(stage):
        (store.work(stage) / "checkpoint").write_text("half")
        main(["status", "--store", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)["kinds"][0]["running"] == 1


def test_a_stage_that_failed_is_not_one_that_was_interrupted(tmp_path, capsys):
    store = open_store(tmp_path)
    failed, begun = (Stage.of("pretrain", name, train={"steps": 7, "row": name}) for name in ("mass", "span-3"))
    for stage in (failed, begun):
        (store.work(stage) / "checkpoint").write_text("half")
    elsewhere = Stage.of("finetune", "drop", train={"steps": 7})  # its work folder lies on another host
    for stage in (failed, elsewhere):
        write_failure(store, stage, "loss=nan at step 2", 1, "Traceback ...")
    assert main(["status", "--store", str(tmp_path), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert {stage["stage"]: (stage["state"], stage["error"]) for stage in status["last"]} == {
        failed.folder: ("failed", "loss=nan at step 2"),
        elsewhere.folder: ("failed", "loss=nan at step 2"),
        begun.folder: ("interrupted", ""),
    }
    kinds = {kind["kind"]: (kind["failed"], kind["interrupted"]) for kind in status["kinds"]}
    assert kinds == {"pretrain": (1, 1), "finetune": (1, 0)}
    main(["status", "--store", str(tmp_path)])
    assert f"{failed.folder}: loss=nan at step 2" in capsys.readouterr().out
    with store.lease(failed):  # it is tried again
        main(["status", "--store", str(tmp_path), "--json"])
    states = {stage["stage"]: stage["state"] for stage in json.loads(capsys.readouterr().out)["last"]}
    assert states[failed.folder] == "running"


def test_the_status_tells_which_runs_are_alive(tmp_path, capsys):
    store = open_store(tmp_path)
    with running(store, "objectives-tiny-0123456789abcdef") as run:
        run.ends("failed")
    with running(store, "corpora-tiny-0123456789abcdef"):
        main(["status", "--store", str(tmp_path), "--json"])
        runs = json.loads(capsys.readouterr().out)["runs"]
        assert {run["plan"].partition("-")[0]: run["state"] for run in runs} == {
            "objectives": "failed",
            "corpora": "alive",
        }
        assert {run["pid"] for run in runs} == {os.getpid()}
        main(["status", "--store", str(tmp_path)])
        assert "corpora-tiny-0123456789abcdef" in capsys.readouterr().out


def test_the_server_of_the_pages_shows_no_password_on_its_command_line(tmp_path):
    (tmp_path / "mlflow.db").touch()
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert uri not in server_command(uri, 5017)
    assert server_environment("postgresql://ann:secret@db/mlflow", {"PATH": "/bin"})["MLFLOW_BACKEND_STORE_URI"] == (
        "postgresql://ann:secret@db/mlflow"
    )


def test_the_status_is_a_table_for_people(tmp_path, capsys):
    finished_stage(open_store(tmp_path))
    main(["status", "--store", str(tmp_path)])
    out = capsys.readouterr().out
    assert "1:05" in out
    assert "1.5 kB" in out


def test_names_in_the_tables_are_no_markup(tmp_path, capsys):
    finished_stage(open_store(tmp_path / "w[red]x[/b]"), "w")
    assert main(["status", "--store", str(tmp_path / "w[red]x[/b]")]) == 0
    assert "w[red]x[/b]" in capsys.readouterr().out.replace("\n", "")


def test_pages_need_runs_and_a_free_port(tmp_path, capsys):
    assert main(["ui", "--tracking-uri", f"sqlite:///{tmp_path}/no.db"]) == 2
    assert "holds no runs yet" in capsys.readouterr().err
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["ui", "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"port={port}: cannot be used")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ui", "--tracking-uri", "http://ann:secret@runs.example:5000"), "open that address in the browser"),
        (("ui", "--tracking-uri", "nonsense://x"), "tracking_uri='nonsense://x': start it with one of http://"),
        (("ui", "--port", "many"), "arguments=\"argument --port: invalid int value: 'many'\": see t5grid ui --help"),
        (("status", "--stroe", "x"), "arguments='unrecognized arguments: --stroe x': see t5grid --help"),
        ((), "arguments='the following arguments are required: VERB'"),
        (("report", "objectives", "--store", "nonsense://x"), "store='nonsense://x': no store of kind 'nonsense'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, arguments, message):
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)
    assert "secret" not in err


@pytest.mark.slow
def test_the_pages_answer_on_loopback(tmp_path):
    import mlflow

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.MlflowClient(uri).create_experiment("objectives")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dashboards.cli", "ui", "--tracking-uri", uri, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for _ in range(360):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                    assert answer.status == 200
                    break
            except OSError:
                assert process.poll() is None, process.stdout.read().decode()
                time.sleep(0.5)
        else:
            pytest.fail("no answer within 3 minutes")
    finally:
        process.terminate()
        process.wait(30)
