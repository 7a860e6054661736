"""A script as a Ray job: submitted, its output shown, and, where it fails, why.

``ray job submit`` does the work, and says two dozen lines of its own around the job's, which are kept back. What it
knows of a failure is either among those (a message such as that the job's supervisor died) or nowhere: so the job's
server is asked for the reason and for the last lines, and those are printed that were not shown while the job ran.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.commands.jobs.server import Job, look_at, program, why_no_jobs, with_token, without_choice
from t5core.errors import ConfigError
from t5core.uris import masked

LAST_LINES = 30
"""How many of a failed job's last lines are printed, of those that were not shown while it ran."""

_RAY_SAYS = re.compile(
    r"\d{4}-\d\d-\d\d [\d:,]+\s+[A-Z]+ (?:packaging|cli|dashboard_sdk|sdk|job_manager|working_dir)\.py:\d+ -- (.*)"
    r"|^(Running entrypoint for job.*)"
)
"""What ``ray job submit`` says about itself: two dozen lines around the job's own."""
_THE_END = re.compile(r"Job '.*' (failed|was stopped)$|Status message:")
"""After it ``ray job submit`` repeats the job's last lines."""
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_LINES_COMPARED = 20
_GOES_ON = ("PENDING", "RUNNING")


class RayGone(ConfigError):
    """A Ray went away before the job that it was given had said anything."""


def run_job(
    address: str,
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    job_environment: Mapping[str, str],
) -> int:
    """Submits ``python *command``, shows its output and returns its exit code.

    Args:
        address: of the Ray, http.
        command: script, relative to the folder, and its flags.
        folder: a copy of it is the job's working folder.
        environment: of the submitting process.
        job_environment: variables that the job needs and would not have by itself.

    Raises:
        RayGone: the Ray went away before the job said anything.
        ConfigError: the Ray did not take the job.
    """
    environment = without_choice(with_token(environment))
    name = f"t5grid-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    submit = [program("ray"), "job", "submit", "--address", address, "--submission-id", name]
    submit += ["--working-dir", str(folder)]
    if job_environment:
        submit += ["--runtime-env-json", json.dumps({"env_vars": dict(job_environment)})]
    print(f"$ ray job submit --working-dir . -- python {shlex.join(command)}", flush=True)
    process = subprocess.Popen(
        [*submit, "--", "python", *command],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None and process.stderr is not None
    output = _Output()
    aside = threading.Thread(target=output.heed, args=(process.stderr,), daemon=True)
    aside.start()
    try:
        for line in process.stdout:
            output.show(line)
        code = process.wait()
        aside.join()
    except KeyboardInterrupt:
        stop = [program("ray"), "job", "stop", "--address", address, name]
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(stop, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        process.kill()
        raise
    if code == 0 and not output.over:
        return 0
    job = look_at(address, name, environment)
    _tell_why(address, job, output, environment)
    return 0 if job.status == "SUCCEEDED" else job.exit_code or code or 1


class _Output:
    """The output of ``ray job submit``: shows what the job says and keeps what Ray says about it.

    Attributes:
        shown: the last lines that were shown.
        aside: the last lines of its standard error, where its own troubles are.
        over: whether it said that the job failed or was stopped.
    """

    def __init__(self) -> None:
        self.shown: deque[str] = deque(maxlen=_LINES_COMPARED)
        self.aside: deque[str] = deque(maxlen=LAST_LINES)
        self.over = False

    def show(self, line: str) -> None:
        """Takes a line of its standard output, where the job's lines are."""
        said = _RAY_SAYS.search(line)
        if said:
            line = line[: said.start()]  # what the job said last, where it did not end its line
            line += "\n" if line else ""
        if line and not self.over:
            print(line, end="", flush=True)
            if line.strip():
                self.shown.append(line.rstrip())
        if said:
            self.over = self.over or bool(_THE_END.match(_without_colour(said)))

    def heed(self, lines: Iterable[str]) -> None:
        """Takes the lines of its standard error."""
        for line in lines:
            said = _RAY_SAYS.match(line)
            self.aside.append(_without_colour(said) if said else line.rstrip())


def _without_colour(said: re.Match[str]) -> str:
    return _COLOUR.sub("", said[1] or said[2] or "").strip()


def _tell_why(address: str, job: Job, output: _Output, environment: Mapping[str, str]) -> None:
    """Says how a job ended, with its last lines as far as they were not shown.

    Raises:
        RayGone, ConfigError: see ``run_job``.
    """
    sys.stdout.flush()
    # a job that said nothing may not even have begun
    gone = "" if output.shown and job.status else why_no_jobs(address, environment)
    if gone and not output.shown:
        raise RayGone("ray", masked(address), f"went away before it began the job ({masked(gone)})")
    last = next((line for line in reversed(output.aside) if line.strip()), job.message)
    if job.status in _GOES_ON:
        print(f"the output of the job, which is {job.status}, broke off: {masked(last)}", file=sys.stderr, flush=True)
    elif job.status:
        lines = _not_shown(job.lines, output.shown)[-LAST_LINES:]
        reason, *more = job.message.partition(", last available logs")[0].strip().splitlines() or ["no reason given"]
        known = {*lines, *output.shown}  # a message may be among the job's lines
        lines = [*lines, f"the job {job.status.lower()}: {reason}", *(line for line in more if line not in known)]
        print("\n".join(map(masked, lines)), file=sys.stderr, flush=True)
    elif gone:
        print(f"the job is lost: its Ray went away ({masked(gone)})", file=sys.stderr, flush=True)
    else:
        for line in output.aside:
            print(masked(line), file=sys.stderr)
        raise ConfigError("ray", masked(address), f"did not take the job: {masked(last)}")


def _not_shown(lines: Sequence[str], shown: Sequence[str]) -> list[str]:
    """Returns the lines behind those that were shown; all of them where it cannot be told."""
    said = [line.rstrip() for line in lines if line.strip() and not _RAY_SAYS.match(line)]
    known = list(shown)
    for end in range(len(said), 0, -1):
        count = min(len(known), end)
        if count and said[end - count : end] == known[-count:]:
            return said[end:]
    return said
