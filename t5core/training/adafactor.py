"""AdaFactor as the released code sets it (paper section 3.1.2; Mesh TensorFlow ``optimize.AdafactorOptimizer``).

The second moment of a matrix is kept as one vector of row means and one of column means when both sides are large
enough; the update is clipped by its root mean square and multiplied by the parameter's own.

    v      <- decay * v + (1 - decay) * (g^2 + epsilon1)         decay = 1 - (step + 1)^-0.8
    update  = g / sqrt(v),  divided by max(1, rms(update) / clipping_threshold)
    p      <- p - learning_rate * max(rms(p), epsilon2) * update

There is no first moment. It is a ``torch.optim.Optimizer``, so any loop and any scheduler takes it:

    optimizer = AdaFactor(model.named_parameters(), lr=0.001)
    model(...).loss.backward()
    optimizer.step()                            # at its groups' rate; counts its steps itself
    optimizer.step(0.001)                       # or at this rate
    optimizer.step(0.001, optimizer.decay(n))   # and told its step n, from 0, over pre-training and fine-tuning

Where a model holds its layers joined, ``[L, ...]`` (``t5core.model.scanned``), each layer counts as a parameter of its
own: moments, clipping and scale are taken layer by layer.

Memory traffic is what a step costs, so it takes few passes over the large tensors: the squared gradient is the only
one it makes, and the update is worked out in the gradient's own memory.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from t5core.config import OptimizerConfig
from t5core.devices.layered import is_joined, joined_name

Arithmetic = Callable[..., None]
Rate = Tensor | float
Parameters = (
    Mapping[str, nn.Parameter] | Iterable[tuple[str, nn.Parameter]] | Iterable[nn.Parameter] | Iterable[dict[str, Any]]
)


class AdaFactor(torch.optim.Optimizer):
    """The optimizer of every T5 run.

    Args:
        parameters: ``(name, parameter)`` pairs, as from ``Module.named_parameters()``; a mapping; parameters alone,
            which are then named "0", "1", ...; or torch's groups, dicts with "params" and a "lr" of their own.
        config: its settings.
        lr: the learning rate of a step that is told none; 0.01 is that of pre-training's first 10,000 steps.
        compiled: gives the function that it is called with compiled, for arguments of the shapes that parameters have:
            ``Device.compiled``. None: as it is.
        settings: single ones by name, over the config's: ``AdaFactor(parameters, min_dim_size_to_factor=0)``.

    Attributes:
        config: the settings in use.
        parameters: by name.
        trained_layers: for joined layers, by parameter: bool ``[L]``, the layers that a step changes; without: all.
    """

    def __init__(
        self,
        parameters: Parameters,
        config: OptimizerConfig | None = None,
        *,
        lr: float = 0.01,
        compiled: Callable[[Arithmetic], Arithmetic] | None = None,
        **settings: float | int | bool,
    ) -> None:
        self.config = OptimizerConfig.from_dict((config or OptimizerConfig()).to_dict() | settings)
        self.parameters: dict[str, nn.Parameter] = {}
        self.trained_layers: dict[str, Tensor] = {}
        self._arithmetic: Arithmetic = _arithmetic if compiled is None else compiled(_arithmetic)
        # a group of no parameters is torch's way to begin with none
        super().__init__(_groups(parameters), {"lr": lr, "steps": 0})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters, as torch's optimizers do; their moments start at 0."""
        named = _named(param_group["params"], first=len(self.parameters))
        super().add_param_group({**param_group, "params": list(named.values())})
        self.parameters |= named
        for name, p in named.items():
            if self._factored(name, p):
                self.state[p] = {"rows": p.new_zeros(p.shape[:-1]), "columns": p.new_zeros(p.shape[:-2] + p.shape[-1:])}
            else:
                self.state[p] = {"full": torch.zeros_like(p)}

    @property
    def moments(self) -> dict[str, Tensor]:
        """Second moments, "NAME/rows" and "NAME/columns" or "NAME/full": what a checkpoint holds."""
        return {f"{name}/{kind}": v for name, p in self.parameters.items() for kind, v in self.state[p].items()}

    @property
    def steps(self) -> int:
        """Steps taken without being told a decay; part of ``state_dict``."""
        return int(self.param_groups[0]["steps"])

    @steps.setter
    def steps(self, steps: int) -> None:
        for group in self.param_groups:
            group["steps"] = steps

    def _factored(self, name: str, p: Tensor) -> bool:
        shape = p.shape[1:] if is_joined(name) else p.shape
        return len(shape) == 2 and min(shape) >= self.config.min_dim_size_to_factor

    def decay(self, step: int) -> float:
        """Returns the second moment's decay at ``step`` (from 0, counted over pre-training and fine-tuning)."""
        return 1.0 - math.pow(step + 1, -self.config.decay_exponent)

    def step(self, learning_rate: Rate | Callable[[], Any] | None = None, decay: Tensor | float | None = None) -> Any:
        """Updates every parameter that has a gradient, in place, and drops the gradients.

        Args:
            learning_rate: as a number, or a tensor without dimensions, so that a compiled step stays one program; None:
                each group's ``lr``. Or a function that computes the loss anew, as torch's optimizers take it.
            decay: of the second moment, likewise; None: that of the steps counted here, from ``steps`` on.

        Returns:
            What the function returned; None without one.
        """
        loss = None
        if callable(learning_rate) and not isinstance(learning_rate, Tensor):
            with torch.set_grad_enabled(True):
                loss = learning_rate()
            learning_rate = None
        if decay is None:
            decay = self.decay(self.steps)
            self.steps += 1
        self.update(learning_rate, decay)
        for p in self.parameters.values():
            p.grad = None
        return loss

    @torch.no_grad()
    def update(self, learning_rate: Rate | None, decay: Tensor | float) -> None:
        """Does a step's arithmetic, parameter by parameter; at the groups' own rates for None.

        The gradients are left behind overwritten.
        """
        names = iter(self.parameters)
        for group in self.param_groups:
            rate = group["lr"] if learning_rate is None else learning_rate
            for p in group["params"]:
                name = next(names)
                if p.grad is None:
                    continue
                if name in self.trained_layers:
                    self._update_some(name, p, p.grad, rate, decay)
                else:
                    self._update(name, p, p.grad, rate, decay)

    def _update_some(
        self, name: str, p: Tensor, grad: Tensor, learning_rate: Tensor | float, decay: Tensor | float
    ) -> None:
        """Updates all layers and takes it back where they are not trained: which ones are stays data."""
        kept = [p, *self.state[p].values()]
        before = [x.clone() for x in kept]
        self._update(name, p, grad, learning_rate, decay)
        for x, old in zip(kept, before, strict=True):
            trained = self.trained_layers[name].view(-1, *(1 for _ in x.shape[1:]))
            x.copy_(torch.where(trained, x, old))

    def _update(self, name: str, p: Tensor, grad: Tensor, learning_rate: Tensor | float, decay: Tensor | float) -> None:
        self._arithmetic(p, grad, list(self.state[p].values()), learning_rate, decay, self.config, is_joined(name))

    def load_moments(self, state: Mapping[str, Tensor], *, new: Collection[str] = ()) -> None:
        """Takes moments over from a checkpoint, placed as this optimizer's are.

        Args:
            state: moments by name; those of parameters that are not trained here are passed over.
            new: parameters that may be missing there, because the model it was of had none; their moments start at 0.

        Raises:
            KeyError: if another moment is missing.
        """
        may_be_missing = {*new, *map(joined_name, new)}
        for name, moment in self.moments.items():
            if name in state or name.rpartition("/")[0] not in may_be_missing:
                moment.copy_(state[name])


def _groups(parameters: Parameters) -> list[dict[str, Any]]:
    if isinstance(parameters, Mapping):
        return [{"params": dict(parameters)}]
    given = list(parameters)
    if given and all(isinstance(group, dict) for group in given):
        return [dict(group) for group in given]
    return [{"params": given}]


def _named(parameters: Any, *, first: int = 0) -> dict[str, nn.Parameter]:
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    named: dict[str, nn.Parameter] = {}
    for i, given in enumerate(parameters.items() if isinstance(parameters, Mapping) else parameters, start=first):
        if isinstance(given, nn.Parameter):
            named[str(i)] = given
        else:
            name, p = given
            named[name] = p
    return named


def _arithmetic(
    p: Tensor,
    grad: Tensor,
    moments: list[Tensor],
    learning_rate: Tensor | float,
    decay: Tensor | float,
    config: OptimizerConfig,
    by_layer: bool,
) -> None:
    """Changes one parameter and its moments, the full one or rows and columns, in place; overwrites the gradient."""
    squared = grad.square()
    fresh = 1.0 - decay
    if len(moments) == 1:
        (v,) = moments
        v.mul_(decay).add_(squared.add_(config.epsilon1).mul_(fresh))
        grad.mul_(v.rsqrt())
    else:
        rows, columns = moments
        height, width = grad.shape[-2:]
        # means as sums: DTensor takes the mean of uneven shards for the mean of their means
        rows.mul_(decay).add_((squared.sum(dim=-1) / width + config.epsilon1) * fresh)
        columns.mul_(decay).add_((squared.sum(dim=-2) / height + config.epsilon1) * fresh)
        grad.mul_((rows / (rows.sum(dim=-1, keepdim=True) / height)).rsqrt().unsqueeze(-1))
        grad.mul_(columns.rsqrt().unsqueeze(-2))
    clipped = (_rms(grad, by_layer) / config.clipping_threshold).clamp(min=1.0)
    scale = _rms(p, by_layer).clamp(min=config.epsilon2) if config.multiply_by_parameter_scale else 1.0
    p.addcmul_(grad, scale * learning_rate / clipped, value=-1.0)


def _rms(x: Tensor, by_layer: bool) -> Tensor:
    """The root mean square of ``x``, or of each of its layers, ``[L, 1, ...]``."""
    if not by_layer:
        norm: Tensor = torch.linalg.vector_norm(x)
        return norm / math.sqrt(x.numel())
    norms: Tensor = torch.linalg.vector_norm(x, dim=tuple(range(1, x.dim())), keepdim=True)
    return norms / math.sqrt(x[0].numel())
