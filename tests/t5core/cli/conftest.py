"""Runs the command as a shell would."""

import io
import json
import sys

import pytest

from t5core.cli import main


@pytest.fixture
def t5core(monkeypatch, capsys):
    """Runs ``t5core`` on some standard input: text, bytes, or rows of JSON; returns exit code, stdout and stderr."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)  # with it, rich takes a pipe for a terminal

    def run(*arguments, stdin=b""):
        if isinstance(stdin, list):
            stdin = "".join(json.dumps(row) + "\n" for row in stdin)
        data = stdin if isinstance(stdin, bytes) else stdin.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run
