"""What a store keeps beside stages: plans, runs, failures and reports, in a folder and in a bucket alike."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.store import LocalStore, Manifest, Store, open_store
from orchestrator.store.failures import read_failure, read_failures, write_failure
from orchestrator.store.plans import plan_names, read_plan, read_plans, write_plan
from orchestrator.store.reports import find_report, read_report, report_names, write_report
from orchestrator.store.runs import read_runs, running
from t5core.errors import ConfigError
from t5core.lease import STALE_AFTER_S


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(tmp_path / "store")
    return open_store(f"memory://{uuid.uuid4().hex}/store", cache_dir=tmp_path / "cache")


def stage(name: str = "text") -> Stage:
    return Stage.of("corpus", name, corpus={"source": name})


def plan(*names: str) -> Plan:
    rows = [(PlannedRow(name=name, label=name.title()), {"corpus": stage(name)}) for name in names]
    return Plan.of("trial", "tiny", rows)


def finish(store: Store, done: Stage) -> Manifest:
    with store.lease(done):
        work = store.work(done)
        (work / "text").write_text("text")
        return store.commit(done, work, {}, made_with={"device": "cpu", "threads": "1", "precision": "float32"})


def test_a_plan_is_found_again_by_its_name(store: Store) -> None:
    one, two = plan("a"), plan("a", "b")
    assert write_plan(store, one) == one.name
    write_plan(store, two)
    write_plan(store, two)
    assert plan_names(store) == sorted([one.name, two.name])
    assert read_plan(store, two.name) == two
    assert {found.key for found in read_plans(store)} == {one.key, two.key}
    with pytest.raises(ConfigError, match=f"plan='other': not in .*: there are .*{one.name}"):
        read_plan(store, "other")


def test_a_plan_cut_short_is_passed_over_and_named(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    write_plan(store, plan("a"))
    store.write_record("plans/trial-tiny-0123456789abcdef.json", '{"format": 1, "sca')
    assert [found.key for found in read_plans(store)] == [plan("a").key]
    assert "trial-tiny-0123456789abcdef" in caplog.text


def test_records_are_no_stages(store: Store) -> None:
    finish(store, stage())
    write_plan(store, plan("a"))
    write_failure(store, stage("other"), "no", 1, "")
    with running(store, "p"):
        assert [manifest.name for manifest in store.manifests()] == ["text"]
    assert list(store.partial()) == []


def test_a_failure_is_kept_until_the_stage_is_finished(store: Store) -> None:
    failed = stage()
    write_failure(store, failed, "it went wrong", 1, "Traceback ...\nValueError: it went wrong")
    write_failure(store, failed, "again, at s3://ann:secret@bucket/x", 2, "")
    write_failure(store, stage("other"), "no space", 1, "")
    kept = read_failure(store, failed.key)
    assert kept is not None
    assert (kept.stage, kept.error, kept.attempts) == (failed.folder, "again, at s3://***@bucket/x", 2)
    assert kept.host and abs(kept.at - time.time()) < 60
    assert {failure.stage for failure in read_failures(store)} == {failed.folder, stage("other").folder}
    finish(store, failed)
    assert read_failure(store, failed.key) is None
    assert [failure.error for failure in read_failures(store)] == ["no space"]


def test_a_run_says_that_it_is_alive_and_then_how_it_ended(store: Store) -> None:
    with running(store, "trial-tiny-1") as run:
        (seen,) = read_runs(store)
        assert (seen.plan, seen.owner.pid, seen.state(time.time())) == ("trial-tiny-1", os.getpid(), "alive")
        assert seen.state(time.time() + STALE_AFTER_S + 1) == "lost"
        run.ends("failed")
        run.ends("finished")  # the first word counts
    (seen,) = read_runs(store)
    assert seen.how == seen.state(time.time() + 1e6) == "failed"
    assert seen.ended_at is not None and seen.ended_at >= seen.owner.started


def test_a_run_of_which_nobody_says_an_end_was_stopped(store: Store) -> None:
    with pytest.raises(RuntimeError), running(store, "p"):
        raise RuntimeError
    assert [run.how for run in read_runs(store)] == ["stopped"]


def test_a_run_gives_signs_of_life(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.store.runs.BEAT_S", 0.05)
    with running(store, "p"):
        (first,) = read_runs(store)
        until_s = time.monotonic() + 30
        while time.monotonic() < until_s and next(read_runs(store)).beat_at == first.beat_at:
            time.sleep(0.05)
        assert next(read_runs(store)).beat_at > first.beat_at


def test_a_driver_that_was_killed_is_seen_to_be_lost_at_once(tmp_path: Path) -> None:
    code = f"""
        import time
        from orchestrator.store import open_store
        from orchestrator.store.runs import running
        with running(open_store({str(tmp_path)!r}), "p"):
            print("alive", flush=True)
            time.sleep(100)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None and driver.stdout.readline() == b"alive\n"
        (run,) = read_runs(open_store(tmp_path))
        assert run.state(time.time()) == "alive"
        driver.send_signal(signal.SIGKILL)
    assert [run.state(time.time()) for run in read_runs(open_store(tmp_path))] == ["lost"]


def test_reports_go_by_their_plan_and_the_newest_is_found_by_name(store: Store) -> None:
    whole, some, other = plan("a", "b"), plan("a"), replace(plan("a"), scale="mini")
    write_report(store, whole, {"title": "whole"})
    write_report(store, some, {"title": "some"})
    write_report(store, other, {"title": "other"})
    assert report_names(store) == sorted([whole.name, some.name, other.name])
    assert read_report(store, "trial", "tiny").comparison["title"] == "some"
    assert read_report(store, "trial", "tiny", whole.key[:6]).comparison["title"] == "whole"
    assert read_report(store, "trial", "mini").name == other.name
    write_report(store, whole, {"title": "whole again"})
    assert read_report(store, "trial", "tiny").comparison["title"] == "whole again"


def test_a_report_that_is_not_there_says_which_are(store: Store) -> None:
    with pytest.raises(
        ConfigError, match=r"report='trial-tiny': none in .*: run `python studies/trial.py --scale tiny`"
    ):
        read_report(store, "trial", "tiny")
    write_report(store, plan("a"), {})
    with pytest.raises(ConfigError, match=rf"report='trial-mini': none in .*: there are {plan('a').name}"):
        read_report(store, "trial", "mini")
    with pytest.raises(ConfigError, match=r"plan='zzz': fits none of trial-tiny's plans: [0-9a-f]{16}"):
        read_report(store, "trial", "tiny", "zzz")
    store.write_record(f"reports/{plan('b').name}.json", "half a rep")
    with pytest.raises(ConfigError, match="is not JSON: run the study again"):
        read_report(store, "trial", "tiny")


def named(store: Store, *names: str) -> None:
    for name in names:
        store.write_record(f"reports/{name}.json", json.dumps({"title": name, "written_at": 1.0}))


def test_a_user_names_a_report_by_its_scale_or_its_plan(store: Store) -> None:
    tiny, mini = "trial-tiny-01aa56789abcdef0", "trial-mini-01bb56789abcdef0"
    named(store, tiny, mini, "trial-old", "other-tiny-77aa56789abcdef0")
    write_report(store, plan("a"), {"title": "newest"})
    assert find_report(store, "trial", "tiny").name == plan("a").name
    for wanted in ("01aa", "tiny-01aa", "tiny-01", "01aa56789abcdef0", tiny):
        assert find_report(store, "trial", wanted).name == tiny
    assert find_report(store, "trial", "mini").name == mini
    assert find_report(store, "trial", "old").name == "trial-old"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("01", "report='01': fits several among the reports of trial: mini-01bb56789abcdef0, old, tiny-01aa5678"),
        ("tini", "report='tini': is neither a scale nor a plan among the reports of trial: .*did you mean 'tiny'"),
        ("ol", "report='ol': is neither a scale nor a plan"),
        ("mini-01aa", "report='mini-01aa': is neither a scale nor a plan"),
        ("", "report='': is neither a scale nor a plan"),
        ("tiny-", "report='tiny-': is neither a scale nor a plan"),
        ("77aa", "report='77aa': is a plan of another study .other-tiny-77aa56789abcdef0., and none among the "),
    ],
)
def test_a_report_that_a_user_names_and_that_is_not_there_is_told(store: Store, wanted: str, message: str) -> None:
    named(
        store, "trial-tiny-01aa56789abcdef0", "trial-mini-01bb56789abcdef0", "trial-old", "other-tiny-77aa56789abcdef0"
    )
    with pytest.raises(ConfigError, match=message):
        find_report(store, "trial", wanted)
    with pytest.raises(ConfigError, match=r"report='trail': none of this study in .*\(did you mean 'trial'\?\)"):
        find_report(store, "trail", wanted)


def test_a_report_of_the_first_release_is_still_found(store: Store) -> None:
    store.write_record("reports/trial-tiny.json", json.dumps({"title": "old"}))
    assert read_report(store, "trial", "tiny").comparison["title"] == "old"
    write_report(store, plan("a"), {"title": "new"})
    assert read_report(store, "trial", "tiny").comparison["title"] == "new"


def test_a_record_that_is_written_over_is_never_seen_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    store.write_record("plans/p.json", "whole")

    def no_space(_: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(ConfigError, match="No space left on device"):
        store.write_record("plans/p.json", "new")
    assert store.read_record("plans/p.json") == "whole" and [path.name for path in (tmp_path / "plans").iterdir()] == [
        "p.json"
    ]


def test_a_manifest_says_what_it_was_made_with(store: Store) -> None:
    made = finish(store, stage())
    read = store.finished(stage())
    assert read == made and read is not None
    assert (read.version, read.revisions) == (stage().version, ())
    assert {"t5grid", "torch", "commit"} <= set(read.made_with) | {"commit"}
    assert {name: read.made_with[name] for name in ("device", "threads", "precision")} == {
        "device": "cpu",
        "threads": "1",
        "precision": "float32",
    }


def test_a_manifest_of_the_first_release_is_read_as_before(tmp_path: Path) -> None:
    import hashlib

    store = LocalStore(tmp_path)
    made = finish(store, stage())
    place = tmp_path / made.folder / "manifest.json"
    values = json.loads(place.read_text())
    for name in ("version", "revisions", "made_with", "digest"):
        del values[name]
    values["format"] = 1
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    place.write_text(json.dumps({**values, "digest": hashlib.sha256(text.encode()).hexdigest()}))
    read = store.finished(stage())
    assert read is not None
    assert (read.key, read.version, read.revisions, dict(read.made_with)) == (made.key, None, (), {})
