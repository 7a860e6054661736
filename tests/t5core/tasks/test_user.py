import json

import pytest

from t5core.errors import ConfigError, DataError
from t5core.tasks import get_task, make_splits
from t5core.tasks.user import checked

YAML = """
name: reviews
source: reviews
inputs: "review: {text} {{by}} {author.name}"
targets: "{label}"
labels: {label: [negative, positive]}
metrics: [f1, accuracy]
lengths: {inputs: 128, targets: 4}
chance: 50
"""
ROWS = [{"text": f"text {i}", "author": {"name": "Bo"}, "label": i % 2} for i in range(5)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "reviews").mkdir()
    for split in ("train", "validation"):
        lines = "".join(json.dumps(row) + "\n" for row in ROWS)
        (tmp_path / "reviews" / f"{split}.jsonl").write_text(lines)
    return tmp_path


def load(folder, text):
    (folder / "task.yaml").write_text(text, encoding="utf-8")
    return get_task(str(folder / "task.yaml"))


def test_a_yaml_file_is_a_task(folder):
    task = load(folder, YAML)
    assert task.name == "reviews" and task.metric_names == ("f1", "accuracy") and task.main.name == "f1"
    assert (task.max_inputs_tokens, task.max_targets_tokens, task.chance) == (128, 4, 50.0)
    assert task.to_text(ROWS[1]) == [{"inputs": "review: text 1 {by} Bo", "targets": "positive"}]
    assert task.to_text(dict(ROWS[0], label=-1))[0]["targets"] == "<unk>"
    assert len(list(task.read("validation"))) == 5
    assert [pair.targets for pair in checked(task).pairs] == ["negative", "positive", "negative"]
    assert task.score(["positive"] * 2, ["positive", "?"]) == pytest.approx({"f1": 200 / 3, "accuracy": 50.0})


def test_answers_and_numbers(folder):
    text = YAML.replace('"{label}"', '"{answers.text}"').replace("labels: {label: [negative, positive]}\n", "")
    task = load(folder, text.replace("[f1, accuracy]", "[squad]") + "answers: answers.text\n")
    with pytest.raises(DataError, match=r"answers\.text='list': a template can show text and numbers"):
        task.to_text({"text": "x", "author": {"name": "y"}, "answers": {"text": ["a", "b"]}})
    task = load(folder, text.replace("{answers.text}", "{score}").replace("[f1, accuracy]", "[pearson, spearman]"))
    assert task.to_text({"text": 3, "author": {"name": "y"}, "score": 1.5})[0]["targets"] == "1.5"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"{label}"', '"{lable}"'), r"template='lable': names a field that .*did you mean 'label'"),
        (("{text}", "{text"), r"task\.yaml: inputs=.*no template"),
        (("{text}", "{text!r}"), r"inputs=.*a field's name and nothing else"),
        (("{text}", "{}"), r"inputs=.*a field's name and nothing else"),
        (("[f1, accuracy]", "[f2]"), r"metrics='f2': choose from accuracy, f1"),
        (("[f1, accuracy]", "[]"), r"metrics=\[\]"),
        (("labels: {label: [negative, positive]}", ""), r"metrics='f1': this metric needs labels"),
        (("[negative, positive]", "[no, yes]"), r"labels\.label=\[False, True\]: .*quote"),
        (("name: reviews", "nam: reviews"), r"key='nam': choose from name, .*did you mean 'name'"),
        (("name: reviews\n", ""), r"name=None: is missing"),
        (("targets: 4", "targets: 0"), r"lengths\.targets=0"),
        (("source: reviews", "source: {revision: main}"), r"source=.*give a folder"),
        (("source: reviews", "source: nowhere"), r"split='train': no file"),
        (("chance: 50", "chance: high"), r"chance='high'"),
        ((YAML, "a: [b"), r"this is not YAML"),
        ((YAML, "- a"), r"give name, source, inputs, targets, metrics"),
    ],
)
def test_what_is_wrong_with_a_yaml_file_is_told_in_one_line(folder, change, message):
    with pytest.raises(ConfigError, match=message) as caught:
        checked(load(folder, YAML.replace(*change)))
    assert "\n" not in str(caught.value)


def test_an_empty_target_is_found_by_the_check(folder):
    (folder / "reviews" / "train.jsonl").write_text(json.dumps(dict(ROWS[0], text=" ")) + "\n")
    with pytest.raises(DataError, match=r"train\.jsonl:1: text=' ': this field has no text: give"):
        checked(load(folder, YAML.replace('"review: {text} {{by}} {author.name}"', '"{text}"')))


def test_a_yaml_task_may_be_on_the_hub(folder):
    source = "source: {path: owner/reviews, config: en, revision: abc, splits: {train: training}}"
    task = load(folder, YAML.replace("source: reviews", source))
    hub = task.source.hub
    assert (hub.path, hub.config, hub.revision, dict(hub.splits)) == (
        "owner/reviews",
        "en",
        "abc",
        {"train": "training"},
    )
    assert len(list(task.read("train", folder))) == 5  # or in a data directory, by the set's name


def test_a_python_file_is_a_task_when_its_path_is_given(folder):
    (folder / "task.py").write_text(
        "from t5core.tasks import DataSet, Task, TextPair\n"
        "from t5core.metrics import Bleu\n"
        "def form(example):\n"
        "    return [TextPair(inputs=example['a'], targets=example['b'])]\n"
        "TASK = Task(name='mine', source=DataSet(), form=form, metrics=(Bleu(),))\n"
    )
    task = get_task(str(folder / "task.py"))
    assert task.name == "mine" and task.to_text({"a": "x", "b": "y"}) == [{"inputs": "x", "targets": "y"}]
    (folder / "none.py").write_text("x = 1\n")
    with pytest.raises(ConfigError, match=r"none\.py.*it holds 0 tasks"):
        get_task(str(folder / "none.py"))
    (folder / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ConfigError, match=r"does not run: ZeroDivisionError"):
        get_task(str(folder / "broken.py"))
    with pytest.raises(ConfigError, match=r"tasks='nowhere\.yaml': no such file"):
        get_task("nowhere.yaml")


def write(folder, rows, split="train"):
    (folder / "reviews" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("value", [-1, -1.0, "-1"])
def test_a_line_without_a_label_is_told_by_the_check_and_before_training(folder, split, value):
    write(folder, [*ROWS, dict(ROWS[0], label=value)], split)
    task = load(folder, YAML)
    message = (
        rf"reviews/{split}\.jsonl:6: label='?-1(\.0)?'?: task 'reviews' has no label in this line: -1 means unlabelled "
        r"in the hub's sets, as in test splits; give a file with labels, or leave such lines out$"
    )
    with pytest.raises(DataError, match=message):
        checked(task)
    with pytest.raises(DataError, match=message):
        make_splits(task, [], [], seed=0, train_examples=2, eval_examples=2)
    assert [pair.targets for pair in task.read(split)][-1] == "<unk>"  # to be answered, not to be judged


@pytest.mark.parametrize("name", ["glue_stsb", "glue_sst2", "super_glue_cb", "dpr", "super_glue_wsc_marked"])
def test_built_in_tasks_train_on_no_line_without_a_label(tmp_path, name):
    task = get_task(name)
    kinds = {"integer": 0, "number": 1.0, "label": 0, "json": ["x", "y"]}
    row = {field: kinds.get(kind, "x") for field, kind in task.source.columns.items()}
    folder = tmp_path / task.source.folders[0]
    folder.mkdir()
    for split in ("train", "validation"):
        (folder / f"{split}.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({**row, "label": -1}) + "\n")
    assert len(list(task.read("train", tmp_path))) == 2
    with pytest.raises(DataError, match=rf"train\.jsonl:2: label=-1: task '{name}' has no label in this line"):
        make_splits(task, [], [], seed=0, train_examples=2, eval_examples=2, data_dir=tmp_path)


EMPTY = {
    "super_glue_record": {"passage": "p", "query": "q", "entities": ["a"], "idx": {}, "answers": ["a"]},
    "squad": {"id": "1", "title": "", "context": "c", "question": "q", "answers": {"text": ["a"], "answer_start": [0]}},
}


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("name", EMPTY)
def test_a_line_without_answers_is_answered_and_not_trained_on(tmp_path, name, split):
    task, row = get_task(name), EMPTY[name]
    field = "answers.text" if name == "squad" else "answers"
    folder = tmp_path / task.source.folders[0]
    folder.mkdir()
    for other in ("train", "validation"):
        (folder / f"{other}.jsonl").write_text(json.dumps(row) + "\n")
    answers = {"text": [], "answer_start": []} if name == "squad" else []
    (folder / f"{split}.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps({**row, 'answers': answers})}\n")
    assert [pair.targets for pair in task.read(split, tmp_path)] == ["a", "<unk>"]
    with pytest.raises(DataError) as caught:
        make_splits(task, [], [], seed=0, train_examples=2, eval_examples=2, data_dir=tmp_path)
    said = (
        f"task {name!r} has no answer in this line, as in test sets: give a file with answers, or leave such lines out"
    )
    assert str(caught.value) == f"{folder / split}.jsonl:2: {field}=[]: {said}"


def test_a_users_line_without_answers_is_told_too(folder):
    text = YAML.replace('"{label}"', '"{text}"').replace("labels: {label: [negative, positive]}", "answers: accepted")
    write(folder, [dict(ROWS[0], accepted=[])])
    with pytest.raises(DataError, match=r"train\.jsonl:1: accepted=\[\]: task 'reviews' has no answer in this line"):
        checked(load(folder, text.replace("[f1, accuracy]", "[squad]")))


def test_wsc_takes_what_is_not_labelled_for_right_as_the_released_code_does(tmp_path):
    (tmp_path / "wsc").mkdir()
    row = {"text": "Ann said she won.", "span1_text": "Ann", "span1_index": 0, "span2_text": "she", "span2_index": 2}
    (tmp_path / "wsc" / "train.jsonl").write_text(json.dumps({**row, "label": -1}))
    task = get_task("super_glue_wsc_train")
    train, _ = make_splits(task, [], [], seed=0, train_examples=2, eval_examples=2, data_dir=tmp_path)
    assert [pair.targets for pair in train] == ["Ann"]


def test_a_label_that_only_the_input_shows_may_be_unknown(folder):
    write(folder, [dict(ROWS[0], label=-1)])
    text = YAML.replace('targets: "{label}"', 'targets: "{text}"').replace("{text} {{by}}", "{label}")
    assert checked(load(folder, text.replace("[f1, accuracy]", "[bleu]"))).examples == {"train": 1, "validation": 5}


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize(("name", "row"), [("text", {"label": 1, "text": ""}), ("by", {"text": "x", "by": " "})])
def test_the_check_reads_every_line(folder, split, name, row):
    text = YAML.replace('"review: {text} {{by}} {author.name}"', '"{by}"').replace('"{label}"', '"{text}"')
    text = text.replace("[f1, accuracy]", "[rouge]")
    rows = [dict(one, by="Bo") for one in ROWS]
    for other in ("train", "validation"):
        write(folder, rows, other)
    found = checked(load(folder, text))
    assert (found.examples, found.whole, len(found.pairs)) == ({"train": 5, "validation": 5}, True, 3)
    write(folder, [*rows, {"by": "Bo", **row}], split)
    message = rf"reviews/{split}\.jsonl:6: {name}='.?': this field has no text: give it one, or leave the line out"
    with pytest.raises(DataError, match=message):
        checked(load(folder, text))


def test_the_check_reads_the_first_of_a_set_on_the_hub(folder, monkeypatch):
    import datasets

    rows = [dict(ROWS[0], text=f"text {i}") for i in range(1001)]
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *_, split, **__: iter([*rows, {}] if split == "train" else rows[:2])
    )
    task = load(folder, YAML.replace("source: reviews", "source: {path: owner/reviews}"))
    found = checked(task)
    assert (found.examples, found.whole) == ({"train": 1000, "validation": 2}, False)
    assert [pair.inputs for pair in found.pairs] == [f"review: text {i} {{by}} Bo" for i in range(3)]


def test_a_split_without_examples_is_told(folder):
    write(folder, [], "validation")
    with pytest.raises(DataError, match="source='reviews': its validation split has no example"):
        checked(load(folder, YAML))


@pytest.mark.parametrize("value", ["", " \n", "\u200b", "\ufeff \u2060", "\xad", "\0"])
@pytest.mark.parametrize("name", ["text", "author", "summary", "answers"])
def test_a_field_without_text_is_refused_whatever_stands_around_it(folder, name, value):
    text = YAML.replace('"{label}"', '"short: {summary}"').replace("labels: {label: [negative, positive]}", "")
    task = load(folder, text.replace("[f1, accuracy]", "[squad]") + "answers: answers\n")
    good = {"text": "x", "author": {"name": "Bo"}, "summary": "y\u200b", "answers": ["y", "z"]}
    changed = {"author": {"name": value}, "answers": ["y", value]}.get(name, value)
    for split in ("train", "validation"):
        write(folder, [good], split)
    assert checked(task).examples == {"train": 1, "validation": 1}
    write(folder, [good, {**good, name: changed}])
    field = "author.name" if name == "author" else name
    with pytest.raises(DataError) as caught:
        checked(task)
    said = f"{field}={value!r}: this field has no text: give it one, or leave the line out"
    assert str(caught.value) == f"{folder / 'reviews' / 'train.jsonl'}:2: {said}"
    assert len(list(task.read("train"))) == 2  # to be answered, it may be empty


def test_the_texts_of_a_python_task_are_read_in_the_same_way(folder):
    (folder / "task.py").write_text(
        "from pathlib import Path\nfrom t5core.tasks import DataSet, Task, TextPair\nfrom t5core.metrics import Bleu\n"
        "def form(example):\n    return [TextPair(inputs='say', targets=example['text'])]\n"
        f"SOURCE = DataSet(folder=Path({str(folder / 'reviews')!r}))\n"
        "TASK = Task(name='mine', source=SOURCE, form=form, metrics=(Bleu(),))\n"
    )
    write(folder, [*ROWS, dict(ROWS[0], text="\u200b")], "validation")
    message = r"validation\.jsonl:6: targets='\\u200b': validation example 6 has no text there: give it one, or leave"
    with pytest.raises(DataError, match=message):
        checked(get_task(str(folder / "task.py")))


def test_a_form_that_gives_nothing_of_a_split_is_told(folder):
    (folder / "task.py").write_text(
        "from pathlib import Path\nfrom t5core.tasks import DataSet, Task\nfrom t5core.metrics import Bleu\n"
        f"SOURCE = DataSet(folder=Path({str(folder / 'reviews')!r}))\n"
        "TASK = Task(name='mine', source=SOURCE, form=lambda example: [], metrics=(Bleu(),))\n"
    )
    with pytest.raises(DataError, match="source='mine': its train split gives no text of its 5 examples"):
        checked(get_task(str(folder / "task.py")))
