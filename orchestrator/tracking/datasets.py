"""What MLflow shows of the data behind a row: dataset inputs of its parent run.

    corpus       digest of the text                            context pretrain
    init         digest of the checkpoint, with its source     context init
    glue_cola    digest of the training split, its examples    context train
    glue_cola    digest of the validation split                context validation

Tasks that are made from the corpus have no data of their own. The digests are those that the stages' keys hold, so
that the same data has the same name and digest in every run, wherever it lies: paths are not told.
"""

import contextlib
import json
from typing import TYPE_CHECKING

from orchestrator.plan.stage import Stage
from orchestrator.store import Manifest
from t5core.config import TaskContent, TasksConfig
from t5core.errors import ConfigError
from t5core.tasks import PAPER_TASKS, DataSet, Hub, get_task
from t5core.uris import masked

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

CONTEXT = "mlflow.data.context"
"""The tag by which MLflow's pages tell what a run used a dataset for."""

_DIGEST = 36
"""Signs of a digest that MLflow takes."""


def dataset_inputs(stage: Stage, manifest: Manifest) -> "list[DatasetInput]":
    """Returns the data that a finished stage stands for, a checkpoint too; none of tasks without data of their own."""
    if stage.kind == "corpus":
        corpus = manifest.config.get("corpus", {})
        if corpus.get("content"):
            return [_input("corpus", corpus["content"], "local", {"corpus": corpus["source"]}, None, "pretrain")]
    if stage.kind == "init":
        given = stage.settings["init"]
        kind, source = ("hub", given["source"]) if given["source"].startswith("hf:") else ("local", stage.name)
        return [_input("init", given["content"][:_DIGEST], kind, {"checkpoint": source}, None, "init")]
    if stage.kind != "tasks":
        return []
    hubs = _hubs(TasksConfig.from_dict(dict(stage.settings["tasks"])))
    inputs = []
    for values in manifest.config["tasks"].get("content", ()):
        content = TaskContent.from_dict(dict(values))
        splits = {
            "train": (content.train_fingerprint, content.train_examples),
            "validation": (content.validation_fingerprint, content.validation_examples),
        }
        # MLflow knows a dataset by name and digest alone: the same file as both splits is one, used for both
        contexts: dict[str, list[str]] = {}
        for split, (fingerprint, _) in splits.items():
            if fingerprint:
                contexts.setdefault(fingerprint, []).append(split)
        for fingerprint, used in contexts.items():
            hub = hubs.get(content.name)
            source = {"task": content.name, "split": ", ".join(used)}
            if hub is not None:
                source |= {"path": hub.path, "config": hub.config, "revision": hub.revision}
            kind = "local" if hub is None else "hub"
            inputs.append(_input(content.name, fingerprint, kind, source, splits[used[0]][1], ", ".join(used)))
    return inputs


def _hubs(config: TasksConfig) -> dict[str, Hub]:
    """Returns the sets that are read from the hub, by task."""
    if config.data_dir is not None:
        return {}
    tasks = {task.name: task for task in PAPER_TASKS}
    for file in config.files:
        with contextlib.suppress(ConfigError):  # a user's file that has gone since
            task = get_task(file)
            tasks[task.name] = task
    sources = {name: task.source for name, task in tasks.items() if isinstance(task.source, DataSet)}
    return {name: s.hub for name, s in sources.items() if s.hub is not None and s.folder is None}


def _input(
    name: str, digest: str, kind: str, source: dict[str, str], num_examples: int | None, context: str
) -> "DatasetInput":
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=name,
        digest=digest,
        source_type=kind,
        source=masked(json.dumps(source)),
        profile=None if not num_examples else json.dumps({"num_examples": num_examples}),
    )
    return DatasetInput(dataset, [InputTag(CONTEXT, context)])
