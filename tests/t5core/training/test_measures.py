"""What a run tells of its speed, its memory and its gradients."""

import json

import pytest
import torch
from small_run import MODEL, TRAIN, CopyFeed, JoinedFeed, PackedFeed, run_in
from torch.utils._python_dispatch import TorchDispatchMode

from t5core.devices import CpuDevice
from t5core.model import T5, train_flops
from t5core.model.kernels import SdpaKernel
from t5core.model.scanned import loop
from t5core.training.measures import MEASURED, Measures, repeatable
from t5core.training.step import TrainStep


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("feed", [CopyFeed, PackedFeed, JoinedFeed])
def test_tokens_without_padding_and_operations_at_static_shapes_are_counted_by_the_second(feed):
    alone = {"architecture": "prefix_lm", "num_encoder_layers": 0}
    model = MODEL.replace(**alone) if feed is JoinedFeed else MODEL
    batches, clock = [feed().batch(i) for i in range(3)], Clock()
    measures = Measures(model, CpuDevice(), clock)
    measures.add(batches[0])
    clock.now += 7
    measures.begin()  # what was before belongs to no row
    for batch in batches[1:]:
        measures.add(batch)
        clock.now += 2
    tokens = sum(int((batch.inputs != 0).sum() + (batch.targets != 0).sum()) for batch in batches[1:])
    (count, inputs), targets = batches[0].inputs.shape, batches[0].targets.shape[1]
    row = measures.row()
    assert row["tokens_per_s"] == tokens / 4
    assert row["flops_per_s"] == 2 * count * train_flops(model, inputs, targets) / 4
    assert "mfu" not in row and row["peak_memory_bytes"] > 1e6
    clock.now += 1
    assert measures.row()["tokens_per_s"] == 0  # a row's own steps only


def test_where_the_peak_rate_is_known_its_share_is_told():
    device, clock = CpuDevice(), Clock()
    device.peak_flops_per_s = lambda: 1e9
    device.peak_memory_bytes = lambda: None
    measures = Measures(MODEL, device, clock)
    measures.add(CopyFeed().batch(0))
    clock.now += 0.5
    row = measures.row()
    assert row["mfu"] == row["flops_per_s"] / 1e9 and set(row) == {"tokens_per_s", "flops_per_s", "mfu"}


def test_every_row_has_them_beside_loss_and_rate(tmp_path):
    run_in(tmp_path).run()
    found = rows(tmp_path)
    told = ["step", "loss", "learning_rate", "gradient_norm", "tokens_per_s", "flops_per_s", "peak_memory_bytes"]
    assert [list(row) for row in found] == [told] * 7
    assert all(value > 0 for row in found for value in row.values())
    assert list(repeatable(found[0])) == told[:4] and set(told[4:]) < set(MEASURED)


def test_a_checkpoints_time_is_in_no_row(tmp_path, monkeypatch):
    clock, run = Clock(), run_in(tmp_path, TRAIN.replace(steps=8, log_every=2, checkpoint_every=4))
    monkeypatch.setattr("t5core.training.loop.Measures", lambda *given: Measures(*given, clock))
    step, save = run.step.__call__, run._save

    def stepping(*given, **more):
        clock.now += 1
        return step(*given, **more)

    def saving(*given):
        clock.now += 1000
        save(*given)

    monkeypatch.setattr(TrainStep, "__call__", lambda self, *given, **more: stepping(*given, **more))
    monkeypatch.setattr(run, "_save", saving)
    run.run()
    each = CopyFeed().config.batch_size * train_flops(MODEL, TRAIN.inputs_length, TRAIN.targets_length)
    assert [row["flops_per_s"] for row in rows(tmp_path)] == [each] * 4


def test_the_gradients_norm_is_that_of_the_whole_batch_before_the_update(tmp_path):
    model = T5(MODEL).initialise(3)
    step = TrainStep(model, TRAIN, CpuDevice())
    gradients = []
    update = step.optimizer.step

    def watched(*given):
        gradients.append(torch.cat([p.grad.flatten() for p in step.optimizer.parameters.values()]).double())
        update(*given)

    step.optimizer.step = watched
    step(CopyFeed().batch(0), 0)
    assert step.gradient_norm is None  # nobody asked
    step(CopyFeed().batch(1), 1, measured=True)
    assert step.gradient_norm.item() == pytest.approx(gradients[1].norm().item(), rel=1e-5)


def test_only_what_is_trained_counts_for_the_norm_also_in_joined_layers(tmp_path):
    """A device that holds layers joined computes gradients of all of them, and changes some."""
    config = TRAIN.replace(trainable="gradual", unfreezing_episodes=2, dropout_rate=0.0)
    apart = TrainStep(T5(MODEL).initialise(3), config, CpuDevice())
    apart(CopyFeed().batch(0), 0, measured=True)
    joined = TrainStep(T5(MODEL).initialise(3).scanned(loop), config, CpuDevice())
    joined(CopyFeed().batch(0), 0, measured=True)
    assert joined.gradient_norm.item() == pytest.approx(apart.gradient_norm.item(), rel=1e-5)


def test_taking_the_norm_changes_no_bit_of_the_weights():
    weights = []
    for measured in (False, True):
        step = TrainStep(T5(MODEL).initialise(3), TRAIN, CpuDevice())
        for i in range(4):
            step(CopyFeed().batch(i), i, measured=measured)
        weights.append(torch.cat([p.detach().flatten() for p in step.model.parameters()]))
    assert torch.equal(*weights)


def test_a_step_that_takes_the_norm_reads_no_value_on_the_host():

    class NoHostReads(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            assert function is not torch.ops.aten._local_scalar_dense.default, "a value was read"
            return function(*args, **(kwargs or {}))

    step = TrainStep(T5(MODEL).initialise(0), TRAIN, CpuDevice())
    step.model.use_kernel(SdpaKernel())
    batch = CopyFeed().batch(0)
    inputs = step.inputs(batch)
    step(batch, 0, inputs)
    with NoHostReads():
        step(batch, 1, inputs, measured=True)
    assert step.gradient_norm.item() > 0


def test_a_norm_that_is_not_finite_leaves_the_row_readable(tmp_path, monkeypatch):
    run = run_in(tmp_path, TRAIN.replace(steps=2, log_every=2))
    monkeypatch.setattr(run.device, "norm", lambda tensors: torch.tensor(float("inf")))
    run.run()
    (row,) = rows(tmp_path)
    assert row["gradient_norm"] is None
