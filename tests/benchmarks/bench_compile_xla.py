"""How much longer XLA compiles a training step of 24 layers than one of 6.

    python -m tests.benchmarks.bench_compile_xla

Encoder-decoders of 6 + 6 and 24 + 24 layers, small's widths, dropout 0.1, on XLA's CPU client, each in a process of
its own, because compiled programs are kept. Counted is all compilation up to the end of the second step, as torch-xla's
metrics have it; the time to the end of the first step, with tracing, is told beside it. The mark is less than 1.5
times. Leaves with exit code 1 at or above it.
"""

import json
import os
import statistics
import subprocess
import sys
import time

from t5core.bench.train import random_batch
from t5core.config import TrainConfig
from t5core.model import T5, preset

MARK = 1.5
LAYERS = (6, 24)
ROUNDS = 2
CHILD = "--child"
BATCH, INPUTS, TARGETS = 2, 64, 32


def compile_seconds(layers: int) -> dict[str, float]:
    """Trains two steps and tells how long compilation took; for a fresh process."""
    from torch_xla.debug import metrics

    from t5core.devices import open_device
    from t5core.training.step import TrainStep

    device = open_device("xla")
    config = preset("small").replace(num_encoder_layers=layers, num_decoder_layers=layers)
    model = device.place(T5(config).initialise(0))
    step = TrainStep(model, TrainConfig(batch_size=BATCH, inputs_length=INPUTS, targets_length=TARGETS), device)
    batch = random_batch(config.vocab_size, BATCH, INPUTS, TARGETS)
    before, started = metrics.metric_data("CompileTime"), time.perf_counter()
    float(step(batch, 0))
    first = time.perf_counter() - started
    float(step(batch, 1))
    after = metrics.metric_data("CompileTime")
    return {
        "compile": 1e-9 * (after[1] - (before[1] if before else 0)),
        "programs": after[0] - (before[0] if before else 0),
        "first_step": first,
    }


def measured(layers: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_compile_xla", CHILD, str(layers)]
    done = subprocess.run(command, env=os.environ | {"PJRT_DEVICE": "CPU"}, stdout=subprocess.PIPE, check=True)
    out: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return out


def main() -> int:
    if CHILD in sys.argv[1:]:
        print(json.dumps(compile_seconds(int(sys.argv[-1]))))
        return 0
    taken: dict[int, list[dict[str, float]]] = {layers: [] for layers in LAYERS}
    for _ in range(ROUNDS):  # in turns, so that a slow minute is slow for both
        for layers in LAYERS:
            taken[layers].append(measured(layers))
    print(f"XLA compile time of a training step, {ROUNDS} fresh processes each, medians")
    medians = {}
    for layers, rows in taken.items():
        median = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        medians[layers] = median["compile"]
        print(
            f"{layers:>3} + {layers} layers: compile {median['compile']:.2f} s in {median['programs']:.0f} programs, "
            f"first step {median['first_step']:.2f} s"
        )
    ratio = medians[LAYERS[1]] / medians[LAYERS[0]]
    print(f"xla_compile_ratio {ratio:.2f} mark {MARK}")
    if ratio >= MARK:
        print(f"compile: {ratio:.2f} times as long for four times the layers is not below {MARK}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
