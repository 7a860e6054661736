"""Keeping the last weights: which ones, that a kill changes no bit of them, that training never sees it."""

import pytest
import torch
from small_run import TRAIN, Stopped, StoppingFeed, curve, run_in

from t5core.config import TrainConfig
from t5core.errors import ConfigError
from t5core.training import checkpoint
from t5core.training.kept import kept_folder

KEEPING = TRAIN.replace(keep_last=4, keep_every=3)  # behind the steps 11, 14, 17 and 20; checkpoints at 6, 12, 18
STEPS = (11, 14, 17)


def files(folder):
    places = [folder / "final", *(kept_folder(folder, step) for step in STEPS)]
    return {f"{p.parent.name}/{p.name}": p.read_bytes() for place in places for p in place.iterdir()} | {
        "curve": curve(folder)
    }


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run that keeps its last weights, in one go."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("straight")
    run_in(folder, KEEPING).run()
    return folder


def test_the_steps_are_those_before_the_last_one():
    assert KEEPING.kept_steps == STEPS
    assert TRAIN.kept_steps == ()
    assert TRAIN.replace(keep_last=20, keep_every=1).kept_steps == tuple(range(1, 20))


def test_only_a_run_that_keeps_some_is_another_one_than_before():
    assert not {"keep_last", "keep_every"} & set(TRAIN.fingerprint())
    assert KEEPING.fingerprint() == {**TRAIN.fingerprint(), "keep_last": 4, "keep_every": 3}


def test_weights_are_those_that_the_run_passed_and_lie_without_moments(straight, tmp_path):
    seen = {}

    def look(report):
        seen[report["step"]] = {name: x.clone() for name, x in run.step.model.state_dict().items()}

    run = run_in(tmp_path, TRAIN.replace(log_every=1), report=look)
    run.run()
    for step in STEPS:
        kept = checkpoint.load(kept_folder(straight, step))
        assert (kept.step, kept.state["total_step"]) == (step, step)
        assert all(torch.equal(x, seen[step][name]) for name, x in kept.model().state_dict().items())
        assert {p.name for p in kept.folder.iterdir()} == {checkpoint.MODEL_FILE, checkpoint.STATE_FILE}
    assert {p.name for p in (straight / "kept").iterdir()} == {f"step-{step:08d}" for step in STEPS}


def test_keeping_leaves_the_training_itself_as_it_is(straight, tmp_path):
    run_in(tmp_path, TRAIN).run()
    assert curve(straight) == curve(tmp_path)
    for name in (checkpoint.MODEL_FILE, checkpoint.OPTIMIZER_FILE):
        assert (straight / "final" / name).read_bytes() == (tmp_path / "final" / name).read_bytes()
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("at", [3, 11, 12, 13, 18, 19])
def test_a_run_stopped_anywhere_and_resumed_leaves_the_same_bits(straight, tmp_path, at):
    with pytest.raises(Stopped):
        run_in(tmp_path, KEEPING, feed=StoppingFeed(at)).run()
    again = run_in(tmp_path, KEEPING)
    assert again.begin == at // 6 * 6
    again.run()
    assert files(tmp_path) == files(straight)


@pytest.mark.parametrize(("spoilt", "begin"), [(11, 0), (17, 0), (None, 18)])
def test_what_is_no_longer_whole_is_trained_again(straight, tmp_path, spoilt, begin):
    with pytest.raises(Stopped):
        run_in(tmp_path, KEEPING, feed=StoppingFeed(19)).run()
    if spoilt:
        path = kept_folder(tmp_path, spoilt) / checkpoint.MODEL_FILE
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    again = run_in(tmp_path, KEEPING)
    assert again.begin == begin
    again.run()
    assert files(tmp_path) == files(straight)


def test_a_run_that_was_killed_after_its_end_is_not_trained_again(straight, tmp_path):
    run_in(tmp_path, KEEPING).run()
    again = run_in(tmp_path, KEEPING)
    assert again.begin == 20
    again.run()
    assert files(tmp_path) == files(straight)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep_last": 3}, "keep_every=None: how many weights and how many steps apart: give both or neither"),
        ({"keep_every": 3}, "keep_last=None: how many weights and how many steps apart: give both or neither"),
        ({"keep_last": 1, "keep_every": 3}, "keep_last=1: give 2 or more, or None for the last weights alone"),
        ({"keep_last": 4, "keep_every": 0}, "keep_every=0: give a number above 0"),
        ({"keep_last": 5, "keep_every": 5}, "keep_last=5: weights 5 steps apart: a run of 20 steps has 4"),
        (
            {"keep_last": 2, "keep_every": 5, "average_last": 2, "average_every": 5},
            "keep_last=2: the run leaves a mean, which is no checkpoint like those before it: "
            "keep some or average them",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_in_one_line(fields, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        TrainConfig(steps=20, **fields)
    TrainConfig(steps=20, keep_last=4, keep_every=5)
