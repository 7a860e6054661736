"""The tasks that a config names, and the identity of their data.

A name stands for one of the paper's or the embedded tasks, or for a user's own, whose file ``files`` has. What a
user's file says and what the sets hold determine results, so both go into ``content`` as digests, and where they lie
does not count: the same task in another folder is the same task.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from t5core.config import TaskContent, TasksConfig
from t5core.errors import ConfigError, DataError
from t5core.mixing import PAPER_SIZES, UNSUPERVISED
from t5core.tasks.known import BUILT_IN, expanded, get_task, is_file
from t5core.tasks.sources import DataSet, Folder
from t5core.tasks.splits import identities
from t5core.tasks.task import Task
from t5core.tasks.user import checked


def tasks_of(config: TasksConfig) -> dict[str, Task]:
    """Returns the tasks of a config by name, in its order.

    Raises:
        ConfigError: a name that neither is known nor comes from one of the files.
        DataError: a user's file that says something else than when ``content`` was filled in.
    """
    own = {task.name: task for task in map(get_task, config.files)}
    definitions = {c.name: c.definition for c in config.content if c.definition}
    for name, file in zip(own, config.files, strict=True):
        if definitions.get(name, _digest(file)) != _digest(file):
            raise DataError("tasks", file, "it changed since the plan was made; run again")
    return {name: own[name] if name in own else get_task(name) for name in config.names}


def choose_tasks(names: Iterable[str], config: TasksConfig) -> TasksConfig:
    """Returns ``config`` with other tasks: names, groups and files as a user gives them, in one order, each once.

    The same tasks are then the same stages, however they were named: built-in ones come in their own order, a user's
    after them by name.

    Raises:
        ConfigError: an unknown name, a file that is no task, or one that takes another task's name.
    """
    files: dict[str, str] = {}
    chosen: list[str] = []
    for given in expanded(names):
        name = get_task(given).name
        if is_file(given):
            file = str(Path(given).expanduser().absolute())
            if name in BUILT_IN or name == UNSUPERVISED or files.get(name, file) != file:
                raise ConfigError("tasks", given, f"it is called {name!r}, as another task is: rename it")
            files[name] = file
        chosen.append(name)
    order = {name: i for i, name in enumerate(BUILT_IN)}
    in_order = sorted(set(chosen), key=lambda name: (order.get(name, len(order)), name))
    return config.replace(names=tuple(in_order), files=tuple(files[name] for name in in_order if name in files))


def identify_tasks(config: TasksConfig) -> TasksConfig:
    """Returns ``config`` with ``content`` filled in: what the tasks' files and sets hold now.

    Raises:
        ConfigError: no task to train on, or none to judge by; one that is for neither.
        DataError: a set that is not there, or a hub that does not answer. It is not asked for the paper's own sets. An
            example of a user's own task that nothing can be trained on or judged by, see ``checked``; sets on the hub
            are not read.
    """
    config = config.replace(content=())
    tasks = tasks_of(config)
    for name, task in tasks.items():
        if not task.splits:
            raise ConfigError(
                "tasks", name, "nothing but a test split: neither to train on nor to judge by; leave it out"
            )
    for split, purpose in (("train", "trained on"), ("validation", "judged by")):
        if not any(split in task.splits for task in tasks.values()):
            raise ConfigError("tasks", ",".join(tasks), f"none of them is {purpose}: add one")
    files = {get_task(file).name: file for file in config.files}
    data_dir = None if config.data_dir is None else Path(config.data_dir)
    content = [
        _content(task, files.get(name), data_dir) for name, task in tasks.items() if name in files or not task.embedded
    ]
    return config.replace(content=tuple(content))


def _published(task: Task) -> TaskContent:
    """One of the paper's sets on the hub: known by its name and commit, and by the paper's count, without asking."""
    assert isinstance(task.source, DataSet)
    fingerprints = {f"{split}_fingerprint": task.source.published(split) for split in task.splits}
    return TaskContent.from_dict({"name": task.name, "train_examples": PAPER_SIZES.get(task.name, 0), **fingerprints})


def judged(tasks: Mapping[str, Task]) -> dict[str, Task]:
    """Returns those tasks that have an evaluation split, in order."""
    return {name: task for name, task in tasks.items() if "validation" in task.splits}


def _digest(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


def _content(task: Task, file: str | None, data_dir: Path | None) -> TaskContent:
    definition = "" if file is None else _digest(file)
    if task.embedded:
        return TaskContent(name=task.name, definition=definition)
    if file is None and data_dir is None:
        return _published(task)
    assert isinstance(task.source, DataSet)
    known: Mapping[str, int] = {}
    if file is not None and isinstance(task.source.open(data_dir), Folder):
        known = checked(task, data_dir).examples  # before anything runs; it reads all and counts, so once is enough
    found = identities(task, data_dir, known)
    counts = {f"{split}_examples": identity.examples for split, identity in found.items()}
    fingerprints = {f"{split}_fingerprint": identity.fingerprint for split, identity in found.items()}
    return TaskContent.from_dict({"name": task.name, "definition": definition, **counts, **fingerprints})
