"""Is somebody there? The look at a tracking URI before any device is taken, in under 5 s and without MLflow.

Importing MLflow takes seconds, so it is left to the writer's thread. What can be known without it: a server answers
``GET /health``, a database's port is open, a sqlite file's folder can be written and the file is a database.
"""

import base64
import contextlib
import http.client
import os
import socket
import sqlite3
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from t5core.errors import ConfigError, did_you_mean
from t5core.uris import check_user_info, local_path, masked, masked_address

CHECK_TIMEOUT_S = 5.0
_SERVERS = ("http", "https")
_DATABASE_PORTS = (("postgresql", 5432), ("mysql", 3306), ("mssql", 1433))
_PROBES = ("/health", "/api/2.0/mlflow/experiments/search?max_results=1")
_START_ONE = "start one with `t5grid ui`, or leave the flag out to use a sqlite file"


def check_tracking_uri(uri: str, timeout_s: float = CHECK_TIMEOUT_S) -> str:
    """Returns the URI as MLflow wants it (absolute, for files) once something there has answered.

    Args:
        uri: ``http(s)://``, ``sqlite:///file.db``, ``postgresql://``, ``mysql://``, ``mssql://``, or a folder where
            MLflow still allows them (``MLFLOW_ALLOW_FILE_STORE=true``).
        timeout_s: how long an answer may take.

    Raises:
        ConfigError: nobody answers, the place cannot be written, or the URI is of no known kind.
    """
    if "://" not in uri and not uri.startswith("file:"):
        return _check_folder(uri)
    check_user_info(uri, "tracking_uri")
    scheme = uri.partition("://")[0].lower()
    base = scheme.partition("+")[0]
    ports = dict(_DATABASE_PORTS)
    if scheme in _SERVERS:
        _in_time(lambda: _ask_server(uri, timeout_s), uri, timeout_s)
    elif base == "sqlite":
        return _check_sqlite(uri)
    elif base in ports:
        _in_time(lambda: _knock(uri, ports[base], timeout_s), uri, timeout_s)
    elif scheme == "file":
        return _check_folder(uri)
    else:
        known = [*_SERVERS, "sqlite", *ports]
        way_out = f"start it with one of {', '.join(f'{s}://' for s in known)}{did_you_mean(scheme, known)}"
        raise _refused(uri, way_out)
    return uri


def _refused(uri: str, why: str) -> ConfigError:
    return ConfigError("tracking_uri", masked_address(uri), why)


def _in_time(ask: Callable[[], None], uri: str, timeout_s: float) -> None:
    """Runs ``ask`` for at most ``timeout_s`` in all: sockets time out per operation, name look-ups not at all."""
    failure: list[Exception] = []

    def run() -> None:
        try:
            ask()
        except Exception as error:  # told below, in the caller's thread
            failure.append(error)

    thread = threading.Thread(target=run, name="tracking-check", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        raise _refused(uri, f"did not answer within {timeout_s:g} s; {_START_ONE}")
    if not failure:
        return
    if isinstance(failure[0], ConfigError):
        raise failure[0]
    reason = getattr(failure[0], "reason", None) or failure[0]
    raise _refused(
        uri,
        f"does not answer ({masked(str(reason)) or type(reason).__name__}); {_START_ONE}",
    )


def _ask_server(uri: str, timeout_s: float) -> None:
    for probe in _PROBES:
        try:
            with urllib.request.urlopen(_request(uri, probe), timeout=timeout_s) as answer:
                if answer.status == http.client.OK:
                    return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
                raise _refused(
                    uri,
                    f"refuses access ({error.code}); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD,"
                    " or MLFLOW_TRACKING_TOKEN, and look at the server's --allowed-hosts",
                ) from None
            if error.code >= http.client.INTERNAL_SERVER_ERROR:
                raise _refused(uri, f"is ill ({error.code}); look at its log") from None
    raise _refused(uri, f"answers, but is no MLflow server; {_START_ONE}")


def _request(uri: str, probe: str) -> urllib.request.Request:
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", "")) + probe)
    user = unquote(parts.username or "") or os.environ.get("MLFLOW_TRACKING_USERNAME", "")
    password = unquote(parts.password or "") or os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
    if user:
        request.add_header("Authorization", f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}")
    elif token:
        request.add_header("Authorization", f"Bearer {token}")
    return request


def _knock(uri: str, default_port: int, timeout_s: float) -> None:
    parts = urlsplit(uri)
    try:
        host, port = parts.hostname, parts.port or default_port
    except ValueError:
        raise _refused(uri, "its port is no number") from None
    if host is None:
        return  # a local socket, or a host hidden in the query: the writer will see
    socket.create_connection((host, port), timeout=timeout_s).close()


def _check_sqlite(uri: str) -> str:
    scheme, _, rest = uri.partition("://")
    name, question, query = rest.partition("?")
    if not name.startswith("/"):
        raise _refused(uri, "takes three slashes and a file: sqlite:///mlflow.db")
    if name[1:] in ("", ":memory:"):
        raise _refused(uri, "would be gone at the end; name a file: sqlite:///mlflow.db")
    path = local_path(unquote(name[1:]), "tracking_uri").absolute()
    if path.is_dir():
        raise _refused(uri, f"is a folder; name a file in it: sqlite:///{path}/mlflow.db")
    _check_writable(path.parent, uri)
    if path.exists():
        _check_database(path, uri)
    return f"{scheme}:///{path}{question}{query}"


def _check_database(path: Path, uri: str) -> None:
    if not os.access(path, os.W_OK):
        raise _refused(uri, "may not be written; name another file")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=1.0)) as database:
            database.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError:
        return  # busy with somebody else's write: the writer waits for its turn
    except sqlite3.DatabaseError as error:
        raise _refused(uri, f"cannot be used ({error}); name another file") from None


def _check_folder(uri: str) -> str:
    given = unquote(urlsplit(uri).path) if uri.startswith("file:") else uri
    path = local_path(given, "tracking_uri").absolute()
    if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        place = path if path.suffix == ".db" else path / "mlflow.db"
        raise _refused(
            uri,
            f"MLflow no longer keeps runs in plain folders; use sqlite:///{masked_address(str(place))}",
        )
    _check_writable(path, uri)
    return path.as_uri()


def _check_writable(folder: Path, uri: str) -> None:
    probe = folder / f".probe-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"t5grid")
        probe.unlink()
    except OSError as error:
        raise _refused(
            uri,
            f"its folder cannot be written ({error.strerror}); name a file elsewhere",
        ) from None
