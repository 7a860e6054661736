"""Ray at arm's length: the one room that starts or joins Ray and knows the options that are not part of its stable API.

Joins a running Ray when there is one to join: an address was given, ``RAY_ADDRESS`` is set, or the code runs inside a
submitted job (which sets it). Otherwise a Ray of its own is started on loopback, without dashboard, and stopped at the
end. What was joined is left running.

Not stable, and therefore kept in this file: ``_node_ip_address``, the environment variables below, the place of the
trainer class. Ray replaces a node address of 127.0.0.1 by the machine's own and then listens on every interface,
unless it is told that this machine is not made for clusters, which it assumes of laptops' systems; a Ray of our own
is told so on Linux too, and listens on loopback only.
"""

import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from t5core.errors import ConfigError

LOOPBACK_VARIABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"

DRIVER_ENVIRONMENT = {
    # Workers stay in the folder they are started in: relative paths mean the same everywhere.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # How often a controller looks at its workers; a lane's end is noticed that much later.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
"""Ray Train reads these in the driver; a value that the user has set stays."""

ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967296"}
"""Memory in large pages that a process keeps: a step of a small model made a thousand page faults and more, a seventh
of its time. The C library of Linux reads it when a process starts, so workers have it from the Ray that is started with
it; others pass it over. The bits are the same."""

LOCAL_ENVIRONMENT = {
    **ALLOCATOR,
    # Saves one process per lane; nothing preempts the only node.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Each worker on a machine without GPUs would warn about a coming default.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    LOOPBACK_VARIABLE: "0",
}
"""In addition, for a Ray that is started here."""


@dataclass(frozen=True, kw_only=True)
class RayConnection:
    """A Ray that can be used.

    Attributes:
        address: of its head.
        cpus: CPUs of all its nodes.
        tpus: TPU chips of all its nodes.
        gpus: GPUs of all its nodes.
        nodes: how many nodes are alive.
        started_here: whether this process started it.
    """

    address: str
    cpus: int
    tpus: int
    gpus: int
    nodes: int
    started_here: bool


@contextlib.contextmanager
def connected(address: str | None = None, *, num_cpus: int | None = None) -> Iterator[RayConnection]:
    """Gives a connection to Ray, and takes down at the end what it brought up.

    A Ray to which this process is already connected is used as it is and left connected.

    Args:
        address: of a running Ray; None for the environment's, else a new local one.
        num_cpus: of a new local one; None for the machine's.

    Raises:
        ConfigError: when there is no Ray at the address.
    """
    already = "ray" in sys.modules and sys.modules["ray"].is_initialized()
    wanted = address or os.environ.get("RAY_ADDRESS") or None
    started_here = not already and wanted is None
    with _environment(DRIVER_ENVIRONMENT | (LOCAL_ENVIRONMENT if started_here else {})):
        if not already:
            with _own_sigterm():
                _connect(wanted, num_cpus)
        try:
            yield _describe(started_here)
        finally:
            if not already:
                sys.modules["ray"].shutdown()


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keeps this process's answer to SIGTERM: ``ray.init`` puts one of its own in its place, which exits at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if earlier not in (None, signal.SIG_DFL):
            signal.signal(signal.SIGTERM, earlier)


def _connect(wanted: str | None, num_cpus: int | None) -> None:
    import ray
    from ray._private import ray_constants

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if wanted is None:
        # Ray reads the variable when it is imported, which may have been long ago.
        ray_constants.ENABLE_RAY_CLUSTER = os.environ[LOOPBACK_VARIABLE] not in ("0", "false")
        ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
        return
    try:
        ray.init(address=wanted, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        way_out = "start Ray there (ray start --head), or unset RAY_ADDRESS for a Ray of this run's own"
        raise ConfigError("address", wanted, way_out) from error


def _describe(started_here: bool) -> RayConnection:
    ray: Any = importlib.import_module("ray")
    resources = ray.cluster_resources()
    return RayConnection(
        address=ray.get_runtime_context().gcs_address,
        cpus=int(resources.get("CPU", 0)),
        tpus=int(resources.get("TPU", 0)),
        gpus=int(resources.get("GPU", 0)),
        nodes=sum(bool(node["Alive"]) for node in ray.nodes()),
        started_here=started_here,
    )


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets environment variables that are not set, and unsets them again."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def data_parallel_trainer() -> Any:
    """Returns Ray Train's trainer for functions without a framework; a developer API in 2.60."""
    return importlib.import_module("ray.train.v2.api.data_parallel_trainer").DataParallelTrainer


def failure_line(error: BaseException) -> str:
    """Returns the first worker's (or the controller's) reason in a Ray Train error, as one line."""
    failures = getattr(error, "worker_failures", None)
    reason = next(iter(failures.values()), error) if failures else getattr(error, "controller_failure", error)
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
    return f"{type(reason).__name__}: {lines[-1] if lines else 'no message'}"
