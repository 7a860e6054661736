"""Trains in one of several processes that share their batches; for ``test_processes.py``.

python train_in_processes.py FOLDER STEPS REPLICATED_OR_SHARDED          with RANK and WORLD_SIZE set, or alone

Writes what a run leaves to FOLDER, and losses.RANK.json: the loss of every step of this attempt.
"""

import json
import sys
from pathlib import Path

import torch
from small_run import MODEL, TRAIN, CopyFeed

from t5core.devices import open_device
from t5core.model import T5
from t5core.training import TrainingRun

WIDE = MODEL.replace(d_model=40, d_ff=72, vocab_size=51)  # does not divide evenly by the processes


def main(folder: Path, steps: int, *, shard: bool) -> None:
    """Runs to the end."""
    torch.set_num_threads(1)
    config = TRAIN.replace(steps=steps, log_every=1)
    device = open_device("cpu", shard=shard)
    model = T5(WIDE).initialise(config.seed)
    rows = []
    run = TrainingRun(model, CopyFeed(config), config, device, folder, report=rows.append)
    run.run()
    total, count = run.step.held_out(CopyFeed(config).batch(1000))
    found = {"losses": [row["loss"] for row in rows], "held_out": float(total / count), "rows": len(device.rows(6))}
    (folder / f"losses.{device.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), shard=sys.argv[3] == "sharded")
