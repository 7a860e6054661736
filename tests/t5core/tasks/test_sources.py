import csv
import gzip
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from t5core.errors import DataError
from t5core.tasks import get_task, identities, majority_scores, make_splits
from t5core.tasks.splits import drawn

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data" / "tasks"
ROWS = [
    {"sentence": 'It\u2028 "said"\tso.', "label": 1, "idx": 0},
    {"sentence": "So it\nsaid.", "label": 0, "idx": 1},
    {"sentence": "", "label": -1, "idx": 2},
]
TEXTS = [(f"cola sentence: {row['sentence']}", row["label"]) for row in ROWS]


def read(data_dir, split="train", name="glue_cola"):
    return [(pair.inputs, pair.targets) for pair in get_task(name).read(split, data_dir)]


def shown(rows):
    targets = {1: "acceptable", 0: "unacceptable", -1: "<unk>"}
    return [(f"cola sentence: {row['sentence']}", targets[row["label"]]) for row in rows]


def json_lines(rows, end="\n"):
    return "".join(json.dumps(row, ensure_ascii=False) + end for row in rows).encode()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cola").mkdir()
    return tmp_path / "cola"


def test_json_lines_with_any_line_ends_null_bytes_and_a_mark(folder):
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in ROWS]
    mixed = b"\xef\xbb\xbf" + lines[0] + b"\r\n\r\n" + lines[1] + b"\r" + b"\0\0\n" + lines[2]
    (folder / "train.jsonl").write_bytes(mixed)
    assert read(folder.parent) == shown(ROWS)
    (folder / "train.jsonl").write_bytes(b'{"sentence": "a\0b", "label": 1}\n')
    assert read(folder.parent) == [("cola sentence: a\0b", "acceptable")]


def test_a_line_of_ten_megabytes(folder):
    row = {"sentence": "word " * 2_000_000, "label": 1}
    (folder / "train.jsonl.gz").write_bytes(gzip.compress(json_lines([row]), 1))
    ((inputs, _),) = read(folder.parent)
    assert len(inputs) == len("cola sentence: ") + 10_000_000
    with (folder / "validation.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["sentence", "label"], [row["sentence"], 1]])
    assert read(folder.parent, "validation") == [(inputs, "acceptable")]


def test_every_kind_of_file_gives_the_same_examples(folder):
    (folder / "train.jsonl").write_bytes(json_lines(ROWS))
    expected = read(folder.parent)
    assert expected == shown(ROWS)
    fingerprints = {get_task("glue_cola").source.open(folder.parent).fingerprint("train")}

    def check(count=3):
        opened = get_task("glue_cola").source.open(folder.parent)
        assert read(folder.parent) == expected[:count] and opened.count("train") == count
        fingerprints.add(opened.fingerprint("train"))
        for path in folder.iterdir():
            path.unlink()

    check()
    (folder / "train.jsonl.gz").write_bytes(gzip.compress(json_lines(ROWS)))
    check()
    for first in (0, 1):  # in parts, as the hub names them
        rows = ROWS[:2] if first == 0 else ROWS[2:]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"train-0000{first}-of-00002.parquet")
    check()
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    check()
    # a TSV has no line ends in a cell, and quotes are text
    one = dict(ROWS[0], sentence='It\u2028 "said"')
    expected = shown([one])
    lines = ["sentence\tlabel\tidx", "\t".join(str(cell) for cell in one.values())]
    (folder / "train.tsv.gz").write_bytes(gzip.compress("\r\n".join(lines).encode()))
    check(1)
    assert len(fingerprints) == 5


def test_the_fingerprint_is_of_content_not_of_place(folder, tmp_path):
    (folder / "train.jsonl").write_bytes(json_lines(ROWS))
    shutil.copytree(tmp_path, tmp_path / "elsewhere")
    here, there = (get_task("glue_cola").source.open(place) for place in (tmp_path, tmp_path / "elsewhere"))
    assert here.fingerprint("train") == there.fingerprint("train")
    (folder / "train.jsonl").write_bytes(json_lines(ROWS[:2]))
    assert here.fingerprint("train") != there.fingerprint("train")


def test_squads_own_json(tmp_path):
    (tmp_path / "squad").mkdir()
    answers = [{"text": "Blue.", "answer_start": 3}, {"text": "blue", "answer_start": 3}]
    question = {"id": "q1", "question": "What?", "answers": answers}
    content = {"data": [{"title": "T", "paragraphs": [{"context": "It's blue.", "qas": [question]}]}], "version": "1.1"}
    (tmp_path / "squad" / "dev-v1.1.json").write_text(json.dumps(content))
    (pair,) = get_task("squad").read("validation", tmp_path)
    assert pair.inputs == "question: What ? context: It ' s blue . "
    assert (pair.targets, pair.context) == ("Blue . ", {"answers": ["Blue . ", "blue"]})
    (tmp_path / "squad" / "dev-v1.1.json").write_text('{"data": [{"paragraphs": [{}]}]}')
    with pytest.raises(DataError, match="this is not SQuAD's JSON"):
        list(get_task("squad").read("validation", tmp_path))


def test_lists_without_an_order_are_sorted(tmp_path):
    (tmp_path / "record").mkdir()
    row = {"passage": "p", "query": "q", "entities": ["b", "a", "b"], "answers": ["b", "a"], "idx": {"query": 1}}
    (tmp_path / "record" / "train.jsonl").write_bytes(json_lines([row]))
    pairs = list(get_task("super_glue_record").read("train", tmp_path))
    assert [pair.targets for pair in pairs] == ["a", "b"]
    assert pairs[0].inputs == "record query: q entities: a, b passage: p"
    assert pairs[0].context == {"idx": {"query": 1}, "answers": ["a", "b"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "train.jsonl",
            b'{"sentence": "a", "label": 1}\n{"label": 1}\n',
            r"train\.jsonl:2: sentence=None: .*only label",
        ),
        ("train.jsonl", b'\n{"sentence": "a", "label": 3}\n', r"train\.jsonl:2: label=3: labels are 0 unacceptable"),
        ("train.jsonl", b'{"sentence": "caf\xe9"}\n', r"train\.jsonl:1=.*not UTF-8 \(byte 17\)"),
        ("train.jsonl", b"{}{}\n", r"train\.jsonl:1='?b?'?.*not JSON"),
        ("train.jsonl", b"[1]\n", r"train\.jsonl:1=.*JSON object"),
        ("train.jsonl", b"[" * 100_000, r"train\.jsonl:1=.*not JSON"),
        ("train.jsonl.gz", b"\x1f\x8bno", r"train\.jsonl\.gz'?: cannot be read"),
        ("train.parquet", b"PAR1", r"no Parquet file"),
        (
            "train.csv",
            b"sentence,label\na,one\n",
            r"train\.csv:2: label='one': labels are 0 unacceptable, .*: give the id",
        ),
        ("train.csv", b"sentence,label\na,1,2\n", r"train\.csv:2=.*more cells"),
        ("train.csv", b"sentence,label\ncaf\xe9,1\n", r"train\.csv:\d.*not UTF-8"),
        ("train.csv", b"sentence,label\na\n", r"train\.csv:2='a': this row has fewer cells than the header, 1 of 2"),
        ("train.json", b"{}", r"not SQuAD's JSON"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_one_line(folder, name, content, message):
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(folder.parent)
    assert "\n" not in str(caught.value)


def test_a_set_or_split_that_is_not_there(folder):
    with pytest.raises(
        DataError, match=r"data_dir=.*put sst2/\{train,validation,test\} as \.jsonl, .*sentence, label, idx"
    ):
        read(folder.parent, name="glue_sst2")
    with pytest.raises(DataError, match=r"split='train': no file train\.jsonl.*nothing of the kind"):
        read(folder.parent)
    (folder / "validation.jsonl").write_bytes(json_lines(ROWS))
    with pytest.raises(DataError, match=r"split='train': no file .*it has validation\.jsonl"):
        read(folder.parent)
    (folder / "validation.csv").write_bytes(b"sentence\n")
    with pytest.raises(DataError, match=r"has it twice, as validation\.csv and validation\.jsonl: keep one"):
        read(folder.parent, "validation")
    with pytest.raises(DataError, match=r"split='train': nyu-mll/glue/mnli_matched has validation, test"):
        read(None, name="glue_mnli_matched")


def test_a_hub_that_does_not_answer_says_which_folder_would_serve(monkeypatch):
    import datasets

    def silent(*_, **__):
        raise ConnectionError("Couldn't reach the Hub\nmore")

    monkeypatch.setattr(datasets, "load_dataset", silent)
    message = r"hub='nyu-mll/glue/cola@bcdcba79d07b': no answer \(Couldn't reach the Hub\); give .*--data-dir.* cola/"
    with pytest.raises(DataError, match=message):
        read(None)


def test_examples_of_the_hub_are_streamed_at_the_pinned_commit(monkeypatch):
    import datasets

    asked = []

    def load(*args, **options):
        asked.append((args, options))
        return datasets.Dataset.from_list(ROWS).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert read(None) == shown(ROWS)
    ((args, options),) = asked
    assert args == ("nyu-mll/glue", "cola") and options["streaming"] and len(options["revision"]) == 40
    source = get_task("glue_cola").source.open()
    assert source.fingerprint("train") != source.fingerprint("validation")


def test_what_is_drawn_is_a_function_of_the_seed_and_keeps_its_order():
    first = drawn(range(1000), 50, seed=1)
    assert first == drawn(range(1000), 50, seed=1) == sorted(first) != drawn(range(1000), 50, seed=2)
    assert len(set(first)) == 50 and max(first) > 900
    assert drawn(range(7), 50, seed=1) == list(range(7))


def test_splits_of_a_set_are_those_published(folder):
    (folder / "train.jsonl").write_bytes(json_lines([dict(ROWS[0], sentence=str(i)) for i in range(100)]))
    (folder / "validation.jsonl").write_bytes(json_lines([dict(row, label=1) for row in ROWS]))
    train, validation = (
        make_splits(get_task("glue_cola"), [], [], seed=s, train_examples=10, eval_examples=5, data_dir=folder.parent)
        for s in (0, 1)
    )
    assert len(train[0]) == 10 and train[0] != validation[0] and len(train[1]) == 3 and train[1] == validation[1]


def test_a_split_is_known_by_its_size_and_content(folder):
    (folder / "train.jsonl").write_bytes(json_lines(ROWS))
    (folder / "validation.jsonl").write_bytes(json_lines(ROWS[:2]))
    found = identities(get_task("glue_cola"), folder.parent)
    assert {name: identity.examples for name, identity in found.items()} == {"train": 3, "validation": 2}
    assert all(len(identity.fingerprint) == 16 for identity in found.values())


def test_the_majority_of_training_is_what_a_model_has_to_beat():
    task = get_task("glue_sst2")
    training, evaluation = (
        [pair for label in labels for pair in task.form({"sentence": "x", "label": label})]
        for labels in ((1, 1, 0), (0, 0, 0, 1))
    )
    assert majority_scores(task, training, evaluation) == {"accuracy": 25.0}


REAL = {
    **{"glue_cola": "acceptable", "glue_sst2": "positive", "glue_mrpc": "equivalent", "glue_stsb": "3.0"},
    **{"glue_qnli": "entailment", "glue_rte": "entailment", "super_glue_rte": "entailment", "glue_wnli": "entailment"},
    **{
        "super_glue_boolq": "True",
        "super_glue_cb": "entailment",
        "super_glue_copa": "choice1",
        "super_glue_wic": "True",
    },
    **{"super_glue_multirc": "True", "super_glue_record": "", "super_glue_wsc": "", "super_glue_wsc_train": ""},
    **{"super_glue_wsc_marked": "True", "glue_wnli_simple": "", "squad": "", "wmt_en_de": "", "wmt_en_ro": ""},
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/data/tasks is not there")
@pytest.mark.parametrize("name", REAL)
def test_real_sets_are_read_to_the_end(name):
    task = get_task(name)
    pairs = list(task.read("validation", SHARED))
    targets = [pair.targets for pair in pairs]
    assert len(pairs) >= 32 and (REAL[name] == "" or REAL[name] in targets)
    scores = task.score(targets, targets, [pair.context for pair in pairs])
    assert task.main_score(scores) >= (99.0 if "wnli_simple" not in name and name != "super_glue_wsc" else 0.0)
