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
from t5core.training.measures import repeatable
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


class Stopped(Exception):
    """What ends a run at a ``StoppingFeed``'s batch."""


class StoppingFeed(CopyFeed):
    """Ends the run when batch ``at`` is asked for; ``asked`` holds what was."""

    def __init__(self, at: int, config: TrainConfig = TRAIN) -> None:
        super().__init__(config)
        self.at = at
        self.asked: list[int] = []

    def batch(self, i: int) -> Batch:
        """Returns batch ``i``, or raises Stopped."""
        self.asked.append(i)
        if i == self.at:
            raise Stopped
        return super().batch(i)


def curve(folder: Path) -> list[dict]:
    """Returns the rows of a run's metrics.jsonl, without what another run of the same measures otherwise."""
    return [repeatable(json.loads(line)) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def real(row: np.ndarray) -> list[int]:
    """Returns a row's tokens without its padding."""
    return [int(token) for token in row if token]


class PackedFeed(CopyFeed):
    """Two of the feed's examples in each row of twice the length, the second right behind the first."""

    def batch(self, i: int) -> Batch:
        """Returns batch ``i``."""
        batches = [CopyFeed(self.config).batch(2 * i + k) for k in (0, 1)]
        ids, segments = {}, {}
        for field in ("inputs", "targets"):
            rows = [[real(row) for row in pair] for pair in zip(*(getattr(b, field) for b in batches), strict=True)]
            width = 2 * getattr(batches[0], field).shape[1]
            ids[field], segments[field] = (np.zeros((len(rows), width), dtype=np.int32) for _ in range(2))
            for row, (first, second) in enumerate(rows):
                ids[field][row, : len(first + second)] = first + second
                segments[field][row, : len(first + second)] = [1] * len(first) + [2] * len(second)
        return Batch(**ids, input_segments=segments["inputs"], target_segments=segments["targets"])


class JoinedFeed(CopyFeed):
    """The feed's examples for a model without an encoder: input, a marker, target, in one row."""

    MARKER = 2

    def batch(self, i: int) -> Batch:
        """Returns batch ``i``."""
        batch = super().batch(i)
        width = batch.inputs.shape[1] + batch.targets.shape[1]
        targets = np.zeros((len(batch.inputs), width), dtype=np.int32)
        prefix = np.zeros(targets.shape, dtype=bool)
        for row, (shown, asked) in enumerate(zip(batch.inputs, batch.targets, strict=True)):
            given = [*real(shown)[:-1], self.MARKER]  # without the end mark
            whole = [*given, *real(asked)]
            targets[row, : len(whole)] = whole
            prefix[row, : len(given)] = True
        return Batch(inputs=np.zeros((len(targets), 0), dtype=np.int32), targets=targets, prefix=prefix)


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


def losses(
    config: TrainConfig, device, *, model: ModelConfig = MODEL, feed: type[CopyFeed] = CopyFeed, kernel=None
) -> list[float]:
    """Returns the loss of every step of a fresh model."""
    step = TrainStep(device.place(T5(model).initialise(config.seed)), config, device)
    if kernel is not None:
        step.model.use_kernel(kernel_named(kernel))
    batches = feed(config)
    return [step(batches.batch(i), i).item() for i in range(config.steps)]


PLAIN = TRAIN.replace(dropout_rate=0.0)
ALONE = {"num_encoder_layers": 0, "num_decoder_layers": 2}

GOLDEN = {
    # settings, without dropout
    "targets": {"config": PLAIN},
    "tokens": {"config": PLAIN.replace(loss_denominator="tokens")},
    "triangular": {"config": PLAIN.replace(schedule=ScheduleConfig(kind="triangular", learning_rate=0.1))},
    "unfactored": {"config": PLAIN.replace(optimizer=OptimizerConfig())},
    # architectures, with the paper's dropout
    "encoder_decoder": {"config": TRAIN},
    "shared_encoder_decoder": {"config": TRAIN, "model": MODEL.replace(architecture="shared_encoder_decoder")},
    "language_model": {
        "config": TRAIN,
        "model": MODEL.replace(architecture="language_model", **ALONE),
        "feed": JoinedFeed,
    },
    "prefix_lm": {"config": TRAIN, "model": MODEL.replace(architecture="prefix_lm", **ALONE), "feed": JoinedFeed},
    "v1.1": {"config": TRAIN, "model": MODEL.replace(feed_forward="gated_gelu", tied_embeddings=False)},
    "adapters": {
        "config": TRAIN.replace(trainable="adapters_and_norms"),
        "model": MODEL.replace(adapter_size=16),
    },
    "gradual": {"config": TRAIN.replace(trainable="gradual", unfreezing_episodes=4)},
    "packed": {"config": TRAIN, "feed": PackedFeed},
}
"""By name, what ``losses`` is given for the losses in golden_losses.json."""


def golden() -> dict[str, list[float]]:
    """Returns the losses of every golden case, rounded."""
    torch.set_num_threads(1)
    device = open_device("cpu")
    return {name: [round(x, 6) for x in losses(device=device, **case)] for name, case in GOLDEN.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "golden":
        rows = [f'"{name}": {json.dumps(values)}' for name, values in golden().items()]
        sys.stdout.write("{\n " + ",\n ".join(rows) + "\n}\n")
    elif sys.argv[1] == "train":
        run_in(Path(sys.argv[2]), TRAIN.replace(steps=int(sys.argv[3]))).run()
    else:
        raise SystemExit(f"{sys.argv[1]!r}: give train or golden")
