"""Bytes here and in stores: the same pages, one line for what does not answer, no password in it."""

import functools
import gzip
import hashlib
import http.server
import json
import os
import pickle
import threading
from collections import Counter
from typing import ClassVar

import fsspec
import pytest

from t5core.cli import main
from t5core.config import CorpusConfig
from t5core.corpora import build_corpus, identify, places
from t5core.corpora.c4 import C4Config
from t5core.corpora.c4.build import Recipe, build, content_of, shards_for
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.captures import find_captures, read_pages
from t5core.corpora.files import find_files
from t5core.corpora.places import Place, place_of
from t5core.errors import ConfigError
from t5core.uris import masked


def rows(count, first=0):
    return [
        {
            "text": f"This is line one of page {n}.\nIt has line two of {n} too.\nLine three of {n} ends it.",
            "url": f"a/{n}",
        }
        for n in range(first, first + count)
    ]


def lines(count, first=0):
    return "".join(json.dumps(row) + "\n" for row in rows(count, first)).encode()


@pytest.fixture
def memory():
    """fsspec's store in memory, empty before and after."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """No pause between tries."""
    monkeypatch.setattr(places, "_PAUSE_S", 0.0)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; states an ETag for names that begin with "tagged"."""

    asked: ClassVar[Counter] = Counter()

    def end_headers(self):
        name = self.path.rpartition("/")[2]
        if name.startswith("tagged"):
            self.send_header("ETag", '"5f-abc"')
        super().end_headers()

    def do_GET(self):
        self.asked[self.path] += 1
        super().do_GET()

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def web(tmp_path):
    """A server on loopback; gives its folder, its address, and how often each path was fetched."""
    folder = tmp_path / "web"
    folder.mkdir()
    Handler.asked = Counter()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}", Handler.asked
    server.shutdown()
    server.server_close()
    thread.join()


def texts(found):
    counts = Counter()
    return [page.text for place in found for page in read_pages(place, counts)], +counts


def test_files_folders_and_globs_are_found_in_a_store(memory):
    for name in ("in/a.jsonl", "in/b.jsonl.gz", "in/deep/c.jsonl", "in/readme.rst"):
        data = lines(3)
        memory.pipe_file(f"/bucket/{name}", gzip.compress(data) if name.endswith(".gz") else data)
    for pattern, names in {
        "memory://bucket/in": ["a.jsonl", "b.jsonl.gz", "c.jsonl"],
        "memory://bucket/in/*.jsonl*": ["a.jsonl", "b.jsonl.gz"],
        "memory://bucket/in/**/*.jsonl": ["a.jsonl", "c.jsonl"],
        "memory://bucket/in/a.jsonl": ["a.jsonl"],
    }.items():
        found = find_captures([pattern, pattern])
        assert [place.name for place in found] == [place.name for place in find_files([pattern])] == names
    assert len(texts(find_captures(["memory://bucket/in"]))[0]) == 9


def test_a_corpus_from_a_store_is_that_of_the_same_files_here(memory, tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.jsonl").write_bytes(lines(20, 20 * number))
        memory.pipe_file(f"/in/{number}.jsonl", lines(20, 20 * number))
    manifests = []
    for number, given in enumerate((str(tmp_path / "in"), f"file://{tmp_path}/in", "memory://in")):
        paths, config = find_captures([given]), C4Config(language="none")
        recipe = Recipe(rules=Rules(config=config), content=content_of(paths), form="parquet", shards=shards_for(paths))
        manifests.append(build(paths, tmp_path / f"out{number}", recipe))
    assert manifests[0] == manifests[1] == manifests[2] and manifests[0]["counts"]["kept"]["documents"] == 60
    configs = [
        identify(CorpusConfig(source="files", paths=(given,), min_chars=20))
        for given in (f"file://{tmp_path}/in", "memory://in")
    ]
    counts = [build_corpus(config, tmp_path / f"corpus{n}") for n, config in enumerate(configs)]
    assert counts[0] == counts[1]
    for name in ("train.jsonl", "validation.jsonl"):
        assert (tmp_path / "corpus0" / name).read_bytes() == (tmp_path / "corpus1" / name).read_bytes()


def test_files_on_the_web_are_read_and_a_glob_asks_the_listing(web):
    folder, address, asked = web
    (folder / "a.jsonl").write_bytes(lines(3))
    (folder / "b.jsonl").write_bytes(lines(3, 3))
    (place,) = find_captures([f"{address}/a.jsonl?token=x"])
    assert place.name == "a.jsonl" and not asked
    assert len(texts([place])[0]) == 3
    assert [place.name for place in find_captures([f"{address}/*.jsonl"])] == ["a.jsonl", "b.jsonl"]
    assert [place.name for place in find_captures([f"{address}/"])] == ["a.jsonl", "b.jsonl"]


def test_what_a_store_says_of_the_bytes_stands_for_them_and_else_they_are_hashed(web):
    folder, address, asked = web
    for name in ("tagged.jsonl", "plain.jsonl"):
        (folder / name).write_bytes(lines(3))
    size = len(lines(3))
    assert Place(f"{address}/tagged.jsonl").content() == f"ETag 5f-abc {size}" and not asked
    assert Place(f"{address}/plain.jsonl").content() == hashlib.sha256(lines(3)).hexdigest()
    assert asked["/plain.jsonl"] == 1 and Place(f"{address}/plain.jsonl").size == size


def test_what_stores_call_their_checksums_is_known():
    stated = {
        "ETag 12-3 5": {"ETag": '"12-3"', "size": 5},
        "md5Hash x== 5": {"md5Hash": "x==", "etag": "y", "size": 5},
        "sha256 ab 5": {"lfs": {"sha256": "ab"}, "blob_id": "cd", "size": 5},
        "blob_id cd 5": {"lfs": None, "blob_id": "cd", "size": 5},
    }
    for content, info in stated.items():
        assert Place("s3://b/a.jsonl", info).content() == content


def test_a_remote_file_is_fetched_whole_and_leaves_nothing_behind(memory, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    memory.pipe_file("/a.txt", b"some text")
    with Place("memory://a.txt").open() as file:
        assert file.read(4) == b"some" and file.seek(0) == 0 and file.read() == b"some text"
        assert list(tmp_path.iterdir()) == []


def test_a_lost_connection_is_tried_again_and_never_taken_for_a_damaged_record(memory, monkeypatch):
    memory.pipe_file("/a.jsonl", lines(5))
    (place,) = find_captures(["memory://a.jsonl"])
    fetch, failures = type(memory).get_file, [ConnectionResetError("reset"), None, ConnectionResetError("reset")]

    def get_file(self, remote, local, **options):
        """Simulates a connection that breaks after some bytes."""
        fetch(self, remote, local, **options)
        if failures:
            os.truncate(local, 100)
            if (error := failures.pop()) is not None:
                raise error

    monkeypatch.setattr(type(memory), "get_file", get_file)
    with pytest.raises(
        ConfigError, match=r"files='memory:///a.jsonl': cannot be fetched \(ConnectionResetError: reset"
    ):
        texts([place])
    failures[:] = [ConnectionResetError("reset"), None]  # an error, and a file that came short
    assert texts([place]) == ([row["text"] for row in rows(5)], {"pages": 5})


def test_what_is_not_there_is_said_in_one_line(memory, web, tmp_path):
    memory.pipe_file("/in/a.png", b"x")
    cases = {
        "memory://in": "no pages there: give files of these kinds",
        "memory://none": "no such file or folder: give files",
        "memory://in/*.warc": "no such file or folder: give files",
        f"{web[1]}/none/*.warc": "no such file or folder",
        "s3://bucket/a.warc.gz": r"Install s3fs to access S3, with pip, to use s3:// stores",
        "sthree://bucket/x": "no store of kind 'sthree'; give a path or an s3:// or gs:// address",
        "zip://a.warc::s3://bucket/x.zip": "chained URIs are not read",
        f"file://{tmp_path}/none": "no such file or folder",
    }
    for given, reason in cases.items():
        with pytest.raises(ConfigError, match=reason) as caught:
            find_captures([given])
        assert str(caught.value).startswith(f"files={given!r}: ") and "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"cannot be fetched \(FileNotFoundError"):
        texts(find_captures([f"{web[1]}/none.jsonl"]))


def test_no_message_shows_a_password():
    address = "https://ann:secret@127.0.0.1:1/a.jsonl?X-Amz-Signature=hidden&y=1"
    assert masked(address) == "https://***@127.0.0.1:1/a.jsonl?X-Amz-Signature=***&y=1"
    (place,) = find_captures([address])
    with pytest.raises(ConfigError, match="cannot be fetched") as caught:
        texts([place])
    assert "secret" not in f"{caught.value} {place}" and "hidden" not in f"{caught.value} {place}"


def test_a_place_can_be_sent_and_is_the_same_however_it_was_found(tmp_path):
    place = place_of(f"file://{tmp_path}/a.txt")
    assert place == place_of(tmp_path / "a.txt") == pickle.loads(pickle.dumps(place))
    assert (place.is_local, place.name, os.fspath(place), place.is_there()) == (True, "a.txt", str(place), False)
    remote = Place("s3://bucket/a.txt", {"ETag": "x"})
    assert remote == Place("s3://bucket/a.txt") == pickle.loads(pickle.dumps(remote))
    with pytest.raises(TypeError, match="is no path"):
        os.fspath(remote)


def test_the_command_cleans_from_a_store(memory, tmp_path, capsys):
    memory.pipe_file("/in/a.jsonl.gz", gzip.compress(lines(20)))
    command = ["clean", "memory://in/*.gz", "--out", str(tmp_path / "out"), "--language", "none"]
    assert main([*command, "--bad-words", "none"]) == 0
    assert capsys.readouterr().out.startswith("20 of 20 pages")
    assert main(["clean", "--explain", "memory://in/a.jsonl.gz", "--language", "none", "--bad-words", "none"]) == 0
    assert "a.jsonl.gz:20" in capsys.readouterr().out
