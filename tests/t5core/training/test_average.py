"""Averaging the last weights: what the mean is of, that a kill changes no bit of it, that training never sees it."""

import json

import pytest
import torch
from small_run import TRAIN, CopyFeed, Stopped, StoppingFeed, curve, run_in

from t5core.config import TrainConfig
from t5core.errors import CheckpointError, ConfigError
from t5core.model.adapters import with_adapters
from t5core.training import checkpoint
from t5core.training.average import averaged_steps

AVERAGED = TRAIN.replace(
    average_last=4, average_every=3
)  # behind the steps 11, 14, 17 and 20; checkpoints at 6, 12, 18


def files(folder):
    return {p.name: p.read_bytes() for p in (folder / "final").iterdir()} | {"curve": curve(folder)}


def passing_weights(folder, config, steps, **more):
    """Returns the weights behind some steps of a run."""
    seen = {}

    def look(report):
        if report["step"] in steps:
            seen[report["step"]] = {name: x.clone() for name, x in run.step.model.state_dict().items()}

    run = run_in(folder, config.replace(log_every=1), report=look, **more)
    run.run()
    return [seen[step] for step in steps]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run that averages its last weights, in one go."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("straight")
    run_in(folder, AVERAGED).run()
    return folder


def test_the_steps_are_the_last_one_and_others_before_it():
    assert averaged_steps(AVERAGED) == (11, 14, 17, 20)
    assert averaged_steps(TRAIN) == ()
    assert averaged_steps(TRAIN.replace(average_last=20, average_every=1)) == tuple(range(1, 21))


def test_a_run_leaves_the_running_mean_of_its_weights_and_the_last_moments(straight, tmp_path):
    plain = tmp_path / "plain"
    passing = passing_weights(plain, TRAIN, (11, 14, 17, 20))
    expected = passing[0]
    for count, weights in enumerate(passing[1:], start=2):
        expected = {name: mean + (weights[name] - mean) / count for name, mean in expected.items()}
    final = checkpoint.load(straight / "final")
    found = final.model().state_dict()
    assert all(torch.equal(found[name], mean) for name, mean in expected.items())
    for name, mean in found.items():
        exact = torch.stack([weights[name].double() for weights in passing]).mean(dim=0)
        torch.testing.assert_close(mean.double(), exact, atol=1e-7, rtol=1e-6)
    moments = checkpoint.OPTIMIZER_FILE
    assert (straight / "final" / moments).read_bytes() == (plain / "final" / moments).read_bytes()
    assert (final.step, final.state["averaged_steps"]) == (20, [11, 14, 17, 20])
    assert not (straight / "final" / checkpoint.AVERAGE_FILE).exists()


def test_averaging_leaves_the_training_itself_as_it_is(straight, tmp_path):
    run_in(tmp_path, TRAIN).run()
    assert curve(straight) == curve(tmp_path)
    assert "averaged_steps" not in checkpoint.load(tmp_path / "final").state


@pytest.mark.parametrize("at", [3, 11, 12, 13, 17, 18, 19])
def test_a_run_stopped_anywhere_and_resumed_leaves_the_same_bits(straight, tmp_path, at):
    with pytest.raises(Stopped):
        run_in(tmp_path, AVERAGED, feed=StoppingFeed(at)).run()
    run_in(tmp_path, AVERAGED).run()
    assert files(tmp_path) == files(straight)


def test_the_mean_so_far_lies_in_the_checkpoints_from_its_first_weights_on(tmp_path):
    with pytest.raises(Stopped):
        run_in(tmp_path, AVERAGED, feed=StoppingFeed(19)).run()
    at_12, at_18 = (checkpoint.load(checkpoint.step_folder(tmp_path / "checkpoints", step)) for step in (12, 18))
    assert (at_12.state["averaged_steps"], at_18.state["averaged_steps"]) == ([11], [11, 14, 17])
    assert at_12.average().keys() == at_12.model().state_dict().keys()
    path = at_18.folder / checkpoint.AVERAGE_FILE
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointError, match=r"average\.safetensors.*its checksum does not hold"):
        checkpoint.load(at_18.folder)


def test_a_spoilt_mean_costs_steps_and_no_bits(straight, tmp_path):
    with pytest.raises(Stopped):
        run_in(tmp_path, AVERAGED, feed=StoppingFeed(19)).run()
    (checkpoint.step_folder(tmp_path / "checkpoints", 18) / checkpoint.AVERAGE_FILE).unlink()
    run_in(tmp_path, AVERAGED).run()
    assert files(tmp_path) == files(straight)


def test_a_run_that_was_killed_after_its_end_averages_nothing_again(straight, tmp_path):
    run_in(tmp_path, AVERAGED).run()
    again = run_in(tmp_path, AVERAGED)
    again.run()
    assert files(tmp_path) == files(straight)
    left = checkpoint.load(straight / "final").model().state_dict()
    assert all(torch.equal(x, left[name]) for name, x in again.step.model.state_dict().items())


def test_what_is_done_after_training_sees_the_mean(straight, tmp_path):
    run = run_in(tmp_path, AVERAGED)
    run.run()
    batches = [CopyFeed().batch(i) for i in (100, 101)]
    left = run_in(tmp_path / "other", TRAIN, model=checkpoint.load(straight / "final").model())
    assert run.held_out(batches) == left.held_out(batches)


def test_what_is_not_trained_stays_as_it_was_to_the_bit(straight, tmp_path):
    start = with_adapters(checkpoint.load(straight / "final").model(), adapter_size=16, seed=3)
    before = {name: x.clone() for name, x in start.state_dict().items()}
    run_in(tmp_path, AVERAGED.replace(trainable="adapters", average_last=7, average_every=1), model=start).run()
    after = checkpoint.load(tmp_path / "final").model().state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        n for n in before if "adapter" in n
    }


def test_a_folder_of_a_run_that_averaged_nothing_is_not_gone_on_with(tmp_path):
    with pytest.raises(Stopped):
        run_in(tmp_path, TRAIN, feed=StoppingFeed(13)).run()
    with pytest.raises(
        CheckpointError, match=r"the mean of the weights behind the steps \[\], not \[11\]: start in a fresh folder"
    ):
        run_in(tmp_path, AVERAGED)
    run_in(tmp_path, AVERAGED.replace(average_last=3)).run()  # 14, 17 and 20 are yet to come
    assert json.loads((tmp_path / "final" / "state.json").read_text())["averaged_steps"] == [14, 17, 20]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"average_last": 3}, "average_every=None: how many weights and how many steps apart: give both or neither"),
        ({"average_every": 3}, "average_last=None: how many weights and how many steps apart: give both or neither"),
        ({"average_last": 1, "average_every": 3}, "average_last=1: give 2 or more, or None for the last weights alone"),
        ({"average_last": 4, "average_every": 0}, "average_every=0: give a number above 0"),
        ({"average_last": 5, "average_every": 5}, "average_last=5: weights 5 steps apart: a run of 20 steps has 4"),
    ],
)
def test_what_cannot_be_averaged_is_refused_in_one_line(fields, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        TrainConfig(steps=20, **fields)
    TrainConfig(steps=20, average_last=4, average_every=5)
