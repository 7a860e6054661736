"""A trace of a run's steps."""

import json

import pytest
from small_run import TRAIN, run_in

from t5core.errors import ConfigError
from t5core.training import checkpoint

SHORT = TRAIN.replace(steps=8, checkpoint_every=100)


def steps_in(folder):
    events = json.loads((folder / "profile" / "trace.json").read_text())["traceEvents"]
    assert any(event["name"].startswith("aten::") for event in events)
    return sorted({event["name"] for event in events if event["name"].startswith("ProfilerStep#")})


def weights(folder):
    return (folder / "final" / checkpoint.MODEL_FILE).read_bytes()


def test_steps_behind_the_first_ones_are_traced_and_the_weights_are_the_same(tmp_path):
    run_in(tmp_path / "plain", SHORT).run()
    run = run_in(tmp_path / "traced", SHORT.replace(profile_steps=2))
    assert run.profile is None
    run.run()
    assert steps_in(tmp_path / "traced") == ["ProfilerStep#4", "ProfilerStep#5"]
    assert weights(tmp_path / "traced") == weights(tmp_path / "plain")
    (told,) = [decision for decision in run.decisions if decision.what == "profile"]
    assert (told.value, told.why) == ("profile/trace.json", "a trace of 2 steps was asked for")


def test_a_run_that_ends_before_leaves_the_steps_there_were(tmp_path):
    run_in(tmp_path / "short", SHORT.replace(profile_steps=50)).run()
    assert steps_in(tmp_path / "short")[0] == "ProfilerStep#4"
    run = run_in(tmp_path / "shorter", SHORT.replace(steps=4, profile_steps=2))
    run.run()
    assert not (tmp_path / "shorter" / "profile").exists() and run.profile is None


def test_how_many_steps_are_traced_is_no_part_of_a_runs_identity():
    assert SHORT.replace(profile_steps=3).fingerprint() == SHORT.fingerprint()
    with pytest.raises(ConfigError, match="profile_steps=0: give a number above 0"):
        SHORT.replace(profile_steps=0)
