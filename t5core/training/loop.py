"""The training loop: batches by index, a curve, checkpoints, resuming as a jump.

Batch ``i`` is a pure function of the feed's config and ``i``, dropout is seeded by the step, and a checkpoint holds
weights and moments. A run also keeps what it decided that changes the last bits, its threads and its attention kernel
(``t5core.training.remembered``). So a run that was killed goes on from its last good checkpoint and, on CPUs of one
family, ends in the same bits as one that was not; docs/reproducibility.md says what else must be the same.

Every loss is looked at: at once, or on a device that queues its work one step later, while the next step runs. A loss
or a weight that is not finite ends the run, with the batch written down; no checkpoint is ever made of it. The means of
``log_every`` losses are appended to ``metrics.jsonl`` and reported, each with the norm of its last step's gradient and
with how fast the steps were and what they took (``t5core.training.measures``).

Where several processes share the batches, all of them run this loop on one shared folder: each computes its rows, and
the first one writes.
"""

import json
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from t5core.config import TrainConfig
from t5core.devices import Decision, Device
from t5core.errors import CheckpointError, NonFiniteLoss
from t5core.feeds.batch import Batch
from t5core.model import T5, ModelInputs
from t5core.training import checkpoint, fitting, kernel_choice, remembered
from t5core.training.average import Average
from t5core.training.kept import Kept
from t5core.training.measures import Measures
from t5core.training.prefetch import ahead
from t5core.training.profiling import TRACE_FILE, StepEnded, traced
from t5core.training.step import TrainStep

FINAL = "final"
"""The folder of the last checkpoint, the run's result."""

Report = Callable[[dict[str, Any]], None]
"""Called with JSON values while a run goes on: ``{"step", "steps", "loss"}``."""

Show = Callable[[np.ndarray], list[str]]
"""Turns ids ``[B, L]`` into one text per row, for people."""


class Feed(Protocol):
    """Anything that gives the batch of an index."""

    def batch(self, i: int) -> Batch:
        """Returns batch ``i``, the same one whenever it is asked for."""


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a run came to; losses are cross-entropy in nats per target token.

    ``steps_run`` and ``seconds`` are of the last attempt: a run that was killed went on from a checkpoint.
    """

    steps: int
    steps_run: int
    first_loss: float
    last_loss: float
    seconds: float
    compilations_after_warmup: int


class TrainingRun:
    """One run in one folder: ``checkpoints/``, ``metrics.jsonl``, ``kept/`` if asked for and, at the end, ``final/``.

    Args:
        model: freshly initialised, or loaded from an earlier run.
        moments: AdaFactor's moments of an earlier run to go on with, or None.
        new: parameters that the earlier run's model had not, and ``moments`` therefore has not: adapters.
        first_step: where the step counter starts (see TrainStep).
        folder: where the run writes; what an earlier, killed attempt left there is taken up.
        show: makes the text of a batch that ended the run readable; None: its ids are kept alone.

    Raises:
        CheckpointError: when the processes that share the batches find different checkpoints.
    """

    WARMUP_STEPS = 3

    def __init__(
        self,
        model: T5,
        feed: Feed,
        config: TrainConfig,
        device: Device,
        folder: Path,
        *,
        moments: Mapping[str, Tensor] | None = None,
        new: Collection[str] = (),
        first_step: int = 0,
        report: Report = lambda values: None,
        show: Show | None = None,
    ) -> None:
        self.feed = feed
        self.config = config
        self.device = device
        self.folder = folder
        self.report = report
        self.show = show
        self.checkpoints = folder / "checkpoints"
        self.metrics_path = folder / "metrics.jsonl"
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self.kept = Kept(config, device, folder)
        earlier = self._finished() or checkpoint.newest(self.checkpoints)
        if earlier is not None and not self.kept.whole(earlier.step):
            earlier = None
        if earlier is not None:
            model, moments = earlier.model(), earlier.optimizer()
        self.begin = earlier.step if earlier is not None else 0
        self._agree(self.begin)
        self.average = Average(config, device, earlier)
        self.layout = fitting.fit(model.config, config, device, lambda: feed.batch(self.begin))
        placed = device.place(model)
        assert isinstance(placed, T5)
        self.step = TrainStep(placed, config, device, first_step=first_step)
        if moments is not None:
            like = self.step.optimizer.moments
            self.step.optimizer.load_moments(device.scattered(moments, like), new=new)
            device.end_step()  # so that the first step is like every other
        self.threads = remembered.threads(folder, device, resumed=earlier is not None)
        with self._computing():
            self.kernel = self._choose_kernel()
        self._batches = ahead(self._batch, range(self.begin, self.config.steps), device.prefetch)
        self.curve = self._curve_so_far()

    def _finished(self) -> checkpoint.Checkpoint | None:
        """Returns what an earlier attempt left that trained to the end and was killed after it."""
        try:
            return checkpoint.load(self.folder / FINAL)
        except CheckpointError:
            return None

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What was decided about device, threads, memory and kernel, and why; behind a profiled run, its trace."""
        with self._computing():
            found = self.device.decisions()
        told = (self.threads, self.layout, self.kernel, self.profile)
        mine = [decision for decision in told if decision is not None]
        return (*(decision for decision in found if decision.what != remembered.THREADS), *mine)

    def run(self) -> TrainResult:
        """Trains to the end and returns the result; raises NonFiniteLoss when the loss is NaN or infinite."""
        with self._computing(), self._profiled() as step_ended:
            return self._run(step_ended)

    def held_out(self, batches: Iterable[Batch]) -> float:
        """Returns the cross-entropy per target token of batches together, without dropout or training."""
        with self._computing():
            sums = [self.step.held_out(batch) for batch in batches]
            total, count = (sum(float(x) for x in column) for column in zip(*sums, strict=True))
        return total / count

    def _computing(self) -> AbstractContextManager[None]:
        return nullcontext() if self.threads is None else self.device.with_threads(int(self.threads.value))

    def _profiled(self) -> AbstractContextManager[StepEnded]:
        steps = self.config.profile_steps
        if steps is None or self.device.rank != 0:
            return nullcontext(lambda: None)
        return traced(self.folder, steps, behind=self.WARMUP_STEPS, torch_device=self.device.torch_device)

    @property
    def profile(self) -> Decision | None:
        """Where the trace of this attempt or one before it lies; None where none was asked for or there is none."""
        asked = self.config.profile_steps
        if asked is None or not (self.folder / TRACE_FILE).exists():
            return None
        return Decision(what="profile", value=str(TRACE_FILE), why=f"a trace of {asked} steps was asked for")

    def _run(self, step_ended: StepEnded) -> TrainResult:
        started = time.monotonic()
        pending: list[tuple[int, Tensor]] = []
        losses: list[float] = []
        behind = 1 if self.device.queued else 0
        compiled = 0
        measures = Measures(self.step.model.config, self.device)
        for i, batch, inputs in self._batches:
            done = i + 1
            save = done % self.config.checkpoint_every == 0 and done < self.config.steps
            log = save or done % self.config.log_every == 0 or done == self.config.steps
            pending.append((i, self.step(batch, i, inputs, measured=log)))
            self.average.take(done, self.step.model)
            self.kept.take(done, self.step.model, self._state(done))
            measures.add(batch)
            if i - self.begin == self.WARMUP_STEPS:
                compiled = self.device.compilations()
            while len(pending) > (0 if log else behind):
                losses.append(self._fetched(*pending.pop(0)))
            step_ended()
            if log:
                self._log(losses, done, measures)
                losses = []
            if save:
                self._save(checkpoint.step_folder(self.checkpoints, done), done)
                self._keep_newest(2)
                measures.begin()
        self._save(self.folder / FINAL, self.config.steps)
        self._keep_newest(0)
        self._agree(self.config.steps)  # none leaves before the first has written
        self.average.settle(self.step.model, self.folder / FINAL)
        recompiled = max(0, self.device.compilations() - compiled) if compiled else 0
        tail = [row["loss"] for row in self.curve][-max(1, 100 // self.config.log_every) :]
        return TrainResult(
            steps=self.config.steps,
            steps_run=self.config.steps - self.begin,
            first_loss=self.curve[0]["loss"],
            last_loss=sum(tail) / len(tail),
            seconds=time.monotonic() - started,
            compilations_after_warmup=recompiled,
        )

    def _batch(self, i: int) -> tuple[int, Batch, list[ModelInputs]]:
        batch = self.feed.batch(i)
        return i, batch, self.step.parts(batch)

    def _fetched(self, i: int, loss: Tensor) -> float:
        value = float(loss)
        if not math.isfinite(value):
            self._stop(i, value, "loss")
        return value

    def _log(self, losses: list[float], done: int, measures: Measures) -> None:
        norm = math.nan if self.step.gradient_norm is None else float(self.step.gradient_norm)
        row = {
            "step": done,
            "loss": sum(losses) / len(losses),
            "learning_rate": self.step.learning_rate(done - 1),
            "gradient_norm": norm if math.isfinite(norm) else None,
            **measures.row(),
        }
        self.curve.append(row)
        if self.device.rank == 0:
            with self.metrics_path.open("a") as file:
                file.write(json.dumps(row) + "\n")
        self.report({"step": done, "steps": self.config.steps, "loss": row["loss"]})

    def _stop(self, i: int, value: float, what: str) -> None:
        """Writes batch ``i`` down, its ids and, if they can be shown, its texts, and ends the run."""
        self._batches.close()
        batch = self.feed.batch(i)
        saved = self.folder / f"nonfinite-step-{i:08d}.npz"
        arrays = {name: array for name, array in vars(batch).items() if array is not None}
        readable = saved.with_suffix(".jsonl")
        if self.device.rank == 0:
            np.savez(saved, **arrays)
            if self.show is not None:
                texts = zip(self.show(batch.inputs), self.show(batch.targets), strict=True)
                rows = [{"row": row, "inputs": shown, "targets": asked} for row, (shown, asked) in enumerate(texts)]
                readable.write_text(
                    "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
                )
        raise NonFiniteLoss(i, value, str(saved if self.show is None else readable), what)

    def _state(self, done: int) -> dict[str, Any]:
        return {"train": self.config.to_dict(), "total_step": self.step.first_step + done}

    def _save(self, folder: Path, done: int) -> None:
        extra = {**self._state(done), **self.average.state}
        ended = self.average.complete  # then what was averaged is what the run leaves
        weights = self.average.mean if ended else self.device.gathered(self.step.model.state_dict())
        moments = self.device.gathered(self.step.optimizer.moments)
        # the last update may have spoilt them, though its loss was finite
        spoilt = not all(bool(torch.isfinite(x).all()) for named in (weights, moments) for x in named.values())
        if self.device.everywhere(spoilt) != {0.0}:
            self._stop(done - 1, math.nan, "weights")
        if self.device.rank == 0:
            mean = None if ended else self.average.mean
            checkpoint.save(folder, done, self.step.model.config, weights, moments, extra, mean)

    def _keep_newest(self, count: int) -> None:
        if self.device.rank == 0:
            checkpoint.keep_newest(self.checkpoints, count)

    def _agree(self, step: int) -> None:
        """Waits for the other processes; raises CheckpointError if they are not at the same step."""
        if self.device.everywhere(step) != {step}:
            way_out = "the processes found different checkpoints there: give all of them one shared folder"
            raise CheckpointError("folder", str(self.folder), way_out)

    def _choose_kernel(self) -> Decision | None:
        """Returns what was chosen among the device's attention kernels, by an earlier attempt or now, and uses it."""
        names = self.device.kernels
        if not names:
            return None
        path = self.folder / remembered.KERNEL_FILE
        earlier = remembered.read(path)
        known = self.device.everywhere(earlier is not None and earlier.value in names)
        if earlier is not None and known == {1.0}:
            chosen = earlier
        elif len(names) == 1:
            chosen = kernel_choice.only(names[0])
        else:
            candidates = [kernel_choice.kernel_named(name) for name in names]
            batch = self.step.parts(self.feed.batch(self.begin))[0]
            chosen = kernel_choice.choose(candidates, self.step.model.config, batch, self.device)
            if self.device.rank == 0:
                remembered.write(path, chosen)
        self.step.model.use_kernel(kernel_choice.kernel_named(chosen.value))
        return chosen

    def _curve_so_far(self) -> list[dict[str, Any]]:
        """Returns the curve up to where this attempt begins, and cuts the file back to it."""
        rows = []
        if self.metrics_path.exists():
            for line in self.metrics_path.read_text().splitlines():
                try:
                    row = json.loads(line)
                except json.JSONDecodeError:  # the last line of a killed attempt
                    break
                if row["step"] <= self.begin:
                    rows.append(row)
        if self.device.rank == 0:
            temporary = self.metrics_path.with_name(f".{self.metrics_path.name}.partial")
            temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
            temporary.replace(self.metrics_path)  # at once: a kill in between must not lose the curve
        return rows
