"""A Ray counts as one that takes jobs while its head node is alive: not while it starts, shuts down or hangs."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from orchestrator.commands.jobs import server

Answers = Callable[[Mapping[str, Any]], str]

VERSION = {"version": "4", "ray_version": "2.60.0", "ray_commit": "", "session_name": ""}


class _Server(http.server.BaseHTTPRequestHandler):
    """Answers what it is told to; anything else is broken."""

    answers: Mapping[str, Any]

    def do_GET(self) -> None:
        text = json.dumps(self.answers.get(self.path.partition("?")[0], "broken")).encode()
        self.send_response(500 if text == b'"broken"' else 200)
        self.send_header("Content-Type", "application/json" if text != b'"broken"' else "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def serving() -> Iterator[Answers]:
    """Starts a server of some answers by path, and gives its address."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def serve(answers: Mapping[str, Any]) -> str:
        handler = type("Server", (_Server,), {"answers": answers})
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for started in servers:
        started.shutdown()
        started.server_close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_RETRY_S", 0.0)
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def asked(capsys: pytest.CaptureFixture[str], *question: str) -> Any:
    """What the process of its own would answer."""
    assert server.main(list(question)) == 0
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def nodes(*states: str) -> dict[str, Any]:
    """Ray's answer about its nodes, the head first."""
    about = {"node_ip": "127.0.0.1", "node_name": "", "state_message": None, "resources_total": {}, "labels": {}}
    found = [
        {**about, "node_id": str(number), "is_head_node": number == 0, "state": state}
        for number, state in enumerate(states)
    ]
    count = {name: len(found) for name in ("total", "num_after_truncation", "num_filtered")}
    return {"result": True, "msg": "", "data": {"result": {**count, "result": found}}}


@pytest.mark.parametrize(
    ("states", "takes_jobs"),
    [(("ALIVE",), True), (("ALIVE", "DEAD"), True), ((), False), (("DEAD",), False), (("DEAD", "ALIVE"), False)],
    ids=str,
)
def test_jobs_are_taken_while_the_head_is_alive(
    serving: Answers, capsys: pytest.CaptureFixture[str], states: tuple[str, ...], takes_jobs: bool
) -> None:
    # all that a Ray which shuts down still answers: measured, for a second or two after SIGTERM
    address = serving({"/api/version": VERSION, "/api/jobs/": [], "/api/v0/nodes": nodes(*states)})
    trouble = asked(capsys, "why", address)["trouble"]
    assert trouble == ("" if takes_jobs else "its head node is not alive: it starts or shuts down")


def test_an_address_that_passes_only_jobs_on_takes_them(serving: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    address = serving({"/api/version": VERSION, "/api/jobs/": []})
    assert asked(capsys, "why", address) == {"trouble": ""}
    address = serving({"/api/version": VERSION})
    assert asked(capsys, "why", address)["trouble"].startswith("RuntimeError: Request failed with status code 500")


def test_one_lost_answer_is_none(serving: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    class Late(dict[str, Any]):
        asked = 0

        def get(self, path: str, default: Any = None) -> Any:
            self.asked += path == "/api/v0/nodes"
            return nodes(*["ALIVE"] * (self.asked > 1)) if path == "/api/v0/nodes" else super().get(path, default)

    assert asked(capsys, "why", serving(Late({"/api/version": VERSION}))) == {"trouble": ""}


def test_nobody_there_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    address = "http://127.0.0.1:9"
    expected = f"ConnectionError: Failed to connect to Ray at address: {address}."
    assert asked(capsys, "why", address) == {"trouble": expected}
    assert asked(capsys, "job", address, "x") == {"trouble": expected}


def test_the_chosen_ray_is_found_if_it_takes_jobs(
    serving: Answers, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = serving({"/api/version": VERSION, "/api/v0/nodes": nodes("ALIVE")})
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert asked(capsys, "find") == {"address": address}
    monkeypatch.setenv("RAY_ADDRESS", serving({"/api/version": VERSION, "/api/v0/nodes": nodes("DEAD")}))
    assert asked(capsys, "find") == {"trouble": "its head node is not alive: it starts or shuts down"}


def test_a_job_is_told_with_its_reason_and_its_last_lines(serving: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    job = {"type": "SUBMISSION", "submission_id": "x", "status": "FAILED", "entrypoint": "python x.py"}
    address = serving(
        {
            "/api/version": VERSION,
            "/api/jobs/x": {**job, "message": "it broke", "driver_exit_code": 4},
            "/api/jobs/x/logs": {"logs": "".join(f"line {i}\n" for i in range(500))},
            "/api/jobs/y": job,
        }
    )
    told = asked(capsys, "job", address, "x")
    assert (told["status"], told["message"], told["exit_code"]) == ("FAILED", "it broke", 4)
    assert told["lines"] == [*(f"line {i}" for i in range(301, 500)), ""]
    assert asked(capsys, "job", address, "y") == {"status": "FAILED", "message": "", "exit_code": None, "lines": [""]}
    assert asked(capsys, "job", address, "z")["trouble"].startswith("RuntimeError: Request failed with status code 500")


def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ANSWER_LIMIT_S", 0.001)
    assert server.find({}) == server.Found(trouble="no answer within 0 s")
    assert server.look_at("http://127.0.0.1:9", "x", {}) == server.Job(message="no answer within 0 s")


def test_an_address_that_is_given_comes_before_the_chosen_one() -> None:
    environment = {"RAY_ADDRESS": "http://a", "RAY_API_SERVER_ADDRESS": "http://b", "PATH": "/bin"}
    assert server.chosen_ray(environment) == "http://b"
    assert server.without_choice(environment) == {"PATH": "/bin"}
