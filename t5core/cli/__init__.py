"""The ``t5core`` command: one file per verb, text in, text out.

    t5core corrupt --objective span --mean-span 3 --rate 0.15 --seed 0 < any.txt

In: a verb's flags, and text from files or standard input. Out: text, JSON Lines or a table on stdout, remarks on
stderr. Whatever a user can get wrong ends as one line there, ``t5core: error: rate=2.0: give a ...``, and exit code 2.
Never: science of its own, a heavy import before a verb needs it, or something that another room builds on.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from t5core.arguments import OneLineParser
from t5core.cli import bench, clean, convert, corrupt, generate, sizes, tasks, vocabulary
from t5core.errors import ConfigError

_FILES = (corrupt, tasks, generate, convert, sizes, bench, clean, vocabulary)
_VERBS = tuple(verb for file in _FILES for verb in file.VERBS)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code: 0, or 2 for bad input."""
    given = sys.argv[1:] if argv is None else list(argv)
    try:
        if not given or (given[0] not in _VERBS and not given[0].startswith("-")):
            raise ConfigError("verb", "".join(given[:1]), f"choose one of {', '.join(_VERBS)}", choices=_VERBS)
        arguments = _parser().parse_args(given)
        return int(arguments.verb(arguments))
    except ConfigError as error:
        print(f"t5core: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="t5core", description="t5grid's science, by itself.", allow_abbrev=False)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=OneLineParser)
    for file in _FILES:
        file.add_to(verbs)
    return parser
