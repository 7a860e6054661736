"""A Ray for one job: started on this machine, stopped after it, and nothing else is.

``ray stop`` would stop every Ray of the machine, so ours runs as ``ray start --block`` in a session and a temporary
folder of its own, and ends when that one process is told to. It always has a token: its ports take code from whoever
may speak to them.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.jobs.server import program, waiting_for, without_choice
from orchestrator.engine.on_ray.connect import ALLOCATOR, LOOPBACK_VARIABLE
from t5core.errors import ConfigError

START_LIMIT_S = 120
STOP_LIMIT_S = 30
START_TRIES = 2
"""On a machine that is busy, parts of Ray give up waiting for each other while it starts."""


@contextmanager
def own_ray(environment: Mapping[str, str]) -> Iterator[str]:
    """Starts a Ray on this machine with all its cores, yields its http address, and stops it and only it.

    Its folder is removed, unless Ray does not start or dies: then its logs stay to be read.

    Raises:
        ConfigError: it does not start.
    """
    _make_token(environment)
    print("starting a Ray for this job ...", flush=True)
    ray = _started({"RAY_AUTH_MODE": "token", **ALLOCATOR, **without_choice(environment)})
    interrupted = False
    try:
        yield ray.address
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        died = ray.process.poll() is not None
        _stop(ray.process)
        if died and not interrupted:
            print(f"Ray ended before the job did; its logs are in {ray.folder}", file=sys.stderr)
        else:
            shutil.rmtree(ray.folder, ignore_errors=True)
            print("stopped the Ray of this job", flush=True)


@dataclass(frozen=True, kw_only=True)
class _Ray:
    process: "subprocess.Popen[bytes]"
    folder: Path
    address: str


def _make_token(environment: Mapping[str, str]) -> None:
    way_out = "no token could be made: see what `ray get-auth-token --generate` says"
    try:
        made = subprocess.run(
            [program("ray"), "get-auth-token", "--generate"],
            env=dict(environment),
            stdout=subprocess.DEVNULL,  # the token itself
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        raise ConfigError("ray", program("ray"), f"does not run: {error.strerror}") from None
    if made.returncode:
        raise ConfigError("RAY_AUTH_MODE", "token", way_out)


def _started(environment: Mapping[str, str]) -> _Ray:
    for left in reversed(range(START_TRIES)):
        ray = _start(environment)
        try:
            _wait_until_it_takes_jobs(ray, environment)
        except ConfigError as error:
            _stop(ray.process)
            if not left:
                raise
            print(f"{error}; trying once more ...", file=sys.stderr, flush=True)
        except BaseException:  # Ctrl-C
            _stop(ray.process)
            shutil.rmtree(ray.folder, ignore_errors=True)
            raise
        else:
            return ray
    raise AssertionError(START_TRIES)


def _start(environment: Mapping[str, str]) -> _Ray:
    folder = Path(tempfile.mkdtemp(prefix="t5g-"))  # short: paths of sockets below it may have 107 characters
    dashboard, client = _free_ports(2)
    command = [program("ray"), "start", "--head", "--block", "--disable-usage-stats"]
    command += ["--node-ip-address", "127.0.0.1", "--dashboard-host", "127.0.0.1"]
    command += ["--port", "0", "--dashboard-port", str(dashboard), "--ray-client-server-port", str(client)]
    command += ["--dashboard-agent-listen-port", "0", "--min-worker-port", "0", "--max-worker-port", "0"]
    command += ["--num-cpus", str(len(os.sched_getaffinity(0))), "--temp-dir", str(folder)]
    # TMPDIR: what Ray's processes and the job leave lying about goes with the folder
    with (folder / "start.log").open("w") as output:
        process = subprocess.Popen(
            command,
            env={**environment, "TMPDIR": str(folder), LOOPBACK_VARIABLE: "0"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return _Ray(process=process, folder=folder, address=f"http://127.0.0.1:{dashboard}")


def _wait_until_it_takes_jobs(ray: _Ray, environment: Mapping[str, str]) -> None:
    limit_s = time.monotonic() + START_LIMIT_S
    waiting = waiting_for(ray.address, environment)
    try:
        while time.monotonic() < limit_s and ray.process.poll() is None:
            if waiting.poll() == 0:
                return
            time.sleep(0.1)
    finally:
        waiting.kill()
        waiting.wait()
    log = ray.folder / "start.log"
    lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    way_out = f"Ray did not start: {lines[-1].strip()} (all of it: {log})"
    raise ConfigError("ray start", ray.process.returncode, way_out)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ends ``ray start --block``, which takes its children along; what is left of its session is killed."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
