"""A training step at ``tiny``, as a worker of a study takes it: one thread, a batch without padding.

    python -m tests.benchmarks.bench_step                       # the figure
    git worktree add ../before COMMIT
    python -m tests.benchmarks.bench_step --before ../before    # beside an earlier state of the code, in turns

What is measured runs in a process of its own, since two states of the code do not fit into one, with the allocator's
settings where that state gives them to its workers. The mark is 1.25 times the speed of the state before; without one
there is nothing to be held to. Leaves with exit code 1 below the mark.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from orchestrator.engine.on_ray.connect import ALLOCATOR
from t5core.devices.precision import processor_name

MARK = 1.25
ROUNDS = 7
HERE = Path(__file__).resolve().parents[2]
ASKED = 14
"""Tokens of a target at ``tiny``: of the baseline's inputs of 48."""

TIMED = """
import statistics, sys, time
import numpy as np
from studies.scales import SCALES
from t5core.devices import open_device
from t5core.feeds.batch import Batch
from t5core.model import T5
from t5core.training.step import TrainStep

assert __import__("t5core").__file__.startswith(sys.argv[2] + "/"), "another state of the code was imported"
asked = int(sys.argv[1])
device = open_device("cpu", threads=1)
scale = SCALES["tiny"].baseline
config = scale.pretrain
rng = np.random.default_rng(0)
rows, vocabulary = config.batch_size, scale.model.vocab_size
batch = Batch(
    inputs=rng.integers(2, vocabulary, (rows, config.inputs_length)).astype(np.int32),
    targets=rng.integers(2, vocabulary, (rows, asked)).astype(np.int32),
)
step = TrainStep(device.place(T5(scale.model).initialise(0)), config, device)
taken = []
for i in range(120):
    started = time.perf_counter()
    float(step(batch, i))
    taken.append(time.perf_counter() - started)
try:
    from t5core.bench.parts import shown
except ImportError:  # an earlier state
    pass
else:
    print("of a step: " + shown(lambda: float(step(batch, 120))))
print(statistics.median(taken[20:]))
"""


def measured(folder: Path) -> tuple[float, str]:
    """Returns the median seconds of a step of the code in a folder, and what it says that a step is made of."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    code = (path.read_text(encoding="utf-8") for path in (folder / "orchestrator").rglob("*.py"))
    if any("GLIBC_TUNABLES" in text for text in code):
        environment |= ALLOCATOR
    found = subprocess.run(
        [sys.executable, "-c", TIMED, str(ASKED), str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    *said, median_s = found.stdout.splitlines()
    return float(median_s), " ".join(said)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout of an earlier state")
    before = parser.parse_args().before
    if before is not None and not (before / "t5core").is_dir():
        print(f"before={str(before)!r}: no checkout, it has no t5core", file=sys.stderr)
        return 2
    taken: dict[str, list[float]] = {"now": []} | ({} if before is None else {"before": []})
    parts = ""
    for _ in range(ROUNDS):
        for name, seconds in taken.items():
            median_s, said = measured(HERE if name == "now" else before.resolve())
            seconds.append(median_s)
            parts = said if name == "now" else parts
    medians_s = {name: statistics.median(seconds) for name, seconds in taken.items()}
    told = ", ".join(
        f"{name} {1000 * s:.2f} ms ({1000 * min(taken[name]):.2f} at best)" for name, s in medians_s.items()
    )
    print(f"tiny_step {told}, one thread on {processor_name()}; {parts}")
    if before is None:
        return 0
    ratio = medians_s["before"] / medians_s["now"]
    print(f"tiny_step_ratio {ratio:.2f} mark {MARK}")
    if ratio < MARK:
        print(f"step: {ratio:.2f} times the earlier speed is below {MARK}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
