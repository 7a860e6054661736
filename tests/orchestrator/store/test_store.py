"""The store: what counts as finished, what survives a kill, who may work on a stage."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from orchestrator.plan.stage import Stage
from orchestrator.store import BucketStore, StageBusy, Store, StoreError, open_store
from t5core.errors import ConfigError


def stage_named(name: str = "baseline", **config: object) -> Stage:
    return Stage(kind="pretrain", name=name, config=config, settings=config, inputs={"corpus": "0" * 16})


def finish(store: Store, stage: Stage, text: str = "weights", result: dict[str, object] | None = None) -> None:
    work = store.work(stage)
    (work / "final").mkdir(exist_ok=True)
    (work / "final" / "model.bin").write_bytes(text.encode() * 1000)
    (work / "metrics.jsonl").write_text('{"step": 1, "loss": 2.5}\n')
    store.commit(stage, work, result or {"loss": 2.5})


@pytest.fixture(params=["folder", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    uri = {
        "folder": str(tmp_path / "store"),
        "file": (tmp_path / "a store").as_uri(),
        "memory": f"memory://{uuid.uuid4().hex}/store",
    }[request.param]
    return open_store(uri, cache_dir=tmp_path / "cache")


def test_a_committed_stage_is_finished_and_holds_what_was_written(store: Store) -> None:
    stage = stage_named("Grundlinie – 基线", steps=3)
    assert store.finished(stage) is None
    store.check_writable()
    with store.lease(stage):
        finish(store, stage, result={"loss": 2.5, "scores": {"a": [1, None]}})
    manifest = store.finished(stage)
    assert manifest is not None
    assert (manifest.kind, manifest.name, manifest.key) == ("pretrain", "Grundlinie – 基线", stage.key)
    assert manifest.result == {"loss": 2.5, "scores": {"a": [1, None]}}
    assert manifest.inputs == {"corpus": "0" * 16} and manifest.config == {"steps": 3}
    assert {name: entry.bytes for name, entry in manifest.files.items()} == {
        "final/model.bin": 7000,
        "metrics.jsonl": 25,
    }
    assert (store.path(stage) / "final" / "model.bin").read_bytes() == b"weights" * 1000
    assert store.read_text(manifest, "metrics.jsonl") == '{"step": 1, "loss": 2.5}\n'
    assert store.read_text(manifest, "nothing.jsonl") is None
    assert store.verify(stage) == manifest
    assert list(store.manifests()) == [manifest]
    assert list(store.partial()) == []


def test_a_stage_is_found_by_its_key_whatever_its_name(store: Store) -> None:
    finish(store, stage_named("baseline", steps=3))
    renamed = stage_named("span-3", steps=3)
    manifest = store.finished(renamed)
    assert manifest is not None and manifest.name == "baseline"
    assert store.path(renamed).name.startswith("baseline-")
    assert store.finished(stage_named("baseline", steps=4)) is None


def test_a_name_no_file_system_takes_is_made_harmless(store: Store) -> None:
    stage = stage_named("../..\x00/a" + "ö" * 300)
    finish(store, stage)
    manifest = store.finished(stage)
    assert manifest is not None and manifest.name == stage.name
    assert store.path(stage).parent.name == "pretrain" and len(store.path(stage).name.encode()) < 200


def test_a_second_commit_changes_nothing(store: Store) -> None:
    stage = stage_named()
    finish(store, stage, "first")
    before = store.finished(stage)
    finish(store, stage, "second", result={"loss": 9.0})
    assert store.finished(stage) == before
    assert (store.path(stage) / "final" / "model.bin").read_bytes() == b"first" * 1000


def test_work_is_kept_between_attempts_and_told_as_unfinished(store: Store) -> None:
    stage = stage_named()
    (store.work(stage) / "checkpoint").write_text("half")
    assert (store.work(stage_named("other name")) / "checkpoint").read_text() == "half"
    (unfinished,) = store.partial()
    assert (unfinished.kind, unfinished.name, unfinished.key) == ("pretrain", "baseline", stage.key)
    assert unfinished.owner is None and abs(unfinished.modified_at - time.time()) < 60
    with store.lease(stage):
        (unfinished,) = store.partial()
        assert unfinished.owner is not None and unfinished.owner.pid == os.getpid()
    assert store.finished(stage) is None and list(store.manifests()) == []


def test_asking_for_an_unfinished_stage_says_so(store: Store) -> None:
    with pytest.raises(StoreError, match="is not finished"):
        store.path(stage_named())


def test_an_altered_byte_is_found_by_verify_and_a_short_file_by_path(tmp_path: Path) -> None:
    store, stage = open_store(tmp_path), stage_named()
    finish(store, stage)
    weights = store.path(stage) / "final" / "model.bin"
    content = bytearray(weights.read_bytes())
    content[4321] ^= 1
    weights.write_bytes(content)
    store.path(stage)
    with pytest.raises(StoreError, match=r"model\.bin.*was altered.*remove .* to have the stage done again"):
        store.verify(stage)
    weights.write_bytes(content[:-1])
    with pytest.raises(StoreError, match="6,999 bytes instead of 7,000"):
        store.path(stage)
    weights.unlink()
    with pytest.raises(StoreError, match="is missing"):
        store.path(stage)


def test_an_altered_object_in_a_bucket_is_found_on_download(tmp_path: Path) -> None:
    store, stage = open_store(f"memory://{uuid.uuid4().hex}", cache_dir=tmp_path), stage_named()
    assert isinstance(store, BucketStore)
    finish(store, stage)
    shutil.rmtree(store.cache.root)
    (path,) = [p for p in store._fs.find(store._root) if p.endswith("model.bin")]
    good = store._fs.cat_file(path)
    store._fs.pipe_file(path, b"W" + good[1:])
    for look in (store.verify, store.path):
        with pytest.raises(StoreError, match=r"model\.bin.*was altered"):
            look(stage)
    store._fs.pipe_file(path, good)
    assert (store.path(stage) / "final" / "model.bin").read_bytes() == good
    store._fs.rm_file(path)
    store.path(stage)
    with pytest.raises(StoreError, match="is missing"):
        store.verify(stage)


def test_uploads_without_a_manifest_are_no_stage(tmp_path: Path) -> None:
    store, stage = open_store(f"memory://{uuid.uuid4().hex}", cache_dir=tmp_path), stage_named()
    assert isinstance(store, BucketStore)
    store._fs.pipe_file(f"{store._root}/{stage.folder}/final/model.bin", b"half")
    assert store.finished(stage) is None and list(store.manifests()) == []
    finish(store, stage)
    store.verify(stage)


@pytest.mark.parametrize("damage", ["", '{"format": 1', "[]", '{"format": 99, "digest": ""}', "edited"])
def test_a_damaged_manifest_is_an_error_not_a_result(tmp_path: Path, damage: str) -> None:
    store, stage = open_store(tmp_path), stage_named()
    finish(store, stage)
    path = store.path(stage) / "manifest.json"
    path.write_text(path.read_text().replace("2.5", "1.5") if damage == "edited" else damage)
    with pytest.raises(StoreError, match="manifest"):
        store.finished(stage)
    assert list(store.manifests()) == []


def test_links_and_the_manifests_own_name_are_refused(tmp_path: Path) -> None:
    store, stage = open_store(tmp_path), stage_named()
    work = store.work(stage)
    (work / "link").symlink_to("/etc/hostname")
    with pytest.raises(StoreError, match="plain files"):
        store.commit(stage, work, {})
    (work / "link").unlink()
    (work / "manifest.json").write_text("{}")
    with pytest.raises(StoreError, match="store's own"):
        store.commit(stage, work, {})
    (work / "manifest.json").unlink()
    with pytest.raises(StoreError, match="JSON"):
        store.commit(stage, work, {"path": work})
    with pytest.raises(StoreError, match="below"):
        store.commit(stage, tmp_path.parent, {})
    assert store.finished(stage) is None


KILLED_AT_EACH_CALL = """
import itertools, json, os, signal, sys
from orchestrator.plan.plan import Stage
from orchestrator.store import open_store
root = sys.argv[1]
outcomes = []
for n in itertools.count(1):
    config = {"n": n}
    stage = Stage(kind="pretrain", name="s", config=config, settings=config)
    child = os.fork()
    if child == 0:
        store, calls = open_store(root), itertools.count(1)
        def deadly(function):
            def call(*args, **kwargs):
                if next(calls) == n:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)
            return call
        work = store.work(stage)
        (work / "sub").mkdir()
        (work / "sub" / "a").write_bytes(b"a" * 100)
        (work / "b").write_bytes(b"b" * 10)
        os.open, os.fsync, os.rename, os.replace = map(deadly, (os.open, os.fsync, os.rename, os.replace))
        store.commit(stage, work, {"n": n})
        os._exit(0)
    killed = os.waitpid(child, 0)[1] != 0
    store = open_store(root)
    finished = store.finished(stage) is not None
    if finished:
        store.verify(stage)
    else:
        work = store.work(stage)
        kept = sorted(str(p.relative_to(work)) for p in work.rglob("*"))
        assert kept == ["b", "sub", "sub/a"], kept
        store.commit(stage, work, {"n": n})
        store.verify(stage)
    outcomes.append([killed, finished])
    if not killed:
        break
print(json.dumps(outcomes))
"""


def test_a_commit_killed_at_any_system_call_is_finished_or_can_be_done_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_CALL, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert len(outcomes) > 10
    assert outcomes[0] == [True, False] and outcomes[-1] == [False, True]
    finished = [outcome[1] for outcome in outcomes]
    assert finished == sorted(finished), "once finished, a later kill does not undo it"


COMMITS_WITHOUT_END = """
import itertools, sys
from orchestrator.plan.plan import Stage
from orchestrator.store import open_store
store, first = open_store(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
for n in itertools.count(first):
    stage = Stage(kind="pretrain", name="s", config={"n": n}, settings={})
    with store.lease(stage):
        work = store.work(stage)
        for name in "abc":
            (work / name).write_bytes(name.encode() * 200_000)
        store.commit(stage, work, {"n": n})
"""


def test_a_worker_killed_at_random_leaves_only_whole_stages(tmp_path: Path) -> None:
    store, chance = open_store(tmp_path), random.Random(0)
    for attempt in range(6):
        worker = subprocess.Popen(
            [sys.executable, "-c", COMMITS_WITHOUT_END, str(tmp_path), str(attempt * 100_000)], stdout=subprocess.PIPE
        )
        assert worker.stdout is not None and worker.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0.01, 0.3))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
    finished = list(store.manifests())
    assert finished
    for manifest in finished:
        stage = Stage(kind="pretrain", name="s", config=manifest.config, settings={})
        assert store.verify(stage).result == manifest.config
    for unfinished in store.partial():
        assert unfinished.owner is None, "the dead worker's lease is void at once"


def test_a_lease_keeps_others_out_names_its_owner_and_is_given_back(store: Store) -> None:
    stage = stage_named()
    with store.lease(stage) as lease:
        assert lease.is_ours()
        with pytest.raises(StageBusy, match=f"process {os.getpid()} on ") as busy, store.lease(stage_named("other")):
            pass
        assert busy.value.owner == lease.owner == store.owner(stage)
    assert store.owner(stage) is None
    with store.lease(stage):
        pass


HOLDS_A_LEASE = """
import sys, time
from orchestrator.plan.plan import Stage
from orchestrator.store import open_store
stage = Stage(kind="pretrain", name="s", config={}, settings={})
with open_store(sys.argv[1], heartbeat_s=0.1).lease(stage):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(root: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLDS_A_LEASE, str(root)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    process.stdout.close()
    return process


def test_the_lease_of_a_dead_process_is_taken_over_at_once(tmp_path: Path) -> None:
    store, stage = open_store(tmp_path), Stage(kind="pretrain", name="s", config={}, settings={})
    process = holder(tmp_path)
    with pytest.raises(StageBusy, match=f"process {process.pid} "), store.lease(stage):
        pass
    process.kill()
    process.wait()
    with store.lease(stage):
        assert store.owner(stage) is not None


def test_a_lease_without_heartbeat_is_taken_over_and_the_sleeper_may_not_commit(tmp_path: Path) -> None:
    sleeper = open_store(tmp_path, heartbeat_s=1000, stale_after_s=0.5)
    taker, stage = open_store(tmp_path, stale_after_s=0.5), stage_named()
    with sleeper.lease(stage):
        with pytest.raises(StageBusy), taker.lease(stage):
            pass
        time.sleep(0.7)
        with taker.lease(stage):
            work = sleeper.work(stage)
            (work / "a").write_text("a")
            with pytest.raises(StoreError, match="lost its lease"):
                sleeper.commit(stage, work, {})
            taker.commit(stage, work, {})
    assert taker.finished(stage) is not None


def test_a_heartbeat_keeps_a_long_lease_alive(tmp_path: Path) -> None:
    process = holder(tmp_path)
    time.sleep(1.0)
    stage = Stage(kind="pretrain", name="s", config={}, settings={})
    with pytest.raises(StageBusy), open_store(tmp_path, stale_after_s=0.6).lease(stage):
        pass
    process.kill()
    process.wait()


COMPETES = """
import os, sys, time
from orchestrator.plan.plan import Stage
from orchestrator.store import StageBusy, open_store
store = open_store(sys.argv[1])
done = 0
deadline = time.monotonic() + 30
while done < 40 and time.monotonic() < deadline:
    for n in range(40):
        stage = Stage(kind="corpus", name="s", config={"n": n}, settings={})
        if store.finished(stage) is not None:
            continue
        try:
            with store.lease(stage):
                if store.finished(stage) is None:
                    work = store.work(stage)
                    with (work / "who").open("x") as file:
                        file.write(str(os.getpid()))
                    store.commit(stage, work, {"pid": os.getpid()})
        except StageBusy:
            pass
    done = sum(1 for _ in store.manifests())
"""


def test_processes_that_compete_do_each_stage_once(tmp_path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", COMPETES, str(tmp_path)]) for _ in range(3)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    store = open_store(tmp_path)
    manifests = list(store.manifests())
    assert len(manifests) == 40 and list(store.partial()) == []
    for manifest in manifests:
        assert store.read_text(manifest, "who") == str(manifest.result["pid"])


def test_competing_takers_of_a_void_lease_have_one_winner(tmp_path: Path) -> None:
    process = holder(tmp_path)
    process.kill()
    process.wait()
    script = HOLDS_A_LEASE.replace("time.sleep(60)", "time.sleep(2)")
    takers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    outcomes = [taker.communicate(timeout=60) for taker in takers]
    assert [out for out, _ in outcomes].count(b"held\n") == 1
    assert sum(b"t5core.lease.Busy" in err for _, err in outcomes) == 3


def test_a_store_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/t5grid")):
        with pytest.raises(ConfigError, match=f"store='{place}': .*; name a folder that you may write to"):
            open_store(place).check_writable()
    with pytest.raises(ConfigError, match=r"needs 9007.2 TB and its disk has .* free; free some space"):
        open_store(tmp_path / "new").check_writable(required_bytes=1 << 53)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "name a folder"),
        ("nosuch://bucket/x", "no store of kind 'nosuch'"),
        ("file://host/x", "three slashes"),
        ("memry://x", "did you mean 'memory'"),
    ],
)
def test_an_address_that_is_none_is_refused(uri: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_store(uri)


def test_no_message_shows_a_password() -> None:
    with pytest.raises(ConfigError) as error:
        open_store("nosuch://ann:secret@bucket/x?token=geheim")
    assert "secret" not in str(error.value) and "geheim" not in str(error.value)


def test_a_password_that_ends_too_early_is_refused_with_how_it_is_written() -> None:
    with pytest.raises(ConfigError) as refused:
        open_store("s3://ann:se/cr et@bucket/x")
    assert str(refused.value) == (
        "store='s3://***@bucket/x': in a user or password, write ' ' as %20, '/' as %2F"
    )  # fmt: skip
