"""The verbs about tasks: ``tasks``, ``render`` and ``score``. JSON Lines in, JSON out.

    t5core tasks
    t5core tasks --check my_task.yaml
    t5core render glue_mnli --file examples.jsonl     one hub-style example a line -> {"inputs", "targets"}
    t5core score glue_cola --file outputs.jsonl       target and prediction a line -> {"matthews_corrcoef": 53.8}

Without ``--file``, lines come from standard input. Every error names file, line and field.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from t5core.arguments import OneLineParser
from t5core.cli.lines import note, print_json, rows
from t5core.errors import DataError

VERBS = ("tasks", "render", "score")


def add_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verbs of this module to a command line."""
    parser = verbs.add_parser(
        "tasks", help="list the tasks, or check your own", description=tasks.__doc__, allow_abbrev=False
    )
    parser.add_argument("--check", metavar="FILE", help="a .yaml or .py file with a task: read its set and show it")
    parser.add_argument("--data-dir", metavar="FOLDER", help="with --check: where to read its set in place of the hub")
    parser.set_defaults(verb=tasks)
    for verb, about in ((render, "show examples as text in, text out"), (score, "score a model's outputs")):
        parser = verbs.add_parser(verb.__name__, help=about, description=verb.__doc__, allow_abbrev=False)
        parser.add_argument("task", metavar="TASK", help="a task's name, or a .yaml or .py file (Python is executed)")
        parser.add_argument("--file", metavar="F", help="JSON Lines, also .gz (default: standard input)")
        parser.set_defaults(verb=verb)


def tasks(arguments: argparse.Namespace) -> int:
    """Lists all tasks; or, with --check, reads the whole set of one of your own and shows three of its examples."""
    if arguments.check is not None:
        return _check(arguments.check, None if arguments.data_dir is None else Path(arguments.data_dir))
    from t5core.tables import Column, print_line, print_table
    from t5core.tasks import EMBEDDED_TASKS, PAPER_TASKS, DataSet

    columns = [
        Column(head="task", kind="name"),
        Column(head="column", kind="name", priority=3),
        Column(head="set", kind="text"),
        Column(head="input begins", kind="text", priority=4),
        Column(head="metrics", kind="text", priority=0),
        Column(head="inputs", priority=2),
        Column(head="targets", priority=2),
    ]
    rows = []
    for task in (*PAPER_TASKS, *EMBEDDED_TASKS):
        hub = task.source.hub if isinstance(task.source, DataSet) else None
        place = f"{hub.path} {hub.config}" if hub is not None else "the corpus' own documents"
        ranked = {metric.name for metric in task.metrics if metric.name in task.main.name.split()}
        metrics = ", ".join(f"{name}*" if name in ranked else name for name in task.metric_names)
        lengths = (str(task.max_inputs_tokens), str(task.max_targets_tokens))
        rows.append((task.name, task.paper_column, place, task.prefix, metrics, *lengths))
    print_table(columns, rows)
    print_line("* ranks rows (the mean, where there are several); lengths are in tokens", style="dim")
    return 0


def render(arguments: argparse.Namespace) -> int:
    """Reads hub-style examples and prints their text: one JSON object with inputs and targets a line, in order."""
    from t5core.tasks import get_task
    from t5core.tasks.files import located

    task = get_task(arguments.task)
    with rows(arguments.file) as found:
        for where, example in found:
            try:
                pairs = task.to_text(example)
            except DataError as error:
                raise located(error, where) from error
            for pair in pairs:
                print_json(pair)
    sys.stdout.flush()
    return 0


def score(arguments: argparse.Namespace) -> int:
    """Reads targets and predictions, with what the metrics need, and prints every metric x100 as a JSON object.

    A line is {"target": ..., "prediction": ...} and, beside them or in "context": "answers" (SQuAD, ReCoRD), "idx"
    (MultiRC, ReCoRD), "label" and "targets" (WSC).
    """
    from t5core.tasks import get_task
    from t5core.tasks.files import located

    task = get_task(arguments.task)
    targets, predictions, contexts = [], [], []
    with rows(arguments.file) as found:
        for where, row in found:
            try:
                target, prediction = _text(row, "target"), _text(row, "prediction")
                context = _context(row)
                task.check_row(target, context)
            except DataError as error:
                raise located(error, where) from error
            targets.append(target)
            predictions.append(prediction)
            contexts.append(context)
    scores = task.score(targets, predictions, contexts)
    invalid = task.invalid(predictions)
    if invalid:
        note(f"{invalid} of {len(predictions)} outputs are nothing that a target can be: they count as wrong")
    if unseen := task.note(targets):
        note(unseen)
    print_json(scores)
    sys.stdout.flush()
    return 0


def _check(path: str, data_dir: Path | None) -> int:
    from t5core.tasks import get_task, identities
    from t5core.tasks.user import checked

    task = get_task(path)
    found = checked(task, data_dir)
    print(f"{task.name}: {', '.join(task.metric_names)}; ranked by {task.main.name}")
    for split, identity in identities(task, data_dir, found.examples if found.whole else {}).items():
        read = f"{'all' if found.whole else f'the first {found.examples[split]:,}'} were read and are good"
        print(f"{split}: {identity.examples:,} examples, fingerprint {identity.fingerprint}; {read}")
    for pair in found.pairs:
        print(f"\ninputs:  {pair.inputs}\ntargets: {pair.targets}")
    return 0


def _text(row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        reason = "this field has to be text" if field in row else f"the line has no such field, only {', '.join(row)}"
        reason = f"{field} is null in this line: give a text" if field in row and value is None else reason
        raise DataError(field, value, reason)
    return value


def _context(row: dict[str, Any]) -> dict[str, Any]:
    context = row.get("context", {})
    if not isinstance(context, dict):
        raise DataError("context", context, "this field has to be an object")
    beside = {name: value for name, value in row.items() if name not in ("target", "prediction", "context")}
    return {**beside, **context}
