"""The order of work, what a lane does with a stage, and the run without Ray."""

from pathlib import Path
from typing import Any

import pytest
import small_stages

from orchestrator.engine.dispatch import Assignment, Dispatcher, Stop, Wait
from orchestrator.engine.events import StageFailed, StageProgress, StageStarted, StageWaiting
from orchestrator.engine.inline import run_locally
from orchestrator.engine.on_ray.crew import LaneConfig
from orchestrator.engine.outcomes import Failed, Finished, Skipped
from orchestrator.engine.worker import REPORT_INTERVAL_S, LaneStopped, Reporter, threads_of
from orchestrator.plan.by_name import reference, resolve
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.store import open_store
from t5core.errors import ConfigError


class Desk:
    """A dispatcher with a clock in hand and answers by name."""

    def __init__(self, plan: Plan, *, finished: tuple[str, ...] = (), **options: Any) -> None:
        self.now = 0.0
        self.plan = plan
        self.key = {stage.name: key for key, stage in plan.stages.items()}
        options = {"num_lanes": 2, "max_attempts": 2, **options}
        self.dispatcher = Dispatcher(plan, {self.key[name] for name in finished}, clock=lambda: self.now, **options)

    def join(self, lane: str, incarnation: str = "1") -> None:
        self.dispatcher.join(lane, incarnation)

    def take(self, lane: str, turn: int, *, incarnation: str = "1", preparatory: Any = "no") -> str:
        match self.dispatcher.take(lane, incarnation, turn, preparatory=preparatory):
            case Assignment(stage=stage):
                return stage.name
            case Wait():
                return "wait"
            case Stop():
                return "stop"

    def finish(self, lane: str, name: str) -> None:
        assert self.dispatcher.started(lane, "1", self.key[name])
        self.dispatcher.finished(lane, "1", self.key[name], 1.0, cached=False)

    def outcome(self, name: str) -> tuple[str, int]:
        report = self.dispatcher.reports()[self.key[name]]
        return report.state, report.attempts


def test_a_lane_stays_with_its_row_until_the_end_is_near() -> None:
    desk = Desk(small_stages.rows("a", "b", "c", "d", "e", **{n: {"cost": 6.0} for n in "abcde"}), finished=("corpus",))
    desk.join("one")
    desk.join("two")
    assert (desk.take("one", 0), desk.take("two", 0)) == ("a", "b")
    desk.finish("one", "a")
    assert desk.take("one", 1) == "a-fine"  # c, d and e are left: no hurry
    desk.finish("one", "a-fine")
    assert desk.take("one", 2) == "c"
    desk.finish("two", "b")
    assert desk.take("two", 1) == "b-fine"  # d and e are left
    desk.finish("two", "b-fine")
    assert desk.take("two", 2) == "d"
    desk.finish("one", "c")
    assert desk.take("one", 3) == "e"  # the last long chain, before the short end of c


def test_all_ranks_and_all_repetitions_get_the_same_answer() -> None:
    desk = Desk(small_stages.rows("a", "b"), finished=("corpus",))
    desk.join("one")
    assert [desk.take("one", 0) for _ in range(3)] == ["a"] * 3
    assert desk.dispatcher.decided("one", "1", 0) == "open"
    desk.dispatcher.started("one", "1", desk.key["a"])
    assert desk.dispatcher.decided("one", "1", 0) == "begun"
    assert desk.take("one", 0, incarnation="unknown") == "stop"


def test_preparatory_stages_go_to_slots_and_to_lanes_that_would_wait() -> None:
    desk = Desk(small_stages.rows("a"))
    desk.join("lane")
    desk.join("slot")
    assert desk.take("lane", 0) == "wait"
    assert desk.take("slot", 0, preparatory="only") == "corpus"
    assert desk.take("lane", 0, preparatory="too") == "wait"
    desk.finish("slot", "corpus")
    assert desk.take("slot", 1, preparatory="only") == "stop"
    assert desk.take("lane", 0, preparatory="too") == "a"


def test_a_lost_process_counts_as_an_attempt_and_the_stage_is_handed_out_again() -> None:
    desk = Desk(small_stages.rows("a"), finished=("corpus",))
    for incarnation in ("1", "2"):
        desk.join("lane", incarnation)
        assert desk.take("lane", 0, incarnation=incarnation) == "a"
        desk.dispatcher.started("lane", incarnation, desk.key["a"])
    # What the dead incarnation still says is not heard.
    desk.dispatcher.finished("lane", "1", desk.key["a"], 1.0, cached=False)
    desk.join("lane", "3")
    assert desk.outcome("a") == ("failed", 2)
    assert desk.dispatcher.reports()[desk.key["a-fine"]].because == desk.key["a"]
    assert desk.take("lane", 0, incarnation="3") == "stop"
    finals = [event.final for event in desk.dispatcher.events(0)[0] if isinstance(event, StageFailed)]
    assert finals == [False, True]


def test_a_stage_that_another_run_holds_is_left_alone_for_a_while_and_is_no_attempt() -> None:
    desk = Desk(small_stages.rows("a"), finished=("corpus",))
    desk.join("lane")
    assert desk.take("lane", 0) == "a"
    desk.dispatcher.busy("lane", "1", desk.key["a"])
    assert desk.take("lane", 1) == "wait"
    desk.now = 10.0
    assert desk.take("lane", 1) == "a"
    desk.dispatcher.finished("lane", "1", desk.key["a"], 0.0, cached=True)
    assert desk.outcome("a") == ("done", 0)
    assert sum(isinstance(event, StageWaiting) for event in desk.dispatcher.events(0)[0]) == 1


def test_a_lane_whose_processes_keep_dying_gets_nothing_more() -> None:
    desk = Desk(small_stages.rows("a", "b", "c"), finished=("corpus",), max_attempts=9)
    for incarnation in ("1", "2", "3", "4"):
        desk.join("lane", incarnation)
        last = desk.take("lane", 0, incarnation=incarnation)
    assert last == "stop"
    assert not desk.dispatcher.lane_failed("lane", "OSError: broken")
    desk.dispatcher.no_lanes_left()
    assert desk.dispatcher.reports()[desk.key["b"]].error == "no lane to run it: OSError: broken"
    assert desk.dispatcher.is_over()


def test_reports_are_thinned_and_end_a_stage_when_the_run_stops() -> None:
    sent: list[StageProgress] = []

    class Port:
        go_on = True

        def progress(self, event: StageProgress) -> bool:
            sent.append(event)
            return self.go_on

    now, port = [0.0], Port()
    report = Reporter(port, "k", clock=lambda: now[0])  # type: ignore[arg-type]  # the one call that it makes
    for step in range(1, 11):
        report({"step": step, "steps": 10, "loss": 0.5})
        now[0] += REPORT_INTERVAL_S / 4
    assert [event.step for event in sent] == [1, 5, 9, 10]
    port.go_on, now[0] = False, 100.0
    with pytest.raises(LaneStopped):
        report({"step": 3})


def test_without_ray_the_outcomes_are_the_same_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    plan = small_stages.rows("good", "bad", "wrong", bad={"raise": "value"}, wrong={"raise": "data"})
    store, events = open_store(str(tmp_path / "store")), list[Any]()
    outcomes = run_locally(plan, store, run_stage=small_stages.write, device="d", events=events.append)
    by_name = {stage.name: outcomes[key] for key, stage in plan.stages.items()}
    kinds = {name: type(outcome) for name, outcome in by_name.items()}
    assert kinds == {
        "corpus": Finished,
        "good": Finished,
        "good-fine": Finished,
        "bad": Failed,
        "bad-fine": Skipped,
        "wrong": Failed,
        "wrong-fine": Skipped,
    }
    assert isinstance(by_name["bad"], Failed) and by_name["bad"].attempts == 2
    assert isinstance(by_name["wrong"], Failed) and by_name["wrong"].attempts == 1
    assert isinstance(by_name["good"], Finished) and by_name["good"].manifest.result["device"] == "d"
    assert 0 < outcomes.accounting.stage_s < outcomes.accounting.wall_s

    good = small_stages.rows("good")
    again = list[Any]()
    assert run_locally(good, store, run_stage=small_stages.write, device="d", events=again.append).ok
    assert not [event for event in again if isinstance(event, StageStarted)]


def test_functions_travel_by_name() -> None:
    assert resolve(reference(small_stages.write)) is small_stages.write
    with pytest.raises(ConfigError, match="top-level function"):
        reference(lambda: None)


def test_a_lane_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="num_workers=0"):
        LaneConfig(num_workers=0)
    with pytest.raises(ConfigError, match="TPUs need the accelerator xla"):
        LaneConfig(device="cpu", use_tpu=True)
    with pytest.raises(ConfigError, match="topology='2x2'"):
        LaneConfig(device="xla", topology="2x2")


def test_a_lanes_workers_have_a_thread_for_each_cpu_and_every_other_process_what_a_plain_lane_has() -> None:
    assert threads_of(LaneConfig().cpus_per_worker) == threads_of() == 1
    assert threads_of(LaneConfig(cpus_per_worker=4, num_workers=2).cpus_per_worker) == 4


def test_a_plan_run_here_computes_with_a_lanes_threads_and_leaves_the_process_its_own(tmp_path: Path) -> None:
    import torch

    def threads(stage: Stage, *_: Any) -> dict[str, Any]:
        return {"threads": torch.get_num_threads(), "kind": stage.kind}

    earlier = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        plan = small_stages.rows("a")
        outcomes = run_locally(plan, open_store(str(tmp_path)), run_stage=threads)
        results = [outcome.manifest.result for outcome in outcomes.values() if isinstance(outcome, Finished)]
        assert {result["kind"]: result["threads"] for result in results} == {"corpus": 3, "pretrain": 1, "finetune": 1}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(earlier)
