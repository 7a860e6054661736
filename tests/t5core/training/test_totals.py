"""What a step sends between processes, and in which precision it sums."""

import pytest
import torch
from small_run import MODEL, TRAIN, CopyFeed, run_in

from t5core.devices import CpuDevice
from t5core.devices.processes import Group
from t5core.errors import CheckpointError
from t5core.model import T5
from t5core.training.loss import projected_token_losses
from t5core.training.step import TrainStep


class Counting(CpuDevice):
    def __init__(self):
        super().__init__()
        self.sent = []

    def total(self, value):
        self.sent.append(value.detach().clone())
        return 2 * value  # as two processes with the same rows


def test_loss_and_tokens_are_summed_over_the_processes_at_once():
    """The backward pass waits for it: one message, not two."""
    device, alone, batch = Counting(), CpuDevice(), CopyFeed().batch(0)
    device.gradient_scale = 2.0
    config = TRAIN.replace(loss_denominator="tokens")
    losses = [TrainStep(T5(MODEL).initialise(0), config, d)(batch, 0).item() for d in (device, alone)]
    assert losses[0] == losses[1]
    assert [tuple(value.shape) for value in device.sent] == [(2,)]
    assert device.sent[0][1].item() == (batch.targets != 0).sum()
    step = TrainStep(T5(MODEL).initialise(0), config, device)
    device.sent.clear()
    cross_entropy, tokens = step.held_out(batch)
    assert (len(device.sent), tokens.item()) == (1, 2 * (batch.targets != 0).sum())
    assert cross_entropy.item() == 2 * device.sent[0][0].item()


def test_the_softmaxs_gradient_is_summed_in_float32_where_its_weights_are_bfloat16():
    """So they are gathered where they are sharded. 256 chunks of one sign: bfloat16 sums would stop growing."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.rand(1, 8192, 8, generator=generator).bfloat16()
    weight = (0.1 * torch.randn(16, 8, generator=generator)).bfloat16()
    targets = torch.randint(1, 16, (1, 8192), generator=generator)
    gradients = []
    for dtype in (torch.bfloat16, torch.float32):
        leaf = weight.to(dtype).requires_grad_()
        training, cross_entropy, _ = projected_token_losses(hidden.to(dtype), leaf, targets, 0.0, 1)
        assert training.dtype == cross_entropy.dtype == torch.float32
        gradients.append(torch.autograd.grad(training, leaf)[0])
    assert gradients[0].dtype == torch.bfloat16
    off = (gradients[0].float() - gradients[1]).abs().max() / gradients[1].abs().max()
    assert off.item() == pytest.approx(0, abs=1e-2)


class BesideAnother(CpuDevice):
    """The second of two processes; the first has found ``other``."""

    def __init__(self, other):
        super().__init__()
        self.group, self.rank = Group(rank=1, size=2), 1
        self.other = other

    def total(self, value):
        return value + torch.tensor([self.other, 0.0]) if value.dim() else torch.ones_like(value)


@pytest.mark.parametrize("other", [0.0, 12.0])
def test_processes_tell_each_other_which_step_they_are_at(tmp_path, other):
    device = BesideAnother(other)
    assert device.everywhere(0.0) == {0.0, other}
    if other:
        with pytest.raises(CheckpointError, match="the processes found different checkpoints there"):
            run_in(tmp_path, device=device)
    else:
        assert run_in(tmp_path, device=device).begin == 0
