"""``t5grid``: errors are one line with exit code 2, an empty store is no error."""

import json
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from dashboards.cli import main
from orchestrator.plan.stage import Stage
from orchestrator.store import open_store


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
