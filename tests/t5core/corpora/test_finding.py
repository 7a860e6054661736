"""Which files a path stands for: links, folders that are closed, and cleaned corpora that are not whole."""

import json
import os
import tempfile
from collections import Counter
from pathlib import Path

import fsspec
import pytest

from t5core.cli import main
from t5core.corpora.c4.shards import MANIFEST, shard_name
from t5core.corpora.captures import find_captures, read_pages
from t5core.corpora.files import content_digest, find_files, read_files
from t5core.corpora.places import address_of
from t5core.errors import ConfigError

NOBODY = 65534
TEXT = "The old river is wide and slow here, as people say."


def names(places):
    return [place.name for place in places]


def test_a_link_is_read_by_its_own_name_and_each_file_once(tmp_path):
    """As the hub's cache keeps a set: names that lead to blobs without endings."""
    snapshot, blobs = tmp_path / "snapshots", tmp_path / "blobs"
    snapshot.mkdir()
    blobs.mkdir()
    (blobs / "abc").write_text(json.dumps({"text": "One."}) + "\n")
    for name in ("x.jsonl", "again.jsonl"):
        (snapshot / name).symlink_to("../blobs/abc")
    (snapshot / "gone.jsonl").symlink_to("../blobs/none")
    (snapshot / "ring.jsonl").symlink_to("ring.jsonl")
    for given in (snapshot, snapshot / "*.jsonl"):
        (place,) = find_captures([str(given)])
        assert place.name == "again.jsonl" and find_files([str(given)]) == (place,)
    assert names(find_captures([str(snapshot / "x.jsonl")])) == ["x.jsonl"]
    assert [page.text for page in read_pages(place, Counter())] == ["One."]
    (tmp_path / "own.jsonl").write_text("{}\n")
    (tmp_path / "link.jsonl").symlink_to("own.jsonl")
    assert names(find_captures([str(tmp_path), f"{tmp_path}/*.jsonl"])) == ["own.jsonl", "again.jsonl"]
    (tmp_path / "here").symlink_to(snapshot)
    assert find_captures([str(tmp_path / "here")])[0].address == str(snapshot.resolve() / "again.jsonl")


@pytest.fixture
def closed():
    """A folder with text, open but for one below it; while it is there, this process has nobody's rights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for file in ("open/a.txt", "shut/b.txt"):
            (folder / file).parent.mkdir()
            (folder / file).write_text(TEXT)
        for command in (["clean"], ["vocabulary", "--mix", "1:none"]):  # so that nothing has to be imported later
            assert main([*command, "--out", f"{name}/out"]) == 2
        assert len(list(read_files([name], 1))) == 2
        (folder / "shut").chmod(0)
        was = os.geteuid()
        if was == 0:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(was)
            (folder / "shut").chmod(0o755)


def test_a_folder_that_is_closed_is_named_and_not_passed_over(closed):
    for given in ("", "*/*.txt", "**/*.txt", "*/b.txt", "shut/b.txt", "shut", "shut/*"):
        for find in (find_files, find_captures):
            with pytest.raises(ConfigError, match=r"shut\S* cannot be looked into \(Permission denied\)") as caught:
                find([f"{closed}/{given}"])
            assert "\n" not in str(caught.value)
    assert names(find_files([f"{closed}/open"])) == names(find_files([f"{closed}/op*/*.txt"])) == ["a.txt"]


def test_commands_say_of_a_closed_folder_and_of_nobodys_home_in_one_line(closed, capsys):
    for given in (f"{closed}/shut/b.txt", "~nosuchuser/x"):
        for command in (["clean", given, "--out", "out"], ["vocabulary", "--mix", f"1:{given}", "--out", "out"]):
            assert main(command) == 2
            *notes, error = capsys.readouterr().err.splitlines()
            assert given in error and all(note.startswith("t5core: bad words") for note in notes)


def test_nobodys_home_is_named():
    for ask in (address_of, lambda given: find_files([given])):
        with pytest.raises(ConfigError, match="'~nosuchuser/x': nobody of that name has a home"):
            ask("~nosuchuser/x")


def test_endings_count_in_any_case(tmp_path):
    (tmp_path / "X.JSONL").write_text(json.dumps({"text": TEXT}) + "\n")
    (tmp_path / "Y.TXT").write_text(TEXT)
    assert names(find_files([str(tmp_path)])) == names(find_captures([str(tmp_path)])) == ["X.JSONL", "Y.TXT"]
    assert [document.text for document in read_files([str(tmp_path)], 1)] == [TEXT, TEXT]
    upper = content_digest([str(tmp_path)])
    for name in ("X.JSONL", "Y.TXT"):
        (tmp_path / name).rename(tmp_path / name.lower())
    assert content_digest([str(tmp_path)]) == upper


@pytest.mark.parametrize("store", ["local", "memory"])
@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_what_a_killed_build_left_is_no_corpus(tmp_path, store, form):
    where = str(tmp_path / "corpus") if store == "local" else f"memory:/{tmp_path}/corpus"
    shards = [shard_name("1f0a33c2", number, 4, form) for number in range(4)]

    def write(name, content):
        with fsspec.open(f"{where}/{name}", "w", auto_mkdir=True) as file:
            file.write(content)

    for name in shards[:2]:
        write(name, "")
    for given in (where, where.rpartition("/")[0]):
        with pytest.raises(ConfigError, match=r"not finished, there is no manifest\.json: run the same command again"):
            find_files([given])
    assert names(find_files([f"{where}/c4-*"])) == shards[:2]  # who names files gets them
    assert names(find_files([f"{where}/{shards[0]}"])) == shards[:1]
    write(MANIFEST, json.dumps({"recipe": "1f0a33c2", "shards": [{"name": name} for name in shards[:3]]}))
    with pytest.raises(ConfigError, match=rf"1 of 3 shards are gone from the corpus in \S+ \({shards[2]}\)"):
        find_files([where])
    write(shards[2], "")
    assert names(find_files([where])) == shards[:3]  # a shard without rows is not written
