"""What a lane's workers are made of."""

import pytest

from orchestrator.engine.on_ray.crew import ALLOCATOR, LaneConfig, worker_environment


def test_workers_on_cpus_keep_their_memory_unless_a_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    assert worker_environment(LaneConfig()) == {"GLIBC_TUNABLES": ALLOCATOR}
    assert worker_environment(LaneConfig(device="cuda", gpus_per_worker=1)) == {}
    assert worker_environment(LaneConfig(device="xla")) == {}
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")
    assert worker_environment(LaneConfig()) == {}
