"""One training step: forward, backward, AdaFactor."""

import torch
from torch import Tensor

from t5core.config import TrainConfig
from t5core.devices import Device
from t5core.feeds.batch import Batch
from t5core.model import T5
from t5core.training.adafactor import AdaFactor
from t5core.training.loss import projected_token_losses
from t5core.training.schedules import Schedule, schedule_of


class TrainStep:
    """A model, its optimizer and its schedule on a device; calling it trains on one batch.

    Args:
        first_step: what the step counter starts from: 0, or the pre-training's steps when fine-tuning (the released
            code lets the counter, and with it AdaFactor's decay, go on).
    """

    def __init__(self, model: T5, config: TrainConfig, device: Device, *, first_step: int = 0) -> None:
        self.model = model
        self.config = config
        self.device = device
        self.first_step = first_step
        self.optimizer = AdaFactor(model.named_parameters(), config.optimizer)
        self.schedule: Schedule = schedule_of(config.schedule, config.steps)
        model.set_dropout(config.dropout_rate)
        model.train()

    def learning_rate(self, i: int) -> float:
        """Returns the rate of the ``i``-th step of this run; only the triangle is laid over the run itself."""
        return self.schedule(i if self.config.schedule.kind == "triangular" else self.first_step + i)

    def __call__(self, batch: Batch, i: int) -> Tensor:
        """Trains on the ``i``-th batch of this run; returns the mean cross-entropy per target token, on the device."""
        count = self.first_step + i
        if self.config.dropout_rate > 0:
            self.device.seed(self.config.seed, count)
        inputs_BS, targets_BT = self.device.put(batch.inputs), self.device.put(batch.targets)
        hidden_BTD = self.model.hidden(inputs_BS, targets_BT)
        training, cross_entropy, tokens = projected_token_losses(
            hidden_BTD, self.model.embedding.weight, targets_BT, self.config.z_loss, self.device.loss_chunk_bytes
        )
        denominator = targets_BT.numel() if self.config.loss_denominator == "targets" else tokens
        torch.autograd.backward(training / denominator)
        self.optimizer.step(self.device.scalar(self.learning_rate(i)), self.device.scalar(self.optimizer.decay(count)))
        loss = cross_entropy / tokens  # before the end of the step, so that it belongs to the step's own program
        self.device.end_step()
        return loss
