"""Losses of fixed small models over 20 steps, as they were when training was first right.

When a change is meant to alter them: ``python tests/t5core/training/small_run.py golden > .../golden_losses.json``
"""

import json
from pathlib import Path

import numpy as np
import pytest
from small_run import GOLDEN, TRAIN, CopyFeed, JoinedFeed, PackedFeed, losses, real

from t5core.devices import open_device

RECORDED = json.loads((Path(__file__).parent / "golden_losses.json").read_text())


def test_every_case_is_recorded_and_nothing_else():
    assert list(RECORDED) == list(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_losses_are_what_they_were(name):
    found = losses(device=open_device("cpu"), **GOLDEN[name])
    assert found == pytest.approx(RECORDED[name], abs=1e-4)
    assert sum(found[-5:]) < 0.93 * sum(found[:5])


def test_packed_and_joined_batches_hold_the_examples_of_plain_ones():
    plain, packed, joined = CopyFeed().batch(1), PackedFeed().batch(0), JoinedFeed().batch(1)
    for row in range(TRAIN.batch_size):
        second = packed.input_segments[row] == 2
        assert packed.inputs[row][second].tolist() == real(plain.inputs[row])
        assert packed.targets[row][packed.target_segments[row] == 2].tolist() == real(plain.targets[row])
        assert not packed.inputs[row][packed.input_segments[row] == 0].any()
        given = joined.prefix[row]
        assert joined.targets[row][given].tolist() == [*real(plain.inputs[row])[:-1], JoinedFeed.MARKER]
        assert real(np.where(given, 0, joined.targets[row])) == real(plain.targets[row])
