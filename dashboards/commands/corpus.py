"""``t5grid corpus``: ``t5core clean`` over many files and nodes, as Ray tasks.

    t5grid corpus c4 crawl/*.warc.gz --out /shared/corpus --workers 64
    t5grid corpus news.json --out s3://bucket/news --work /shared/scratch

Takes the flags of ``t5core clean`` and gives the same shards. A run that was stopped goes on when it is started again.
"""

import argparse
import sys

from orchestrator.commands.addresses import default_tracking_uri
from t5core.arguments import OneLineParser
from t5core.corpus_command import add_settings_to, declaration_of, rules_of, show_result
from t5core.errors import ConfigError
from t5core.uris import local_path


def add_corpus_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verb to the command line."""
    parser = verbs.add_parser("corpus", help="make a corpus of raw text by a recipe, on Ray", description=_ABOUT)
    parser.add_argument(
        "recipe", metavar="RECIPE", help=f"one of Table 8's ({', '.join(_recipes())}), or a file of JSON that says all"
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="*", help="WARC, WET, JSON Lines, Parquet, text; folders, globs, URIs; hf:NAME"
    )
    parser.add_argument(
        "--out", metavar="URI", required=True, help="for the shards: a folder that all nodes see, or an object store"
    )
    parser.add_argument(
        "--work", metavar="DIR", help="a folder that all nodes see, for files between the steps (default: in --out)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="tasks at a time (default: one for each CPU)")
    parser.add_argument(
        "--address", metavar="HOST:PORT", help="of a running Ray (default: RAY_ADDRESS, else one of its own)"
    )
    add_settings_to(parser)
    parser.add_argument(
        "--tracking-uri", default=default_tracking_uri(), metavar="URI", help="MLflow (default: %(default)s)"
    )


_ABOUT = "Makes a corpus of web captures and other raw text on Ray; goes on where it was stopped."


def _recipes() -> list[str]:
    from t5core.corpora.c4.recipes import RECIPES

    return [name.replace("_", "-") for name in RECIPES]


def make_corpus(arguments: argparse.Namespace) -> int:
    """Makes a corpus as the command line says; returns the exit code.

    Raises:
        ConfigError: something that cannot be used.
    """
    if arguments.workers is not None and arguments.workers < 1:
        raise ConfigError("workers", arguments.workers, "give a whole number from 1 up")
    from orchestrator.corpus.run import CorpusRequest, run_corpus
    from orchestrator.tracking.corpora import CorpusRecord, is_tracked, track_corpus
    from t5core.corpora.c4.output import Output
    from t5core.corpora.captures import find_captures

    declaration = declaration_of(arguments)
    if not declaration.files:
        raise ConfigError("files", "", f"give files of pages: t5grid corpus {arguments.recipe} FILE ... --out URI")
    out = Output.of(arguments.out)
    work = None if arguments.work is None else local_path(arguments.work, "work").absolute()
    if work is None and out.folder is None:
        way_out = "the steps exchange files: give a folder for them that all nodes see, --work DIR"
        raise ConfigError("out", out.shown, way_out)
    rules = rules_of(declaration, _note)
    paths = find_captures(declaration.files)
    books = find_captures(declaration.books) if declaration.books else ()
    request = CorpusRequest(
        rules=rules,
        form=declaration.format,
        shards=declaration.shards,
    )
    tracking_uri = is_tracked(arguments.tracking_uri, _note)
    try:
        result = run_corpus(
            paths,
            out,
            request,
            books=books,
            work=work,
            workers=arguments.workers,
            address=arguments.address,
            report=_note,
        )
    except OSError as error:
        raise ConfigError("out", out.shown, f"cannot be written: {error.strerror or error}") from error
    if result.peak_bytes:
        _note(f"memory: no worker had more than {result.peak_bytes / 1e6:,.0f} MB")
    code = show_result(result.manifest, out.shown, declaration, table=True, tell=_note)
    if tracking_uri is not None:
        record = CorpusRecord(
            manifest=result.manifest,
            declared=declaration.recipe,
            folder=out.shown,
            files=len(paths) + len(books),
            workers=result.workers,
            started_at=result.started_at,
            seconds=result.seconds,
            peak_bytes=result.peak_bytes,
        )
        track_corpus(tracking_uri, record, _note)
    return code


def _note(line: str) -> None:
    print(f"t5grid: {line}", file=sys.stderr, flush=True)
