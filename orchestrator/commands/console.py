"""What every command does around its work: errors in one line, exit codes, where people read."""

import sys
from collections.abc import Callable

from rich.console import Console

from orchestrator.results.table import PLAIN_WIDTH
from t5core.errors import ConfigError


def exit_code(command: Callable[[], int]) -> int:
    """Returns a command's exit code: its own, 2 for what cannot be done as asked, 130 when it was stopped."""
    try:
        return command()
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: what is finished is kept; the same command goes on from there", file=sys.stderr)
        return 130


def plain_console(*, to_stderr: bool) -> Console:
    """Returns where people read: a terminal as it is, anything else in plain lines of one width."""
    console = Console(stderr=to_stderr)
    return console if console.is_terminal else Console(stderr=to_stderr, width=PLAIN_WIDTH, highlight=False)
