"""What is shown while a plan runs."""

import io

import small_stages
from rich.console import Console

from orchestrator.commands.progress import Progress
from orchestrator.engine.events import RayStarted, StageFailed, StageFinished, StageProgress, StageSkipped, StageStarted


def _keys() -> tuple[object, dict[str, str]]:
    plan = small_stages.rows("span-3", "bert")
    return plan, {stage.name: key for key, stage in plan.stages.items()}


def test_without_a_terminal_it_prints_a_line_per_change_and_one_every_half_minute() -> None:
    plan, key = _keys()
    out, now = io.StringIO(), [0.0]
    with Progress(plan, console=Console(file=out, width=200), clock=lambda: now[0]) as progress:
        progress(RayStarted(address="127.0.0.1:1", cpus=2, started_here=True))
        progress(StageFinished(key=key["corpus"], lane="", seconds=0.0, cached=True))
        now[0] = 5.0
        progress(StageStarted(key=key["span-3"], lane="lane-1", attempt=1))
        now[0] = 10.0
        progress(StageProgress(key=key["span-3"], step=10, steps=400, loss=5.0))
        now[0] = 36.0
        progress(StageProgress(key=key["span-3"], step=100, steps=400, loss=4.25))
        progress(
            StageFailed(key=key["bert"], error="ValueError: [no] luck", attempt=2, final=True, log="/w/failure.log")
        )
        progress(StageSkipped(key=key["bert-fine"], because=key["bert"]))
        now[0] = 40.0
        progress(StageFinished(key=key["span-3"], lane="lane-1", seconds=34.9, cached=False))
    assert out.getvalue().splitlines() == [
        "[     0 s] Ray started at 127.0.0.1:1 with 2 CPUs",
        "[     5 s] pretrain span-3: started in lane-1",
        "[    36 s] 1/5 stages; pretrain span-3 100/400 loss 4.250",
        "[    36 s] pretrain bert: attempt 2 failed: ValueError: [no] luck (/w/failure.log)",
        "[    36 s] finetune bert-fine: skipped, because pretrain bert failed",
        "[    40 s] pretrain span-3: finished in 34.9 s",
    ]


def test_the_live_table_shows_each_row_in_its_stage() -> None:
    plan, key = _keys()
    out, now = io.StringIO(), [0.0]
    console = Console(file=out, width=100, force_terminal=True, color_system=None)
    with Progress(plan, console=console, clock=lambda: now[0]) as progress:
        progress(StageFinished(key=key["corpus"], lane="slot-1", seconds=2.0, cached=False))
        progress(StageStarted(key=key["span-3"], lane="lane-1", attempt=1))
        progress(StageProgress(key=key["span-3"], step=100, steps=400, loss=4.25))
        progress(StageFailed(key=key["bert"], error="ValueError: no", attempt=2, final=True))
        now[0] = 7.0
        plain = Console(file=io.StringIO(), width=100)
        with plain.capture() as capture:
            plain.print(progress.table())
    lines = [line.split() for line in capture.get().splitlines()]
    assert lines[0] == ["row", "stage", "step", "loss", "seconds"]
    assert lines[1][:2] == ["span-3", "pretrain"] and lines[1][-4:] == ["100/400", "4.250", "9", "s"]
    assert lines[2][:2] == ["bert", "failed"]
    assert "pretrain bert: attempt 2 failed: ValueError: no" in out.getvalue()
