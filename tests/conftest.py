"""Shared by all tests: one small Ray for those that need one, started when the first of them runs.

`make test` runs them in two processes. What may need the Ray, and what it makes once, stays together in one of them;
the others are shared out file by file. Each process computes with one thread: two that wait for each other would crawl.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

STAGE_FUNCTIONS = str(Path(__file__).parent / "orchestrator")
"""Small stage functions lie here, which workers import by name."""

sys.path.append(STAGE_FUNCTIONS)

WITH_RAY = ("dashboards", "orchestrator", "studies")
"""Folders of tests that may use the Ray, MLflow's database or a study that ran: made once, in one process."""

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; for the processes that tests start too


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says for each test which others it shares a process with."""
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here)
        group = "with Ray" if place.parts[0] in WITH_RAY else place.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))


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
