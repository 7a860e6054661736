"""AdaFactor as the released code sets it (paper section 3.1.2; Mesh TensorFlow ``optimize.AdafactorOptimizer``).

The second moment of a matrix is kept as one vector of row means and one of column means when both sides are large
enough; the update is clipped by its root mean square and multiplied by the parameter's own.

    v      <- decay * v + (1 - decay) * (g^2 + epsilon1)         decay = 1 - (step + 1)^-0.8
    update  = g / sqrt(v),  divided by max(1, rms(update) / clipping_threshold)
    p      <- p - learning_rate * max(rms(p), epsilon2) * update

There is no first moment. Used by itself:

    optimizer = AdaFactor(model.named_parameters())
    model(...).loss.backward()
    optimizer.step(0.001)                       # counts its steps itself
    optimizer.step(0.001, optimizer.decay(n))   # or is told: step n, from 0, over pre-training and fine-tuning

Memory traffic is what a step costs, so it takes few passes over the large tensors: the squared gradient is the only
one it makes, and the update is worked out in the gradient's own memory.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from t5core.config import OptimizerConfig

Parameters = Mapping[str, nn.Parameter] | Iterable[tuple[str, nn.Parameter]] | Iterable[nn.Parameter]


class AdaFactor:
    """The optimizer of every T5 run.

    Args:
        parameters: ``(name, parameter)`` pairs, as from ``Module.named_parameters()``; a mapping; or parameters alone,
            which are then named "0", "1", ...
        config: its settings.
        settings: single ones by name, over the config's: ``AdaFactor(parameters, min_dim_size_to_factor=0)``.

    Attributes:
        config: the settings in use.
        parameters: by name.
        moments: second moments, "NAME/rows" and "NAME/columns" or "NAME/full".
        steps: steps taken without being told a decay. Not part of ``state``: who resumes such a run sets it.
    """

    def __init__(
        self, parameters: Parameters, config: OptimizerConfig | None = None, **settings: float | int | bool
    ) -> None:
        self.config = OptimizerConfig.from_dict((config or OptimizerConfig()).to_dict() | settings)
        self.parameters = _named(parameters)
        self.steps = 0
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

    def step(self, learning_rate: Tensor | float, decay: Tensor | float | None = None) -> None:
        """Updates every parameter that has a gradient, in place, and drops the gradients.

        Args:
            learning_rate: as a number, or a tensor without dimensions, so that a compiled step stays one program.
            decay: of the second moment, likewise; None: that of the steps counted here, from ``steps`` on.
        """
        if decay is None:
            decay = self.decay(self.steps)
            self.steps += 1
        self.update(learning_rate, decay)
        for p in self.parameters.values():
            p.grad = None

    @torch.no_grad()
    def update(self, learning_rate: Tensor | float, decay: Tensor | float) -> None:
        """Does a step's arithmetic: tensors alone, in a fixed order, which a compiler can take whole.

        The gradients are left behind overwritten.
        """
        for name, p in self.parameters.items():
            if p.grad is not None:
                self._update(name, p, p.grad, learning_rate, decay)

    def _update(self, name: str, p: Tensor, grad: Tensor, learning_rate: Tensor | float, decay: Tensor | float) -> None:
        squared = grad.square()
        fresh = 1.0 - decay
        if f"{name}/full" in self.moments:
            v = self.moments[f"{name}/full"]
            v.mul_(decay).add_(squared.add_(self.config.epsilon1).mul_(fresh))
            grad.mul_(v.rsqrt())
        else:
            rows, columns = self.moments[f"{name}/rows"], self.moments[f"{name}/columns"]
            rows.mul_(decay).add_((squared.mean(dim=1) + self.config.epsilon1) * fresh)
            columns.mul_(decay).add_((squared.mean(dim=0) + self.config.epsilon1) * fresh)
            grad.mul_((rows / rows.mean()).rsqrt()[:, None]).mul_(columns.rsqrt())
        clipped = (_rms(grad) / self.config.clipping_threshold).clamp(min=1.0)
        p.addcmul_(grad, self._scale(p) * learning_rate / clipped, value=-1.0)

    def _scale(self, p: Tensor) -> Tensor | float:
        if not self.config.multiply_by_parameter_scale:
            return 1.0
        return _rms(p).clamp(min=self.config.epsilon2)

    def state(self) -> dict[str, Tensor]:
        """Returns the moments by name, for a checkpoint."""
        return dict(self.moments)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes moments over from a checkpoint; raises KeyError if one is missing."""
        for name, moment in self.moments.items():
            moment.copy_(state[name])


def _named(parameters: Parameters) -> dict[str, nn.Parameter]:
    named: dict[str, nn.Parameter] = {}
    for i, given in enumerate(parameters.items() if isinstance(parameters, Mapping) else parameters):
        if isinstance(given, nn.Parameter):
            named[str(i)] = given
        else:
            name, p = given
            named[name] = p
    return named


def _rms(x: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(x)
    return norm / math.sqrt(x.numel())
