"""A stack's layers as one loop of an XLA program, with gradients, on one device and under SPMD.

``torch_xla.experimental.scan`` traces a function once and makes it the body of a loop. Its own gradient needs JAX under
SPMD, so here the two directions are two scans, joined by an autograd function:

    forward   carry_0 ─► layer 0 ─► layer 1 ─► ... ─► carry_L        each layer also puts out what its gradient needs
    backward  d carry_0 ◄─ layer 0 ◄─ layer 1 ◄─ ... ◄─ d carry_L    each layer puts out its parameters' gradient

``value_and_grad_partitioned`` of the same module splits one layer into these two halves. A scan always traces a
gradient of its body as well, which is not wanted for a half; so a half is wrapped into a function whose gradient is
zero, and nothing is kept for it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Named = dict[str, Tensor]
Body = Callable[[Named, Named], tuple[Named, None]]


class LayerScan:
    """Applies a body to each layer in a loop of the compiler's; a ``t5core.model.scanned.Scan``.

    A body is traced once per set of shapes: one that is given again, or an equal one, is expected to compute the same.
    """

    def __init__(self) -> None:
        self._halves: dict[int, tuple[Any, Any, Any, Any]] = {}
        self._bodies: set[Body] = set()  # what is traced is kept by its body, and only as long as that is

    def __call__(self, body: Body, carry: Mapping[str, Tensor], layers: Mapping[str, Tensor]) -> Named:
        """Returns what is carried behind the last layer."""
        from torch_xla.experimental.scan import value_and_grad_partitioned

        self._bodies.add(body)
        forward, with_aliases, backward = value_and_grad_partitioned(body, dict(carry), dict(layers), is_fn_pure=True)
        if id(forward) not in self._halves:  # kept beside its halves, so that no other object takes its id
            self._halves[id(forward)] = (forward, _forward_half(forward), with_aliases, _backward_half(backward))
        apply: Any = _Scanned.apply
        out = apply(self._halves[id(forward)], tuple(carry), tuple(layers), *carry.values(), *layers.values())
        return dict(zip(carry, out, strict=True))


class _Scanned(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, halves: Any, carried: tuple[str, ...], layered: tuple[str, ...], *tensors: Tensor) -> Any:
        from torch_xla.experimental.scan import scan

        _, forward, with_aliases, backward = halves
        carry = dict(zip(carried, tensors[: len(carried)], strict=True))
        layers = dict(zip(layered, tensors[len(carried) :], strict=True))
        carry, needed = scan(forward, carry, layers, is_fn_pure=True)
        ctx.save_for_backward(*with_aliases(needed, layers))
        ctx.backward_half, ctx.carried, ctx.layered = backward, carried, layered
        return tuple(carry[name] for name in carried)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        from torch_xla.experimental.scan import scan

        with torch.no_grad():
            carry = dict(zip(ctx.carried, gradients, strict=True))
            last_first = tuple(activation.flip(0) for activation in ctx.saved_tensors)
            carry, layers = scan(ctx.backward_half, carry, last_first, is_fn_pure=True)
            back = [layers[name].flip(0) if name in layers else None for name in ctx.layered]
        return (None, None, None, *(carry[name] for name in ctx.carried), *back)


def _forward_half(forward: Callable[..., Any]) -> Callable[..., Any]:
    def half(carry: Named, layer: Named) -> tuple[Named, tuple[Tensor, ...]]:
        with torch.no_grad():
            after, (_, needed) = forward(carry, layer)
        return _without_gradient(carry, after, needed)

    return half


def _backward_half(backward: Callable[..., Any]) -> Callable[..., Any]:
    def half(carry: Named, needed: tuple[Tensor, ...]) -> tuple[Named, Named]:
        with torch.no_grad():
            before, gradients = backward(carry, (None, needed))
        names = [name for name, gradient in gradients.items() if gradient is not None]
        before, values = _without_gradient(carry, before, tuple(gradients[name] for name in names))
        return before, dict(zip(names, values, strict=True))

    return half


def _without_gradient(carry: Named, after: Named, out: tuple[Tensor, ...]) -> tuple[Named, tuple[Tensor, ...]]:
    """Returns ``after`` and ``out`` as a function of ``carry`` whose gradient is zero."""
    apply: Any = _Constant.apply
    values = apply(next(iter(carry.values())), *after.values(), *out)
    return dict(zip(after, values[: len(after)], strict=True)), values[len(after) :]


class _Constant(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *results: Tensor) -> tuple[Tensor, ...]:
        ctx.like = anchor.shape
        return tuple(result.clone() for result in results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        return (gradients[0].new_zeros(ctx.like), *(None for _ in gradients))
