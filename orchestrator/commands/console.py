"""What every command does around its work: errors in one line, exit codes, where people read."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from rich.console import Console

from t5core.errors import ConfigError
from t5core.tables import Output

STOPPED = "stopped: what is finished is kept; the same command goes on from there"


class Terminated(KeyboardInterrupt):
    """SIGTERM: what a job's scheduler sends. It stops a command as Ctrl-C does."""


def exit_code(command: Callable[[], int]) -> int:
    """Returns a command's exit code: its own, 2 for what cannot be done as asked, 130, 141 or 143 when it was stopped.

    141 is a reader's that left, as ``head`` does: without a word, since nobody reads on.
    """
    try:
        with _terminable():
            return command()
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed at the end
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt as stopped:
        print(STOPPED, file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(stopped, Terminated) else signal.SIGINT)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Turns SIGTERM into an exception, so that runs, rows and workers are ended in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    earlier = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def say(console: Console, **lines: str) -> None:
    """Prints what was decided, a line each: ``store        /home/ann/.t5grid/store``."""
    for name, value in lines.items():
        console.print(f"{name:12} {value}", markup=False, highlight=False, soft_wrap=True)


def plain_console(*, to_stderr: bool) -> Console:
    """Returns where people read: standard output, or standard error where that is for programs."""
    return Output(stderr=to_stderr, highlight=False)
