"""A trace of some steps of a run: what its time goes into, for people to look at.

``profile/trace.json`` is a trace as Chrome writes it: chrome://tracing and https://ui.perfetto.dev show it. It holds
the operations of the host and, on a GPU, its kernels; what XLA makes of a step is not seen, only how it is recorded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch.profiler import ProfilerActivity, profile, schedule

TRACE_FILE = Path("profile") / "trace.json"
"""Where it lies in a run's folder."""


class StepEnded(Protocol):
    """Called behind every step."""

    def __call__(self) -> None:
        """Says that a step has been given to the device."""


@contextmanager
def traced(folder: Path, steps: int, *, behind: int, torch_device: torch.device) -> Iterator[StepEnded]:
    """Writes a trace of some of the steps that are taken inside a ``with``; the numbers computed stay the same.

    Args:
        folder: the run's.
        steps: how many; where the run ends before, as many as there were, and without any no file.
        behind: steps that are passed over, which compile and allocate; one more goes by while the profiler starts.
        torch_device: where they run.
    """
    path = folder / TRACE_FILE

    def write(profiler: Any) -> None:
        if profiler.step_num <= behind + 1:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.partial")
        profiler.export_chrome_trace(str(temporary))
        temporary.replace(path)

    activities = [ProfilerActivity.CPU]
    if torch_device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    plan = schedule(wait=behind, warmup=1, active=steps, repeat=1)
    with profile(activities=activities, schedule=plan, on_trace_ready=write) as profiler:
        yield profiler.step
