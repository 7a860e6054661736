"""Sets of ``datasets``: on the hub, as a clone of its repository, and as ``save_to_disk`` leaves them.

There is no hub here. Clones and saved sets are real; where a test says "hub", two functions are replaced: the look-up
of a commit, and that of a set by name, which gives the clone's.
"""

import gzip
import json
from collections import Counter

import datasets
import huggingface_hub
import pyarrow
import pytest
from pyarrow import parquet

from t5core.cli import main
from t5core.config import CorpusConfig
from t5core.corpora import build_corpus, corpus_at, identify
from t5core.corpora.c4.build import file_content, shards_for
from t5core.corpora.captures import find_captures, read_pages
from t5core.corpora.files import content_digest, find_files, read_files
from t5core.corpora.hub import _looked_up_once
from t5core.corpora.hub_names import HubName, hub_name
from t5core.errors import ConfigError

CARD = """---
configs:
- config_name: en
  default: true
  data_files: [{split: train, path: en/train-*}, {split: validation, path: en/validation-*}]
- config_name: de
  data_files: [{split: train, path: de/train-*}]
---
"""


def rows(count, first=0):
    text = "This is line one of page {0}.\nIt has line two of {0} too.\nLine three of {0} ends it."
    return [{"text": text.format(n), "url": f"http://a.org/{n}"} for n in range(first, first + count)]


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    """No cache outside, no bars."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture
def clone(tmp_path):
    """A clone of a set's repository: Parquet in three files, another split, another config."""
    folder = tmp_path / "clone"
    for name, first in {f"en/train-{i}": 10 * i for i in range(3)}.items() | {
        ("en/validation-0", 50),
        ("de/train-0", 60),
    }:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        columns = [{**row, "timestamp": "2020", "score": 0.5} for row in rows(10, first)]
        parquet.write_table(pyarrow.Table.from_pylist(columns), folder / f"{name}.parquet")
    (folder / "README.md").write_text(CARD)
    return folder


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(clone, monkeypatch):
    """Simulates a hub with the set ann/pages; gives the commits that were asked for."""
    _looked_up_once.cache_clear()  # a process asks once, and tests are one
    asked, real = [], datasets.load_dataset_builder

    def load_dataset_builder(path, name=None, *, revision=None):
        if path != "ann/pages":
            return real(path, name, revision=revision)
        asked.append(revision)
        return real(str(clone), name)

    def dataset_info(self, path, *, revision=None):
        if path != "ann/pages" or revision not in (None, "main"):
            raise ConnectionError(f"404: no {path}\nRequest ID: 7")
        return huggingface_hub.hf_api.DatasetInfo(id=path, sha=COMMIT)

    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    return asked


def read(found):
    counts = Counter()
    return [page for place in found for page in read_pages(place, counts)], +counts


def test_the_parts_of_a_name_are_told_apart():
    assert hub_name("hf:allenai/c4:en:validation@main", "files") == HubName("allenai/c4", "en", "validation", "main")
    assert hub_name("hf:squad", "files") == HubName("squad", "", "train", "")
    assert hub_name("hf:a/b::test@refs/pr/1", "files") == HubName("a/b", "", "test", "refs/pr/1")
    assert hub_name("hf:/data/x@y:de", "files") == HubName("/data/x@y", "de", "train", "")
    for wrong in ("hf:", "hf::en", "hf:a/b@", "hf:a/b:en:train:3"):
        with pytest.raises(ConfigError, match=r"give hf:NAME\[:CONFIG\]\[:SPLIT\]\[@REVISION\]"):
            hub_name(wrong, "files")
    with pytest.raises(ConfigError, match="absolute path"):
        hub_name("hf:./clone", "corpus")


def test_a_hub_set_is_a_part_a_file_at_one_commit(hub):
    found = find_captures(["hf:ann/pages", "hf:ann/pages:en:train@main"])  # the same set: the config is the default
    assert [place.name for place in found] == [f"ann/pages:en:train-{i:05d}-of-00003" for i in range(3)]
    pages, counts = read(found)
    assert [page.text for page in pages] == [row["text"] for row in rows(30)] and counts == {"pages": 30}
    assert (pages[10].url, pages[10].timestamp) == ("http://a.org/10", "2020")
    assert pages[10].source == "ann/pages:en:train-00001-of-00003:1"
    assert set(hub) == {COMMIT}
    assert file_content(found[1]) == f"hf ann/pages en train {COMMIT} 1/3"
    (validation,) = find_captures(["hf:ann/pages::validation"])
    assert len(read([validation])[0]) == 10 and shards_for([validation]) == 1


def test_a_corpus_of_a_hub_set_is_that_of_its_pages(hub, clone, tmp_path):
    given = ("hf:ann/pages:en", f"hf:{clone}:en", str(clone / "en" / "train-*"))
    configs = [identify(CorpusConfig(source="files", paths=(path,), min_chars=20)) for path in given]
    assert len({config.content for config in configs}) == 3
    corpora = []
    for number, config in enumerate(configs):
        assert build_corpus(config, tmp_path / str(number))["documents"] == 30
        lines = (tmp_path / str(number) / "train.jsonl").read_text().splitlines()
        corpora.append([json.loads(line)["text"] for line in lines])
    assert corpora[0] == corpora[1] == corpora[2]


def test_a_clone_is_read_as_the_hub_would_and_known_by_its_bytes(clone, tmp_path):
    pages, _ = read(find_captures([f"hf:{clone}:de"]))
    assert [page.text for page in pages] == [row["text"] for row in rows(10, 60)]
    content = content_digest([f"hf:{clone}:en"])
    moved = clone.rename(tmp_path / "moved")
    assert content_digest([f"hf:{moved}:en"]) == content
    parquet.write_table(pyarrow.Table.from_pylist(rows(9)), moved / "en" / "train-1.parquet")
    assert content_digest([f"hf:{moved}:en"]) != content


def test_what_is_damaged_in_a_set_is_counted_and_its_other_files_are_read(clone, tmp_path):
    (clone / "en" / "train-2.parquet").write_bytes(b"PAR1 and nothing more")
    assert read(find_captures([f"hf:{clone}:en"]))[1] == {"pages": 20, "skipped:damaged": 1}
    packed = gzip.compress(b'{"text": "One page."}\n' * 5)
    (tmp_path / "lines").mkdir()
    for number, data in enumerate((packed, packed[:40], gzip.compress(b'{"text": "a"}\n{"text": \n'))):
        (tmp_path / "lines" / f"train-{number}.jsonl.gz").write_bytes(data)
    assert read(find_captures([f"hf:{tmp_path}/lines"]))[1] == {"pages": 5, "skipped:damaged": 2}


def test_a_broken_first_file_hides_no_other(clone, tmp_path):
    whole = (clone / "en" / "train-0.parquet").read_bytes()
    (clone / "en" / "train-0.parquet").write_bytes(whole[:-100])
    assert read(find_captures([f"hf:{clone}:en"]))[1] == {"pages": 20, "skipped:damaged": 1}
    (clone / "en" / "train-0.parquet").write_bytes(b"PAR1" + bytes(90) + whole[94:])  # pyarrow: an OSError
    assert read(find_captures([f"hf:{clone}:en"]))[1] == {"pages": 20, "skipped:damaged": 1}
    texts = [{"text": row["text"], "url": "", "timestamp": "", "score": 0.5} for row in rows(500)]
    parquet.write_table(pyarrow.Table.from_pylist(texts), clone / "en" / "train-0.parquet", use_dictionary=False)
    page = parquet.ParquetFile(clone / "en" / "train-0.parquet").metadata.row_group(0).column(0).data_page_offset
    data = (clone / "en" / "train-0.parquet").read_bytes()
    (clone / "en" / "train-0.parquet").write_bytes(data[: page + 40] + b"\xff" * 200 + data[page + 240 :])
    counts = read(find_captures([f"hf:{clone}:en"]))[1]  # pyarrow: Corrupt snappy, an OSError too
    assert counts == {"pages": 20, "skipped:damaged": 1}
    packed = gzip.compress(b'{"text": "One page."}\n' * 5)
    (tmp_path / "lines").mkdir()
    for number, data in enumerate((packed[:40], gzip.compress(b""), packed)):
        (tmp_path / "lines" / f"train-{number}.json.gz").write_bytes(data)
    assert read(find_captures([f"hf:{tmp_path}/lines"]))[1] == {"pages": 5, "skipped:damaged": 1}


@pytest.mark.parametrize("name", ["train.json.gz", "train.parquet"])
def test_a_set_of_nothing_but_broken_files_is_not_blamed_on_the_network(tmp_path, name):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_bytes(gzip.compress(b'{"text": "One page."}\n' * 5)[:40])
    with pytest.raises(ConfigError, match=r"none of its files can be read \((EOFError|ArrowInvalid): .*give them by"):
        find_captures([f"hf:{tmp_path}/set"])


def test_a_time_that_no_calendar_has_costs_a_set_no_page(tmp_path):
    (tmp_path / "set").mkdir()
    times = pyarrow.array([0, 2**62, 0], pyarrow.timestamp("us"))
    parquet.write_table(
        pyarrow.table({"text": ["a", "b", "c"], "timestamp": times}), tmp_path / "set" / "train.parquet"
    )
    pages, counts = read(find_captures([f"hf:{tmp_path}/set"]))
    assert [(page.text, page.timestamp) for page in pages] == [
        ("a", "1970-01-01 00:00:00"),
        ("b", ""),
        ("c", "1970-01-01 00:00:00"),
    ]
    assert counts == {"pages": 3, "read:wrong_timestamp": 1}


def test_a_process_sees_a_set_at_one_commit(hub, monkeypatch):
    first = find_files(["hf:ann/pages"])
    assert content_digest(["hf:ann/pages"]) == content_digest(["hf:ann/pages:en"])
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", None)  # whoever asks now fails
    assert find_files(["hf:ann/pages"]) == first and len(list(read_files(["hf:ann/pages"], 20))) == 30


def test_a_set_at_a_whole_commit_is_known_by_its_name_without_the_hub(monkeypatch):
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", None)  # whoever asks fails
    monkeypatch.setattr(datasets, "load_dataset_builder", None)
    names = [f"hf:ann/pages:en:train@{COMMIT}", f"hf:ann/pages:en@{COMMIT}"]
    names += [f"hf:{name}@{COMMIT}" for name in ("bob/pages:en", "ann/pages:de", "ann/pages:en:validation")]
    names.append(f"hf:ann/pages:en@{COMMIT[::-1]}")
    configs = [identify(corpus_at((name,))) for name in names]
    assert {config.source for config in configs} == {"hub"}
    assert configs[0] == configs[1] and len({config.content for config in configs}) == 5
    with pytest.raises(ConfigError, match=r"corpus='hf:ann/pages:en:train:3@.*give hf:NAME\[:CONFIG\]"):
        corpus_at((f"hf:ann/pages:en:train:3@{COMMIT}",))


def test_what_is_no_one_set_at_a_whole_commit_is_known_by_what_lies_there(clone):
    pinned = f"hf:ann/pages:en@{COMMIT}"
    for paths in ((f"hf:ann/pages:en@{COMMIT[:12]}",), ("hf:ann/pages",), (f"hf:{clone}:en",), (pinned, "/a.txt")):
        assert corpus_at(paths) == CorpusConfig(source="files", paths=paths)


def test_a_set_at_a_whole_commit_is_built_from_that_commit(hub, tmp_path):
    config = identify(corpus_at((f"hf:ann/pages:en@{COMMIT}",)).replace(min_chars=20))
    assert hub == []
    assert build_corpus(config, tmp_path)["documents"] == 30
    assert set(hub) == {COMMIT} and identify(config) == config


def test_what_no_hub_answers_is_one_line_with_a_way_out(hub, tmp_path):
    splits = r"Available splits: \['train', 'validation'\]"
    cases = {
        "hf:bob/pages": r"no answer \(ConnectionError: 404: no bob/pages\); check hf:NAME",
        "hf:ann/pages:fr": r"no answer \(ValueError: BuilderConfig 'fr' not found. Available: \['en', 'de'\]\)",
        "hf:ann/pages:en:trian": rf"no answer \(ValueError: Bad split: trian. {splits}",
        f"hf:{tmp_path}/none": r"no answer \(FileNotFoundError",
    }
    for find, field in ((find_captures, "files"), (find_files, "corpus")):
        for given, reason in cases.items():
            with pytest.raises(ConfigError, match=reason) as caught:
                find([given])
            assert str(caught.value).startswith(f"{field}={given!r}: ") and "\n" not in str(caught.value)


def test_a_lost_connection_is_no_damage(hub, monkeypatch):
    (place, *_) = find_captures(["hf:ann/pages"])

    def broken(self):
        yield pyarrow.table({"text": ["One page."]})
        raise ConnectionError("reset")

    monkeypatch.setattr(datasets.IterableDataset, "__iter__", broken)
    with pytest.raises(ConfigError, match=r"no answer \(ConnectionError: reset\)"):
        read([place])


def test_a_set_without_text_is_named_with_its_columns(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    parquet.write_table(pyarrow.table({"content": ["a"], "id": [1]}), folder / "train.parquet")
    with pytest.raises(ConfigError, match="there is no column text, only content, id"):
        find_captures([f"hf:{folder}"])


def test_saved_sets_are_read_by_their_own_files_alone(tmp_path):
    split = datasets.Dataset.from_list(rows(20))
    saved = tmp_path / "saved"
    datasets.DatasetDict(train=split, test=datasets.Dataset.from_list(rows(5, 20))).save_to_disk(
        str(saved), num_shards={"train": 2, "test": 1}
    )
    stray = saved / "train" / "cache-12ab.arrow"
    stray.write_bytes((saved / "test" / "data-00000-of-00001.arrow").read_bytes())
    pages, counts = read(find_captures([str(saved / "train")]))
    assert [page.text for page in pages] == [row["text"] for row in rows(20)] and counts == {"pages": 20}
    assert (pages[3].url, pages[3].source) == ("http://a.org/3", "data-00000-of-00002.arrow:4")
    assert len(list(read_files([str(saved)], 20))) == 25
    assert len(find_captures([str(saved / "train" / "*.arrow")])) == 3  # who names files gets them


def test_a_damaged_saved_set_is_counted(tmp_path):
    datasets.Dataset.from_list(rows(3000)).save_to_disk(str(tmp_path / "saved"))
    (file,) = (tmp_path / "saved").glob("*.arrow")
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    pages, counts = read(find_captures([str(tmp_path / "saved")]))
    assert len(pages) == counts["pages"] >= 1000 and counts["skipped:damaged"] == 1
    file.write_bytes(b"no table")
    assert read(find_captures([str(tmp_path / "saved")]))[1] == {"skipped:damaged": 1}


def test_the_command_cleans_sets(hub, clone, tmp_path, capsys):
    datasets.Dataset.from_list(rows(20)).save_to_disk(str(tmp_path / "saved"))
    rules = ["--language", "none", "--bad-words", "none"]
    for number, given in enumerate(["hf:ann/pages", f"hf:{clone}", str(tmp_path / "saved")]):
        assert main(["clean", given, "--out", str(tmp_path / f"out{number}"), *rules]) == 0
        assert capsys.readouterr().out.startswith("30 of 30" if number < 2 else "20 of 20")
