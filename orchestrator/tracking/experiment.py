"""One experiment in MLflow: found or made, and written to within MLflow's limits."""

import json
import logging
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

T = TypeVar("T")

# MLflow's limits per call and per value (mlflow/utils/validation.py)
_OUTAGES = frozenset(
    {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_DOES_NOT_EXIST", "IO_ERROR"}
)
_PARAMS_PER_CALL = 100
_METRICS_PER_CALL = 1000
_PARAM_CHARS = 6000
TAG_CHARS = 8000
_KEY_CHARS = 250
_NOT_IN_KEYS = re.compile(r"[^\w.\-/: ]")


def is_hopeless(error: Exception) -> bool:
    """Whether trying again will not help: neither network, nor server, nor database are the reason."""
    code = getattr(error, "error_code", None)
    if code is not None:
        return str(code) not in _OUTAGES
    return not isinstance(error, OSError | TimeoutError) and not type(error).__module__.startswith("sqlalchemy")


class MlflowExperiment:
    """One experiment in MLflow. Not thread-safe."""

    def __init__(self, uri: str, experiment: str, artifact_folder: str) -> None:
        self.uri = uri
        self.experiment = experiment
        self._artifact_folder = artifact_folder
        self._client: MlflowClient | None = None
        self._experiment_id = ""

    def connect(self) -> None:
        """Imports MLflow, migrates a new database and finds or makes the experiment; takes seconds."""
        if self._client is None:
            from mlflow.tracking import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.ERROR)
            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        if not self._experiment_id:
            found = self._client.get_experiment_by_name(self.experiment)
            if found is None:
                self._experiment_id = self._client.create_experiment(self.experiment, self._artifacts())
            else:
                if found.lifecycle_stage == "deleted":  # its name is taken until it is back or purged
                    self._client.restore_experiment(found.experiment_id)
                self._experiment_id = found.experiment_id

    def _mlflow(self) -> "MlflowClient":
        self.connect()
        assert self._client is not None
        return self._client

    def _artifacts(self) -> str | None:
        """Next to a sqlite file, not in whatever folder the driver was started in; a server knows its own place."""
        if not self.uri.startswith("sqlite"):
            return None
        database = Path(unquote(self.uri.partition(":///")[2].partition("?")[0]))
        return (database.parent / "mlartifacts" / self._artifact_folder).as_uri()

    def _search(self, condition: str) -> "list[Run]":
        client, runs, token = self._mlflow(), [], None
        while True:
            page = client.search_runs([self._experiment_id], condition, max_results=1000, page_token=token)
            runs += list(page)
            token = page.token
            if not token:
                return runs

    def _log(self, run_id: str, params: Mapping[str, object], points: Sequence[tuple[str, float, int, int]]) -> None:
        from mlflow.entities import Metric, Param

        client = self._mlflow()
        texts = [Param(_key(name), _text(value)[:_PARAM_CHARS]) for name, value in params.items()]
        metrics = [Metric(_key(name), float(value), at, step) for name, value, at, step in points]
        for chunk in _chunks(texts, _PARAMS_PER_CALL):
            client.log_batch(run_id, params=chunk)
        for some in _chunks(metrics, _METRICS_PER_CALL):
            client.log_batch(run_id, metrics=some)


def _key(name: str) -> str:
    clean = _NOT_IN_KEYS.sub("_", posixpath.normpath(name).replace("..", "_").strip("/"))
    return clean[:_KEY_CHARS] or "_"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def tag_texts(tags: Mapping[str, str]) -> dict[str, str]:
    """Returns tags with names and lengths that MLflow takes."""
    return {_key(name): value[:TAG_CHARS] for name, value in tags.items()}


def _chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for begin in range(0, len(items), size):
        yield list(items[begin : begin + size])
