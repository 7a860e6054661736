"""Losses of a fixed small model over 20 steps, as they were when training was first right.

When a change is meant to alter them: ``python tests/t5core/training/small_run.py golden > .../golden_losses.json``
"""

import json
from pathlib import Path

import pytest
from small_run import GOLDEN_CONFIGS, losses

from t5core.devices import open_device

GOLDEN = json.loads((Path(__file__).parent / "golden_losses.json").read_text())


@pytest.mark.parametrize("name", GOLDEN_CONFIGS)
def test_losses_are_what_they_were(name):
    found = losses(GOLDEN_CONFIGS[name], open_device("cpu"))
    assert found == pytest.approx(GOLDEN[name], abs=1e-4)
    assert sum(found[-5:]) < 0.9 * sum(found[:5])
