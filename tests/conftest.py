"""Shared by all tests: one small Ray for those that need one, started when the first of them runs.

`make test` runs them in two processes, file by file. Each computes with one thread: two that wait for each other would
crawl.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

STAGE_FUNCTIONS = str(Path(__file__).parent / "orchestrator")
"""Small stage functions lie here, which workers import by name."""

sys.path.append(STAGE_FUNCTIONS)

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; for the processes that tests start too


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


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Gives torch one thread: models of one layer are slower on two, and sums are taken in one order."""
    import torch

    earlier = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(earlier)
