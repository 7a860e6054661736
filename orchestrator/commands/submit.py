"""``make demo``: the whole way once, the way a cluster would do it.

    python -m orchestrator.commands.submit                                         # the demo: DEFAULT_COMMAND
    python -m orchestrator.commands.submit studies/objectives.py --rows 'span*'    # another script or other flags

A study of which everything is finished is shown at once, without a job. Else, if a Ray that takes jobs is running, the
job goes there and that Ray is left alone; otherwise a Ray is started for the job and stopped after it (jobs/).
"""

import argparse
import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from orchestrator.commands.addresses import HOME_VARIABLE, default_store_uri, default_tracking_uri
from orchestrator.commands.finished import shown_if_finished
from orchestrator.commands.jobs.job import RayGone, run_job
from orchestrator.commands.jobs.own_ray import own_ray
from orchestrator.commands.jobs.server import chosen_ray, find, with_token
from orchestrator.store.provenance import COMMIT_VARIABLE, code_commit
from t5core.arguments import OneLineParser
from t5core.errors import ConfigError
from t5core.readable import duration
from t5core.uris import masked

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_COMMAND = (
    *("studies/objectives.py", "--scale", "tiny"),
    *("--rows", "no-pretraining,span-3", "--seeds", "3"),
)
"""Three rows three times, the baseline among them: with one seed nothing could be said of any difference, with two of
next to none, and with all fourteen rows it would take five times as long."""


def main(argv: list[str] | None = None) -> int:
    """Runs a script as a Ray job and shows its output.

    Returns:
        The script's exit code; 2 where there is no Ray to run it on, 130 where it was stopped.
    """
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.commands.submit", description="Runs a study as a Ray job."
    )
    parser.add_argument("--new-ray", action="store_true", help="start a Ray of its own even if one is running")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="script and its flags; by default a tiny study")
    args = parser.parse_args(argv)
    command = tuple(args.command) or DEFAULT_COMMAND
    signal.signal(signal.SIGTERM, _interrupt)
    started_s = time.monotonic()
    try:
        environment = _environment()
        if _would_run_here(environment) and shown_if_finished(command, environment, ROOT):
            code = 0
        else:
            code = _run(command, environment, new_ray=args.new_ray)
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


def _run(command: tuple[str, ...], environment: Mapping[str, str], *, new_ray: bool) -> int:
    """Runs the job on the Ray that is there, or else on one of its own."""
    running = None if new_ray else running_ray(environment)
    if running:
        print(f"using the Ray that is running at {masked(running)}", flush=True)
        try:
            return run_job(running, command, ROOT, environment, _job_environment(running))
        except RayGone as gone:
            if chosen_ray(environment):
                raise
            print(gone, flush=True)
    with own_ray(environment) as address:
        return run_job(address, command, ROOT, environment, _commit())


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

    Raises:
        ConfigError: RAY_ADDRESS or RAY_API_SERVER_ADDRESS names one that cannot be used.
    """
    found = find(environment)
    chosen = chosen_ray(environment)
    reason = masked(found.trouble)
    if found.address or not (chosen or reason):
        return found.address or None
    if not chosen:  # somebody's private Ray, without a dashboard or with another token, is no reason not to run
        print(f"a Ray is running but takes no jobs from here ({reason}); say which one with RAY_ADDRESS to use another")
        return None
    way_out = f"cannot use this Ray ({reason or 'none is running'}); unset it to start a Ray here"
    raise ConfigError("RAY_ADDRESS", masked(chosen), way_out)


def _environment() -> dict[str, str]:
    """Ours, with the programs of this Python first and the token shown where one is known."""
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    environment.setdefault("PYTHONUNBUFFERED", "1")
    return with_token(environment)


def _would_run_here(environment: Mapping[str, str]) -> bool:
    """Whether the job would run on this machine, where the same store is seen as from here."""
    chosen = chosen_ray(environment)
    if chosen in ("", "auto", "local"):
        return True
    host = urlsplit(chosen if "://" in chosen else f"//{chosen}").hostname
    return host is not None and _here(host)


def _job_environment(address: str) -> dict[str, str]:
    """What a job on somebody's Ray needs: here our Python and our results' place, elsewhere nothing of ours."""
    out = _commit()
    if _here(urlsplit(address).hostname or ""):
        out["PATH"] = _environment()["PATH"]
        if HOME_VARIABLE in os.environ:
            out[HOME_VARIABLE] = str(Path(os.environ[HOME_VARIABLE]).expanduser().absolute())
    return out


def _commit() -> dict[str, str]:
    """Tells the job which commit its copy of the code is of: the copy has no history."""
    commit = code_commit()
    return {} if commit is None else {COMMIT_VARIABLE: commit}


def _here(host: str) -> bool:
    """Whether ``host`` is an address of this machine: only those can be bound."""
    try:
        with socket.socket() as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
