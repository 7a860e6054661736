"""The counts of a cleaned corpus in MLflow: one run in the experiment ``t5grid/corpus`` for each recipe.

A view of the manifest, written when that is there. It never fails the work: what goes wrong is one line.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.tracking.address import check_tracking_uri
from orchestrator.tracking.experiment import MlflowExperiment
from orchestrator.tracking.view import flat
from orchestrator.tracking.writer import quiet_mlflow
from t5core.errors import ConfigError
from t5core.uris import masked

EXPERIMENT = "t5grid/corpus"
WAIT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class CorpusRecord:
    """What is written of a corpus.

    Attributes:
        manifest: of the corpus.
        declared: the recipe that a person named, like "c4" or "news.json".
        folder: where it lies.
        files: of the input, how many.
        workers: that made it.
        started_at: Unix time in seconds.
        seconds: the run took.
        peak_bytes: of memory, of the largest worker.
    """

    manifest: Mapping[str, Any]
    declared: str
    folder: str
    files: int
    workers: int
    started_at: float
    seconds: float
    peak_bytes: int


class CorpusView(MlflowExperiment):
    """The experiment with the corpora's runs."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri, EXPERIMENT, "corpus")

    def write(self, record: CorpusRecord) -> None:
        """Writes the run of a corpus, or nothing where it is there and finished."""
        client = self._mlflow()
        recipe = str(record.manifest["recipe"])
        start_ms = round(record.started_at * 1000)
        end_ms = start_ms + round(record.seconds * 1000)
        runs = self._search(f"tags.`t5grid.corpus` = '{recipe}'")
        if any(run.info.status == "FINISHED" for run in runs):
            return
        if runs:
            run = runs[0]
        else:
            tags = {"t5grid.kind": "corpus", "t5grid.corpus": recipe, "t5grid.folder": record.folder}
            tags["t5grid.recipe"] = record.declared
            run_name = f"{record.declared}-{recipe}"
            run = client.create_run(self._experiment_id, start_time=start_ms, tags=tags, run_name=run_name)
        self._log(run.info.run_id, params_of(record), [(k, v, end_ms, 0) for k, v in metrics_of(record).items()])
        client.set_terminated(run.info.run_id, "FINISHED", end_ms)


def params_of(record: CorpusRecord) -> dict[str, object]:
    """Returns the settings: those of the manifest, so that a run that is written twice says the same."""
    manifest = record.manifest
    given = {name: manifest[name] for name in ("recipe_version", "content", "form", "partitions")}
    config = flat(manifest["config"], ".") | flat(manifest["made_with"], ".")
    return {**given, **config}


def metrics_of(record: CorpusRecord) -> dict[str, float]:
    """Returns the table of counts: pages/documents, removed/RULE/lines, kept/bytes, read/skipped:damaged, ..."""
    counts = flat(record.manifest["counts"], "/")
    more = {"files": record.files, "workers": record.workers, "seconds": record.seconds}
    more["worker_peak_bytes"] = record.peak_bytes
    return {**counts, "shards": len(record.manifest["shards"]), **more}


def is_tracked(uri: str, tell: Callable[[str], None]) -> str | None:
    """Returns the URI as MLflow wants it, None and a line to ``tell`` when nobody is there."""
    try:
        return check_tracking_uri(uri)
    except ConfigError as error:
        tell(f"MLflow is left out: {error}")
        return None


def track_corpus(uri: str, record: CorpusRecord, tell: Callable[[str], None], wait_s: float = WAIT_S) -> bool:
    """Writes the corpus's run, within ``wait_s`` or not at all; returns whether it is written, says so if not."""
    quiet_mlflow()
    failures: list[Exception] = []

    def write() -> None:
        try:
            CorpusView(uri).write(record)
        except Exception as error:  # MLflow, requests, SQLAlchemy and sockets each raise their own
            failures.append(error)

    thread = threading.Thread(target=write, name="mlflow-corpus", daemon=True)
    thread.start()
    thread.join(wait_s)
    if not thread.is_alive() and not failures:
        return True
    reason = (
        f"{type(failures[0]).__name__}: {failures[0]}".splitlines()[0] if failures else f"no answer in {wait_s:g} s"
    )
    tell(f"MLflow at {masked(uri)} has no run of it ({masked(reason)[:300]}); all counts are in manifest.json")
    return False
