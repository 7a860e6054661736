"""The demo's Ray: started when none takes jobs, stopped with everything it started, its exit code is the job's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.commands.addresses import default_store_uri, default_tracking_uri
from orchestrator.commands.submit import main

ROOT = Path(__file__).resolve().parents[3]

JOB = """
import os, sys, ray
import orchestrator.commands.addresses
ray.init(logging_level="error", log_to_driver=False)
print("cores", int(ray.cluster_resources()["CPU"]), "of", len(os.sched_getaffinity(0)))
print("home", orchestrator.commands.addresses.home())
sys.exit(int(sys.argv[1]))
"""


def demo(*arguments, **environment):
    names = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_MODE")
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.commands.submit", *arguments],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


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
    monkeypatch.setattr("orchestrator.commands.submit._program", lambda name: str(tmp_path / name))
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


def _command_lines():
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # ended meanwhile
            continue
    return "\n".join(lines)
