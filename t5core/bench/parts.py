"""What a training step or a decoding is made of, by PyTorch's profiler: the time's share in each kind of operation.

- products: matrix products with weights; the cores' rate bounds them.
- attention: batches of products of small matrices, and what lies between them where it is one operation.
- passes: everything else; each reads and writes memory, or only costs its call.
"""

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile

_KINDS = {
    "products": ("aten::mm", "aten::addmm", "aten::addmm_", "mkldnn::_linear_pointwise"),
    "attention": ("aten::bmm", "aten::baddbmm", "aten::_softmax", "aten::_softmax_backward_data"),
}
_FUSED = "_scaled_dot_product"
"""In the names of PyTorch's fused attentions, forward and backward."""


def parts(step: Callable[[], object]) -> dict[str, float]:
    """Returns the share of each kind in the processor's time of a step, which is run twice; they add up to 1."""
    step()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step()
    times = {event.key: float(event.self_cpu_time_total) for event in profiled.key_averages()}
    total = sum(times.values())
    shares = {kind: sum(times.get(name, 0.0) for name in names) / total for kind, names in _KINDS.items()}
    shares["attention"] += sum(time for name, time in times.items() if _FUSED in name) / total
    return {**shares, "passes": 1 - sum(shares.values())}


def shown(step: Callable[[], object]) -> str:
    """Returns the shares in words: ``products 66%, attention 18%, passes 16%``."""
    return ", ".join(f"{kind} {share:.0%}" for kind, share in parts(step).items())
