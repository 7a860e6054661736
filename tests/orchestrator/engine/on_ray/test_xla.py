"""torch-xla in a Ray Train worker, over PJRT on a CPU."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import small_stages

from orchestrator.engine.on_ray.crew import LaneConfig
from orchestrator.engine.on_ray.run import run_plan
from orchestrator.engine.outcomes import Finished
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.store import open_store

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch_xla") is None, reason="torch-xla is not installed")


def _one(steps: int) -> tuple[Plan, Stage]:
    stage = small_stages.stage("pretrain", "xla", steps=steps)
    return Plan.of("trial", "tiny", [(PlannedRow(name="xla", label="xla"), {"pretrain": stage})]), stage


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "spmd"), [(2, True)])
def test_a_lane_computes_on_pjrt_devices(local_ray: str, tmp_path: Path, devices: int, spmd: bool) -> None:
    plan, stage = _one(steps=1)
    outcomes: Any = run_plan(
        plan,
        open_store(str(tmp_path / "store")),
        lane=LaneConfig(device="xla", virtual_devices=devices),
        run_stage=small_stages.add_on_xla,
        open_device=small_stages.no_device,
    )
    outcome = outcomes[stage.key]
    assert isinstance(outcome, Finished), outcome
    assert outcome.manifest.result == {"sum": 10.0, "pjrt": "CPU", "devices": devices, "spmd": spmd, "rank": "0"}
