"""A small model on made-up batches, for tests here and for the processes that they start.

python small_run.py train FOLDER STEPS        trains, or goes on with what an earlier attempt left in FOLDER
python small_run.py golden                    prints golden_losses.json as the code now computes it
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from t5core.config import ModelConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from t5core.devices import open_device
from t5core.feeds.batch import Batch
from t5core.model import T5
from t5core.training import TrainingRun
from t5core.training.kernel_choice import kernel_named
from t5core.training.step import TrainStep

MODEL = ModelConfig(vocab_size=48, d_model=32, d_kv=8, d_ff=64, num_heads=4, num_encoder_layers=2, num_decoder_layers=2)
TRAIN = TrainConfig(
    steps=20,
    batch_size=6,
    inputs_length=12,
    targets_length=8,
    optimizer=OptimizerConfig(min_dim_size_to_factor=32),  # some matrices factored, some not
    schedule=ScheduleConfig(learning_rate=0.03, warmup_steps=10),
    dropout_rate=0.1,
    log_every=4,
    checkpoint_every=6,
    seed=11,
)


class CopyFeed:
    """Rows of random tokens; the target is the row's beginning, so that there is something to learn."""

    def __init__(self, config: TrainConfig = TRAIN) -> None:
        self.config = config

    def batch(self, i: int) -> Batch:
        """Returns batch ``i``."""
        c = self.config
        rng = np.random.default_rng([c.seed, i])
        inputs = rng.integers(2, MODEL.vocab_size, (c.batch_size, c.inputs_length), dtype=np.int32)
        targets = inputs[:, : c.targets_length].copy()
        for array in (inputs, targets):
            lengths = rng.integers(3, array.shape[1] + 1, c.batch_size)
            places = np.arange(array.shape[1])
            array[places[None, :] == lengths[:, None] - 1] = 1
            array[places[None, :] >= lengths[:, None]] = 0
        return Batch(inputs=inputs, targets=targets)


def run_in(folder: Path, config: TrainConfig = TRAIN, *, feed=None, model=None, device=None, **more) -> TrainingRun:
    """Returns a run in ``folder``, with a fresh model unless one is given."""
    model = model or T5(MODEL).initialise(config.seed)
    return TrainingRun(model, feed or CopyFeed(config), config, device or open_device("cpu"), folder, **more)


ENDING_MODEL = MODEL.replace(vocab_size=40, d_ff=48, num_decoder_layers=3)


def ending_model() -> T5:
    """Returns a random model that ends its rows of ``ending_inputs`` after different numbers of tokens."""
    model = T5(ENDING_MODEL).initialise(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.split(".")[-2] in ("o", "wo"):
                weight.mul_(4.0)  # otherwise the token before decides all, through the tied embedding
        model.embedding.weight[1].mul_(2.0)
    return model.eval()


def ending_inputs() -> np.ndarray:
    """Returns 12 rows of up to 10 tokens; with ``ending_model`` five rows end within 4 tokens, six never."""
    rng = np.random.default_rng(0)
    ids = rng.integers(2, ENDING_MODEL.vocab_size, (12, 10))
    for row, length in enumerate(rng.integers(3, 11, 12)):
        ids[row, length - 1] = 1
        ids[row, length:] = 0
    return ids


def losses(config: TrainConfig, device, *, kernel: str | None = None) -> list[float]:
    """Returns the loss of every step of a fresh model."""
    step = TrainStep(device.place(T5(MODEL).initialise(config.seed)), config, device)
    if kernel is not None:
        step.model.use_kernel(kernel_named(kernel))
    feed = CopyFeed(config)
    return [step(feed.batch(i), i).item() for i in range(config.steps)]


GOLDEN_CONFIGS = {
    "targets": TRAIN.replace(dropout_rate=0.0),
    "tokens": TRAIN.replace(dropout_rate=0.0, loss_denominator="tokens"),
    "triangular": TRAIN.replace(dropout_rate=0.0, schedule=ScheduleConfig(kind="triangular", learning_rate=0.1)),
    "unfactored": TRAIN.replace(dropout_rate=0.0, optimizer=OptimizerConfig()),
}


def golden() -> dict[str, list[float]]:
    """Returns the losses of every golden config, rounded."""
    torch.set_num_threads(1)
    device = open_device("cpu")
    return {name: [round(x, 6) for x in losses(config, device)] for name, config in GOLDEN_CONFIGS.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "golden":
        rows = [f'"{name}": {json.dumps(values)}' for name, values in golden().items()]
        sys.stdout.write("{\n " + ",\n ".join(rows) + "\n}\n")
    elif sys.argv[1] == "train":
        run_in(Path(sys.argv[2]), TRAIN.replace(steps=int(sys.argv[3]))).run()
    else:
        raise SystemExit(f"{sys.argv[1]!r}: give train or golden")
