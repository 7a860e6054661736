"""``t5grid``: what a person asks about finished and unfinished work, and corpora made on many nodes.

    t5grid status                 what lies in the store
    t5grid ui                     MLflow's pages, on this machine only
    t5grid report objectives      one HTML page with the table and its plot
    t5grid report objectives --compare tiny mini    which pairs of rows one tells apart, and which the other confirms
    t5grid corpus c4 crawl/ --out D  a corpus by a recipe, on Ray
    t5grid run objectives,mixing --scale tiny       several studies as one plan; all: every study
    t5grid plan all --scale paper                   what that would take, and starts nothing
    t5grid explain objectives/span-3                why its stages are in the store or not

It lives in the topmost room because it may know all others. Errors a user can act on are one line, exit code 2.
"""

import argparse
import sys
from pathlib import Path

from dashboards.commands.corpus import add_corpus_to, make_corpus
from orchestrator.commands.addresses import default_store_uri, default_tracking_uri
from t5core.arguments import OneLineParser
from t5core.errors import ConfigError

DEFAULT_SCALE = "tiny"
GRID_VERBS = {
    "run": "some studies, or all, as one plan: a stage that two of them need runs once",
    "plan": "what that would take: stages, sharing, FLOPs, hours, money; starts nothing",
    "explain": "why a stage, or the stages of a row, are in the store or not: field by field",
}
"""Verbs whose command lines are read with the flags of studies (``dashboards.commands.grid``), and their help."""


def main(argv: list[str] | None = None) -> int:
    """Runs one verb; returns the exit code: 0, or 2 for input that cannot be used."""
    given = sys.argv[1:] if argv is None else argv
    if given and given[0] in GRID_VERBS:
        from dashboards.commands.grid import grid_command

        return grid_command(given[0], given[1:])
    try:
        args = _parser().parse_args(given)
        if args.verb == "status":
            from dashboards.commands.status import show_status

            show_status(args.store, as_json=args.json)
        elif args.verb == "ui":
            from dashboards.commands.ui import serve

            serve(args.tracking_uri, args.port)
        elif args.verb == "corpus":
            return make_corpus(args)
        else:
            _report(args)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # `t5grid status | head`
        sys.stderr.close()
    return 0


def _report(args: argparse.Namespace) -> None:
    if args.compare is not None:
        for name in ("scale", "plan", "out"):
            if getattr(args, name) is not None:
                way_out = "goes not with --compare, which names scales or plans itself and prints to the console"
                raise ConfigError(name, getattr(args, name), way_out)
        from dashboards.commands.compare import show_comparison

        show_comparison(args.store, args.study, *args.compare, as_json=args.json)
        return
    if args.json:
        raise ConfigError(
            "json", True, "goes with --compare; a table's JSON is what the study itself prints with --json"
        )
    from dashboards.commands.report import write_page

    scale = DEFAULT_SCALE if args.scale is None else args.scale
    out = Path(args.out or f"{args.study}-{scale}.html")
    print(write_page(args.store, args.study, scale, out, key=args.plan or ""))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="t5grid", description="Runs t5grid's studies and looks at their results; makes corpora on Ray."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    status = verbs.add_parser(
        "status", help="what lies in the store: finished, running, failed and interrupted stages, and runs"
    )
    status.add_argument("--json", action="store_true", help="as one JSON object")

    ui = verbs.add_parser("ui", help="MLflow's pages on 127.0.0.1, until Ctrl-C")
    ui.add_argument("--tracking-uri", default=default_tracking_uri(), help="where the runs are (default: %(default)s)")
    ui.add_argument("--port", type=int, default=5000, help="default: %(default)s")

    report = verbs.add_parser("report", help="one HTML page with a study's table and plot, or two reports compared")
    report.add_argument("study", metavar="STUDY", help="like objectives")
    report.add_argument("--scale", help=f"default: {DEFAULT_SCALE}")
    report.add_argument("--plan", metavar="KEY", help="of this plan's rows (default: the newest report)")
    report.add_argument("--out", metavar="FILE", help="default: STUDY-SCALE.html in this folder")
    report.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="no page, but on the console: which pairs of rows report A tells apart (the smaller scale, say), and "
        "which of them report B confirms, contradicts or leaves open. Each is a scale, for its newest report (tiny), "
        "or a plan's key or its beginning (0123abcd, tiny-0123abcd); both lie in --store with their stages",
    )
    report.add_argument("--json", action="store_true", help="with --compare: as one JSON object")

    add_corpus_to(verbs)
    for verb, what in GRID_VERBS.items():
        verbs.add_parser(verb, help=what)

    for verb in (status, report):
        verb.add_argument("--store", default=default_store_uri(), help="where results lie (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
