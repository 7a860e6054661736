"""The demo: a finished study at once, else a job where a Ray takes it, else on a Ray of our own, stopped after it."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.commands import submit
from orchestrator.commands.addresses import default_store_uri, default_tracking_uri
from orchestrator.commands.flags import Options
from orchestrator.commands.jobs import own_ray
from orchestrator.commands.jobs.job import RayGone
from orchestrator.commands.jobs.server import Found
from orchestrator.commands.submit import main
from studies.objectives import study
from studies.scales import SCALES

ROOT = Path(__file__).resolve().parents[3]

JOB = """
import os, sys, ray
import orchestrator.commands.addresses
ray.init(logging_level="error", log_to_driver=False)
print("cores", int(ray.cluster_resources()["CPU"]), "of", len(os.sched_getaffinity(0)))
print("home", orchestrator.commands.addresses.home())
sys.exit(int(sys.argv[1]))
"""


def surroundings(**environment):
    names = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_MODE")
    return {**{name: value for name, value in os.environ.items() if name not in names}, **environment}


def demo(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.commands.submit", *arguments],
        cwd=ROOT,
        env=surroundings(**environment),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(autouse=True)
def nobodys_choices(monkeypatch, tmp_path):
    """No Ray is chosen, and the default store is empty."""
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("T5GRID_HOME", str(tmp_path / "home"))


@pytest.mark.slow
def test_a_ray_of_its_own_runs_the_job_and_leaves_nothing_behind(tmp_path):
    job = tmp_path / "job.py"
    job.write_text(JOB)
    short = Path("/tmp") / f"t5t-{os.getpid()}"  # sockets below it: paths have to be short
    short.mkdir()
    try:
        done = demo("--new-ray", str(job), "3", TMPDIR=str(short), T5GRID_HOME=str(tmp_path / "results"))
        assert done.returncode == 3, done.stdout + done.stderr
        cores = len(os.sched_getaffinity(0))
        assert f"cores {cores} of {cores}" in done.stdout
        assert f"home {tmp_path / 'results'}" in done.stdout
        assert "stopped the Ray of this job" in done.stdout
        assert list(short.iterdir()) == []
        assert str(short) not in _command_lines()
    finally:
        shutil.rmtree(short)


def test_an_address_that_does_not_answer_is_one_line_and_starts_nothing():
    done = demo(RAY_ADDRESS="http://127.0.0.1:9")
    assert done.returncode == 2
    assert done.stderr.startswith("RAY_ADDRESS='http://127.0.0.1:9': cannot use this Ray")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.fixture
def small_ray(tmp_path, monkeypatch):
    """A program in the place of ``ray`` that takes every job, and leaves with the code in a file."""
    (tmp_path / "code").write_text("0")
    program = tmp_path / "ray"
    program.write_text(f"#!/bin/sh\nexit $(cat {tmp_path}/code)\n")
    program.chmod(0o755)
    for module in ("job", "own_ray"):
        monkeypatch.setattr(f"orchestrator.commands.jobs.{module}.program", lambda name: str(tmp_path / name))
    return tmp_path


def test_a_token_that_cannot_be_made_is_one_line(small_ray, capsys):
    (small_ray / "code").write_text("1")
    assert main(["--new-ray"]) == 2
    assert capsys.readouterr() == (
        "", "RAY_AUTH_MODE='token': no token could be made: see what `ray get-auth-token --generate` says\n"
    )  # fmt: skip
    (small_ray / "ray").unlink()
    assert main(["--new-ray"]) == 2
    assert capsys.readouterr().err == f"ray='{small_ray}/ray': does not run: No such file or directory\n"


def test_results_are_where_the_command_says_or_else_by_default(small_ray, monkeypatch, capsys):
    monkeypatch.setattr("orchestrator.commands.submit.running_ray", lambda environment: "http://127.0.0.1:9")
    assert main(["studies/objectives.py", "--rows", "span"]) == 0
    out = capsys.readouterr().out
    assert f"results   {default_store_uri()} (default)     t5grid status\n" in out
    assert f"MLflow    {default_tracking_uri()} (default)     t5grid ui\n" in out
    given = ("--store=s3://bucket/t5", "--tracking-uri", "http://ann:secret@runs.example")
    assert main(["studies/objectives.py", *given]) == 0
    shown = capsys.readouterr().out.partition("all in")[2]
    assert "results   s3://bucket/t5     t5grid status --store s3://bucket/t5\n" in shown
    assert "MLflow    http://***@runs.example\n" in shown
    assert "default" not in shown


def test_the_demo_trains_some_rows_often_enough_to_know_their_noise():
    script, *flags = submit.DEFAULT_COMMAND
    options = Options.parse("the demo", list(SCALES), flags)
    assert (ROOT / script).is_file()
    rows = [row.name for row in study().select(options.rows).rows]
    assert rows == ["replace-spans", "span-3", "no-pretraining"]
    assert options.number_of_seeds.each == 3


def test_a_finished_study_needs_no_ray(monkeypatch, capsys):
    def refuse(*_, **__):
        raise AssertionError("a Ray was looked for")

    seen = []
    monkeypatch.setattr(submit, "shown_if_finished", lambda command, *_: seen.append(command) or True)
    monkeypatch.setattr(submit, "find", refuse)
    monkeypatch.setattr(submit, "own_ray", refuse)
    assert main([]) == 0
    assert seen == [submit.DEFAULT_COMMAND]
    assert "exit code 0\n  results   " in capsys.readouterr().out
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")  # it has another store: what is here says nothing
    with pytest.raises(AssertionError, match="looked for"):
        main([])
    for here in ("auto", "127.0.0.1:6379", "http://localhost:8265", "ray://127.0.0.1:10001"):
        monkeypatch.setenv("RAY_ADDRESS", here)
        assert main([]) == 0


@pytest.fixture
def going_ray(monkeypatch):
    """A Ray that takes jobs when it is asked, and goes away before it begins one; ours then runs it."""

    def run_job(address, *_):
        if address == "http://going":
            raise RayGone("ray", address, "went away before it began the job (x)")
        return 3

    monkeypatch.setattr(submit, "find", lambda _: Found(address="http://going"))
    monkeypatch.setattr(submit, "run_job", run_job)
    monkeypatch.setattr(submit, "own_ray", lambda _: contextlib.nullcontext("http://ours"))


def test_a_ray_that_goes_away_is_replaced_by_one_of_our_own(going_ray, capsys):
    assert main(["job.py"]) == 3
    assert capsys.readouterr().out.splitlines()[:2] == [
        "using the Ray that is running at http://going",
        "ray='http://going': went away before it began the job (x)",
    ]


def test_a_chosen_ray_that_goes_away_is_not_replaced(going_ray, monkeypatch, capsys):
    monkeypatch.setenv("RAY_ADDRESS", "http://going")
    assert main(["job.py"]) == 2
    assert capsys.readouterr().err == "ray='http://going': went away before it began the job (x)\n"


def test_a_ray_that_takes_no_jobs_is_left_alone(monkeypatch, capsys):
    monkeypatch.setattr(submit, "find", lambda _: Found(trouble="it starts or shuts down at redis://:secret@x"))
    assert submit.running_ray({}) is None
    assert "takes no jobs from here (it starts or shuts down at redis://***@x)" in capsys.readouterr().out
    monkeypatch.setattr(submit, "find", lambda _: Found())
    assert submit.running_ray({}) is None
    assert capsys.readouterr().out == ""


@pytest.mark.faults
@pytest.mark.parametrize("when", ["before it is looked for", "when it is found"])
def test_a_ray_that_shuts_down_costs_no_job(tmp_path, when):
    job = tmp_path / "job.py"
    job.write_text(JOB)
    ray = own_ray._started(surroundings(RAY_AUTH_MODE="token"))
    try:
        if when == "before it is looked for":
            ray.process.terminate()
        with subprocess.Popen(
            [sys.executable, "-m", "orchestrator.commands.submit", str(job), "3"],
            cwd=ROOT,
            env=surroundings(RAY_TMPDIR=str(ray.folder)),  # where Ray looks for the one that is running
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            said = []
            for line in process.stdout:
                said.append(line)
                if line == f"using the Ray that is running at {ray.address}\n":
                    ray.process.terminate()
        out = "".join(said)
        assert process.returncode == 3, out
        assert "starting a Ray for this job ..." in out
        assert "cores " in out
        if when == "when it is found":
            assert f"ray='{ray.address}': went away before it began the job" in out
    finally:
        own_ray._stop(ray.process)
        shutil.rmtree(ray.folder)


def _command_lines():
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # ended meanwhile
            continue
    return "\n".join(lines)
