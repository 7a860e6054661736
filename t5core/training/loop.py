"""The training loop: batches by index, a curve, checkpoints, resuming as a jump.

Batch ``i`` is a pure function of the feed's config and ``i``, dropout is seeded by the step, and a checkpoint holds
weights and moments. So a run that was killed goes on from its last good checkpoint and, on a CPU, ends in the same
bits as one that was not.

Losses stay on the device until ``log_every`` steps are done; then they are fetched at once, checked to be finite,
appended to ``metrics.jsonl`` and reported.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from t5core.config import TrainConfig
from t5core.devices import Device
from t5core.errors import CheckpointError, NonFiniteLoss
from t5core.feeds.batch import Batch
from t5core.model import T5
from t5core.training import checkpoint
from t5core.training.step import TrainStep

FINAL = "final"
"""The folder of the last checkpoint, the run's result."""

Report = Callable[[dict[str, Any]], None]
"""Called with JSON values while a run goes on: ``{"step", "steps", "loss"}``."""


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
    """One run in one folder: ``checkpoints/``, ``metrics.jsonl`` and, at the end, ``final/``.

    Args:
        model: freshly initialised, or loaded from an earlier run.
        moments: AdaFactor's moments of an earlier run to go on with, or None.
        first_step: where the step counter starts (see TrainStep).
        folder: where the run writes; what an earlier, killed attempt left there is taken up.
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
        first_step: int = 0,
        report: Report = lambda values: None,
    ) -> None:
        self.feed = feed
        self.config = config
        self.device = device
        self.folder = folder
        self.report = report
        self.checkpoints = folder / "checkpoints"
        self.metrics_path = folder / "metrics.jsonl"
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        earlier = self._finished() or checkpoint.newest(self.checkpoints)
        if earlier is not None:
            model, moments = earlier.model(), earlier.optimizer()
        self.begin = earlier.step if earlier is not None else 0
        placed = device.place(model)
        assert isinstance(placed, T5)
        self.step = TrainStep(placed, config, device, first_step=first_step)
        if moments is not None:
            self.step.optimizer.load_state(moments)
        self.curve = self._curve_so_far()

    def _finished(self) -> checkpoint.Checkpoint | None:
        """Returns what an earlier attempt left that trained to the end and was killed after it."""
        try:
            return checkpoint.load(self.folder / FINAL)
        except CheckpointError:
            return None

    def run(self) -> TrainResult:
        """Trains to the end and returns the result; raises NonFiniteLoss when the loss is NaN or infinite."""
        started = time.monotonic()
        pending: list[Tensor] = []
        compiled = 0
        for i in range(self.begin, self.config.steps):
            pending.append(self.step(self.feed.batch(i), i))
            if i - self.begin == self.WARMUP_STEPS:
                compiled = self.device.compilations()
            done = i + 1
            if done % self.config.log_every == 0 or done == self.config.steps:
                self._log(pending, done)
                pending = []
            if done % self.config.checkpoint_every == 0 and done < self.config.steps:
                if pending:
                    self._log(pending, done)
                    pending = []
                self._save(checkpoint.step_folder(self.checkpoints, done), done)
                checkpoint.keep_newest(self.checkpoints, 2)
        self._save(self.folder / FINAL, self.config.steps)
        checkpoint.keep_newest(self.checkpoints, 0)
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

    def _log(self, pending: list[Tensor], done: int) -> None:
        losses = [float(loss) for loss in pending]  # one by one: stacking them would be a program of its own on XLA
        for offset, loss in enumerate(losses):
            if not math.isfinite(loss):
                self._stop(done - len(losses) + offset, loss)
        row = {"step": done, "loss": sum(losses) / len(losses), "learning_rate": self.step.learning_rate(done - 1)}
        self.curve.append(row)
        with self.metrics_path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.report({"step": done, "steps": self.config.steps, "loss": row["loss"]})

    def _stop(self, i: int, loss: float) -> None:
        batch = self.feed.batch(i)
        saved = self.folder / f"nonfinite-step-{i:08d}.npz"
        np.savez(saved, inputs=batch.inputs, targets=batch.targets)
        raise NonFiniteLoss(i, loss, str(saved))

    def _save(self, folder: Path, done: int) -> None:
        extra = {"train": self.config.to_dict(), "total_step": self.step.first_step + done}
        weights = self.device.gathered(self.step.model.state_dict())
        moments = self.device.gathered(self.step.optimizer.state())
        if self.device.rank == 0:
            checkpoint.save(folder, done, self.step.model.config, weights, moments, extra)

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
        temporary = self.metrics_path.with_name(f".{self.metrics_path.name}.partial")
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
        temporary.replace(self.metrics_path)  # at once: a kill in between must not lose the curve
        return rows
