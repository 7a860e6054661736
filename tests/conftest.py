"""Shared by all tests: one small Ray for those that need one, started when the first of them runs."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

STAGE_FUNCTIONS = str(Path(__file__).parent / "orchestrator")
"""Small stage functions lie here, which workers import by name."""

sys.path.append(STAGE_FUNCTIONS)


@pytest.fixture(scope="session")
def local_ray() -> Iterator[str]:
    """Connects to a new Ray with 2 CPUs, on loopback and without dashboard; gives its address."""
    from orchestrator.engine.on_ray.connect import connected

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        earlier = os.environ.get("PYTHONPATH")
        patch.setenv("PYTHONPATH", os.pathsep.join([STAGE_FUNCTIONS, earlier] if earlier else [STAGE_FUNCTIONS]))
        with connected(num_cpus=2) as connection:
            yield connection.address
