"""What is asked of a Ray's job server, each question in a process of its own.

In its own, because Ray reads the authentication mode once, when it is imported, and because a server that hangs must
not hang who asks.

A Ray that shuts down goes on answering for a second or two: its version, its jobs, all but that its nodes are dead. One
that starts answers some seconds before it has a node. Jobs that are given to either fail or are lost, so a Ray counts
as one that takes jobs only while its head node is alive.

About tokens: a Ray that starts while ``~/.ray/auth_token`` exists (``ray.init`` writes one) asks for it, but
``ray job submit`` only shows it when ``RAY_AUTH_MODE=token`` is set, and says "Unauthorized" otherwise. A Ray without
authentication does not mind being shown one. So here the mode is ``token`` wherever a token is known.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t5core.errors import ConfigError

ANSWER_LIMIT_S = 60.0
"""How long an answer may take, Ray's import included."""
LAST_LINES = 200
"""How many of a job's last lines are asked for."""

_TRIES = 3
_RETRY_S = 1.0
_ADDRESSES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
_NO_HEAD = "its head node is not alive: it starts or shuts down"


@dataclass(frozen=True, kw_only=True)
class Found:
    """A Ray that was looked for.

    Attributes:
        address: http, of its job server; "" where none takes jobs.
        trouble: why the one that is there takes none; "" where there is none at all.
    """

    address: str = ""
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as its server knows it.

    Attributes:
        status: Ray's word, like FAILED; "" where the server does not know the job or does not answer.
        message: why, by Ray; or why nothing is known.
        exit_code: of the job's own process; None where it did not come to that.
        lines: the last ones that it said.
    """

    status: str = ""
    message: str = ""
    exit_code: int | None = None
    lines: tuple[str, ...] = ()


def program(name: str) -> str:
    """Returns the path of a program of this Python, or its name where it has none of that name."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def with_token(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment in which Ray's programs show the token, where one is known."""
    known = environment.get("RAY_AUTH_TOKEN") or environment.get("RAY_AUTH_TOKEN_PATH")
    if "RAY_AUTH_MODE" not in environment and (known or (Path.home() / ".ray" / "auth_token").is_file()):
        return {**environment, "RAY_AUTH_MODE": "token"}
    return dict(environment)


def chosen_ray(environment: Mapping[str, str]) -> str:
    """Returns the address that a person chose; "" without one."""
    return environment.get("RAY_API_SERVER_ADDRESS") or environment.get("RAY_ADDRESS") or ""


def without_choice(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment for a Ray whose address is given: the variables would be taken before it."""
    return {name: value for name, value in environment.items() if name not in _ADDRESSES}


def find(environment: Mapping[str, str]) -> Found:
    """Looks for the Ray that ``ray job submit`` would take: the one that was chosen, else one on this machine.

    Raises:
        ConfigError: Ray does not work in this Python.
    """
    return Found(**_answer(environment, "find"))


def why_no_jobs(address: str, environment: Mapping[str, str]) -> str:
    """Returns why the Ray at an http address takes no jobs; "" if it does."""
    return str(_answer(without_choice(environment), "why", address)["trouble"])


def look_at(address: str, job: str, environment: Mapping[str, str]) -> Job:
    """Returns what the Ray at an http address knows of a job."""
    answer = _answer(without_choice(environment), "job", address, job)
    if "trouble" in answer:
        return Job(message=answer["trouble"])
    return Job(**{**answer, "lines": tuple(answer["lines"])})


def waiting_for(address: str, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Starts a process that ends when the Ray at an http address takes jobs; who starts it ends it when it is late."""
    return subprocess.Popen(
        _command("wait", address),
        env=without_choice(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _command(*question: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator.commands.jobs.server", *question]


def _answer(environment: Mapping[str, str], *question: str) -> dict[str, Any]:
    try:
        done = subprocess.run(
            _command(*question),
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return {"trouble": f"no answer within {ANSWER_LIMIT_S:.0f} s"}
    try:
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        lines = done.stderr.strip().splitlines() or ["no answer"]
        raise ConfigError("ray", sys.executable, f"Ray does not work in this Python: {lines[-1]}") from None
    return answer


# Below: what runs in the process of its own


def main(argv: list[str]) -> int:
    """Answers one question in one line of JSON, the last of its output."""
    question, *about = argv
    answers: dict[str, Callable[..., dict[str, Any]]] = {"find": _find, "why": _why, "job": _job, "wait": _wait}
    print("\n" + json.dumps(answers[question](*about)))
    return 0


def _find() -> dict[str, Any]:
    from ray.job_submission import JobSubmissionClient

    try:
        address = JobSubmissionClient().get_address()
    except Exception as error:  # Ray raises its own, requests' and plain ones
        if "Could not find any running Ray" in str(error):
            return {}
        return {"trouble": _reason(error)}
    trouble = _trouble(address)
    return {"trouble": trouble} if trouble else {"address": address}


def _why(address: str) -> dict[str, Any]:
    return {"trouble": _trouble(address)}


def _job(address: str, job: str) -> dict[str, Any]:
    from ray.job_submission import JobSubmissionClient

    try:
        client = JobSubmissionClient(address)
        info = client.get_job_info(job)
    except Exception as error:
        return {"trouble": _reason(error)}
    logs = ""
    with suppress(Exception):  # of a job whose node is gone there are none
        logs = client.get_job_logs(job)
    return {
        "status": info.status.value,
        "message": info.message or "",
        "exit_code": info.driver_exit_code,
        "lines": re.split(r"\r\n|\n|\r", logs)[-LAST_LINES:],
    }


def _wait(address: str) -> dict[str, Any]:
    while _trouble(address, tries=1):
        time.sleep(_RETRY_S / 2)
    return {}


def _trouble(address: str, tries: int = _TRIES) -> str:
    """Why a Ray takes no jobs; asked again after a moment, because one answer may be lost."""
    for left in reversed(range(tries)):
        try:
            trouble = "" if _has_head(address) else _NO_HEAD
        except Exception as error:
            trouble = _reason(error)
        if not trouble or not left:
            return trouble
        time.sleep(_RETRY_S)
    return ""


def _has_head(address: str) -> bool:
    from ray.job_submission import JobSubmissionClient
    from ray.util.state import list_nodes

    client = JobSubmissionClient(address)
    try:
        nodes = list_nodes(address=address, timeout=10)
    except Exception:  # an address that only passes jobs on; or the server goes away, which the next line tells
        client.list_jobs()
        return True
    return any(node.state == "ALIVE" and node.is_head_node is not False for node in nodes)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or ["no reason given"]
    return f"{type(error).__name__}: {lines[0]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
