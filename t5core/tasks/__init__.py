"""Tasks in the paper's text-to-text form: its own, the embedded ones, and a user's.

    task = get_task("glue_mnli")
    task.to_text({"premise": "Rain fell.", "hypothesis": "It rained.", "label": 0, "idx": 0})
    # [{"inputs": "mnli hypothesis: It rained. premise: Rain fell.", "targets": "entailment"}]
    task.score(["entailment"], ["neutral"])                        # {"accuracy": 0.0}
    task.read("validation", data_dir=Path("data"))                 # pairs of a whole split

``EMBEDDED_TASKS`` are made from the corpus itself and need no download.
"""

from t5core.errors import ConfigError
from t5core.tasks import (
    doc_acceptability,
    doc_cloze,
    doc_pair,
    doc_qa,
    doc_similarity,
    doc_summary,
    glue,
    squad,
    summarization,
    super_glue,
    translation,
    wsc,
)
from t5core.tasks.documents import Document, Documents, load_documents
from t5core.tasks.pair import TextPair
from t5core.tasks.sources import DataSet, Hub
from t5core.tasks.splits import SplitIdentity, identities, majority_scores, make_splits
from t5core.tasks.task import Task

EMBEDDED_TASKS: tuple[Task, ...] = (
    doc_acceptability.TASK,
    doc_pair.TASK,
    doc_similarity.TASK,
    doc_summary.TASK,
    doc_qa.TASK,
    doc_cloze.TASK,
)
PAPER_TASKS: tuple[Task, ...] = (
    *glue.TASKS,
    *super_glue.TASKS,
    *wsc.TASKS,
    *squad.TASKS,
    *summarization.TASKS,
    *translation.TASKS,
)

__all__ = [
    "EMBEDDED_TASKS",
    "PAPER_TASKS",
    "DataSet",
    "Document",
    "Documents",
    "Hub",
    "SplitIdentity",
    "Task",
    "TextPair",
    "get_task",
    "identities",
    "load_documents",
    "majority_scores",
    "make_splits",
]


def get_task(name: str) -> Task:
    """Returns the task of that name, or of that file: a user's own, ``path/to/task.yaml`` or ``.py``.

    A Python file is run: give only files that you trust. Names never lead to one, only paths with their ending do.

    Raises:
        ConfigError: there is none; a file that is no task says what is wrong with it.
    """
    for task in (*EMBEDDED_TASKS, *PAPER_TASKS):
        if task.name == name:
            return task
    if name.endswith((".yaml", ".yml", ".py")):
        from t5core.tasks.user import load_task

        return load_task(name)
    names = [task.name for task in (*EMBEDDED_TASKS, *PAPER_TASKS)]
    raise ConfigError("tasks", name, f"choose from {', '.join(names)}, or give a .yaml or .py file", choices=names)
