"""The tasks that are built in, and how a name or a file leads to one."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from t5core.errors import ConfigError
from t5core.tasks import (
    doc_acceptability,
    doc_cloze,
    doc_completion,
    doc_pair,
    doc_qa,
    doc_similarity,
    doc_summary,
    doc_topic,
    glue,
    squad,
    summarization,
    super_glue,
    translation,
    wsc,
)
from t5core.tasks.task import Task

EMBEDDED_TASKS: tuple[Task, ...] = (
    doc_acceptability.TASK,
    doc_pair.TASK,
    doc_similarity.TASK,
    doc_summary.TASK,
    doc_qa.TASK,
    doc_cloze.TASK,
    doc_topic.TASK,
    doc_completion.TASK,
)
PAPER_TASKS: tuple[Task, ...] = (
    *glue.TASKS,
    *super_glue.TASKS,
    *wsc.TASKS,
    *squad.TASKS,
    *summarization.TASKS,
    *translation.TASKS,
)
BUILT_IN: tuple[str, ...] = tuple(task.name for task in (*EMBEDDED_TASKS, *PAPER_TASKS))
"""All names, in the order of tables."""

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "embedded": tuple(task.name for task in EMBEDDED_TASKS),
        # MNLI is judged on its matched set, so "glue_mnli_matched" would count the same examples again
        "glue": (
            *(f"glue_{name}" for name in ("cola", "sst2", "mrpc", "qqp", "stsb")),
            *(f"glue_{name}" for name in ("mnli", "mnli_mismatched", "qnli", "rte")),
        ),
        "super_glue": (
            *(f"super_glue_{name}" for name in ("boolq", "cb", "copa", "multirc", "record", "rte", "wic")),
            *("super_glue_wsc", "super_glue_wsc_train", "dpr"),
        ),
    }
)
"""Names that stand for several tasks; "paper" is all that the paper's columns need."""
PAPER_GROUP = (
    *(*GROUPS["glue"], *GROUPS["super_glue"]),
    *("squad", "cnn_dailymail", "wmt_en_de", "wmt_en_fr", "wmt_en_ro"),
)


def expanded(names: Iterable[str]) -> list[str]:
    """Returns names with groups ("glue", "super_glue", "embedded", "paper") replaced by their tasks."""
    groups = {**GROUPS, "paper": PAPER_GROUP}
    return [one for name in names for one in groups.get(name, (name,))]


def is_file(name: str) -> bool:
    """Whether a task's name is the path of a user's own."""
    return name.endswith((".yaml", ".yml", ".py"))


def get_task(name: str) -> Task:
    """Returns the task of that name, or of that file: a user's own, ``path/to/task.yaml`` or ``.py``.

    A Python file is run: give only files that you trust. Names never lead to one, only paths with their ending do.

    Raises:
        ConfigError: there is none; a file that is no task says what is wrong with it.
    """
    for task in (*EMBEDDED_TASKS, *PAPER_TASKS):
        if task.name == name:
            return task
    if is_file(name):
        from t5core.tasks.user import load_task

        return load_task(name)
    way_out = f"choose from {', '.join(BUILT_IN)}, or give a .yaml or .py file"
    raise ConfigError("tasks", name, way_out, choices=BUILT_IN)
