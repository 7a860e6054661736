"""``make demo``: the whole way once, the way a cluster would do it.

    python -m orchestrator.commands.submit                                     # studies/objectives.py --scale tiny
    python -m orchestrator.commands.submit studies/objectives.py --rows 'span*'    # another script or other flags

If a Ray that takes jobs is running, the job goes there and that Ray is left alone. Otherwise a Ray is started for the
job and stopped after it, and nothing else: ``ray stop`` would stop every Ray of the machine, so ours runs as
``ray start --block`` in a session and a temporary folder of its own, and ends when that one process is told to.

About tokens: a Ray that starts while ``~/.ray/auth_token`` exists (``ray.init`` writes one) asks for it, but
``ray job submit`` only shows it when ``RAY_AUTH_MODE=token`` is set, and says "Unauthorized" otherwise. A Ray without
authentication does not mind being shown one. So here the mode is ``token`` wherever a token is known, and a Ray of
our own always has one: its ports take code from whoever may speak to them.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from orchestrator.commands.addresses import HOME_VARIABLE, default_store_uri, default_tracking_uri
from orchestrator.engine.on_ray.connect import LOOPBACK_VARIABLE
from t5core.arguments import OneLineParser
from t5core.errors import ConfigError
from t5core.readable import duration
from t5core.uris import masked

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_COMMAND = ("studies/objectives.py", "--scale", "tiny")
START_LIMIT_S = 120
STOP_LIMIT_S = 30
_RAY_CHATTER = re.compile(
    r"\d{4}-\d\d-\d\d [\d:,]+\s+(INFO|SUCC) (packaging|cli|dashboard_sdk|job_manager)\.py|Running entrypoint for job"
)
"""What ``ray job submit`` says about itself: two dozen lines around the study's own."""


def main(argv: list[str] | None = None) -> int:
    """Runs a script as a Ray job and shows its output; returns the script's exit code (2: no Ray to run it on)."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.commands.submit", description="Runs a study as a Ray job."
    )
    parser.add_argument("--new-ray", action="store_true", help="start a Ray of its own even if one is running")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="script and its flags; a tiny study by default")
    args = parser.parse_args(argv)
    command = tuple(args.command) or DEFAULT_COMMAND
    signal.signal(signal.SIGTERM, _interrupt)
    started_s = time.monotonic()
    try:
        environment = _environment()
        running = None if args.new_ray else running_ray(environment)
        if running:
            print(f"using the Ray that is running at {running}", flush=True)
            code = run_job(running, command, environment, _job_environment(running))
        else:
            with own_ray(environment) as address:
                code = run_job(address, command, environment, {})
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: what is finished is kept, the next run does only the rest", file=sys.stderr)
        return 130
    print(f"\nall in {duration(time.monotonic() - started_s)}, exit code {code}")
    for line in _where(command):
        print(line)
    return code


def _where(command: tuple[str, ...]) -> list[str]:
    """Where the results of a command are and what shows them: as its flags say, by default where nobody says."""
    flags = OneLineParser(add_help=False)
    flags.add_argument("--store")
    flags.add_argument("--tracking-uri")
    try:
        given = flags.parse_known_args(command[1:])[0]
    except ConfigError:  # a flag without its value: the script has said so
        return []
    store = f"{default_store_uri()} (default)     t5grid status"
    if given.store:
        store = f"{masked(given.store)}     t5grid status --store {shlex.quote(masked(given.store))}"
    runs = f"{default_tracking_uri()} (default)     t5grid ui"
    if given.tracking_uri:
        runs = f"{masked(given.tracking_uri)}"
    return [f"  results   {store}", f"  MLflow    {runs}"]


def running_ray(environment: Mapping[str, str]) -> str | None:
    """Returns the http address of the Ray that would take our jobs, or None when a Ray has to be started.

    Asks Ray itself, in a process of its own (Ray reads the authentication mode once, at import), so RAY_ADDRESS
    counts.

    Raises:
        ConfigError: RAY_ADDRESS or RAY_API_SERVER_ADDRESS names one that cannot be used.
    """
    question = (
        "import json, sys\n"
        "from ray.job_submission import JobSubmissionClient\n"
        "try:\n"
        "    answer = {'address': JobSubmissionClient().get_address()}\n"
        "except Exception as error:\n"
        "    answer = {'error': str(error), 'kind': type(error).__name__}\n"
        "print('\\n' + json.dumps(answer))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", question], env=dict(environment), capture_output=True, text=True, check=False
    )
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        lines = done.stderr.strip().splitlines() or ["no answer"]
        raise ConfigError("ray", sys.executable, f"Ray does not work in this Python: {lines[-1]}") from None
    if "address" in answer:
        return str(answer["address"])
    chosen = environment.get("RAY_API_SERVER_ADDRESS") or environment.get("RAY_ADDRESS")
    if not chosen and "Could not find any running Ray" in answer["error"]:
        return None
    reason = f"{answer['kind']}: {(answer['error'].strip() or 'no reason given').splitlines()[0]}"
    if not chosen:  # somebody's private Ray, without a dashboard or with another token, is no reason not to run
        print(f"a Ray is running but takes no jobs from here ({reason}); say which one with RAY_ADDRESS to use another")
        return None
    raise ConfigError("RAY_ADDRESS", chosen, f"cannot use this Ray ({reason}); unset it to start a Ray here")


@contextmanager
def own_ray(environment: Mapping[str, str]) -> Iterator[str]:
    """Starts a Ray on this machine with all its cores, yields its http address, and stops it and only it.

    Its folder is removed, unless Ray does not start or dies: then its logs stay to be read.
    """
    _make_token(environment)
    folder = Path(tempfile.mkdtemp(prefix="t5g-"))  # short: paths of sockets below it may have 107 characters
    # TMPDIR: what Ray's processes and the job leave lying about goes with the folder
    environment = {"RAY_AUTH_MODE": "token", **environment, "TMPDIR": str(folder), LOOPBACK_VARIABLE: "0"}
    dashboard, client = _free_ports(2)
    command = [_program("ray"), "start", "--head", "--block", "--disable-usage-stats"]
    command += ["--node-ip-address", "127.0.0.1", "--dashboard-host", "127.0.0.1"]
    command += ["--port", "0", "--dashboard-port", str(dashboard), "--ray-client-server-port", str(client)]
    command += ["--dashboard-agent-listen-port", "0", "--min-worker-port", "0", "--max-worker-port", "0"]
    command += ["--num-cpus", str(len(os.sched_getaffinity(0))), "--temp-dir", str(folder)]
    log = folder / "start.log"
    print("starting a Ray for this job ...", flush=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_for(dashboard, process, log)
        yield f"http://127.0.0.1:{dashboard}"
    except BaseException as error:
        _stop(process)
        if isinstance(error, KeyboardInterrupt):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    died = process.poll() is not None
    _stop(process)
    if died:
        print(f"Ray ended before the job did; its logs are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        print("stopped the Ray of this job", flush=True)


def _make_token(environment: Mapping[str, str]) -> None:
    way_out = "no token could be made: see what `ray get-auth-token --generate` says"
    try:
        made = subprocess.run(
            [_program("ray"), "get-auth-token", "--generate"],
            env=dict(environment),
            stdout=subprocess.DEVNULL,  # the token itself
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        raise ConfigError("ray", _program("ray"), f"does not run: {error.strerror}") from None
    if made.returncode:
        raise ConfigError("RAY_AUTH_MODE", "token", way_out)


def run_job(
    address: str, command: tuple[str, ...], environment: Mapping[str, str], job_environment: Mapping[str, str]
) -> int:
    """Submits ``python *command`` with the repository as its working folder, shows its output, returns its exit code.

    Args:
        address: of the Ray, http.
        command: script, relative to the repository, and its flags.
        environment: of the submitting process.
        job_environment: variables that the job needs and would not have by itself.
    """
    environment = dict(environment)
    if "RAY_AUTH_MODE" not in environment and _token_known(environment):
        environment["RAY_AUTH_MODE"] = "token"
    name = f"t5grid-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    submit = [_program("ray"), "job", "submit", "--address", address, "--submission-id", name]
    submit += ["--working-dir", str(ROOT)]
    if job_environment:
        submit += ["--runtime-env-json", json.dumps({"env_vars": dict(job_environment)})]
    print(f"$ ray job submit --working-dir . -- python {shlex.join(command)}", flush=True)
    process = subprocess.Popen(
        [*submit, "--", "python", *command],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if not _RAY_CHATTER.match(line):
                print(line, end="", flush=True)
        code = process.wait()
    except KeyboardInterrupt:
        stop = [_program("ray"), "job", "stop", "--address", address, name]
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(stop, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        process.kill()
        raise
    return code if code == 0 else _exit_code(address, name, environment, code)


def _exit_code(address: str, name: str, environment: Mapping[str, str], otherwise: int) -> int:
    """The exit code of the job's own process: ``ray job submit`` leaves with 1 whatever it was."""
    question = (
        "import sys\n"
        "from ray.job_submission import JobSubmissionClient\n"
        "print('\\n', JobSubmissionClient(sys.argv[1]).get_job_info(sys.argv[2]).driver_exit_code)\n"
    )
    asked = [sys.executable, "-c", question, address, name]
    done = subprocess.run(asked, env=dict(environment), capture_output=True, text=True, check=False)
    with suppress(IndexError, ValueError):
        return int(done.stdout.split()[-1]) or otherwise
    return otherwise


def _environment() -> dict[str, str]:
    """Ours, with the programs of this Python first and the token shown where one is known."""
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    environment.setdefault("PYTHONUNBUFFERED", "1")
    if "RAY_AUTH_MODE" not in environment and _token_known(environment):
        environment["RAY_AUTH_MODE"] = "token"
    return environment


def _token_known(environment: Mapping[str, str]) -> bool:
    if environment.get("RAY_AUTH_TOKEN") or environment.get("RAY_AUTH_TOKEN_PATH"):
        return True
    return (Path.home() / ".ray" / "auth_token").is_file()


def _job_environment(address: str) -> dict[str, str]:
    """What a job on somebody's Ray needs: here our Python and our results' place, elsewhere nothing of ours."""
    out = {}
    if _here(urlsplit(address).hostname or ""):
        out["PATH"] = _environment()["PATH"]
        if HOME_VARIABLE in os.environ:
            out[HOME_VARIABLE] = str(Path(os.environ[HOME_VARIABLE]).expanduser().absolute())
    return out


def _here(host: str) -> bool:
    """Whether ``host`` is an address of this machine: only those can be bound."""
    try:
        with socket.socket() as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    limit_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit_s and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    raise ConfigError("ray start", process.returncode, f"Ray did not start: {lines[-1].strip()} (all of it: {log})")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ends ``ray start --block``, which takes its children along; what is left of its session is killed."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _program(name: str) -> str:
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
