"""The small parts of a block: matrix product, norm, feed-forward, adapter. None has a bias.

Weights are float32 masters; activations come in the precision the device computes in, and each weight is cast to it
where it is used. In float32 the cast does nothing.

Every layer says what it costs: ``flops(...)`` is the number of floating-point operations of one forward pass over one
sequence of given length, a multiply and an add counting two, matrix products only.

Shapes: B batch, T positions, D d_model, F d_ff.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from t5core.config import ModelConfig
from t5core.model.lookup import Lay, by_place, rows_of
from t5core.model.products import linear


class Embedding(nn.Embedding):
    """A table of vectors, one per piece.

    On the meta device nothing is drawn, nor in ``Linear``: a model that is only counted there would import torch's
    compiler and sympy for it, seconds of every command that plans.
    """

    lay: Lay | None = None
    """How a mesh of devices cuts tensors, where there is one."""

    def reset_parameters(self) -> None:
        """Draws first weights as ``nn.Embedding`` does; nothing where there is no memory for them."""
        if not self.weight.is_meta:
            super().reset_parameters()

    def forward(self, ids: Tensor) -> Tensor:
        """Returns ``[..., D]``."""
        return super().forward(ids) if by_place(self.weight) else rows_of(self.weight, ids, self.lay)


class Linear(nn.Linear):
    """A matrix product whose float32 weight is cast to the activations' precision."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def reset_parameters(self) -> None:
        """Draws first weights as ``nn.Linear`` does; nothing where there is no memory for them."""
        if not self.weight.is_meta:
            super().reset_parameters()

    def forward(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """Returns ``[..., out_features]``, negative numbers made 0 with ``relu``."""
        return linear(x, self.weight.to(x.dtype), relu=relu)

    def flops(self, positions: int) -> int:
        """Returns the operations for so many positions."""
        return 2 * positions * self.in_features * self.out_features


class RMSNorm(nn.Module):
    """Rescales to unit root mean square over D; no bias, no mean subtraction (paper section 2.1)."""

    def __init__(self, d_model: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.epsilon = epsilon

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Returns ``x`` rescaled, in x's dtype; the mean is taken in float32."""
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        if x_BTD.device.type == "cpu" and x_BTD.dtype == self.weight.dtype == exact:
            apply: Any = _NormInFewPasses.apply
            y_BTD: Tensor = apply(x_BTD, self.weight, self.epsilon)
            return y_BTD
        scale_D = self.weight.float()
        return functional.rms_norm(x_BTD.float(), (x_BTD.shape[-1],), scale_D, self.epsilon).to(x_BTD.dtype)


class _NormInFewPasses(torch.autograd.Function):
    """``functional.rms_norm`` for processors without a compiler, where it is a dozen passes over memory.

    With r = 1 / rms(x) per position: y = x r w, and the gradient of x is r g w - x r^3 mean(g w x).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, epsilon: float) -> Tensor:
        norms = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = norms.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight_D, inverse)
        y: Tensor = (x * inverse).mul_(weight_D)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight_D, inverse = ctx.saved_tensors
        product_ND = (grad * x).reshape(-1, x.shape[-1])  # all that the gradients need are sums over its sides
        weight_grad_D = inverse.flatten() @ product_ND
        means = (product_ND @ weight_D).view_as(inverse).div_(x.shape[-1])
        x_grad = (grad * weight_D).mul_(inverse).addcmul_(x, means.mul_(inverse**3), value=-1.0)
        return x_grad, weight_grad_D, None


class FeedForward(nn.Module):
    """Dense, ReLU, dense (v1.0)."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.wi = Linear(d_model, d_ff)
        self.wo = Linear(d_ff, d_model)

    def forward(self, x_BTD: Tensor, mask_B1F: Tensor | None = None) -> Tensor:
        """Returns ``[B, T, D]``; ``mask`` is the hidden layer's dropout."""
        if mask_B1F is None:
            out: Tensor = self.wo(self.wi(x_BTD, relu=True))
        else:
            # a mask is not negative, so it may as well come first; only one tensor of this size is kept for backward
            out = self.wo(functional.relu(self.wi(x_BTD) * mask_B1F))
        return out

    def flops(self, positions: int) -> int:
        """Returns the operations for so many positions."""
        return self.wi.flops(positions) + self.wo.flops(positions)


class GatedFeedForward(nn.Module):
    """Dense with GELU (its tanh form) times a second dense, then dense (v1.1)."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.wi_0 = Linear(d_model, d_ff)
        self.wi_1 = Linear(d_model, d_ff)
        self.wo = Linear(d_ff, d_model)

    def forward(self, x_BTD: Tensor, mask_B1F: Tensor | None = None) -> Tensor:
        """Returns ``[B, T, D]``; ``mask`` is the hidden layer's dropout."""
        h_BTF = functional.gelu(self.wi_0(x_BTD), approximate="tanh") * self.wi_1(x_BTD)
        out: Tensor = self.wo(h_BTF if mask_B1F is None else h_BTF * mask_B1F)
        return out

    def flops(self, positions: int) -> int:
        """Returns the operations for so many positions."""
        return self.wi_0.flops(positions) + self.wi_1.flops(positions) + self.wo.flops(positions)


def feed_forward(config: ModelConfig) -> FeedForward | GatedFeedForward:
    """Returns the feed-forward network that a config asks for."""
    kind = GatedFeedForward if config.feed_forward == "gated_gelu" else FeedForward
    return kind(config.d_model, config.d_ff)
