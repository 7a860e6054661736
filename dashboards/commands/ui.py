"""MLflow's own pages over our runs, on 127.0.0.1 only: they have no login, so no other machine may reach them."""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.tracking.address import check_tracking_uri
from t5core.errors import ConfigError
from t5core.uris import masked

HOST = "127.0.0.1"


def serve(tracking_uri: str, port: int) -> None:
    """Becomes an MLflow server over ``tracking_uri``.

    Args:
        tracking_uri: ``sqlite:///absolute/path.db`` or any database MLflow takes.
        port: on 127.0.0.1.

    Raises:
        ConfigError: as ``server_command``.
    """
    command = server_command(tracking_uri, port)
    print(f"MLflow: http://{HOST}:{port}   (runs from {masked(tracking_uri)}; Ctrl-C ends it)", flush=True)
    os.execve(command[0], command, server_environment(tracking_uri, os.environ))


def server_environment(tracking_uri: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Returns what the server is told: the database, too, whose password a command line would show to everybody."""
    # only pages: no reports to MLflow's makers, no workers for jobs that nobody here submits
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return {**quiet, **environment, "MLFLOW_BACKEND_STORE_URI": tracking_uri}


def server_command(tracking_uri: str, port: int) -> list[str]:
    """Returns the program and arguments of the server; where the runs are it is told by its environment.

    Raises:
        ConfigError: a server runs there already, no runs lie there yet, the address cannot be used, or the port is
            taken.
    """
    if urlsplit(tracking_uri).scheme in ("http", "https"):
        way_out = "a server shows these runs itself: open that address in the browser"
        raise ConfigError("tracking_uri", masked(tracking_uri), way_out)
    database = tracking_uri.removeprefix("sqlite:///")
    if database != tracking_uri and not Path(database).is_file():
        raise ConfigError("tracking_uri", tracking_uri, "holds no runs yet: start with `make demo`")
    check_tracking_uri(tracking_uri)
    if not 1 <= port <= 65_535:
        raise ConfigError("port", port, "give a number from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigError("port", port, f"cannot be used ({error.strerror}): choose another with --port") from None
    return [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
