"""Which attention kernel a run uses: the candidates of its device, timed on the run's own shapes at its start.

Each attention of the model (the encoder's, the decoder's, that between the two) is computed forward and backward on
random numbers, with the mask of the run's first batch. The fastest candidate wins, but the device's first one unless
another is clearly faster, and without timing where there is little to gain: a choice between equals must not be left to
noise, because kernels differ in the last bits. A run writes its choice down, and goes on with it when it is resumed;
two runs that start anew may choose differently where one is faster by about that margin. Where the candidates have to
be compiled, later runs of the same shapes take an earlier one's choice (``t5core.training.kept_choices``).

Shapes: B rows, H heads, Q queries, K keys, d d_kv, R = Q + K - 1 offsets.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from t5core.config import ModelConfig
from t5core.devices import Decision, Device
from t5core.errors import ConfigError
from t5core.model import ModelInputs
from t5core.model.blocked import BlockedKernel
from t5core.model.flex import FlexKernel
from t5core.model.kernels import Kernel, ReferenceKernel, SdpaKernel
from t5core.model.visibility import Visibility
from t5core.training import kept_choices
from t5core.training.kept_choices import WHAT

WORTH_TIMING = 1 << 24
"""Scores (B·H·Q·K, over all layers) of a step below which candidates are not timed: some tens of milliseconds."""
TRIAL_SCORES = 1 << 28
"""Scores of one attention of one trial at most: rows are left out until it holds."""
CLEARLY_FASTER = 0.95
"""What another candidate's time may be of the first one's, at most, to be taken instead."""
LAYERS = 2
"""Layers of a trial: more than one, because they share what is prepared, and its gradient is summed over them."""
ROUNDS = 3
"""Timed rounds per candidate, behind one that is not; the best counts."""


def kernel_named(name: str) -> Kernel:
    """Returns the attention kernel of a name that devices use; raises ConfigError for others."""
    kernels: dict[str, Callable[[], Kernel]] = {
        "reference": ReferenceKernel,
        "blocked": BlockedKernel,
        "sdpa": SdpaKernel,
        "flex": FlexKernel,
    }
    if name not in kernels:
        raise ConfigError("kernel", name, f"choose one of {', '.join(kernels)}", choices=kernels)
    return kernels[name]()


def only(name: str) -> Decision:
    """Returns the decision where there is nothing to choose."""
    return Decision(what=WHAT, value=name, why="the only one for this device")


@dataclass(frozen=True, kw_only=True, eq=False)
class Attention:
    """One kind of attention in a model: how often it is there, whether it has a learned bias, and who sees whom."""

    layers: int
    rows: int
    biased: bool
    visibility: Visibility

    def scores(self, heads: int) -> int:
        """Returns how many scores all its layers compute in a step."""
        return self.layers * self.rows * heads * self.visibility.num_queries * self.visibility.num_keys


def attentions(config: ModelConfig, batch: ModelInputs) -> list[Attention]:
    """Returns the attentions of a model on a batch; a packed row's segments and padding are as the model sees them."""
    rows, targets = batch.targets_BT.shape
    inputs = batch.inputs_BS.shape[1]
    packed = batch.input_segments_BS is not None
    own = Visibility(
        num_queries=targets,
        num_keys=targets,
        causal=True,
        query_segments_BQ=batch.target_segments_BT,
        key_segments_BK=batch.target_segments_BT,
        prefix_BK=batch.prefix_BT if config.architecture == "prefix_lm" else None,
    )
    decoder = Attention(layers=config.num_decoder_layers, rows=rows, biased=True, visibility=own)
    if config.decoder_only:
        return [decoder]
    source = Visibility(
        num_queries=inputs,
        num_keys=inputs,
        visible_BK=None if packed else batch.visible_BS,
        query_segments_BQ=batch.input_segments_BS,
        key_segments_BK=batch.input_segments_BS,
    )
    across = replace(source, num_queries=targets, query_segments_BQ=batch.target_segments_BT)
    return [
        Attention(layers=config.num_encoder_layers, rows=rows, biased=True, visibility=source),
        decoder,
        Attention(layers=config.num_decoder_layers, rows=rows, biased=False, visibility=across),
    ]


def choose(candidates: Sequence[Kernel], config: ModelConfig, batch: ModelInputs, device: Device) -> Decision:
    """Returns the decision "attention kernel"; its value is the name of the one to use.

    Every process that shares the batch must call it, and all are given the same answer: times are added up. A candidate
    that fails, because a compiler cannot build it for these shapes say, is passed over; what it said is in ``why``.

    Raises:
        RuntimeError: when all candidates fail.
    """
    first = candidates[0].name
    kinds = attentions(config, batch)
    if sum(kind.scores(config.num_heads) for kind in kinds) < WORTH_TIMING:
        return Decision(what=WHAT, value=first, why="attention is a small part of these steps: not worth timing")
    asked = kept_choices.question(kinds, [kernel.name for kernel in candidates], config, device)
    kept = kept_choices.find(asked, device)
    if kept is not None:
        return kept
    times, failures = {}, {}
    for kernel in candidates:
        try:
            seconds = sum(_seconds(kernel, kind, config, device) * kind.layers / LAYERS for kind in kinds)
        except Exception as error:  # compilers raise what they like
            failures[kernel.name] = f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"
            seconds = float("inf")
        times[kernel.name] = float(device.total(device.scalar(seconds)))
    fastest = min(times, key=lambda name: times[name])
    if times[fastest] == float("inf"):
        raise RuntimeError(f"no attention kernel works here: {failures}")
    value = fastest if times[fastest] < CLEARLY_FASTER * times[first] else first
    told = [f"{name} {1e3 * t:.3g} ms" for name, t in times.items() if name not in failures]
    told += [f"{name} failed ({reason})" for name, reason in failures.items()]
    if value != fastest:
        told.append("and no candidate is clearly faster than the first")
    decision = Decision(what=WHAT, value=value, why="attention of a step, forward and backward: " + ", ".join(told))
    if float("inf") not in times.values():  # a candidate that failed may have wanted memory that is there next time
        kept_choices.keep(asked, decision, device)
    return decision


def _seconds(kernel: Kernel, kind: Attention, config: ModelConfig, device: Device) -> float:
    """The best time of ``LAYERS`` layers' attention."""
    v = kind.visibility
    heads = config.num_heads
    rows = max(1, min(kind.rows, TRIAL_SCORES // (heads * v.num_queries * v.num_keys)))
    seen = _first_rows(v, rows)
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        x = torch.randn(shape, generator=generator).to(device.torch_device, device.compute_dtype)
        return x.requires_grad_()

    q_BHQd = drawn(rows, heads, v.num_queries, config.d_kv)
    k_BHKd, v_BHKd = (drawn(rows, heads, v.num_keys, config.d_kv) for _ in range(2))
    offsets_HR = drawn(heads, v.num_queries + v.num_keys - 1).float().detach().requires_grad_()
    out_gradient_BHQd = torch.ones_like(q_BHQd)
    inputs = [q_BHQd, k_BHKd, v_BHKd, *([offsets_HR] if kind.biased else [])]

    def attended(q: Tensor, k: Tensor, v: Tensor, offsets: Tensor | None) -> Tensor:
        scores = kernel.prepare(offsets, seen, q)
        return sum((scores.attend(q, k, v) for _ in range(LAYERS)), torch.zeros_like(q))

    attended_fast = device.compiled(attended)

    def once() -> float:
        started = time.perf_counter()
        out_BHQd = attended_fast(q_BHQd, k_BHKd, v_BHKd, offsets_HR if kind.biased else None)
        gradients = torch.autograd.grad(out_BHQd, inputs, out_gradient_BHQd)
        sum(float(gradient.flatten()[0]) for gradient in gradients)  # fetched, so that queued work is done
        return time.perf_counter() - started

    once()
    return min(once() for _ in range(ROUNDS))


def _first_rows(visibility: Visibility, rows: int) -> Visibility:
    def cut(x: Tensor | None) -> Tensor | None:
        return None if x is None else x[:rows]

    return replace(
        visibility,
        visible_BK=cut(visibility.visible_BK),
        query_segments_BQ=cut(visibility.query_segments_BQ),
        key_segments_BK=cut(visibility.key_segments_BK),
        prefix_BK=cut(visibility.prefix_BK),
    )
