"""What is shown of a job: its own lines while it runs; when it fails, its last ones and why, whatever Ray says."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.commands.jobs.job import RayGone, run_job
from orchestrator.commands.jobs.server import Job
from t5core.errors import ConfigError

ADDRESS = "http://127.0.0.1:9"
AT = "2026-11-28 07:07:47,510\t"
BEFORE = f"""{AT}INFO cli.py:41 -- \x1b[37mJob submission server address\x1b[39m: {ADDRESS}
{AT}SUCC cli.py:65 -- Job 't5grid-1' submitted successfully
{AT}INFO job_manager.py:568 -- Runtime env is setting up.
Running entrypoint for job t5grid-1: python x.py
"""
FAILED = f"{AT}ERR cli.py:75 -- \x1b[31mJob 't5grid-1' failed\x1b[39m\n"

Said = Callable[..., str]


@pytest.fixture
def ray_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """Puts a program that says something into the place of ``ray``, and an answer into that of the job server."""

    def says(out: str, err: str = "", *, code: int = 1, job: Job | None = None, gone: str = "") -> str:
        (tmp_path / "out").write_text(out)
        (tmp_path / "err").write_text(err)
        (tmp_path / "ray").write_text(f"#!/bin/sh\ncat {tmp_path}/out; cat {tmp_path}/err >&2; exit {code}\n")
        (tmp_path / "ray").chmod(0o755)
        monkeypatch.setattr("orchestrator.commands.jobs.job.program", lambda name: str(tmp_path / name))
        monkeypatch.setattr("orchestrator.commands.jobs.job.look_at", lambda *_: job)
        monkeypatch.setattr("orchestrator.commands.jobs.job.why_no_jobs", lambda *_: gone)
        return ADDRESS

    return says


def run(address: str, folder: Path) -> int:
    return run_job(address, ["x.py"], folder, {"PATH": "/bin:/usr/bin"}, {})


def lines(first: int, last: int) -> str:
    return "".join(f"line {i}\n" for i in range(first, last + 1))


def test_only_the_jobs_own_lines_are_shown(ray_says: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    end = f"{AT}INFO sdk.py:520 -- WebSocket closed for job t5grid-1\n{AT}SUCC cli.py:63 -- Job 't5grid-1' succeeded\n"
    assert run(ray_says(BEFORE + lines(1, 3) + end, f"{AT}WARNING working_dir.py:101 -- x\n", code=0), tmp_path) == 0
    out, err = capsys.readouterr()
    assert out == f"$ ray job submit --working-dir . -- python x.py\n{lines(1, 3)}"
    assert err == ""


def test_a_failed_job_ends_with_its_exit_code_and_nothing_is_shown_twice(
    ray_says: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "Job entrypoint command failed with exit code 3, last available logs (truncated to 20,000 chars):\n"
    again = f"{AT}INFO cli.py:81 -- Status message: {message}{lines(31, 40)}\n"
    job = Job(status="FAILED", message=message + lines(31, 40), exit_code=3, lines=tuple(lines(1, 40).split("\n")))
    assert run(ray_says(BEFORE + lines(1, 40) + FAILED + again, job=job), tmp_path) == 3
    out, err = capsys.readouterr()
    assert out.partition("\n")[2] == lines(1, 40)
    assert err == "the job failed: Job entrypoint command failed with exit code 3\n"


@pytest.mark.parametrize(("shown", "told"), [((1, 0), (21, 50)), ((1, 45), (46, 50)), ((1, 3), (21, 50))])
def test_last_lines_that_were_not_shown_are_told_with_the_reason(
    ray_says: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str], shown: tuple[int, int], told: tuple[int, int]
) -> None:
    reason = "Job supervisor actor died: s3://key:secret@bucket\n\tpid: 7"
    job = Job(status="FAILED", message=reason, lines=tuple(lines(1, 50).split("\n")))
    assert run(ray_says(BEFORE + lines(*shown) + FAILED, job=job), tmp_path) == 1
    out, err = capsys.readouterr()
    assert out.partition("\n")[2] == lines(*shown)
    assert err == lines(*told) + "the job failed: Job supervisor actor died: s3://***@bucket\n\tpid: 7\n"


def test_a_reason_among_the_jobs_lines_is_told_in_one(
    ray_says: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "Job supervisor actor died:\n\tpid: 7\nIts process has died."
    said = f"line 1\n{reason}"  # Ray ends the log with it, without an end of the line
    job = Job(status="FAILED", message=reason, lines=tuple(said.split("\n")))
    assert run(ray_says(BEFORE + said + FAILED, job=job), tmp_path) == 1
    out, err = capsys.readouterr()
    assert out.partition("\n")[2] == said + "\n"
    assert err == "the job failed: Job supervisor actor died:\n"


def test_a_job_without_a_word_has_no_reason_but_its_lines(
    ray_says: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ray_says(BEFORE + FAILED, job=Job(status="FAILED", lines=("password=x&a", ""))), tmp_path) == 1
    assert capsys.readouterr().err == "password=x&a\nthe job failed: no reason given\n"


def test_a_job_that_was_stopped_has_not_succeeded(
    ray_says: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = f"{BEFORE}{lines(1, 1)}{AT}WARN cli.py:72 -- Job 't5grid-1' was stopped\n"
    job = Job(status="STOPPED", message="Job was intentionally stopped.", lines=("line 1",))
    assert run(ray_says(out, code=0, job=job), tmp_path) == 1
    assert capsys.readouterr().err == "the job stopped: Job was intentionally stopped.\n"


def test_output_that_breaks_off_is_told(ray_says: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    err = "Traceback (most recent call last):\nRuntimeError: WebSocket closed\n"
    assert run(ray_says(BEFORE + lines(1, 1), err, job=Job(status="RUNNING")), tmp_path) == 1
    said = "the output of the job, which is RUNNING, broke off: RuntimeError: WebSocket closed\n"
    assert capsys.readouterr().err == said


def test_a_job_that_ends_well_out_of_sight_has_succeeded(
    ray_says: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Job(status="SUCCEEDED", message="Job finished successfully.", exit_code=0, lines=("line 1", "line 2"))
    assert run(ray_says(BEFORE + lines(1, 1), "RuntimeError: WebSocket closed\n", job=job), tmp_path) == 0
    assert capsys.readouterr().err == "line 2\nthe job succeeded: Job finished successfully.\n"


@pytest.mark.parametrize("job", [Job(message="Failed to connect"), Job(status="FAILED", message="its node died")])
def test_a_ray_that_goes_away_before_the_job_says_anything_never_began_it(
    ray_says: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str], job: Job
) -> None:
    error = "Traceback (most recent call last):\nConnectionError: Failed to connect\n"
    address = ray_says("", error, job=job, gone="Failed to connect")
    with pytest.raises(RayGone, match=re.escape("went away before it began the job (Failed to connect)")):
        run(address, tmp_path)
    assert capsys.readouterr().err == ""


def test_a_job_whose_ray_goes_away_later_is_lost(
    ray_says: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = ray_says(BEFORE + lines(1, 2), "ConnectionError: x\n", job=Job(message="x"), gone="Failed to connect")
    assert run(address, tmp_path) == 1
    out, err = capsys.readouterr()
    assert out.partition("\n")[2] == lines(1, 2)
    assert err == "the job is lost: its Ray went away (Failed to connect)\n"


def test_a_job_that_is_not_taken_is_told_with_what_ray_said(
    ray_says: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = "Traceback (most recent call last):\nRuntimeError: http://ann:secret@x is too large\n\n"
    with pytest.raises(ConfigError) as refused:
        run(ray_says("", error, job=Job(message="no such job")), tmp_path)
    assert str(refused.value) == f"ray='{ADDRESS}': did not take the job: RuntimeError: http://***@x is too large"
    assert capsys.readouterr().err == error.replace("ann:secret", "***")
