"""One training step: forward, backward, AdaFactor."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from t5core.config import TrainConfig
from t5core.devices import Device
from t5core.devices.device import mix
from t5core.devices.layered import is_joined
from t5core.errors import DataError
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
    """

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

    def __call__(self, batch: Batch, i: int, inputs: ModelInputs | None = None) -> Tensor:
        """Trains on the ``i``-th batch of this run; returns the mean cross-entropy per target token, on the device.

        Args:
            batch: all rows.
            i: its index.
            inputs: ``self.inputs(batch)``, where that was done beforehand.

        Raises:
            DataError: for ids outside the model's vocabulary.
        """
        inputs = self.inputs(batch) if inputs is None else inputs
        self._enter(episode(self.config, i))
        count = self.first_step + i
        training, cross_entropy, tokens = self.program(inputs, self._dropout(batch, count))
        cross_entropy, tokens = self._totals(cross_entropy, tokens)
        denominator = batch.targets.size if self.config.loss_denominator == "targets" else tokens
        torch.autograd.backward(training * (self.device.gradient_scale / denominator))
        decay = self.optimizer.decay(i if self.config.fresh_moments else count)
        self.optimizer.step(self.device.scalar(self.learning_rate(i)), self.device.scalar(decay))
        loss = cross_entropy / tokens  # before the end of the step, so that it belongs to the step's own program
        self.device.end_step()
        return loss

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
        if batch.input_segments is None:
            # once a batch was padded, all that follow count as padded: with and without are two compiled programs, and
            # a feed that fills most of its rows would change between them
            self._padded = self._padded or bool((batch.inputs == PAD_ID).any())
        rows = self.device.rows(len(batch.targets))

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

    def _dropout(self, batch: Batch, count: int) -> Dropout | None:
        if self.config.dropout_rate == 0:
            return None
        key = self.device.whole(mix((self.config.seed, count)) & 0xFFFFFFFF)
        first_row = self.device.rows(len(batch.targets)).start
        return Dropout(rate=self.config.dropout_rate, key=key, first_row=first_row)

    def _check(self, batch: Batch) -> None:
        rows = self.model.config.vocab_size
        for field, ids in (("inputs", batch.inputs), ("targets", batch.targets)):
            if ids.size and (int(np.min(ids)) < 0 or int(np.max(ids)) >= rows):
                bad = int(np.min(ids)) if int(np.min(ids)) < 0 else int(np.max(ids))
                raise DataError(field, bad, f"a token id outside the model's vocabulary of {rows}: use its own")
