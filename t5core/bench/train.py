"""Training steps: forward, backward and optimizer, on one batch without padding.

Ours is what a run does (``TrainStep``, the device's precision and compilation, the attention kernel that is fastest
here). Theirs is transformers' model on the same weights and batch with its own AdaFactor at T5's settings (parameter
scale, no relative step); on a GPU under bfloat16 autocast and torch.compile. Each of its attentions is a contestant,
and the fastest is the one that counts. Before anything is timed the two losses are compared, without dropout.

Where work is queued, a host's clock cannot tell the parts of a step; the whole step is what counts there.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from t5core.bench.parts import shown
from t5core.bench.peer import ATTENTIONS, transformers, twins
from t5core.bench.settings import BenchSettings
from t5core.bench.timing import Contestant, Figures, Lap, interleaved, matrix_rate, no_lap
from t5core.config import TrainConfig
from t5core.devices import Decision, Device, open_device
from t5core.devices.precision import processor_name
from t5core.feeds.batch import Batch
from t5core.model import T5, preset, train_flops
from t5core.tables import Column, print_table
from t5core.training import kernel_choice
from t5core.training.step import TrainStep

LEARNING_RATE = 0.01
FLOAT32 = "float32"
"""In the name of a peer that computes in another precision than t5core."""
SAME_LOSS = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
"""How far the two losses may be apart, by the precision that was computed in."""


class Ours:
    """t5core's training step; called, it does one.

    Args:
        model: on the CPU; its weights are taken over.
    """

    def __init__(self, model: T5, batch: Batch, settings: BenchSettings, device: Device) -> None:
        placed = device.place(model)
        assert isinstance(placed, T5)
        config = TrainConfig(
            batch_size=len(batch.targets), inputs_length=batch.inputs.shape[1], dropout_rate=settings.dropout
        )
        self.step = TrainStep(placed, config, device)
        self.optimizer_begins: Lap = lambda: None
        # torch calls it when a step begins: forward and backward are done then
        self.step.optimizer.register_step_pre_hook(lambda *_: self.optimizer_begins())
        self.batch = batch
        self.i = 0
        self.kernel: Decision | None = None
        if device.kernels:
            candidates = [kernel_choice.kernel_named(name) for name in device.kernels]
            self.kernel = kernel_choice.choose(candidates, placed.config, self.step.inputs(batch), device)
            placed.use_kernel(kernel_choice.kernel_named(self.kernel.value))

    def loss(self) -> float:
        """Returns the loss per token without dropout."""
        cross_entropy, tokens = self.step.held_out(self.batch)
        return float(cross_entropy) / float(tokens)

    def __call__(self, lap: Lap) -> None:
        """Does one step and waits for it."""
        self.optimizer_begins = lap
        float(self.step(self.batch, self.i))
        self.i += 1


class Theirs:
    """transformers' training step; called, it does one.

    Args:
        model: on the device.
        autocast: compute in the device's precision, if that is not float32, as transformers' trainer does.
    """

    def __init__(self, model: Any, batch: Batch, device: Device, *, autocast: bool = True) -> None:
        package = transformers()
        self.ids = torch.from_numpy(batch.inputs).long().to(device.torch_device)
        self.labels = torch.from_numpy(batch.targets).long().to(device.torch_device)
        self.autocast = autocast and device.compute_dtype != torch.float32
        self.device_type, self.dtype = device.torch_device.type, device.compute_dtype
        self.model = model
        self.program = torch.compile(model, dynamic=False) if device.name == "cuda" else model
        self.optimizer = package.optimization.Adafactor(
            model.parameters(), lr=LEARNING_RATE, scale_parameter=True, relative_step=False, warmup_init=False
        )

    def _loss(self, program: Any) -> Tensor:
        with torch.autocast(self.device_type, self.dtype, enabled=self.autocast):
            loss: Tensor = program(input_ids=self.ids, labels=self.labels).loss
        return loss

    @torch.no_grad()
    def loss(self) -> float:
        """Returns the loss per token without dropout."""
        self.model.eval()
        return float(self._loss(self.model))

    def __call__(self, lap: Lap) -> None:
        """Does one step and waits for it."""
        self.model.train()
        loss = self._loss(self.program)
        torch.autograd.backward(loss)
        lap()
        self.optimizer.step()
        self.optimizer.zero_grad()
        float(loss.detach() * 1.0)  # queued behind the step, so that the step is done when it is here


def measure(settings: BenchSettings) -> dict[str, Any]:
    """Measures and prints; returns the figures.

    Returns:
        ``ours`` (Figures), ``theirs`` (of the fastest in our precision, or None), ``peer`` (its name), ``ratio`` of
        the whole steps and ``gradient_ratio`` of forward and backward (None without a peer), ``float32_ratio`` (to
        the fastest in float32), ``share_of_matrix_rate``.
    """
    s = settings.resolved()
    assert s.size is not None and s.batch is not None and s.targets_length is not None and s.rounds is not None
    if s.against == "transformers":
        transformers()
    device = open_device(s.device, precision=s.precision)
    config = preset(s.size)
    model = T5(config).initialise(0)
    batch = random_batch(config.vocab_size, s.batch, s.inputs_length, s.targets_length)
    peers: dict[str, Theirs] = {}
    if s.against == "transformers":
        made = twins(model, ATTENTIONS, s.dropout, device.torch_device)
        peers = {f"transformers {name}": Theirs(twin, batch, device) for name, twin in made.items()}
        if device.name == "cpu" and device.compute_dtype != torch.float32:  # what people run on CPUs by default
            made = twins(model, ATTENTIONS[:1], s.dropout, device.torch_device)
            peers |= {f"transformers {n} {FLOAT32}": Theirs(t, batch, device, autocast=False) for n, t in made.items()}
    ours = Ours(model, batch, s, device)
    print(
        f"training step: {s.size}, batch {s.batch} x ({s.inputs_length}, {s.targets_length}), dropout {s.dropout}, "
        f"{s.device}, {str(device.compute_dtype).removeprefix('torch.')}, {s.rounds} rounds in turns",
        flush=True,
    )
    print(", ".join(versions(device, with_peer=bool(peers))))
    if ours.kernel is not None:
        print(f"attention kernel: {ours.kernel.value} ({ours.kernel.why})", flush=True)
    _check_same(ours, peers, device)
    contestants: dict[str, Contestant] = {"t5core": ours, **peers}
    figures = interleaved(contestants, s.rounds, warm_up=1 if s.device == "cpu" else 3)
    operations = train_flops(config, s.inputs_length, s.targets_length) * s.batch
    rate = matrix_rate(device.torch_device, device.compute_dtype, size=2048 if s.device == "cpu" else 8192)
    tokens = s.batch * (s.inputs_length + s.targets_length)
    _print_table(figures, tokens=tokens, operations=operations, rate=rate, by_part=not device.queued)
    if not device.queued:
        print(f"of a step: {shown(lambda: ours(no_lap))}")
    return _summary(figures, peers, share=operations / figures["t5core"].median().whole / rate)


def random_batch(vocab_size: int, rows: int, inputs_length: int, targets_length: int) -> Batch:
    """Returns a batch of random ids, none of them padding or an end."""
    rng = np.random.default_rng(0)
    return Batch(
        inputs=rng.integers(2, vocab_size, (rows, inputs_length)).astype(np.int32),
        targets=rng.integers(2, vocab_size, (rows, targets_length)).astype(np.int32),
    )


def versions(device: Device, *, with_peer: bool) -> list[str]:
    """Returns what took part, with versions."""
    out = [f"torch {torch.__version__}"]
    if with_peer:
        out.append(f"transformers {transformers().__version__}")
    if device.name == "cpu":
        out.append(f"{torch.get_num_threads()} threads on {processor_name()}")
    return out + [f"{d.what}: {d.value}" for d in device.decisions() if d.what == "device"]


def _check_same(ours: Ours, peers: dict[str, Theirs], device: Device) -> None:
    loss = ours.loss()
    for name, peer in peers.items():
        other = peer.loss()
        print(f"loss without dropout: t5core {loss:.5f}, {name} {other:.5f}")
        if abs(loss - other) > SAME_LOSS[device.compute_dtype] * abs(loss):
            raise RuntimeError(f"{name} computes another loss than t5core: {other} instead of {loss}")


def _print_table(figures: dict[str, Figures], *, tokens: int, operations: int, rate: float, by_part: bool) -> None:
    print(f"matrix rate: {rate / 1e12:.3g} Tflop/s")
    columns = [
        Column(head="medians, seconds", kind="name"),
        Column(head="gradient", priority=2),
        Column(head="step", priority=0),
        Column(head="of CPU", priority=2),
        Column(head="tokens/s", priority=0),
        Column(head="of matrix rate"),
    ]
    rows = []
    for name, figure in figures.items():
        m = figure.median()
        part = f"{m.lap:.4g}" if by_part else "–"
        speed = (f"{tokens / m.whole:,.0f}", f"{operations / m.whole / rate:.1%}")
        rows.append((name, part, f"{m.whole:.4g}", f"{m.whole_cpu:.4g}", *speed))
    print_table(columns, rows)


def _summary(figures: dict[str, Figures], peers: Mapping[str, Theirs], *, share: float) -> dict[str, Any]:
    ours = figures["t5core"].median()
    wholes = {name: figures[name].median().whole for name in peers}
    best = min((n for n, p in peers.items() if FLOAT32 not in n), key=wholes.__getitem__) if peers else None
    plain = [seconds for name, seconds in wholes.items() if not peers[name].autocast]
    out: dict[str, Any] = {
        "ours": figures["t5core"],
        "theirs": None,
        "peer": best,
        "ratio": None,
        "gradient_ratio": None,
        "float32_ratio": min(plain) / ours.whole if plain else None,
        "share_of_matrix_rate": share,
    }
    line = f"share_of_matrix_rate {share:.3f}"
    if best is not None:
        theirs = figures[best].median()
        out["theirs"] = figures[best]
        out["ratio"], out["gradient_ratio"] = theirs.whole / ours.whole, theirs.lap / ours.lap
        cpu = theirs.whole_cpu / ours.whole_cpu
        line = f"ratio {out['ratio']:.2f} gradient {out['gradient_ratio']:.2f} of_cpu_time {cpu:.2f} ({best}) {line}"
        if peers[best].autocast and plain:
            line = f"float32_ratio {out['float32_ratio']:.2f} {line}"
    print(line, flush=True)
    return out
