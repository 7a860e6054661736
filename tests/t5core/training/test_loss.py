import math

import pytest
import torch
from small_run import MODEL, TRAIN, CopyFeed

from t5core.devices import open_device
from t5core.model import T5, ModelInputs, lookup
from t5core.training.loss import projected_token_losses, token_losses
from t5core.training.step import TrainStep

LOGITS = torch.tensor([[[0.0, 1.0, 2.0], [3.0, -1.0, 0.5], [9.0, 9.0, 9.0]]])
TARGETS = torch.tensor([[2, 1, 0]])  # the last one is padding


def log_z(*logits):
    return math.log(sum(math.exp(x) for x in logits))


def test_cross_entropy_and_z_loss_are_summed_over_tokens_without_padding():
    first, second = log_z(0, 1, 2), log_z(3, -1, 0.5)
    training, cross_entropy, tokens = token_losses(LOGITS, TARGETS, 0.1)
    assert tokens.item() == 2
    assert cross_entropy.item() == pytest.approx(first - 2 + second + 1)
    assert training.item() == pytest.approx(cross_entropy.item() + 0.1 * (first**2 + second**2), rel=1e-6)


def test_without_z_loss_training_loss_is_the_cross_entropy():
    training, cross_entropy, _ = token_losses(LOGITS, TARGETS, 0.0)
    assert training.item() == cross_entropy.item()


def test_gradients_of_z_loss_are_those_of_log_z_squared():
    logits = LOGITS.clone().requires_grad_()
    weight = 0.01
    token_losses(logits, TARGETS, weight)[0].backward()
    plain = LOGITS.clone().requires_grad_()
    nll = torch.nn.functional.cross_entropy(plain[0, :2], TARGETS[0, :2], reduction="sum")
    (nll + weight * plain[0, :2].logsumexp(-1).square().sum()).backward()
    torch.testing.assert_close(logits.grad, plain.grad)
    assert logits.grad[0, 2].eq(0).all()


def test_large_logits_stay_finite():
    training, cross_entropy, _ = token_losses(torch.tensor([[[1e4, -1e4]]]), torch.tensor([[1]]), 1e-4)
    assert cross_entropy.item() == pytest.approx(2e4)
    assert training.item() == pytest.approx(2e4 + 1e-4 * 1e8)


def test_both_denominators_divide_the_gradient_and_neither_the_reported_loss():
    batch = CopyFeed().batch(0)
    tokens, places = (batch.targets != 0).sum(), batch.targets.size
    assert tokens < places
    moments, reported = {}, {}
    for name in ("targets", "tokens"):
        config = TRAIN.replace(loss_denominator=name, dropout_rate=0.0)
        step = TrainStep(T5(MODEL).initialise(0), config, open_device("cpu"))
        reported[name] = step(batch, 0).item()
        # the first decay is 0: the second moment is the squared gradient
        moments[name] = step.optimizer.moments["decoder.final_norm.weight/full"].clone()
    assert reported["targets"] == reported["tokens"]
    ratio = moments["tokens"] / moments["targets"]
    torch.testing.assert_close(ratio, torch.full((32,), (places / tokens) ** 2), rtol=1e-4, atol=0)


def test_the_reported_loss_is_the_mean_over_target_tokens():
    batch = CopyFeed().batch(0)
    model = T5(MODEL).initialise(0)
    targets = torch.from_numpy(batch.targets).long()
    hidden = model.hidden(ModelInputs(inputs_BS=torch.from_numpy(batch.inputs).long(), targets_BT=targets))
    logits = hidden @ model.embedding.weight.T
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0).item()
    found = TrainStep(model, TRAIN.replace(dropout_rate=0.0), open_device("cpu"))(batch, 0)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_dropout_of_a_step_depends_on_seed_and_step_alone():
    def loss_of(seed, i, first_step=0):
        step = TrainStep(T5(MODEL).initialise(0), TRAIN.replace(seed=seed), open_device("cpu"), first_step=first_step)
        torch.rand(7)
        return step(CopyFeed().batch(0), i).item()

    assert loss_of(1, 5) == loss_of(1, 5) == loss_of(1, 2, first_step=3)
    assert loss_of(1, 5) != loss_of(1, 6)
    assert loss_of(1, 5) != loss_of(2, 5)


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 14, 1 << 30])
@pytest.mark.parametrize("z_loss", [0.0, 0.1])
@pytest.mark.parametrize("by_place", [True, False], ids=["by place", "comparing"])
def test_the_chunked_loss_and_its_gradients_equal_the_formulas(monkeypatch, chunk_bytes, z_loss, by_place):
    monkeypatch.setattr(lookup, "by_place", lambda tensor: by_place)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 50, 8, generator=generator).requires_grad_()
    embedding = torch.randn(40, 8, generator=generator).requires_grad_()
    targets = torch.randint(0, 40, (3, 50), generator=generator)
    targets[:, -5:] = 0
    expected = token_losses(hidden @ embedding.T, targets, z_loss)
    wanted = torch.autograd.grad(expected[0] / 7, [hidden, embedding])
    got = projected_token_losses(hidden, embedding, targets, z_loss, chunk_bytes)
    gradients = torch.autograd.grad(got[0] / 7, [hidden, embedding])
    for ours, reference in zip([*got, *gradients], [*expected, *wanted], strict=True):
        torch.testing.assert_close(ours, reference, check_dtype=False, rtol=1e-5, atol=1e-5)
