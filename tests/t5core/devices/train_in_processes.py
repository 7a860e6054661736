"""Trains in one of several processes that share their batches; for ``test_processes.py``.

python train_in_processes.py FOLDER STEPS HOW          with RANK and WORLD_SIZE set, or alone; THREADS: of this process

HOW: replicated; sharded; low, which is sharded in bfloat16; compiled, which is sharded, each layer compiled and
computed again in the backward pass; or averaged, which is sharded where there are several, and leaves the mean of the
last weights.
With "-in-parts" behind it, each process computes one row at a time.

Writes what a run leaves to FOLDER, and losses.RANK.json: the loss of every step of this attempt, and with how many
threads the steps were computed.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from small_run import MODEL, TRAIN, CopyFeed

from t5core.devices import CpuDevice, Device, open_device
from t5core.devices.compiled import Compiler
from t5core.model import T5
from t5core.training import TrainingRun

WIDE = MODEL.replace(d_model=40, d_ff=72, vocab_size=51)  # does not divide evenly by the processes


class CompiledDevice(CpuDevice):
    """As the CUDA device holds sharded weights, with a compiler that every machine has."""

    def __init__(self) -> None:
        super().__init__(shard=True)
        self._compiler = Compiler("aot_eager")
        self.recompute = True

    def compilations(self) -> int:
        """Returns how many graphs there are."""
        return self._compiler.graphs


def opened(how: str) -> Device:
    """Returns the CPU, its weights held so."""
    shard = how in ("sharded", "low") or (how == "averaged" and os.environ["WORLD_SIZE"] != "1")
    return open_device("cpu", shard=shard, precision="bfloat16" if how == "low" else "float32")


def main(folder: Path, steps: int, how: str) -> None:
    """Runs to the end."""
    torch.set_num_threads(int(os.environ["THREADS"]))
    how, in_parts = how.removesuffix("-in-parts"), how.endswith("-in-parts")
    config = TRAIN.replace(steps=steps, log_every=1, microbatch=1 if in_parts else None)
    if how == "averaged":
        config = config.replace(average_last=3, average_every=4)
    device = CompiledDevice() if how == "compiled" else opened(how)
    model = T5(WIDE).initialise(config.seed)
    rows, threads = [], set()

    def report(row: dict[str, Any]) -> None:
        rows.append(row)
        threads.add(torch.get_num_threads())

    run = TrainingRun(model, CopyFeed(config), config, device, folder, report=report)
    run.run()
    held_out = run.held_out([CopyFeed(config).batch(1000)])
    found = {"losses": [row["loss"] for row in rows], "held_out": held_out, "rows": len(device.rows(6))}
    found |= {"graphs": device.compilations(), "threads": sorted(threads)}
    (folder / f"losses.{device.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
