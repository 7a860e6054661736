"""``t5grid corpus``: ``t5core clean`` over many files and nodes, as Ray tasks.

    t5grid corpus crawl/*.warc.gz --out /shared/corpus --workers 64

Takes the flags of ``t5core clean`` and gives the same shards. A run that was stopped goes on when it is started again.
"""

import argparse
import sys

from orchestrator.home import default_tracking_uri
from t5core import cli_clean
from t5core.arguments import OneLineParser
from t5core.errors import ConfigError


def add_corpus_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verb to the command line."""
    parser = verbs.add_parser(
        "corpus", help="make a corpus of raw text by C4's rules, on Ray", description=make_corpus.__doc__
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="WARC, WET, JSON Lines, Parquet, text; folders, globs, URIs; hf:NAME"
    )
    parser.add_argument("--out", metavar="DIR", required=True, help="a folder that all nodes see: for the shards")
    parser.add_argument("--workers", type=int, metavar="N", help="tasks at a time (default: one for each CPU)")
    parser.add_argument(
        "--address", metavar="HOST:PORT", help="of a running Ray (default: RAY_ADDRESS, else one of its own)"
    )
    cli_clean.add_settings_to(parser)
    parser.add_argument(
        "--tracking-uri", default=default_tracking_uri(), metavar="URI", help="MLflow (default: %(default)s)"
    )


def make_corpus(arguments: argparse.Namespace) -> int:
    """Cleans web captures and other raw text by the rules of C4 on Ray; goes on where it was stopped."""
    if arguments.workers is not None and arguments.workers < 1:
        raise ConfigError("workers", arguments.workers, "give a whole number from 1 up")
    from orchestrator.corpus_run import CorpusRequest, output_folder, run_corpus
    from orchestrator.corpus_tracking import CorpusRecord, is_tracked, track_corpus
    from t5core.corpora.captures import find_captures

    cli_clean.check_form(arguments)
    out = output_folder(arguments.out)
    shards = cli_clean.shards_of(arguments)
    config, words = cli_clean.rules_of(arguments)
    paths = find_captures(arguments.files)
    request = CorpusRequest(config=config, words=words, form=arguments.format, shards=shards)
    tracking_uri = is_tracked(arguments.tracking_uri, _note)
    try:
        result = run_corpus(paths, out, request, workers=arguments.workers, address=arguments.address, report=_note)
    except OSError as error:
        raise ConfigError("out", str(out), f"cannot be written: {error.strerror or error}") from error
    code = cli_clean.show_result(result.manifest, out, arguments, config, table=True)
    if tracking_uri is not None:
        record = CorpusRecord(
            manifest=result.manifest,
            folder=str(out),
            files=len(paths),
            workers=result.workers,
            started_at=result.started_at,
            seconds=result.seconds,
        )
        track_corpus(tracking_uri, record, _note)
    return code


def _note(line: str) -> None:
    print(f"t5grid: {line}", file=sys.stderr, flush=True)
