"""Reads the reference cases: JSON Lines, split at newlines only, one case per row with its ``id``."""

import json
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[2] / ".." / "shared" / "conformance"
"""The folder that the cases were carried over from, where it is there."""


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="ascii").split("\n") if line]


def cases(name, *fns):
    """Parameters for a test, one per case of ``data/name`` whose function is among ``fns``; at least one."""
    picked = [row for row in rows(DATA / name) if not fns or row["fn"] in fns]
    assert picked
    return [pytest.param(row, id=row["id"]) for row in picked]
