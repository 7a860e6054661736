"""Is a study finished? Then its table is shown here and now: without a job, without Ray.

Only the study itself knows its stages, so it is asked: ``--finished-only``, which every study takes, shows the table if
every stage is finished, and leaves with the exit code ``LEFT_TO_DO`` and without a word otherwise. A script that is no
study is not asked: it might take no notice of a flag that it does not know, and run.
"""

import ast
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.commands.addresses import default_store_uri
from orchestrator.store import open_store
from orchestrator.store.reports import report_names
from t5core.arguments import OneLineParser

FINISHED_ONLY = "--finished-only"
LEFT_TO_DO = 3
"""The exit code of a study that was to show its table only if it is finished, and is not."""

_RUN_STUDIES = ("orchestrator.commands.study", "orchestrator.commands.grid")


def shown_if_finished(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> bool:
    """Shows the table of a study of which every stage is finished, and returns whether it is one.

    Whatever goes wrong is left to the job to find out and to tell.

    Args:
        command: script and its flags.
        environment: of the script.
        folder: which the script's path is relative to.
    """
    script, *flags = command
    if not _runs_a_study(folder / script) or not _has_reports(flags):
        return False
    print("looking whether it is finished already ...", flush=True)
    done = subprocess.run(
        [sys.executable, script, FINISHED_ONLY, *flags],
        env=dict(environment),
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        return False
    print(done.stdout, end="", flush=True)
    print(done.stderr, end="", file=sys.stderr, flush=True)
    return True


def _runs_a_study(script: Path) -> bool:
    try:
        tree = ast.parse(script.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    return any(isinstance(node, ast.ImportFrom) and node.module in _RUN_STUDIES for node in ast.walk(tree))


def _has_reports(flags: Sequence[str]) -> bool:
    """Whether some study of the store ever came to its end: asking takes seconds, which a first run need not wait."""
    parser = OneLineParser(add_help=False)
    parser.add_argument("--store", default=default_store_uri())
    try:
        return bool(report_names(open_store(parser.parse_known_args(flags)[0].store)))
    except Exception:  # clients of buckets raise what they like
        return False
