"""AdaFactor as the released code sets it (paper section 3.1.2; Mesh TensorFlow ``optimize.AdafactorOptimizer``).

The second moment of a matrix is kept as one vector of row means and one of column means when both sides are large
enough; the update is clipped by its root mean square and multiplied by the parameter's own.

    v      <- decay * v + (1 - decay) * (g^2 + epsilon1)         decay = 1 - (step + 1)^-0.8
    update  = g / sqrt(v),  divided by max(1, rms(update) / clipping_threshold)
    p      <- p - learning_rate * max(rms(p), epsilon2) * update

There is no first moment. ``learning_rate`` and ``decay`` come in as tensors, so that a compiled step stays one
program while they change.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from t5core.config import OptimizerConfig


class AdaFactor:
    """The optimizer of every T5 run.

    Args:
        parameters: ``(name, parameter)`` pairs, as from ``Module.named_parameters()``.
        config: its settings.
    """

    def __init__(self, parameters: Iterable[tuple[str, nn.Parameter]], config: OptimizerConfig | None = None) -> None:
        self.config = config or OptimizerConfig()
        self.parameters = dict(parameters)
        self.moments: dict[str, Tensor] = {}
        for name, p in self.parameters.items():
            if self._factored(p):
                self.moments[f"{name}/rows"] = p.new_zeros(p.shape[0])
                self.moments[f"{name}/columns"] = p.new_zeros(p.shape[1])
            else:
                self.moments[f"{name}/full"] = torch.zeros_like(p)

    def _factored(self, p: Tensor) -> bool:
        return p.dim() == 2 and min(p.shape) >= self.config.min_dim_size_to_factor

    def decay(self, step: int) -> float:
        """Returns the second moment's decay at ``step`` (from 0, counted over pre-training and fine-tuning)."""
        return 1.0 - math.pow(step + 1, -self.config.decay_exponent)

    @torch.no_grad()
    def step(self, learning_rate: Tensor, decay: Tensor) -> None:
        """Updates every parameter that has a gradient, in place, and drops the gradients."""
        for name, p in self.parameters.items():
            if p.grad is None:
                continue
            update = self._update(name, p.grad, decay)
            p.sub_(update * (learning_rate * self._scale(p)))
            p.grad = None

    def _scale(self, p: Tensor) -> Tensor | float:
        if not self.config.multiply_by_parameter_scale:
            return 1.0
        return _rms(p).clamp(min=self.config.epsilon2)

    def _update(self, name: str, grad: Tensor, decay: Tensor) -> Tensor:
        squared = grad.square().add_(self.config.epsilon1)
        if f"{name}/full" in self.moments:
            v = self.moments[f"{name}/full"]
            v.copy_(v * decay + squared * (1.0 - decay))
            update = grad * v.rsqrt()
        else:
            rows, columns = self.moments[f"{name}/rows"], self.moments[f"{name}/columns"]
            rows.copy_(rows * decay + squared.mean(dim=1) * (1.0 - decay))
            columns.copy_(columns * decay + squared.mean(dim=0) * (1.0 - decay))
            update = grad * (rows / rows.mean()).rsqrt()[:, None]
            update.mul_(columns.rsqrt())
        return update.div_((_rms(update) / self.config.clipping_threshold).clamp(min=1.0))

    def state(self) -> dict[str, Tensor]:
        """Returns the moments by name, for a checkpoint."""
        return dict(self.moments)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes moments over from a checkpoint; raises KeyError if one is missing."""
        for name, moment in self.moments.items():
            moment.copy_(state[name])


def _rms(x: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(x)
    return norm / math.sqrt(x.numel())
