"""One training step: forward, backward, AdaFactor.

With ``TrainConfig.microbatch`` forward and backward go through a process's rows in parts:

    batch of 12 rows, 2 processes, microbatch 3     rank 0: rows 0 1 2, then 3 4 5     rank 1: rows 6 7 8, then 9 10 11

Each part's loss is divided by what the whole batch's would be, so the sum of their gradients is the whole batch's.
Dropout is a function of a row's place in the batch: the masks are the same too.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from t5core.config import TrainConfig
from t5core.devices import Device
from t5core.devices.device import mix
from t5core.devices.layered import is_joined
from t5core.errors import ConfigError, DataError
from t5core.feeds.batch import Batch
from t5core.model import T5, Dropout, ModelInputs
from t5core.model.inputs import PAD_ID
from t5core.model.kernels import not_compiled
from t5core.training.adafactor import AdaFactor
from t5core.training.program import LossProgram
from t5core.training.schedules import Schedule, schedule_of
from t5core.training.trainable import episode, is_trainable, trained_layers


class TrainStep:
    """A model, its optimizer and its schedule on a device; calling it trains on one batch.

    Args:
        model: placed on the device.
        first_step: what the step counter starts from: 0, or the pre-training's steps when fine-tuning (the released
            code lets the counter, and with it AdaFactor's decay, go on; ``fresh_moments`` have a decay of their own).


    Attributes:
        gradient_norm: of the last step that took it, on the device: the Euclidean norm of the whole batch's gradient.
    """

    gradient_norm: Tensor | None = None

    def __init__(self, model: T5, config: TrainConfig, device: Device, *, first_step: int = 0) -> None:
        self.model = model
        self.config = config
        self.device = device
        self.first_step = first_step
        self.model.compute_dtype = device.compute_dtype
        self.optimizer = AdaFactor(self._ever_trained(), config.optimizer, compiled=device.compiled)
        self.schedule: Schedule = schedule_of(config.schedule, config.steps)
        self.episode = -1
        self._padded = False
        self.program: nn.Module = LossProgram(model, config.z_loss, device.loss_chunk_bytes)
        model.train()
        device.end_step()  # weights and moments are there before the first step, which is then like every other

    def learning_rate(self, i: int) -> float:
        """Returns the rate of the ``i``-th step of this run, which some schedules are laid over."""
        return self.schedule(i if self.config.schedule.over_the_run else self.first_step + i)

    def __call__(
        self, batch: Batch, i: int, inputs: ModelInputs | Sequence[ModelInputs] | None = None, *, measured: bool = False
    ) -> Tensor:
        """Trains on the ``i``-th batch of this run; returns the mean cross-entropy per target token, on the device.

        Args:
            batch: all rows.
            i: its index.
            inputs: ``self.parts(batch)``, where that was done beforehand, or ``self.inputs(batch)`` for one part.
            measured: whether to take the gradient's norm. Where a step without it would be another program to compile,
                every step takes it.

        Raises:
            DataError: for ids outside the model's vocabulary.
        """
        parts = self.parts(batch) if inputs is None else [inputs] if isinstance(inputs, ModelInputs) else inputs
        self._enter(episode(self.config, i))
        count = self.first_step + i
        cross_entropy, tokens = (
            self._whole(batch, parts[0], count) if len(parts) == 1 else self._in_parts(batch, parts, count)
        )
        if measured or self.device.static_shapes:
            self.gradient_norm = self.device.norm(self._gradients())
        decay = self.optimizer.decay(i if self.config.fresh_moments else count)
        self.optimizer.step(self.device.scalar(self.learning_rate(i)), self.device.scalar(decay))
        loss = cross_entropy / tokens  # before the end of the step, so that it belongs to the step's own program
        self.device.end_step()
        return loss

    def _whole(self, batch: Batch, inputs: ModelInputs, count: int) -> tuple[Tensor, Tensor]:
        """Computes gradients; returns the whole batch's summed cross-entropy and its number of target tokens."""
        first_row = self.device.rows(len(batch.targets)).start
        training, cross_entropy, tokens = self.program(inputs, self._dropout(count, first_row))
        cross_entropy, tokens = self._totals(cross_entropy, tokens)
        denominator = batch.targets.size if self.config.loss_denominator == "targets" else tokens
        torch.autograd.backward(training * (self.device.gradient_scale / denominator))
        return cross_entropy, tokens

    def _in_parts(self, batch: Batch, parts: Sequence[ModelInputs], count: int) -> tuple[Tensor, Tensor]:
        """Does the same part by part."""
        # known before the first part's backward: every process has the whole batch
        tokens = self.device.scalar(float(_asked_tokens(batch)))
        denominator = batch.targets.size if self.config.loss_denominator == "targets" else tokens
        row = self.device.rows(len(batch.targets)).start
        sums = []
        for part in parts:
            last = part is parts[-1]
            with nullcontext() if last else self.device.adding_up(self.program):
                training, cross_entropy, _ = self.program(part, self._dropout(count, self.device.whole(row)))
                torch.autograd.backward(training * (self.device.gradient_scale / denominator))
            sums.append(cross_entropy)
            row += len(part.targets_BT)
            if not last:
                self.device.end_step()  # a device that records programs has some for the parts, not one for all
        return self.device.total(torch.stack(sums).sum()), tokens

    @torch.no_grad()
    def held_out(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns the summed cross-entropy and the number of target tokens of a batch, without dropout or training."""
        program = LossProgram(self.model, 0.0, self.device.loss_chunk_bytes)  # some batches: not worth compiling
        with self.model.kernels_replaced(not_compiled):
            _, cross_entropy, tokens = program(self.inputs(batch))
        self.device.end_step()
        return self._totals(cross_entropy, tokens)

    def _totals(self, cross_entropy: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Both summed over the processes, sent together: the backward pass waits for it."""
        cross_entropy, tokens = self.device.total(torch.stack([cross_entropy, tokens])).unbind()
        return cross_entropy, tokens

    def _gradients(self) -> list[Tensor]:
        """Returns what the optimizer is given, without the layers of joined tensors that it will not change."""
        gradients = []
        for name, p in self.optimizer.parameters.items():
            if p.grad is not None:
                trained_L = self.optimizer.trained_layers.get(name)
                kept = p.grad if trained_L is None else p.grad * trained_L.view(-1, *(1 for _ in p.shape[1:]))
                gradients.append(kept)
        return gradients

    def _ever_trained(self) -> list[tuple[str, nn.Parameter]]:
        last = self.config.unfreezing_episodes - 1
        return [
            (name, p)
            for name, p in self.model.named_parameters()
            if is_trainable(name, self.model.config, self.config, last)
        ]

    def _enter(self, now: int) -> None:
        """Wraps the program anew when other parameters become trainable; at the first step, for the first time."""
        if now == self.episode:
            return
        self.episode = now
        for name, p in self.model.named_parameters():
            p.requires_grad_(is_trainable(name, self.model.config, self.config, now))
            if self.config.trainable == "gradual" and is_joined(name):
                trained_L = trained_layers(name, self.model.config, self.config, now)
                self.optimizer.trained_layers[name] = self.device.put(np.array(trained_L))
        plain = LossProgram(self.model, self.config.z_loss, self.device.loss_chunk_bytes)
        self.program = self.device.wrap(plain)

    def inputs(self, batch: Batch) -> ModelInputs:
        """Returns this process's rows of a batch, on the device; raises DataError as a step does."""
        self._check(batch)
        return self._put(batch, self.device.rows(len(batch.targets)))

    def parts(self, batch: Batch) -> list[ModelInputs]:
        """Returns the same in parts that are computed one after another; one, where no microbatch is set.

        Raises:
            ConfigError: where the rows here, or the devices that share them, do not come out even.
            DataError: as a step does.
        """
        self._check(batch)
        rows = self.device.rows(len(batch.targets))
        size = min(self.config.microbatch or len(rows), len(rows))
        if len(rows) % size:
            raise ConfigError("microbatch", size, f"give a number that divides {len(rows)}, the rows of a process")
        try:
            self.device.rows(size * (len(batch.targets) // len(rows)))
        except ConfigError as error:
            raise ConfigError("microbatch", size, str(error).partition(": ")[2]) from None
        return [self._put(batch, range(first, first + size)) for first in range(rows.start, rows.stop, size)]

    def _put(self, batch: Batch, rows: range) -> ModelInputs:
        if batch.input_segments is None:
            # once a batch was padded, all that follow count as padded: with and without are two compiled programs, and
            # a feed that fills most of its rows would change between them
            self._padded = self._padded or bool((batch.inputs == PAD_ID).any())

        def here(array: Any) -> Any:
            return None if array is None else self.device.put(array[rows.start : rows.stop])

        return ModelInputs(
            inputs_BS=here(batch.inputs),
            targets_BT=here(batch.targets),
            input_segments_BS=here(batch.input_segments),
            target_segments_BT=here(batch.target_segments),
            prefix_BT=here(batch.prefix),
            padded=self._padded,
        )

    def _dropout(self, count: int, first_row: int | Tensor) -> Dropout | None:
        if self.config.dropout_rate == 0:
            return None
        key = self.device.whole(mix((self.config.seed, count)) & 0xFFFFFFFF)
        return Dropout(rate=self.config.dropout_rate, key=key, first_row=first_row)

    def _check(self, batch: Batch) -> None:
        rows = self.model.config.vocab_size
        for field, ids in (("inputs", batch.inputs), ("targets", batch.targets)):
            if ids.size and (int(np.min(ids)) < 0 or int(np.max(ids)) >= rows):
                bad = int(np.min(ids)) if int(np.min(ids)) < 0 else int(np.max(ids))
                raise DataError(field, bad, f"a token id outside the model's vocabulary of {rows}: use its own")


def _asked_tokens(batch: Batch) -> int:
    """Returns how many targets of a batch a loss is taken on."""
    asked_BT = batch.targets != PAD_ID
    return int(np.count_nonzero(asked_BT if batch.prefix is None else asked_BT & ~batch.prefix))
