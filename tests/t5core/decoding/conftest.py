"""Makes ``measured.py`` importable, and computes on one thread: models this small are slower on many."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def alone(one_thread):
    """All of these on one thread."""
