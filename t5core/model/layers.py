"""The small parts of a block: norm, dropout, feed-forward.

Shapes: B batch, T positions, D d_model, F d_ff.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class RMSNorm(nn.Module):
    """Rescales to unit root mean square over D; no bias, no mean subtraction (paper section 2.1)."""

    def __init__(self, d_model: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.epsilon = epsilon

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Returns ``x`` rescaled, in x's dtype; the mean is taken in float32."""
        return functional.rms_norm(x_BTD.float(), (x_BTD.shape[-1],), self.weight, self.epsilon).to(x_BTD.dtype)


class SharedDropout(nn.Module):
    """Dropout whose mask is shared over the positions of a sequence, as the released code has it.

    The paper only says "dropout"; Mesh TensorFlow's ``noise_shape`` leaves the length dimension out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Returns ``x`` with whole features of a sequence zeroed and the rest scaled up; identity in eval mode."""
        if not self.training or self.rate == 0.0:
            return x_BTD
        mask_B1D = torch.empty_like(x_BTD[:, :1]).bernoulli_(1.0 - self.rate) / (1.0 - self.rate)
        return x_BTD * mask_B1D


class FeedForward(nn.Module):
    """Dense, ReLU, dense, without biases."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.wi = nn.Linear(d_model, d_ff, bias=False)
        self.wo = nn.Linear(d_ff, d_model, bias=False)
        self.dropout = SharedDropout()

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Returns ``[B, T, D]``."""
        h_BTF: Tensor = functional.relu(self.wi(x_BTD))
        y_BTD: Tensor = self.wo(self.dropout(h_BTF))
        return y_BTD
