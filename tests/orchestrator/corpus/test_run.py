"""``t5grid corpus``: one machine's bytes on Ray, whoever does the work and whoever dies."""

import functools
import gzip
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from dashboards.cli import main
from orchestrator.corpus.run import CorpusRequest, parts_of, run_corpus
from orchestrator.corpus.steps import do_part
from orchestrator.tracking.corpora import CorpusRecord, CorpusView, metrics_of, track_corpus
from t5core.cli import main as clean_main
from t5core.corpora.c4 import C4Config
from t5core.corpora.c4.build import Recipe, build, content_of, work_folder
from t5core.corpora.c4.output import Output
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.captures import find_captures
from t5core.corpora.places import Place
from t5core.errors import ConfigError, DataError

ANY_LANGUAGE = Rules(config=C4Config(language="none"))
REQUEST = CorpusRequest(rules=ANY_LANGUAGE, shards=3)
TOPICS = ("river", "bridge", "summit", "harbour", "garden", "engine", "library", "market")


def text_about(topic: str, number: int) -> str:
    shared = [f"The old {topic} was {what} after {n} long days." for n, what in enumerate(("wet", "shut", "new"), 2)]
    own = [f"This is line {n} of page {number} about the {topic}." for n in range(4)]
    return "\n".join([*(shared if number % 3 == 0 else ()), *own, "Home | About"])


def pages(count: int, first: int = 0) -> list[dict[str, str]]:
    return [
        {"text": text_about(topic, n), "url": f"http://{topic}.org/{n % (count - 5)}", "timestamp": f"20{n % 60:02d}"}
        for n in range(first, first + count)
        for topic in TOPICS
    ]


def wet_record(page: dict[str, str]) -> bytes:
    body = page["text"].encode()
    head = f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: {page['url']}\r\n"
    head += f"WARC-Date: {page['timestamp']}-01-01T00:00:00Z\r\nContent-Type: text/plain\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body + b"\r\n\r\n"


def written(folder: Path, count: int = 30, files: int = 5) -> tuple[Place, ...]:
    """JSON Lines, one WET file, and one WET file that was cut short."""
    folder.mkdir()
    rows = pages(count)
    for number in range(files):
        lines = "".join(json.dumps(row) + "\n" for row in rows[number::files])
        (folder / f"{number}.jsonl").write_text(lines)
    records = b"".join(gzip.compress(wet_record(page)) for page in pages(count, 20))
    (folder / "a.wet.gz").write_bytes(records)
    (folder / "cut.wet.gz").write_bytes(records[: len(records) // 3])
    return find_captures([str(folder)])


def on_one_machine(paths: tuple[Place, ...], out: Path, shards: int = 3) -> dict[str, Any]:
    return build(paths, out, Recipe(rules=ANY_LANGUAGE, content=content_of(paths), form="parquet", shards=shards))


def assert_whole(out: Path, manifest: dict[str, Any]) -> None:
    assert json.loads((out / "manifest.json").read_text()) == manifest
    assert {path.name for path in out.iterdir()} == {"manifest.json", *(shard["name"] for shard in manifest["shards"])}
    for shard in manifest["shards"]:
        assert hashlib.sha256((out / shard["name"]).read_bytes()).hexdigest() == shard["sha256"]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the work for each file."""
    monkeypatch.setattr("orchestrator.corpus.run._MIN_PART_BYTES", 1)


def test_any_number_of_workers_gives_the_bytes_of_one_machine(local_ray: str, tmp_path: Path) -> None:
    paths = written(tmp_path / "in")
    wanted = on_one_machine(paths, tmp_path / "one")
    assert len(wanted["shards"]) == 3
    assert wanted["counts"]["removed"]["filtered:url_duplicate"]["documents"] > 10
    assert wanted["counts"]["removed"]["span-filtered:duplicate"]["lines"] > 10
    for workers in (1, 2):
        lines: list[str] = []
        out = tmp_path / f"ray{workers}"
        result = run_corpus(paths, out, REQUEST, workers=workers, report=lines.append)
        assert result.manifest == wanted
        assert (result.done, result.found, result.deaths) == (7 + 3 * 3, 0, 0)
        assert_whole(out, wanted)
        assert any(line.startswith("reading and judging pages: 7 of 7") for line in lines)
        again = run_corpus(paths, out, REQUEST, workers=workers)
        assert (again.manifest, again.done) == (wanted, 0)


def test_inputs_at_addresses_give_the_same_bytes(local_ray: str, tmp_path: Path) -> None:
    wanted = on_one_machine(written(tmp_path / "in"), tmp_path / "one")
    handler = functools.partial(QuietHandler, directory=str(tmp_path / "in"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for number, given in enumerate((f"file://{tmp_path}/in", f"http://127.0.0.1:{server.server_port}/")):
            result = run_corpus(find_captures([given]), tmp_path / f"out{number}", REQUEST, workers=2)
            assert (result.manifest, result.deaths) == (wanted, 0)
        server.shutdown()


def test_a_data_set_is_shared_by_the_workers(local_ray: str, tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    for number in range(3):
        table = pyarrow.Table.from_pylist(pages(15)[number::3])
        parquet.write_table(table, tmp_path / "clone" / f"train-{number}.parquet")
    parts = find_captures([f"hf:{tmp_path}/clone"])
    wanted = on_one_machine(parts, tmp_path / "one")
    assert len(parts) == len(parts_of(parts)) == 3 and wanted["counts"]["pages"]["documents"] == 15 * len(TOPICS)
    result = run_corpus(parts, tmp_path / "out", REQUEST, workers=2)
    assert (result.manifest, result.done) == (wanted, 3 + 3 * 3)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing of it."""

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def test_finished_parts_are_not_done_again(local_ray: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = written(tmp_path / "in")
    wanted = on_one_machine(paths, tmp_path / "one")
    out = tmp_path / "out"
    with monkeypatch.context() as patch:  # the driver stops when all shards but the manifest are written
        patch.setattr("orchestrator.corpus.run.write_manifest", _stop)
        with pytest.raises(KeyboardInterrupt):
            run_corpus(paths, out, REQUEST, workers=2)
    done = out / f".work-{wanted['recipe']}" / "done"
    (done / "pages-000001.json").unlink()
    (done / "lost-000002.json").write_text('{"half')
    (out / wanted["shards"][1]["name"]).write_bytes(b"harmed")
    result = run_corpus(paths, out, REQUEST, workers=2)
    assert (result.done, result.found) == (3, 13)
    assert_whole(out, wanted)


def test_a_second_driver_of_the_same_corpus_is_told_who_is_at_it(local_ray: str, tmp_path: Path) -> None:
    paths = written(tmp_path / "in", files=1)
    seen: list[str] = []

    def second(line: str) -> None:
        if line.startswith("comparing URLs") and not seen:
            with pytest.raises(ConfigError, match=f"this corpus is being made.*process {os.getpid()} on") as caught:
                run_corpus(paths, tmp_path / "out", REQUEST, workers=1)
            seen.append(str(caught.value))

    result = run_corpus(paths, tmp_path / "out", REQUEST, workers=2, report=second)
    assert len(seen) == 1 and "\n" not in seen[0]
    assert result.manifest == on_one_machine(paths, tmp_path / "one")
    assert 50e6 < result.peak_bytes < 1e9
    assert_whole(tmp_path / "out", result.manifest)


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def test_what_other_files_or_one_machine_left_is_not_taken(
    local_ray: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = written(tmp_path / "in")
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.corpus.run.write_manifest", _stop)
        with pytest.raises(KeyboardInterrupt):
            run_corpus(paths, out, REQUEST, workers=2)
    Path(paths[0]).rename(Path(paths[0]).with_name("z.jsonl"))  # the same recipe, but the shards name their sources
    paths = find_captures([str(tmp_path / "in")])
    wanted = on_one_machine(paths, tmp_path / "one")
    name = wanted["shards"][0]["name"]
    assert (out / name).exists()
    (out / f"{name}.part").write_bytes(b"of a killed t5core clean")
    result = run_corpus(paths, out, REQUEST, workers=2)
    assert (result.manifest, result.found) == (wanted, 0)
    assert_whole(out, wanted)
    with pytest.raises(ConfigError, match=f"it holds another recipe's shards .c4-{wanted['recipe']}-00000"):
        run_corpus(paths, out, CorpusRequest(rules=ANY_LANGUAGE, shards=2), workers=2)
    assert_whole(out, wanted)


def test_a_node_that_does_not_see_the_same_folder_or_files_is_named(
    local_ray: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"work": str(tmp_path), "out": str(tmp_path), "plan": "ab"}
    with pytest.raises(ConfigError, match=r"the node .* does not see it: give a folder that all nodes share"):
        do_part(settings, "pages", 0, [])
    (tmp_path / "plan.json").write_text('{"plan": "ab"}')
    with pytest.raises(ConfigError, match=r"does not see it: give files that all nodes share"):
        do_part(settings, "pages", 0, [Place("/nowhere/a.jsonl")])
    paths = written(tmp_path / "in")
    Path(paths[0]).unlink()
    with pytest.raises(ConfigError, match=r"files='.*0.jsonl': cannot be read: No such file"):
        run_corpus(paths, tmp_path / "out", REQUEST, workers=2)
    monkeypatch.setattr("orchestrator.corpus.run.text_bytes", lambda path: 1)  # the driver sees it, a worker does not
    with pytest.raises(ConfigError, match=r"files='.*0.jsonl': cannot be read: No such file") as caught:
        run_corpus(paths, tmp_path / "out", REQUEST, workers=2)
    assert "\n" not in str(caught.value)


def test_pages_that_got_lost_between_nodes_are_noticed(
    local_ray: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = written(tmp_path / "in")
    out = tmp_path / "out"

    def lose(line: str) -> None:
        if line.startswith("reading and judging pages: 7 of 7"):
            next(out.glob(".work-*/pages/*")).unlink()

    with pytest.raises(DataError, match=r"pages were read and .* removed or kept"):
        run_corpus(paths, out, REQUEST, workers=2, report=lose)
    assert not (out / "manifest.json").exists()


def test_neighbouring_files_make_a_part_and_their_number_follows_from_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for number in range(600):
        paths.append(tmp_path / f"{number:03d}.txt")
        paths[-1].write_bytes(b"x" * (5_000 if number == 300 else 50))
    monkeypatch.setattr("orchestrator.corpus.run._MIN_PART_BYTES", 1_000)
    parts = parts_of(paths)
    assert [Path(path) for part in parts for path in part] == paths
    assert len(parts[0]) == 20
    assert [Place(str(paths[300]))] in parts
    assert parts_of([]) == []


def test_an_object_store_gets_the_same_shards_and_a_second_run_finds_them(
    local_ray: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = written(tmp_path / "in")
    wanted = on_one_machine(paths, tmp_path / "one")
    # a store that all processes see, by another protocol than that of plain folders
    out = Output.of(f"local://{tmp_path}/bucket/corpus")
    assert out.folder is None
    with pytest.raises(ConfigError, match="the steps exchange files: give a folder"):
        run_corpus(paths, out, REQUEST, workers=2)
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.corpus.run.write_manifest", _stop)
        with pytest.raises(KeyboardInterrupt):
            run_corpus(paths, out, REQUEST, work=tmp_path / "work", workers=2)
    result = run_corpus(paths, out, REQUEST, work=tmp_path / "work", workers=2)
    assert (result.manifest, result.done, result.found) == (wanted, 0, 7 + 3 * 3)
    assert_whole(tmp_path / "bucket/corpus", wanted)
    assert run_corpus(paths, out, REQUEST, work=tmp_path / "work", workers=2).done == 0
    assert not list((tmp_path / "work").iterdir())
    other = CorpusRequest(rules=ANY_LANGUAGE, shards=2)
    with pytest.raises(ConfigError, match="it holds another recipe's shards"):
        run_corpus(paths, out, other, work=tmp_path / "work", workers=2)


def test_a_declared_recipe_with_lists_and_books_is_that_of_one_machine(
    local_ray: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "in", files=3)
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "one.txt").write_text("A book begins here.[1]\n\nIt ends here | soon\n\nNotes\n\nNone.")
    (tmp_path / "in" / "wiki.jsonl").write_text(
        "".join(
            json.dumps(
                {"text": f"Article {n} is short[2].\n\nReferences\n\nSomeone.", "url": f"https://{host}/wiki/{n}"}
            )
            + "\n"
            for n, host in enumerate(("en.wikipedia.org", "de.wikipedia.org", "en.m.wikipedia.org"))
        )
    )
    (tmp_path / "domains.txt").write_text("river.org\nbridge.org\n")
    for name, more in {
        "wikipedia-books": {"books": ["books"]},
        "realnews-like": {"domains": ["domains.txt"], "language": "none"},
        "unfiltered": {"language": "none"},
    }.items():
        declared = tmp_path / f"{name}.json"
        declared.write_text(json.dumps({"recipe": name, "files": ["in"], "format": "jsonl", "shards": 2, **more}))
        command = ["corpus", str(declared), "--out", str(tmp_path / name), "--workers", "2"]
        assert main([*command, "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db"]) == 0
        assert clean_main(["clean", "--recipe", str(declared), "--out", str(tmp_path / f"{name}-one")]) == 0
        manifests = [json.loads((tmp_path / folder / "manifest.json").read_text()) for folder in (name, f"{name}-one")]
        assert manifests[0] == manifests[1]
        removed, pages = manifests[0]["counts"]["removed"], manifests[0]["counts"]["pages"]["documents"]
        kept = {
            row["url"] or row["source"]: row["text"]
            for path in sorted((tmp_path / name).glob("*.gz"))
            for row in map(json.loads, gzip.decompress(path.read_bytes()).decode().splitlines())
        }
        if name == "wikipedia-books":
            assert kept == {
                "https://en.wikipedia.org/wiki/0": "Article 0 is short.",
                "https://en.m.wikipedia.org/wiki/2": "Article 2 is short.",
                "one.txt": "A book begins here.\n\nIt ends here | soon",
            }
            assert removed["filtered:not_listed"]["documents"] == pages - 3
        elif name == "realnews-like":
            assert {url.split("/")[2] for url in kept} == {"river.org", "bridge.org"}
            assert "Home | About" not in "".join(kept.values())
        else:
            assert "Home | About" in "".join(kept.values())
            assert set(removed) <= {"filtered:url_duplicate", "trimmed"}
    capsys.readouterr()


def test_the_command_shows_the_table_and_logs_one_run(
    local_ray: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = written(tmp_path / "in", files=2)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    command = ["corpus", "c4", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--language", "none"]
    command += ["--bad-words", "none", "--shards", "2", "--workers", "2", "--tracking-uri", uri]
    for _ in range(2):
        assert main(command) == 0
        out, err = capsys.readouterr()
        rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        assert rows["kept"][0] == f"{manifest['counts']['kept']['documents']:,}"
        assert f"2 shards in {tmp_path / 'out'} (recipe {manifest['recipe']})" in out
        assert "MLflow" not in err
    assert manifest == on_one_machine(paths, tmp_path / "one", shards=2)
    view = CorpusView(uri)
    view.connect()
    assert view.experiment == "t5grid/corpus"
    (run,) = view._search("")
    assert run.info.status == "FINISHED"
    assert run.data.params["language"] == "none"
    removed = manifest["counts"]["removed"]["line-filtered:no_endmark"]["lines"]
    assert run.data.metrics["removed/line-filtered:no_endmark/lines"] == removed > 0
    assert run.data.metrics["kept/bytes"] == manifest["counts"]["kept"]["bytes"]
    assert run.data.metrics["workers"] == 2


def test_an_absent_mlflow_is_one_line(local_ray: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "in", files=1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["corpus", "c4", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--language", "none"]
    command += ["--bad-words", "none", "--tracking-uri", f"http://127.0.0.1:{port}"]
    assert main(command) == 0
    _, err = capsys.readouterr()
    assert next(line for line in err.splitlines() if "MLflow" in line).startswith("t5grid: MLflow is left out")
    counts = {"kept": {"documents": 1}}
    made = {"recipe": "ab", "recipe_version": 1, "content": "", "form": "parquet", "partitions": 1, "config": {}}
    record = CorpusRecord(
        manifest={**made, "made_with": {}, "counts": counts, "shards": []},
        declared="c4",
        folder="x",
        files=1,
        workers=1,
        started_at=0.0,
        seconds=1.0,
        peak_bytes=0,
    )
    assert metrics_of(record)["kept/documents"] == 1
    lines: list[str] = []
    assert not track_corpus("nonsense://x", record, lines.append)
    assert len(lines) == 1 and "all counts are in manifest.json" in lines[0] and "\n" not in lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("page.txt", "--out", "s3://b/c"), "out='s3://b/c': the steps exchange files: give a folder"),
        (("--out", "o"), "files='': give files of pages"),
        (("page.txt",), "the following arguments are required: --out"),
        (("page.txt", "--out", "o", "--workers", "0"), "workers=0: give a whole number from 1 up"),
        (("page.txt", "--out", "o", "--shards", "x"), "shards='x': give a whole number from 1"),
        (("none.txt", "--out", "o"), "files='none.txt': no such file or folder"),
        (("page.txt", "--out", "o", "--format", "parket"), "did you mean 'parquet'?"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.txt").write_text("A page.")
    assert main(["corpus", "c4", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err.splitlines()[-1]
    assert out == ""


class Killer(threading.Thread):
    """Kills the first worker that is seen at each of some steps, by the process id in its folder's name."""

    def __init__(self, out: Path, steps: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self.out, self.left, self.killed, self.over = out, list(steps), [], False

    def run(self) -> None:
        while self.left and not self.over:
            for folder in self.out.glob(".work-*/attempts/*"):
                step = folder.name.partition("-")[0]
                if step in self.left:
                    self.left.remove(step)
                    os.kill(int(folder.name.rsplit(".", 2)[1]), signal.SIGKILL)
                    self.killed.append(step)
            time.sleep(0.001)


@pytest.mark.faults
def test_killed_workers_lose_nothing_and_duplicate_nothing(local_ray: str, tmp_path: Path) -> None:
    paths = written(tmp_path / "in", count=1_500)
    wanted = on_one_machine(paths, tmp_path / "one")
    out = tmp_path / "out"
    steps = ("pages", "settled", "lost", "shards")
    killer = Killer(out, steps)
    killer.start()
    lines: list[str] = []
    result = run_corpus(paths, out, REQUEST, workers=2, report=lines.append)
    killer.over = True
    killer.join(5)
    assert len(killer.killed) >= 3
    assert result.deaths >= 3
    assert sum("died (WorkerCrashedError); another one does it" in line for line in lines) == result.deaths
    assert result.manifest == wanted
    assert_whole(out, wanted)


@pytest.mark.faults
def test_a_killed_driver_goes_on_where_it_was(local_ray: str, tmp_path: Path) -> None:
    paths = written(tmp_path / "in", count=1_500)
    wanted = on_one_machine(paths, tmp_path / "one")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dashboards.cli", "corpus", "c4", str(tmp_path / "in"), "--out", str(out)]
    command += ["--language", "none", "--bad-words", "none", "--shards", "3", "--workers", "2"]
    command += ["--address", local_ray, "--tracking-uri", "http://127.0.0.1:1"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not list(out.glob(".work-*/done/pages-*")) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "manifest.json").exists()
    recipe = Recipe(rules=ANY_LANGUAGE, content=content_of(paths), form="parquet", shards=3)
    assert work_folder(out, recipe).is_dir()
    shutil.rmtree(tmp_path / "one")
    result = run_corpus(paths, out, REQUEST, workers=2)
    assert result.manifest == wanted
    assert_whole(out, wanted)
