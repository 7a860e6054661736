"""A Ray of one's own: tried once more where it does not start, stopped in any case, its logs kept if it died."""

import subprocess
import time
from pathlib import Path

import pytest

from orchestrator.commands.jobs import own_ray
from orchestrator.engine.on_ray.connect import ALLOCATOR
from t5core.errors import ConfigError


@pytest.fixture
def small_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of ``ray`` that does what a file says, and takes jobs once there is a file ``up``."""
    program = tmp_path / "ray"
    program.write_text(f'#!/bin/sh\n[ "$1" = start ] || exit 0\necho "$*" >> {tmp_path}/starts\n. {tmp_path}/then\n')
    program.chmod(0o755)
    (tmp_path / "folders").mkdir()
    monkeypatch.setattr(own_ray, "program", lambda name: str(tmp_path / name))
    until_up = ["sh", "-c", f"until [ -e {tmp_path}/up ]; do sleep 0.02; done"]
    monkeypatch.setattr(own_ray, "waiting_for", lambda *_: subprocess.Popen(until_up))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "folders"))
    return tmp_path


def starts(folder: Path) -> int:
    return len((folder / "starts").read_text().splitlines())


def test_it_is_stopped_and_nothing_stays(small_ray: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (small_ray / "then").write_text(f"touch {small_ray}/up; exec sleep 60\n")
    with own_ray.own_ray({"RAY_ADDRESS": "http://127.0.0.1:9"}) as address:
        (folder,) = (small_ray / "folders").iterdir()
        assert f"--dashboard-port {address.rpartition(':')[2]} " in (small_ray / "starts").read_text()
        assert f"--temp-dir {folder}" in (small_ray / "starts").read_text()
    assert list((small_ray / "folders").iterdir()) == []
    assert capsys.readouterr() == ("starting a Ray for this job ...\nstopped the Ray of this job\n", "")


def test_one_that_does_not_start_is_tried_once_more(small_ray: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (small_ray / "then").write_text(
        f"[ $(wc -l < {small_ray}/starts) = 1 ] && echo too busy && exit 1\ntouch {small_ray}/up\nexec sleep 60\n"
    )
    with own_ray.own_ray({}):
        assert starts(small_ray) == 2
    err = capsys.readouterr().err
    assert err.startswith("ray start=1: Ray did not start: too busy (all of it: ")
    assert err.endswith("/start.log); trying once more ...\n")


def test_one_that_never_starts_leaves_its_logs(small_ray: Path) -> None:
    (small_ray / "then").write_text("exit 1\n")
    with pytest.raises(ConfigError, match="ray start=1: Ray did not start: it said nothing"), own_ray.own_ray({}):
        pass
    assert starts(small_ray) == 2
    assert len(list((small_ray / "folders").glob("*/start.log"))) == 2


def test_one_that_dies_leaves_its_logs(small_ray: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (small_ray / "then").write_text(
        f"echo $$ > {small_ray}/pid; touch {small_ray}/up\nuntil [ -e {small_ray}/end ]; do sleep 0.02; done\n"
    )
    with own_ray.own_ray({}):
        (folder,) = (small_ray / "folders").iterdir()
        (small_ray / "end").touch()
        state = Path("/proc") / (small_ray / "pid").read_text().strip() / "stat"
        while state.read_text().rpartition(")")[2].split()[0] != "Z":  # until somebody asks how it ended
            time.sleep(0.02)
    assert (folder / "start.log").exists()
    assert capsys.readouterr().err == f"Ray ended before the job did; its logs are in {folder}\n"


@pytest.mark.parametrize("given", [{}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}])
def test_its_processes_keep_their_memory_unless_a_user_says_otherwise(small_ray: Path, given: dict[str, str]) -> None:
    (small_ray / "then").write_text(f'echo "$GLIBC_TUNABLES" > {small_ray}/told; touch {small_ray}/up; exec sleep 60\n')
    with own_ray.own_ray({"PATH": "/bin:/usr/bin", **given}):
        told = (small_ray / "told").read_text().strip()
    assert told == {**ALLOCATOR, **given}["GLIBC_TUNABLES"]
