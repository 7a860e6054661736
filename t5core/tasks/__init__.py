"""Tasks in the paper's text-to-text form: its own, the embedded ones, and a user's.

In: examples of a published set, of a user's file, or made from a corpus. Out: pairs of text, and the scores of outputs.
Never: token ids or a model.

    task = get_task("glue_mnli")
    task.to_text({"premise": "Rain fell.", "hypothesis": "It rained.", "label": 0, "idx": 0})
    # [{"inputs": "mnli hypothesis: It rained. premise: Rain fell.", "targets": "entailment"}]
    task.score(["entailment"], ["neutral"])                        # {"accuracy": 0.0}
    task.read("validation", data_dir=Path("data"))                 # pairs of a whole split

``EMBEDDED_TASKS`` are made from the corpus itself and need no download.
"""

from t5core.tasks.chosen import choose_tasks, identify_tasks, judged, tasks_of
from t5core.tasks.documents import Document, Documents, load_documents
from t5core.tasks.known import EMBEDDED_TASKS, PAPER_TASKS, get_task
from t5core.tasks.pair import TextPair
from t5core.tasks.sources import DataSet, Hub
from t5core.tasks.splits import SplitIdentity, identities, majority_scores, make_splits
from t5core.tasks.task import Task

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
    "choose_tasks",
    "get_task",
    "identify_tasks",
    "identities",
    "judged",
    "load_documents",
    "majority_scores",
    "make_splits",
    "tasks_of",
]
