"""Has MLflow got it all already? A look into a sqlite file without importing MLflow, which takes seconds.

The tracker leaves rows alone that are finished in MLflow, so a run whose rows all are has nothing to write. Only files
are looked into, by the tables' names; where they tell nothing (a server, another layout, no file) the tracker goes the
way of MLflow's own interface, which ends in the same runs.
"""

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from orchestrator.plan.plan import PlannedRow

_LOOK_S = 1.0
"""How long another process's write is waited for."""

_TAGS = """
    SELECT runs.run_uuid, tags.key, tags.value
    FROM experiments JOIN runs USING (experiment_id) JOIN tags USING (run_uuid)
    WHERE experiments.name = ? AND experiments.lifecycle_stage = 'active'
    AND runs.lifecycle_stage = 'active' AND runs.status = 'FINISHED'
    AND tags.key IN ('t5grid.key', 't5grid.study', 't5grid.row', 't5grid.seed', 't5grid.complete')
"""


def holds_all(uri: str, experiment: str, study: str, rows: Iterable[PlannedRow]) -> bool:
    """Whether every row is known to be finished in MLflow; False where that cannot be seen.

    Args:
        uri: as ``check_tracking_uri`` gives it.
        experiment: its name.
        study: the name of the study that the rows' runs are tagged with.
        rows: with the stages that they have now.
    """
    if uri.partition("://")[0].partition("+")[0].lower() != "sqlite":
        return False
    path = Path(unquote(uri.partition(":///")[2].partition("?")[0]))
    tags: defaultdict[str, dict[str, str]] = defaultdict(dict)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_LOOK_S)) as database:
            for run, name, value in database.execute(_TAGS, (experiment,)):
                tags[run][name.removeprefix("t5grid.")] = value
    except sqlite3.Error:
        return False
    there = {
        (run.get("key"), run.get("row"), run.get("seed"))
        for run in tags.values()
        if run.get("study") == study and run.get("complete") != "no"
    }
    return all((row.key, row.name, str(row.seed)) in there for row in rows)
