"""The XLA device, on this machine's processor and in a process of its own: torch_xla stays out of pytest's."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(importlib.util.find_spec("torch_xla") is None, reason="torch_xla is not installed")
def test_xla_trains_and_decodes_as_the_cpu_does_and_compiles_no_more_after_its_first_steps():
    environment = {
        **os.environ,
        "PJRT_DEVICE": "CPU",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compiling is most of this test's time
        "PYTHONPATH": str(HERE.parent / "training"),
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "train_on_xla.py")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    cpu, xla = found["cpu"], found["xla"]

    assert xla["losses"] == pytest.approx(cpu["losses"], abs=1e-4)
    assert xla["compiled"][0] > 0
    assert set(xla["compiled"][3:]) == {xla["compiled"][2]}, xla["compiled"]
    assert set(cpu["compiled"]) == {0}

    assert xla["generated"] == cpu["generated"]
    used = [(np.array(ids) != 0).any(axis=0).sum() for ids in cpu["generated"]]
    assert len(set(used)) > 1, used  # batches that stop after different numbers of steps
    assert set(xla["compiled_decoding"]) == {xla["compiled_decoding"][0]}, xla["compiled_decoding"]

    assert np.isfinite(found["dropout_losses"]).all()
    assert found["dropout_losses"][0] != pytest.approx(xla["losses"][0], abs=1e-4)
    assert set(found["compiled_dropout"][3:]) == {found["compiled_dropout"][2]}, found["compiled_dropout"]
    assert {"device", "precision", "kernel"} <= set(xla["decisions"])
