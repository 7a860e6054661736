"""Failures as files of a store, ``failures/KEY.json``: why a stage failed the last time; gone when it is finished."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from orchestrator.plan.stage import Stage
from orchestrator.store.store import FAILURES, Store
from t5core.uris import masked


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a stage failed the last time.

    Attributes:
        stage: where it would lie: ``kind/name-key``.
        error: one line.
        attempts: how often it had been tried in that run.
        log: the traceback; "" when the process died and left none.
        host: where it ran, "" where that is not known.
        at: Unix time in seconds.
    """

    key: str
    stage: str
    error: str
    attempts: int
    log: str
    host: str
    at: float


def write_failure(store: Store, stage: Stage, error: str, attempts: int, log: str, host: str | None = None) -> None:
    """Keeps why a stage failed, in place of what was kept of it before; passwords in addresses are masked.

    Args:
        store: of the run.
        stage: that failed.
        error: one line.
        attempts: how often it has been tried.
        log: the traceback, "" for none.
        host: where it ran; None for here.
    """
    failure = Failure(
        key=stage.key,
        stage=stage.folder,
        error=masked(error),
        attempts=attempts,
        log=masked(log),
        host=socket.gethostname() if host is None else host,
        at=time.time(),
    )
    store.write_record(f"{FAILURES}/{stage.key}.json", json.dumps(asdict(failure), indent=1, ensure_ascii=False))


def read_failure(store: Store, key: str) -> Failure | None:
    """Returns why a stage failed the last time; None where nothing is kept of it, or nothing that can be read."""
    text = store.read_record(f"{FAILURES}/{key}.json")
    try:
        return None if text is None else Failure(**json.loads(text))
    except (ValueError, TypeError):
        return None


def forget_failure(store: Store, key: str) -> None:
    """Removes what is kept of a stage's failure."""
    store.remove_record(f"{FAILURES}/{key}.json")


def read_failures(store: Store) -> Iterator[Failure]:
    """Iterates over the failures that a store keeps."""
    for name in store.record_names(FAILURES):
        failure = read_failure(store, name.removesuffix(".json"))
        if failure is not None:
            yield failure
