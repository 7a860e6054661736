import pytest
import torch
from torch.nn import functional

from t5core.model.layers import FeedForward, RMSNorm


@pytest.mark.parametrize("shape", [(24,), (5, 24), (2, 7, 24)])
def test_the_cpus_norm_and_its_gradients_are_the_formulas(shape):
    generator = torch.Generator().manual_seed(0)
    norm = RMSNorm(24, 1e-6).double()
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2.0, generator=generator)
    x, upstream = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    x = (x * 3).requires_grad_()
    expected = functional.rms_norm(x, (24,), norm.weight, 1e-6)
    torch.testing.assert_close(norm(x), expected, rtol=1e-13, atol=1e-13)
    ours = torch.autograd.grad(norm(x), (x, norm.weight), upstream)
    for gradient, formula in zip(ours, torch.autograd.grad(expected, (x, norm.weight), upstream), strict=True):
        torch.testing.assert_close(gradient, formula, rtol=1e-11, atol=1e-12)


def test_a_row_of_zeros_stays_zeros():
    norm = RMSNorm(8, 1e-6)
    x = torch.zeros(2, 8, requires_grad=True)
    norm(x).sum().backward()
    assert torch.equal(norm(x), torch.zeros(2, 8))
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16], ids=str)
def test_low_precision_takes_its_mean_in_float32(weights):
    """Sharded weights are gathered in bfloat16; what is computed with them is float32 all the same."""
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(0)).bfloat16().requires_grad_()
    norm = RMSNorm(64, 1e-6).to(weights)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2.0, 64))
    wide = x.detach().float().requires_grad_()
    expected = functional.rms_norm(wide, (64,), norm.weight.detach().float(), 1e-6).bfloat16()
    found = norm(x)
    assert torch.equal(found, expected)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert torch.equal(gradient, torch.autograd.grad(expected.sum(), wide)[0].bfloat16())


def test_the_hidden_mask_scales_what_relu_lets_through():
    layer = FeedForward(6, 10)
    x, mask = torch.randn(2, 3, 6), torch.tensor([0.0, 1.25]).repeat(5).expand(2, 1, 10)
    expected = (torch.relu(x @ layer.wi.weight.T) * mask) @ layer.wo.weight.T
    torch.testing.assert_close(layer(x, mask), expected)
