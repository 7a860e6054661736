import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from small_run import MODEL, TRAIN, CopyFeed, Stopped, StoppingFeed, curve, run_in

from t5core.config import OptimizerConfig, ScheduleConfig
from t5core.devices import open_device
from t5core.errors import NonFiniteLoss
from t5core.model import T5
from t5core.training import AdaFactor, checkpoint

SCRIPT = str(Path(__file__).parent / "small_run.py")


def final_bytes(folder):
    return [(folder / "final" / name).read_bytes() for name in (checkpoint.MODEL_FILE, checkpoint.OPTIMIZER_FILE)]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run of 20 steps in one go."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("straight")
    return folder, run_in(folder).run()


def test_a_run_leaves_a_final_checkpoint_a_curve_and_nothing_else(straight):
    folder, result = straight
    kept = ["checkpoints", "final", "kernel.json", "metrics.jsonl", "threads.json"]
    assert sorted(path.name for path in folder.iterdir()) == kept
    assert list((folder / "checkpoints").iterdir()) == []
    final = checkpoint.load(folder / "final")
    assert (final.step, final.state["total_step"], final.state["train"]) == (20, 20, TRAIN.to_dict())
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 6, 8, 12, 16, 18, 20]  # each log and each checkpoint
    assert rows[0]["learning_rate"] == pytest.approx(0.03)
    assert rows[-1]["learning_rate"] == pytest.approx(0.03 * (10 / 19) ** 0.5)
    assert result.steps == 20
    assert result.first_loss == rows[0]["loss"]
    assert result.last_loss == pytest.approx(sum(row["loss"] for row in rows) / len(rows))
    assert result.compilations_after_warmup == 0
    assert 0 < result.seconds < 60


@pytest.mark.parametrize("at", [3, 6, 7, 17, 19])
def test_a_run_stopped_and_resumed_ends_in_the_bits_of_one_that_was_not(straight, tmp_path, at):
    with pytest.raises(Stopped):
        run_in(tmp_path, feed=StoppingFeed(at)).run()
    feed = StoppingFeed(at=None)
    result = run_in(tmp_path, feed=feed).run()
    assert feed.asked == list(range(at // 6 * 6, 20))  # a jump to the checkpoint, no batch asked for before it
    assert final_bytes(tmp_path) == final_bytes(straight[0])
    assert curve(tmp_path) == curve(straight[0])
    assert (result.first_loss, result.last_loss) == (straight[1].first_loss, straight[1].last_loss)


def test_a_spoilt_checkpoint_costs_steps_and_no_bits(straight, tmp_path):
    with pytest.raises(Stopped):
        run_in(tmp_path, feed=StoppingFeed(15)).run()
    newest = checkpoint.step_folder(tmp_path / "checkpoints", 12) / checkpoint.MODEL_FILE
    newest.write_bytes(newest.read_bytes()[:-1])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 16, "lo')  # a line that was being written
    feed = StoppingFeed(at=None)
    run_in(tmp_path, feed=feed).run()
    assert feed.asked[0] == 6
    assert final_bytes(tmp_path) == final_bytes(straight[0])
    assert curve(tmp_path) == curve(straight[0])


def test_two_checkpoints_are_kept_on_the_way(tmp_path):
    with pytest.raises(Stopped):
        run_in(tmp_path, TRAIN.replace(checkpoint_every=3), feed=StoppingFeed(14)).run()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000009", "step-00000012"]


def test_how_often_a_run_is_logged_and_saved_does_not_change_it(straight, tmp_path):
    run_in(tmp_path, TRAIN.replace(log_every=1, checkpoint_every=100)).run()
    assert final_bytes(tmp_path) == final_bytes(straight[0])


@pytest.mark.faults
@pytest.mark.parametrize("attempt", range(3))
def test_a_run_killed_at_random_moments_ends_in_the_bits_of_one_that_was_not(tmp_path, attempt):
    steps = 120
    command = [sys.executable, SCRIPT, "train", str(tmp_path), str(steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(command, env=environment)
        deadline = time.monotonic() + 60
        seen = set((tmp_path / "checkpoints").glob("step-*"))
        while process.poll() is None and time.monotonic() < deadline:
            if set((tmp_path / "checkpoints").glob("step-*")) - seen:
                break
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.3))
        process.kill()
        kills += process.wait() == -9
    assert kills > 0
    subprocess.run(command, env=environment, check=True)
    config = TRAIN.replace(steps=steps)
    run_in(tmp_path / "straight", config).run()
    assert final_bytes(tmp_path) == final_bytes(tmp_path / "straight")
    assert curve(tmp_path) == curve(tmp_path / "straight")


def test_fine_tuning_goes_on_with_weights_moments_and_step_counter(straight, tmp_path):
    """Two runs, the second taking over all of the first, are one run of a constant rate."""
    start = checkpoint.load(straight[0] / "final")
    reports = []
    config = TRAIN.replace(steps=5, log_every=1, checkpoint_every=2)
    feed = StoppingFeed(at=None)
    more = {"moments": start.optimizer(), "first_step": start.state["total_step"], "report": reports.append}
    run = run_in(tmp_path, config, feed=feed, model=start.model(), **more)
    run.run()
    final = checkpoint.load(tmp_path / "final")
    assert (final.step, final.state["total_step"]) == (5, 25)
    assert feed.asked == [0, 0, 1, 2, 3, 4]  # the first one also to choose the attention kernel by
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["learning_rate"] == pytest.approx(0.03 * (10 / 20) ** 0.5)
    assert [{**report, "steps": None} for report in reports] == [
        {"step": row["step"], "steps": None, "loss": row["loss"]} for row in rows
    ]
    assert {report["steps"] for report in reports} == {5}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_with_its_step_and_batch(tmp_path, value):
    model = T5(MODEL).initialise(0)

    class PoisonedFeed(CopyFeed):
        def batch(self, i):
            if i == 9:
                model.embedding.weight.data.fill_(value)
            return super().batch(i)

    config = TRAIN.replace(log_every=4, checkpoint_every=20)
    with pytest.raises(NonFiniteLoss) as caught:
        run_in(tmp_path, config, feed=PoisonedFeed(), model=model).run()
    assert caught.value.step == 9
    saved = tmp_path / "nonfinite-step-00000009.npz"
    assert str(saved) in str(caught.value)
    with np.load(saved) as arrays:
        expected = CopyFeed().batch(9)
        assert np.array_equal(arrays["inputs"], expected.inputs)
        assert np.array_equal(arrays["targets"], expected.targets)
    assert not (tmp_path / "final").exists()
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [4, 8]


def test_the_text_of_the_batch_is_saved_where_it_can_be_shown(tmp_path):
    model = T5(MODEL).initialise(0)

    class PoisonedFeed(CopyFeed):
        def batch(self, i):
            if i == 3:
                model.embedding.weight.data.fill_(float("inf"))
            return super().batch(i)

    def show(ids):
        return [" ".join(f"‹{token}›" for token in row if token) for row in ids.tolist()]

    with pytest.raises(NonFiniteLoss, match=r"^loss=.* at step 3: .*nonfinite-step-00000003\.jsonl$"):
        run_in(tmp_path, feed=PoisonedFeed(), model=model, show=show).run()
    text = (tmp_path / "nonfinite-step-00000003.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    batch = CopyFeed().batch(3)
    assert [row["row"] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [row["inputs"] for row in rows] == show(batch.inputs)
    assert [row["targets"] for row in rows] == show(batch.targets)
    assert (tmp_path / "nonfinite-step-00000003.npz").exists()


@pytest.mark.parametrize(("queued", "steps_run"), [(False, 6), (True, 7)])
def test_a_bad_loss_ends_the_run_before_the_next_batch_or_one_later_where_work_is_queued(tmp_path, queued, steps_run):
    model = T5(MODEL).initialise(0)
    asked = []

    class PoisonedFeed(CopyFeed):
        def batch(self, i):
            if i not in asked:
                asked.append(i)
            if i == 5:
                model.embedding.weight.data.fill_(float("nan"))
            return super().batch(i)

    device = open_device("cpu")
    device.queued = queued
    config = TRAIN.replace(log_every=20, checkpoint_every=20)
    with pytest.raises(NonFiniteLoss) as caught:
        run_in(tmp_path, config, feed=PoisonedFeed(), model=model, device=device).run()
    assert caught.value.step == 5
    assert asked == list(range(steps_run))


def test_no_checkpoint_is_made_of_weights_that_an_update_spoilt(tmp_path, monkeypatch):
    """The loss of the step was finite; the gradient was not."""
    step = AdaFactor.step

    def spoiling(self, learning_rate, decay):
        step(self, learning_rate, decay)
        if spoiling.calls == 5:
            self.parameters["embedding.weight"].data[3, 1] = float("inf")
        spoiling.calls += 1

    spoiling.calls = 0
    monkeypatch.setattr(AdaFactor, "step", spoiling)
    with pytest.raises(NonFiniteLoss, match="weights=nan at step 5: training stopped") as caught:
        run_in(tmp_path).run()
    assert caught.value.step == 5
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert (tmp_path / "nonfinite-step-00000005.npz").exists()


def test_no_checkpoint_is_made_of_a_loss_that_is_not_finite(tmp_path):
    model = T5(MODEL).initialise(0)
    model.embedding.weight.data[5] = float("nan")
    with pytest.raises(NonFiniteLoss):
        run_in(tmp_path, TRAIN.replace(log_every=100, checkpoint_every=2), model=model).run()
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_run_learns_to_copy(tmp_path):
    config = TRAIN.replace(
        steps=300,
        batch_size=16,
        dropout_rate=0.0,
        inputs_length=6,
        targets_length=4,
        loss_denominator="tokens",
        optimizer=OptimizerConfig(),
        schedule=ScheduleConfig(kind="constant", learning_rate=0.03),
    )
    result = run_in(tmp_path, config).run()
    assert result.first_loss > 3.3
    assert result.last_loss < 2.5
