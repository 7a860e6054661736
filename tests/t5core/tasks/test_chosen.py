"""Which tasks a config names, in which order, and what stands for their data."""

import json
import shutil

import pytest

from t5core.config import TasksConfig
from t5core.errors import ConfigError, DataError
from t5core.tasks import EMBEDDED_TASKS, PAPER_TASKS, choose_tasks, get_task, identify_tasks, judged, tasks_of
from t5core.tasks.sources import Folder

BASE = TasksConfig(names=("doc_qa",), train_examples=7, validation_examples=5, seed=3)
NEEDS_DOCUMENTS = tuple(task.name for task in EMBEDDED_TASKS)
GLUE = (
    *("glue_cola", "glue_sst2", "glue_mrpc", "glue_qqp", "glue_stsb"),
    *("glue_mnli", "glue_mnli_mismatched", "glue_qnli", "glue_rte"),
)
SUPER_GLUE = (
    *("super_glue_boolq", "super_glue_cb", "super_glue_copa", "super_glue_multirc", "super_glue_record"),
    *("super_glue_rte", "super_glue_wic", "super_glue_wsc", "super_glue_wsc_train", "dpr"),
)

YAML = """
name: {name}
source: {source}
inputs: "review: {{text}}"
targets: "{{label}}"
labels: {{label: [bad, good]}}
metrics: [accuracy]
"""
WSC = {
    "text": "Ann told Sue that she had won .",
    "span1_text": "Ann",
    "span1_index": 0,
    "span2_text": "she",
    "span2_index": 4,
}


def write_set(folder, *, train=None, validation=None):
    """Writes the rows of each split that is given."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in (("train", train), ("validation", validation)):
        if rows is not None:
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def reviews(count, *, of="text"):
    return [{"text": f"{of} {i}", "label": i % 2} for i in range(count)]


def sentences(count, *, of="text"):
    return [{"sentence": f"{of} {i}", "label": i % 2, "idx": i} for i in range(count)]


@pytest.fixture
def place(tmp_path):
    """A data directory with CoLA, WSC and DPR, and a user's file with its own set."""
    write_set(tmp_path / "data" / "cola", train=sentences(6), validation=sentences(4, of="other"))
    wsc = [{**WSC, "label": i % 2, "idx": i} for i in range(5)]
    write_set(tmp_path / "data" / "wsc", train=wsc, validation=wsc[:3])
    dpr = {"sentence": "Ann beat Sue, she won.", "pronoun": "she", "candidates": ["Ann", "Sue"], "label": 0}
    write_set(tmp_path / "data" / "dpr", train=[dpr, dpr])
    write_set(tmp_path / "mine" / "reviews", train=reviews(8), validation=reviews(3, of="other"))
    (tmp_path / "mine" / "task.yaml").write_text(YAML.format(name="reviews", source="reviews"), encoding="utf-8")
    return tmp_path


def identified(place, *names):
    return identify_tasks(choose_tasks(names, BASE).replace(data_dir=str(place / "data"))).content


# choosing


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        (["doc_qa"], ("doc_qa",)),
        (["glue_rte", "doc_cloze", "glue_cola", "doc_qa"], ("doc_qa", "doc_cloze", "glue_cola", "glue_rte")),
        (["squad", "squad", "doc_qa", "squad"], ("doc_qa", "squad")),
        (["glue"], GLUE),
        (["super_glue"], SUPER_GLUE),
        (["embedded"], NEEDS_DOCUMENTS),
        (["glue", "glue_rte", "doc_qa", "glue"], ("doc_qa", *GLUE)),
        (
            ["paper"],
            (*GLUE, *SUPER_GLUE, "squad", "cnn_dailymail", "wmt_en_de", "wmt_en_fr", "wmt_en_ro"),
        ),
    ],
)
def test_names_and_groups_come_in_the_order_of_tables_each_once(given, chosen):
    for names in (given, given[::-1]):
        config = choose_tasks(names, BASE)
        assert config.names == chosen and config.files == ()
        assert config.replace(names=BASE.names) == BASE, "nothing else is changed"


def test_a_users_tasks_come_behind_the_built_in_ones_by_name(place):
    (place / "mine" / "a.yaml").write_text(YAML.format(name="zebra", source="reviews"))
    (place / "mine" / "b.yml").write_text(YAML.format(name="aardvark", source="reviews"))
    given = [str(place / "mine" / name) for name in ("a.yaml", "b.yml", "task.yaml")]
    config = choose_tasks([*given, "glue_rte", "glue_cola"], BASE)
    assert config.names == ("glue_cola", "glue_rte", "aardvark", "reviews", "zebra")
    assert config.files == (given[1], given[2], given[0])
    assert choose_tasks(["glue_cola", *reversed(given), "glue_rte"], BASE) == config


def test_a_file_given_twice_is_one_task_however_it_is_named(place, monkeypatch):
    monkeypatch.chdir(place / "mine")
    monkeypatch.setenv("HOME", str(place))
    absolute = str(place / "mine" / "task.yaml")
    for given in (
        ["task.yaml"],
        ["task.yaml", "task.yaml"],
        ["task.yaml", absolute, "./task.yaml"],
        ["~/mine/task.yaml"],
    ):
        config = choose_tasks(given, BASE)
        assert (config.names, config.files) == (("reviews",), (absolute,))
    assert list(tasks_of(config)) == ["reviews"]


def test_a_file_does_not_take_another_tasks_name(place):
    (place / "mine" / "cola.yaml").write_text(YAML.format(name="glue_cola", source="reviews"))
    (place / "mine" / "text.yaml").write_text(YAML.format(name="unsupervised", source="reviews"))
    shutil.copy(place / "mine" / "task.yaml", place / "mine" / "again.yaml")
    for names, name in (
        (["cola.yaml"], "glue_cola"),
        (["glue_cola", "cola.yaml"], "glue_cola"),
        (["text.yaml"], "unsupervised"),
        (["task.yaml", "again.yaml"], "reviews"),
    ):
        paths = [str(place / "mine" / n) if n.endswith("yaml") else n for n in names]
        with pytest.raises(ConfigError) as caught:
            choose_tasks(paths, BASE)
        assert str(caught.value) == f"tasks={paths[-1]!r}: it is called {name!r}, as another task is: rename it"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["doc_qa", "glue_colla"], r"tasks='glue_colla': choose from doc_acceptability, .*did you mean 'glue_cola'"),
        (["gleu"], r"tasks='gleu': choose from"),
        (["nowhere.yaml"], r"tasks='nowhere\.yaml': no such file"),
        ([], r"tasks=\(\): name at least one task"),
    ],
)
def test_what_is_no_task_is_told_in_one_line(given, message):
    with pytest.raises(ConfigError, match=message) as caught:
        choose_tasks(given, BASE)
    assert "\n" not in str(caught.value)


def test_a_python_tasks_name_becomes_file_names_and_is_checked(place):
    code = (
        "from t5core.tasks import DataSet, Task, TextPair\nfrom t5core.metrics import Bleu\n"
        "TASK = Task(name='{}', source=DataSet(), form=lambda e: [], metrics=(Bleu(),))\n"
    )
    for name in ("my.task", "a/b", ""):
        (place / "task.py").write_text(code.format(name))
        with pytest.raises(ConfigError, match=rf"task\.py: name='{name}': give letters, digits and _"):
            choose_tasks([str(place / "task.py")], BASE)


# the tasks of a config


def test_names_lead_to_their_tasks_in_the_configs_order(place):
    config = choose_tasks([str(place / "mine" / "task.yaml"), "squad", "doc_qa"], BASE)
    tasks = tasks_of(config)
    assert list(tasks) == ["doc_qa", "squad", "reviews"]
    assert tasks["squad"] is get_task("squad") and tasks["doc_qa"].embedded
    assert [pair.inputs for pair in tasks["reviews"].read("validation")] == [f"review: other {i}" for i in range(3)]
    assert list(tasks_of(config.replace(names=("squad", "doc_qa")))) == ["squad", "doc_qa"]


def test_a_name_without_its_file_is_unknown(place):
    with pytest.raises(ConfigError, match=r"tasks='reviews': choose from .*or give a \.yaml or \.py file"):
        tasks_of(BASE.replace(names=("doc_qa", "reviews")))


@pytest.mark.parametrize(
    ("name", "use", "splits"),
    [
        ("glue_cola", "both", ("train", "validation")),
        ("glue_mnli", "both", ("train", "validation")),
        ("glue_mnli_matched", "both", ("validation",)),
        ("glue_mnli_mismatched", "both", ("validation",)),
        ("glue_wnli_simple", "both", ("validation",)),
        ("glue_ax", "both", ()),
        ("super_glue_axb", "both", ()),
        ("super_glue_axg", "both", ()),
        ("super_glue_wsc", "validation", ("validation",)),
        ("super_glue_wsc_train", "train", ("train",)),
        ("super_glue_wsc_marked", "both", ("train", "validation")),
        ("dpr", "train", ("train",)),
        ("doc_qa", "both", ("train", "validation")),
    ],
)
def test_what_a_task_is_used_for(name, use, splits):
    task = get_task(name)
    assert (task.use, task.splits) == (use, splits)


def test_the_judged_tasks_are_those_with_a_validation_split():
    tasks = tasks_of(BASE.replace(names=("dpr", "super_glue_wsc", "glue_ax", "super_glue_wsc_train", "doc_qa")))
    assert list(judged(tasks)) == ["super_glue_wsc", "doc_qa"]
    every = {task.name: task for task in (*EMBEDDED_TASKS, *PAPER_TASKS)}
    assert set(every) - set(judged(every)) == {
        *("glue_ax", "super_glue_axb", "super_glue_axg"),
        *("super_glue_wsc_train", "dpr"),
    }


# what stands for the data


def test_tasks_made_from_the_corpus_have_no_content_of_their_own():
    assert identify_tasks(BASE) == BASE


def test_counts_and_digests_of_the_splits_that_a_task_takes(place):
    cola, wsc, train, dpr = identified(place, "glue_cola", "super_glue_wsc", "super_glue_wsc_train", "dpr", "doc_qa")
    assert [c.name for c in (cola, wsc, train, dpr)] == ["glue_cola", "super_glue_wsc", "super_glue_wsc_train", "dpr"]
    assert (cola.train_examples, cola.validation_examples) == (6, 4)
    assert (wsc.train_examples, wsc.validation_examples) == (0, 3)
    assert (train.train_examples, train.validation_examples) == (5, 0)
    assert (dpr.train_examples, dpr.validation_examples) == (2, 0)
    assert wsc.train_fingerprint == train.validation_fingerprint == dpr.validation_fingerprint == ""
    digests = [
        *(cola.train_fingerprint, cola.validation_fingerprint, wsc.validation_fingerprint),
        *(train.train_fingerprint, dpr.train_fingerprint),
    ]
    assert len(set(digests)) == 5
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests)
    assert {c.definition for c in (cola, wsc, train, dpr)} == {""}


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_fingerprint_changes_with_the_data_and_with_that_split_alone(place, split):
    (before,) = identified(place, "glue_cola")
    file = place / "data" / "cola" / f"{split}.jsonl"
    file.write_text(file.read_text().replace("text 0", "text zero").replace("other 0", "other zero"))
    (after,) = identified(place, "glue_cola")
    other = "validation" if split == "train" else "train"
    assert getattr(after, f"{split}_fingerprint") != getattr(before, f"{split}_fingerprint")
    assert getattr(after, f"{other}_fingerprint") == getattr(before, f"{other}_fingerprint")
    assert getattr(after, f"{split}_examples") == getattr(before, f"{split}_examples")


def test_content_follows_from_the_users_file_and_its_data_and_not_from_their_place(place):
    (before,) = identified(place, str(place / "mine" / "task.yaml"))
    assert (before.name, before.train_examples, before.validation_examples) == ("reviews", 8, 3)
    assert len(before.definition) == 16
    shutil.copytree(place / "mine", place / "moved" / "further")
    moved = place / "moved" / "further" / "task.yaml"
    assert identified(place, str(moved)) == (before,)
    moved.write_text(moved.read_text().replace("review:", "my review:"))
    (reworded,) = identified(place, str(moved))
    assert reworded.definition != before.definition
    assert reworded.replace(definition=before.definition) == before
    write_set(place / "mine" / "reviews", train=reviews(9))
    (more,) = identified(place, str(place / "mine" / "task.yaml"))
    assert (more.definition, more.train_examples) == (before.definition, 9)
    assert more.train_fingerprint != before.train_fingerprint
    assert more.validation_fingerprint == before.validation_fingerprint


def test_the_same_sets_in_another_data_directory_are_the_same_tasks(place):
    before = identified(place, "glue_cola", "dpr")
    shutil.move(place / "data", place / "elsewhere")
    (place / "elsewhere").rename(place / "there")
    config = choose_tasks(["dpr", "glue_cola"], BASE).replace(data_dir=str(place / "there"))
    after = identify_tasks(config)
    assert after.content == before
    assert after.fingerprint() == config.replace(data_dir=None, content=before).fingerprint()
    assert str(place) not in json.dumps(after.fingerprint())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("super_glue_wsc",), "tasks='super_glue_wsc': none of them is trained on: add one"),
        (("super_glue_wsc_train", "dpr"), "tasks='super_glue_wsc_train,dpr': none of them is judged by: add one"),
        (
            ("glue_cola", "glue_ax"),
            "tasks='glue_ax': nothing but a test split: neither to train on nor to judge by; leave it out",
        ),
    ],
)
def test_there_has_to_be_a_task_to_train_on_and_one_to_judge_by(place, names, message):
    with pytest.raises(ConfigError) as caught:
        identified(place, *names)
    assert str(caught.value) == message


def test_a_set_that_is_not_there_is_told_with_the_layout_that_would_serve(place):
    with pytest.raises(DataError) as caught:
        identified(place, "glue_cola", "glue_sst2")
    assert str(caught.value).startswith(f"data_dir='{place / 'data'}': no such set there: put sst2/")
    (place / "data" / "cola" / "validation.jsonl").unlink()
    with pytest.raises(DataError, match=r"split='validation': no file validation\.jsonl .*it has train\.jsonl"):
        identified(place, "glue_cola")


def test_a_set_that_is_on_no_hub_needs_a_data_directory(place):
    (place / "task.py").write_text(
        "from t5core.tasks import DataSet, Task, TextPair\nfrom t5core.metrics import Bleu\n"
        "def form(example):\n    return [TextPair(inputs=example['text'], targets=str(example['label']))]\n"
        "SOURCE = DataSet(folders=('reviews',), columns={'text': 'text'})\n"
        "TASK = Task(name='mine', source=SOURCE, form=form, metrics=(Bleu(),))\n"
    )
    config = choose_tasks([str(place / "task.py")], BASE)
    with pytest.raises(DataError, match=r"data_dir=None: this set is on no hub: give a data directory with reviews/"):
        identify_tasks(config)
    (content,) = identify_tasks(config.replace(data_dir=str(place / "mine"))).content
    assert (content.name, content.train_examples, content.validation_examples) == ("mine", 8, 3)


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "x", "label": -1}, "label=-1: task 'reviews' has no label in this line"),
        ({"text": "x", "label": None}, "label=None: label is null in this line"),
        ({"text": "", "label": 1}, "text='': this field has no text: give it one, or leave the line out"),
        ({"text": "x", "label": True, "more": "y"}, None),
    ],
)
def test_what_the_check_of_a_users_task_finds_is_refused_before_anything_runs(place, split, row, message):
    rows = [*reviews(2), row]
    write_set(place / "mine" / "reviews", **{split: rows})
    config = choose_tasks([str(place / "mine" / "task.yaml")], BASE)
    if message is None:
        assert getattr(identify_tasks(config).content[0], f"{split}_examples") == 3
        return
    with pytest.raises(DataError) as caught:
        identify_tasks(config)
    assert str(caught.value).startswith(f"{place / 'mine' / 'reviews' / split}.jsonl:3: {message}")


def test_a_users_set_in_the_data_directory_is_checked_and_read_once(place, monkeypatch):
    text = YAML.format(name="reviews", source="{path: owner/reviews, revision: abc}")
    (place / "mine" / "task.yaml").write_text(text, encoding="utf-8")
    config = choose_tasks([str(place / "mine" / "task.yaml")], BASE).replace(data_dir=str(place / "mine"))
    read = []
    rows = Folder.rows
    monkeypatch.setattr(Folder, "rows", lambda self, split: (read.append(split), rows(self, split))[1])
    (content,) = identify_tasks(config).content
    assert (content.train_examples, content.validation_examples) == (8, 3)
    assert read == ["train", "validation"]
    write_set(place / "mine" / "reviews", validation=[])
    with pytest.raises(DataError, match="source='reviews': its validation split has no example"):
        identify_tasks(config)


def test_a_users_set_on_the_hub_is_not_read_for_a_plan(place, monkeypatch):
    import datasets

    class Builder:
        info = type(
            "Info", (), {"splits": {s: type("Split", (), {"num_examples": 9}) for s in ("train", "validation")}}
        )

    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: pytest.fail("examples are read"))
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: Builder)
    text = YAML.format(name="reviews", source=f"{{path: owner/reviews, revision: {'a' * 40}}}")
    (place / "mine" / "task.yaml").write_text(text, encoding="utf-8")
    (content,) = identify_tasks(choose_tasks([str(place / "mine" / "task.yaml")], BASE)).content
    assert (content.train_examples, content.validation_examples) == (9, 9)
