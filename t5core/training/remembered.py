"""What a run decides once and keeps for all its attempts: decisions that change the last bits.

    threads.json    how many threads compute; on a CPU
    kernel.json     which attention kernel, where there was a choice

They lie in the run's folder, written before the first step. A sum of floating-point numbers depends on its order, and
on a CPU the order depends on how many threads share the work: MKL cuts a product's sum by them, attention in blocks
(``t5core.model.blocked``) its queries. So an attempt that goes on with another's checkpoint takes its number, whatever
the worker that it runs in has.
"""

import json
import os
import warnings
from dataclasses import asdict
from pathlib import Path

from t5core.devices import Decision, Device
from t5core.feeds.tokenise import usable_cores

THREADS_FILE = "threads.json"
"""How many threads compute: a resumed run must not take another number."""

KERNEL_FILE = "kernel.json"
"""Which attention kernel the run uses, where there was a choice: a resumed run must not choose another."""

THREADS = "threads"
"""What the decision is about."""


def read(path: Path) -> Decision | None:
    """Returns what an earlier attempt wrote, or None: it wrote nothing, or nothing whole."""
    try:
        return Decision(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write(path: Path, decision: Decision) -> None:
    """Writes a decision, at once."""
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(decision)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def threads(folder: Path, device: Device, *, resumed: bool) -> Decision | None:
    """Returns how many threads a run computes with, or None where that changes nothing.

    It is the number that the run began with. Every process that shares its batches must ask for it, and is given the
    first one's. More threads than there are CPUs are slower and give the same sums: they are taken, with a warning.

    Args:
        folder: the run's.
        device: where it computes.
        resumed: whether it goes on with a checkpoint.
    """
    here = device.threads()
    if here is None:
        return None
    path = folder / THREADS_FILE
    begun = _of_the_first(_number(read(path)), device)
    if not begun:
        found = next(decision.why for decision in device.decisions() if decision.what == THREADS)
        why = "as many as are here: the attempt before left no number" if resumed else found
        chosen = Decision(what=THREADS, value=str(_of_the_first(here, device)), why=why)
        if device.rank == 0:
            write(path, chosen)
        return chosen
    with device.with_threads(begun):
        taken = device.threads()
    if taken == begun <= usable_cores():
        return Decision(what=THREADS, value=str(taken), why="as the attempt before began with")
    if taken == begun:
        why = f"as the attempt before began with, though this process has {usable_cores()} of the CPUs: slower"
    else:
        why = f"the attempt before began with {begun}, which PyTorch does not take here: the last bits may be others"
    if device.rank == 0:
        warnings.warn(f"threads={taken}: {why}", stacklevel=2)
    return Decision(what=THREADS, value=str(taken), why=why)


def _of_the_first(number: int, device: Device) -> int:
    """The number that the first of the processes that share the batches gives."""
    return int(device.total(device.scalar(number if device.rank == 0 else 0)))


def _number(decision: Decision | None) -> int:
    """The number of threads that a decision names; 0: none."""
    return int(decision.value) if decision is not None and decision.value.isdecimal() else 0
