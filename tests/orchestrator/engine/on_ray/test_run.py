"""Plans run on a real Ray, with real lanes and small real stages."""

import ast
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import small_stages

from orchestrator.engine.events import Event, StageFailed, StageStarted
from orchestrator.engine.inline import run_locally
from orchestrator.engine.on_ray.connect import RayConnection
from orchestrator.engine.on_ray.crew import Crew, LaneConfig, decided_device, default_lane
from orchestrator.engine.on_ray.lanes import WorkerSpec
from orchestrator.engine.on_ray.run import _backend, run_plan
from orchestrator.engine.outcomes import Failed, Finished, Skipped
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.store import Store, open_store
from orchestrator.store.failures import read_failures
from t5core.devices import mesh_of
from t5core.errors import ConfigError
from t5core.uris import without_user


def _run(plan: Any, store: Store, events: list[Event], **options: Any) -> Any:
    return run_plan(
        plan,
        store,
        accelerator="cpu",
        events=events.append,
        run_stage=small_stages.write,
        open_device=small_stages.no_device,
        **options,
    )


def test_rows_share_isolate_resume_and_leave_nothing_behind(local_ray: str, tmp_path: Path) -> None:
    plan = small_stages.rows(
        "good", "bad", "wrong", "dies", bad={"raise": "value"}, wrong={"raise": "data"}, dies={"die": 1}
    )
    store, events = open_store(str(tmp_path / "store")), list[Event]()
    outcomes = _run(plan, store, events)

    by_name = {stage.name: outcomes[key] for key, stage in plan.stages.items()}
    key_of = {stage.name: key for key, stage in plan.stages.items()}
    # A row that fails does not stop the others; a user's error is not tried again.
    assert isinstance(by_name["bad"], Failed), by_name["bad"]
    assert (by_name["bad"].error, by_name["bad"].attempts) == ("ValueError: it went wrong", 2)
    assert "small_stages.py" in Path(by_name["bad"].log).read_text(encoding="utf-8")
    assert by_name["bad-fine"] == Skipped(because=key_of["bad"])
    assert isinstance(by_name["wrong"], Failed) and by_name["wrong"].attempts == 1
    assert by_name["wrong"].error == "corpus='empty': give it text"
    # A worker that was killed comes back, finds its work folder and finishes.
    assert isinstance(by_name["dies"], Finished) and by_name["dies"].attempts == 2
    assert by_name["dies"].manifest.result["runs"] == 2
    assert isinstance(by_name["dies-fine"], Finished)
    # Why a stage failed is kept in the store, with its traceback, until it is finished.
    kept = {failure.stage.split("/")[1].rpartition("-")[0]: failure for failure in read_failures(store)}
    assert {name: (failure.error, failure.attempts) for name, failure in kept.items()} == {
        "bad": ("ValueError: it went wrong", 2),
        "wrong": ("corpus='empty': give it text", 1),
    }
    assert "Traceback" in kept["bad"].log and kept["bad"].host
    assert isinstance(by_name["good-fine"], Finished)
    assert (store.path(plan.stages[key_of["good-fine"]]) / "text").read_text() == "corpus good good-fine "
    # The corpus, which all rows share, ran once, without a device; the others with one.
    started = Counter(event.key for event in events if isinstance(event, StageStarted))
    assert started[key_of["corpus"]] == 1
    assert started[key_of["dies"]] == 2
    assert by_name["corpus"].manifest.result["device"] is None
    assert by_name["good"].manifest.result["device"] == "cpu:1"
    assert [event.final for event in events if isinstance(event, StageFailed) and event.key == key_of["bad"]] == [
        False,
        True,
    ]
    assert outcomes.accounting.lanes == 2
    assert 0 < outcomes.accounting.orchestration_share < 1
    assert not outcomes.ok
    assert _our_actors() == []

    # A second run, by whatever means, does only what is missing; here that fails again.
    events.clear()
    again = run_locally(plan, store, run_stage=small_stages.write, device="cpu", events=events.append)
    assert {event.key for event in events if isinstance(event, StageStarted)} == {key_of["bad"], key_of["wrong"]}
    good = again[key_of["good"]]
    assert isinstance(good, Finished) and good.cached


def test_a_finished_plan_runs_nothing_and_does_not_import_ray(tmp_path: Path) -> None:
    plan, store = small_stages.rows("a"), open_store(str(tmp_path / "store"))
    assert run_locally(plan, store, run_stage=small_stages.write, device="d").ok
    code = f"""
        import sys
        sys.path.insert(0, {str(Path(small_stages.__file__).parent)!r})
        import small_stages
        from orchestrator.engine.events import StageFinished
        from orchestrator.engine.on_ray.run import run_plan
        from orchestrator.store import open_store
        events = []
        plan, store = small_stages.rows("a"), open_store({store.uri!r})
        outcomes = run_plan(plan, store, events=events.append, run_stage=small_stages.write)
        assert outcomes.ok and all(o.cached for o in outcomes.values())
        assert [type(e) for e in events] == [StageFinished] * 3 and all(e.cached for e in events)
        assert outcomes.accounting.orchestration_share == 0
        assert "ray" not in sys.modules and "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_what_ray_exports_of_a_lane_holds_no_address_of_the_store() -> None:
    """A train loop's config is part of Ray's exported run state; the address may hold a password."""
    assert {f.name for f in fields(WorkerSpec)} == {
        "dispatcher",
        "lane",
        "run_stage",
        "open_device",
        "device",
        "held",
        "threads",
        "preparatory",
        "launched_at",
    }
    assert without_user("s3://ann:secret@bucket/results") == "s3://bucket/results"
    assert without_user("/plain/folder") == "/plain/folder"


def test_settings_that_cannot_be_used_are_refused_before_ray_is_there(tmp_path: Path) -> None:
    plan, store = small_stages.rows("a"), open_store(str(tmp_path / "store"))
    with pytest.raises(ConfigError, match=r"accelerator='gpu': choose one of auto, cpu, cuda, xla"):
        run_plan(plan, store, accelerator="gpu")
    with pytest.raises(ConfigError, match=r"num_lanes=0"):
        run_plan(plan, store, num_lanes=0)
    with pytest.raises(ConfigError, match="top-level function"):
        run_plan(plan, store, run_stage=lambda *_: {})


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_ctrl_c_leaves_no_process_and_no_lease_behind(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    # what a shell without a terminal runs in its background is deaf to Ctrl-C, and so is what that starts: these tests
    code = f"""
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)
        import small_stages
        from orchestrator.engine.on_ray.run import run_plan
        from orchestrator.store import open_store
        plan = small_stages.rows("slow", slow={{"steps": 10_000, "sleep_s": 0.05}})
        run_plan(plan, open_store({store.uri!r}), accelerator="cpu", events=lambda event: print(event, flush=True),
                 run_stage=small_stages.write, open_device=small_stages.no_device)
    """
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["PYTHONPATH"] = str(Path(small_stages.__file__).parent)
    marker = f"t5grid-test-{tmp_path.name}-{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment | {"T5GRID_TEST_MARKER": marker},
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        next(line for line in process.stdout if line.startswith("StageProgress"))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=240)  # Ray's own processes take a minute and more on a busy machine
    assert "KeyboardInterrupt" in errors
    plan = small_stages.rows("slow", slow={"steps": 10_000, "sleep_s": 0.05})
    slow = next(stage for stage in plan.stages.values() if stage.name == "slow")
    with store.lease(slow):
        assert store.finished(slow) is None
    until_s = time.monotonic() + 20
    while _processes_with(marker) and time.monotonic() < until_s:  # they end when they notice that Ray is gone
        time.sleep(0.5)
    assert _processes_with(marker) == []


def _processes_with(marker: str) -> list[str]:
    """Command lines of the processes that carry the marker in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text())
        except OSError:  # ended meanwhile, or another user's
            continue
    return found


@pytest.mark.parametrize(
    ("cpus", "rows", "expected"),
    [
        (1, 14, Crew(lanes=1, first=0, slots=1)),
        (2, 14, Crew(lanes=2, first=1, slots=1)),
        (8, 3, Crew(lanes=3, first=3, slots=1)),
        (8, 14, Crew(lanes=8, first=7, slots=1)),
    ],
)
def test_while_stages_are_prepared_one_cpu_is_theirs(cpus: int, rows: int, expected: Crew) -> None:
    plan = small_stages.rows(*(f"row{i}" for i in range(rows)))
    connection = RayConnection(address="", cpus=cpus, tpus=0, gpus=0, nodes=1, started_here=True)
    assert Crew.of(plan, set(), LaneConfig(), connection, None) == expected
    corpus = {key for key, stage in plan.stages.items() if stage.kind == "corpus"}
    prepared = Crew.of(plan, corpus, LaneConfig(), connection, None)
    assert prepared == Crew(lanes=expected.lanes, first=expected.lanes, slots=0)


def test_two_looks_at_one_model_are_no_work_for_two_lanes() -> None:
    finetune = small_stages.stage("finetune", "a")
    looks = {kind: small_stages.stage(kind, "a", {"trained": finetune}) for kind in ("evaluate", "likelihood")}
    plan = Plan.of("trial", "tiny", [(PlannedRow(name="a"), {"finetune": finetune, **looks})])
    connection = RayConnection(address="", cpus=8, tpus=0, gpus=0, nodes=1, started_here=True)
    for finished in (set(), {finetune.key}):
        assert Crew.of(plan, finished, LaneConfig(), connection, None) == Crew(lanes=1, first=1, slots=0)


def test_a_lane_is_a_tpu_host_where_there_is_one_else_a_gpu_else_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def lane(accelerator: str, tpus: int = 0, gpus: int = 0) -> tuple[str, int, int | None]:
        connection = RayConnection(address="", cpus=16, tpus=tpus, gpus=gpus, nodes=2, started_here=False)
        found = default_lane(decided_device(accelerator, connection)[0], connection)
        return found.device, found.gpus_per_worker, found.tpus_per_worker

    monkeypatch.setattr("torch.backends.cuda.is_built", lambda: True)
    assert lane("auto") == lane("cpu", tpus=8, gpus=4) == ("cpu", 0, None)
    assert lane("auto", gpus=4) == lane("cuda", gpus=4) == lane("cuda", tpus=8, gpus=4) == ("cuda", 1, None)
    assert lane("auto", tpus=8, gpus=4) == lane("xla", tpus=8) == ("xla", 0, 4)
    assert lane("xla") == ("xla", 0, None)
    with pytest.raises(ConfigError, match="accelerator='cuda': Ray has no GPU"):
        lane("cuda")
    monkeypatch.setattr("torch.backends.cuda.is_built", lambda: False)
    assert lane("auto", gpus=4) == ("cpu", 0, None)


def test_a_mesh_is_so_many_processes_a_lane_or_so_many_devices_of_one_program() -> None:
    def lane(device: str, mesh: str, parallel: str = "auto", tpus: int = 0, gpus: int = 0) -> LaneConfig:
        connection = RayConnection(address="", cpus=16, tpus=tpus, gpus=gpus, nodes=2, started_here=False)
        return default_lane(device, connection, parallel=parallel, mesh=mesh_of(mesh))

    assert lane("cuda", "4x1", "shard", gpus=8) == LaneConfig(
        device="cuda", gpus_per_worker=1, num_workers=4, parallel="shard"
    )
    assert lane("cpu", "2x1").held == {} and lane("cpu", "2x1").num_workers == 2
    assert lane("cpu", "2x1", "shard").held == {"parallel": "shard"}
    assert lane("xla", "2x2") == LaneConfig(device="xla", virtual_devices=4, mesh=(2, 2))
    assert lane("xla", "2x2", tpus=8).held == {"mesh": (2, 2)}
    for device, mesh, said in (
        ("cuda", "16x1", "mesh='16x1': Ray has 8 GPUs: give at most 8x1"),
        ("cpu", "17x1", "mesh='17x1': Ray has 16 CPUs: give at most 16x1"),
        ("xla", "4x2", "mesh='4x2': a lane is a TPU host of 4 chips, which the axes must multiply to"),
        ("cuda", "2x2", "mesh='2x2': devices share a layer on xla only; on cuda they share a batch: give 4x1"),
    ):
        with pytest.raises(ConfigError) as caught:
            lane(device, mesh, gpus=8, tpus=8)
        assert str(caught.value) == said


def test_processes_of_a_lane_find_each_other_by_torchs_own_groups() -> None:
    assert _backend(LaneConfig()) is None
    assert _backend(LaneConfig(num_workers=2)).backend == "gloo"
    gpus = LaneConfig(device="cuda", gpus_per_worker=1, num_workers=2)
    assert _backend(gpus).backend == "cpu:gloo,cuda:nccl"


def test_how_models_are_held_is_refused_before_ray_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("Ray was asked for")

    monkeypatch.setattr("orchestrator.engine.on_ray.run.connected", refuse)
    with pytest.raises(ConfigError, match="parallel='shard': a lane has one process"):
        run_plan(small_stages.rows("a"), open_store(tmp_path), accelerator="cuda", parallel="shard")


def test_the_device_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(accelerator: str, tpus: int = 0, gpus: int = 0) -> str:
        connection = RayConnection(address="", cpus=16, tpus=tpus, gpus=gpus, nodes=2, started_here=False)
        return " ".join(decided_device(accelerator, connection))

    monkeypatch.setattr("torch.backends.cuda.is_built", lambda: True)
    assert told("cpu", gpus=4) == "cpu asked for"
    assert told("auto") == "cpu auto: Ray has no TPU and no GPU"
    assert told("auto", gpus=4) == "cuda auto: Ray has no TPU, but 4 GPUs"
    assert told("auto", tpus=8, gpus=4) == "xla auto: Ray has 8 TPU chips"
    monkeypatch.setattr("torch.backends.cuda.is_built", lambda: False)
    assert told("auto", gpus=4) == "cpu auto: Ray has 4 GPUs, but this PyTorch is built without CUDA"


@pytest.mark.parametrize(
    ("rows", "asked", "lanes", "why"),
    [
        (14, None, 2, "Ray has 2 CPUs, and a lane takes 1 CPU"),
        (14, 8, 2, "8 were asked for, but Ray has 2 CPUs, and a lane takes 1 CPU"),
        (14, 1, 1, "asked for"),
        (1, None, 1, "no more stages can run at a time"),
        (1, 2, 1, "2 were asked for, but no more stages can run at a time"),
    ],
)
def test_why_there_are_so_many_lanes_is_told(rows: int, asked: int | None, lanes: int, why: str) -> None:
    plan = small_stages.rows(*(f"row{i}" for i in range(rows)))
    connection = RayConnection(address="", cpus=2, tpus=0, gpus=0, nodes=1, started_here=True)
    crew = Crew.of(plan, set(), LaneConfig(), connection, asked)
    assert (crew.lanes, crew.why) == (lanes, why)


def test_there_are_no_more_lanes_than_gpus() -> None:
    plan = small_stages.rows(*(f"row{i}" for i in range(14)))
    connection = RayConnection(address="", cpus=16, tpus=0, gpus=4, nodes=1, started_here=True)
    crew = Crew.of(plan, set(), LaneConfig(device="cuda", gpus_per_worker=1), connection, None)
    assert crew == Crew(lanes=4, first=4, slots=1)


GPU_RUN = """
    import sys
    import ray, small_stages
    from orchestrator.engine.on_ray.run import run_plan
    from orchestrator.store import open_store

    # GPUs by declaration: Ray shares them out and names them to the workers, whatever is there
    ray.init(address="local", num_cpus=3, num_gpus=2, include_dashboard=False, log_to_driver=False)
    plan = small_stages.rows("a", "b", "c")
    store = open_store(sys.argv[1])
    outcomes = run_plan(
        plan, store, accelerator="cuda", run_stage=small_stages.write, open_device=small_stages.visible_gpus
    )
    assert all(type(outcome).__name__ == "Finished" for outcome in outcomes.values()), outcomes
    print(sorted({str(outcomes[key].manifest.result["device"]) for key in plan.stages}))
"""


@pytest.mark.slow
def test_lanes_on_gpus_have_one_each(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[2]}", "RAY_ADDRESS": ""}
    command = [sys.executable, "-c", textwrap.dedent(GPU_RUN), str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    # stages are short: one lane may have done them all before the other was up
    devices = ast.literal_eval(done.stdout.splitlines()[-1])
    assert devices[0] == "None" and set(devices[1:]) <= {"cuda:0", "cuda:1"} and len(devices) > 1


def _our_actors() -> list[str]:
    from ray.util import list_named_actors

    return [name for name in list_named_actors() if name.startswith("t5grid")]
