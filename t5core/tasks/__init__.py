"""Tasks in the paper's text-to-text form. ``EMBEDDED_TASKS`` are made from the corpus itself and need no download."""

from t5core.errors import ConfigError
from t5core.tasks import doc_acceptability, doc_cloze, doc_pair, doc_qa, doc_similarity, doc_summary
from t5core.tasks.task import Document, Task, TextPair, load_documents, make_splits

EMBEDDED_TASKS: tuple[Task, ...] = (
    doc_acceptability.TASK,
    doc_pair.TASK,
    doc_similarity.TASK,
    doc_summary.TASK,
    doc_qa.TASK,
    doc_cloze.TASK,
)

__all__ = ["EMBEDDED_TASKS", "Document", "Task", "TextPair", "get_task", "load_documents", "make_splits"]


def get_task(name: str) -> Task:
    """Returns the task of that name.

    Raises:
        ConfigError: there is none.
    """
    for task in EMBEDDED_TASKS:
        if task.name == name:
            return task
    names = [task.name for task in EMBEDDED_TASKS]
    raise ConfigError("tasks", name, f"choose from {', '.join(names)}", choices=names)
