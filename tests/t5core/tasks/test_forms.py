"""How fields are read from an example, whatever file it comes from."""

import json
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from t5core.errors import DataError
from t5core.tasks import get_task
from t5core.tasks.forms import at, integer, label, text, texts

LABELS = ("negative", "positive")
NESTED = {"translation": {"en": "day", "de": None}, "a.b": {"c.d": 1}, "x": "y"}


@pytest.fixture
def notes(tmp_path):
    """Returns a task of notes, after writing one file of it: rows as JSON Lines or Parquet, or the text of a CSV."""
    (tmp_path / "notes").mkdir()

    def task(name, content, *, inputs="note: {text}", targets="{label}", more="labels: {label: [negative, positive]}"):
        path = tmp_path / "notes" / name
        if name.endswith(".parquet"):
            pq.write_table(content if isinstance(content, pa.Table) else pa.Table.from_pylist(content), path)
        else:
            lines = content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content)
            path.write_text(lines, encoding="utf-8")
        yaml = f'name: notes\nsource: notes\ninputs: "{inputs}"\ntargets: "{targets}"\n{more}\nmetrics: [accuracy]\n'
        (tmp_path / "notes.yaml").write_text(yaml)
        return get_task(str(tmp_path / "notes.yaml"))

    return task


def targets(task, split="train"):
    return [pair.targets for pair in task.read(split)]


# names with dots


def test_the_flat_name_comes_before_what_dots_lead_to():
    assert at({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert at({"a": {"b": 2}}, "a.b") == 2
    assert at({"a": {"b.c": 3}}, "a.b.c") == at({"a.b": {"c": 3}}, "a.b.c") == at({"a": {"b": {"c": 3}}}, "a.b.c") == 3
    assert at({"a": {"x": 1}, "a.b": {"c": 3}}, "a.b.c") == 3
    assert at({"a": 1}, "a.b") is at({}, "a.b") is at({"a": {}}, "a.b") is None


@pytest.mark.parametrize("name", ["train.csv", "train.jsonl", "train.parquet"])
def test_a_column_with_a_dot_in_its_name_is_taken_as_it_is(notes, name):
    rows = [{"t.en": "Good night", "t.de": "Gute Nacht", "m.label": "1"}]
    content = "t.en,t.de,m.label\nGood night,Gute Nacht,1\n" if name.endswith(".csv") else rows
    task = notes(name, content, inputs="say: {t.en}", targets="{t.de}", more="")
    assert [(pair.inputs, pair.targets) for pair in task.read("train")] == [("say: Good night", "Gute Nacht")]
    labels = "labels: {m.label: [negative, positive]}"
    assert targets(notes(name, content, inputs="say: {t.en}", targets="{m.label}", more=labels)) == ["positive"]


def test_a_label_and_answers_may_lie_in_an_object(notes):
    rows = [{"text": "warm", "m": {"label": 1}}]
    more = "labels: {m.label: [negative, positive]}"
    assert targets(notes("train.jsonl", rows, targets="{m.label}", more=more)) == ["positive"]
    content = 'text,m\nwarm,"{""label"": 1}"\n'
    assert targets(notes("validation.csv", content, targets="{m.label}", more=more), "validation") == ["positive"]


@pytest.mark.parametrize("name", ["replies", "answers.text"])
def test_answers_in_a_csv_file_are_a_list_as_json(notes, name):
    content = f'text,best,{name}\nWho?,Ann,"[""Ann"", ""Bo""]"\n'
    (pair,) = notes("train.csv", content, targets="{best}", more=f"answers: {name}").read("train")
    assert pair.context == {"answers": ["Ann", "Bo"]}


def test_messages_say_where_dots_look(notes):
    task = notes("train.jsonl", [{"translation": {"en": "day"}, "text": "x"}], targets="{translation.de}", more="")
    message = (
        r"train\.jsonl:1: template='translation\.de': names a field that the example has not; it has translation, "
    )
    with pytest.raises(
        DataError, match=f"{message}text; dots look into objects, and translation has en .did you mean 'translation.en'"
    ):
        targets(task)
    for name, said in (("x.y", "x is no object"), ("z.y", "there is no z"), ("a.b.c", r"a\.b has c\.d")):
        with pytest.raises(DataError, match=f"only translation, a.b, x; dots look into objects, and {said}$"):
            text(NESTED, name)
    with pytest.raises(DataError, match=r"only translation, a.b, x$"):
        text(NESTED, "z")
    with pytest.raises(DataError, match=r"translation='dict': .* name an inner field, .*dots look into objects"):
        get_task_of("{translation}").to_text(NESTED)


def get_task_of(template):
    from t5core.tasks.user import Template, Templated

    form = Templated(Template.parse("inputs", "x"), Template.parse("targets", template), {})
    return type("Form", (), {"to_text": staticmethod(form)})


# fields that are null


@pytest.mark.parametrize("name", ["train.jsonl", "validation.jsonl", "train.parquet"])
@pytest.mark.parametrize(
    ("row", "template", "said"),
    [
        ({"text": "x", "summary": None}, "{summary}", "summary=None: summary is null in this line: give it a value"),
        ({"text": None, "summary": "x"}, "{summary}", "text=None: text is null in this line"),
        ({"text": "x", "t": {"de": None}}, "{t.de}", r"t\.de=None: t\.de is null in this line"),
        ({"text": "x", "t": None}, "{t.de}", r"t\.de=None: t is null in this line"),
    ],
)
def test_a_field_that_is_null_is_not_said_to_be_missing(notes, name, row, template, said):
    good = {"text": "a", "summary": "b", "t": {"de": "c"}}
    path, _, place = rf"{name}:2: ".rpartition(":2")
    with pytest.raises(DataError, match=f"{path}:2{place}{said}") as caught:
        targets(notes(name, [good, row], targets=template, more=""), name.partition(".")[0])
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("read", "value"), [(text, None), (integer, None), (texts, None), (integer, float("nan")), (text, float("nan"))]
)
def test_built_in_forms_tell_null_from_missing(read, value):
    with pytest.raises(DataError, match=r"^a=(None|nan): a is (null|NaN, which is no value,) in this line"):
        read({"a": value}, "a")
    with pytest.raises(DataError, match=r"^b=None: the example has no such field, only a$"):
        read({"a": value}, "b")


def test_a_number_that_is_nan_is_no_text(notes):
    table = pa.table({"text": ["a", "b"], "score": [1.5, float("nan")]})
    with pytest.raises(DataError, match=r"train\.parquet:2: score=nan: score is NaN, which is no value, in this line"):
        targets(notes("train.parquet", table, targets="{score}", more=""))
    assert targets(notes("train.parquet", table[:1], targets="{score}", more="")) == ["1.5"]


ITEM = "this field has to be a list of texts, and number 2 of 3 in it is"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "answers=None: answers is null in this line: give it a value, or leave the line out"),
        (["a", None, "b"], f"answers=['a', None, 'b']: {ITEM} null: give it a value, or leave the line out"),
        (["a", 3, "b"], f"answers=['a', 3, 'b']: {ITEM} 3, no text: give it a value, or leave the line out"),
        ("a", "answers='a': this field has to be a list of texts"),
    ],
)
def test_null_among_answers_is_told(tmp_path, value, said):
    (tmp_path / "record").mkdir()
    row = {"passage": "p", "query": "q", "entities": ["b", "a"], "answers": value, "idx": {"query": 1}}
    (tmp_path / "record" / "train.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError) as caught:
        list(get_task("super_glue_record").read("train", tmp_path))
    assert str(caught.value) == f"{tmp_path / 'record' / 'train.jsonl'}:1: {said}"


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        (["text", " label"], r" \(did you mean ' label'\?\)$"),
        (["text", "Label"], r" \(did you mean 'Label'\?\)$"),
        (["text", "x"], " x$"),
    ],
)
def test_a_field_that_is_missing_may_have_another_name(fields, hint):
    with pytest.raises(DataError, match=f"^label=None: the example has no such field, only .*{hint}"):
        label(dict.fromkeys(fields, "x"), LABELS)


def test_a_score_that_is_null_is_told():
    with pytest.raises(DataError, match="label=None: label is null in this line"):
        get_task("glue_stsb").to_text({"sentence1": "a", "sentence2": "b", "label": None})


# labels


GOOD = [0, 1, 0.0, 1.0, "0", "1.0", "1", "positive", "negative", "True", True]
CLASSES = [LABELS[i] for i in (0, 1, 0, 1, 0, 1, 1, 1, 0, 1)]


def test_labels_are_ids_or_texts_and_the_same_in_every_kind_of_file(notes):
    rows = [{"text": "x", "label": value} for value in GOOD]
    assert targets(notes("train.jsonl", rows)) == [*CLASSES, "positive"]
    lines = "".join(f"x,{value}\n" for value in GOOD[:-1])
    assert targets(notes("validation.csv", f"text,label\n{lines}"), "validation") == CLASSES
    for name, values in (("a", [0.0, 1.0]), ("b", ["0.0", "1.0"]), ("c", LABELS)):
        content = [{"text": name, "label": value} for value in values]
        assert targets(notes("test.parquet", content), "test") == list(LABELS)


@pytest.mark.parametrize("task", ["glue_sst2", None])
def test_a_number_that_is_no_id_is_refused_alike_in_every_kind_of_file(notes, tmp_path, task):
    said = "labels are 0 negative, 1 positive, and -1 for none: give the id, a whole number, or the text"
    for name, value, shown in (("train.jsonl", 0.5, "0.5"), ("validation.csv", None, "'0.5'")):
        content = (
            "text,sentence,label\nx,x,0.5\n" if value is None else [{"text": "x", "sentence": "x", "label": value}]
        )
        (tmp_path / "data").mkdir(exist_ok=True)
        own = notes(name, content)
        (tmp_path / "data" / "sst2").exists() or (tmp_path / "data" / "sst2").symlink_to(tmp_path / "notes")
        split = name.partition(".")[0]
        with pytest.raises(DataError) as caught:
            list((own if task is None else get_task(task)).read(split, tmp_path / "data"))
        assert str(caught.value).endswith(f"{name}:{1 if value else 2}: label={shown}: {said}")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Positive", r"label='Positive': labels are .*did you mean 'positive'\?"),
        ("", "label='': label is empty in this line: give it a value"),
        (2, "label=2: labels are 0 negative, 1 positive, and -1 for none$"),
        ("2.0", r"label='2\.0': labels are 0 negative"),
        (None, "label=None: label is null in this line"),
        (float("nan"), "label=nan: label is NaN"),
        ([1], r"label=\[1\]: labels are"),
        (datetime(2020, 1, 1), r"label=datetime.*: labels are"),
    ],
)
def test_what_is_no_label_is_refused(value, said):
    with pytest.raises(DataError, match=f"^{said}") as caught:
        label({"label": value}, LABELS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [pa.decimal128(4, 2), pa.decimal128(3, 0), pa.decimal256(40, 0)])
def test_labels_in_parquet_may_be_decimals(notes, tmp_path, kind):
    labels = pa.array([Decimal(0), Decimal(1)], kind)
    assert targets(notes("train.parquet", pa.table({"text": ["a", "b"], "label": labels}))) == list(LABELS)
    (tmp_path / "stsb").mkdir()
    table = pa.table({"sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": labels})
    pq.write_table(table, tmp_path / "stsb" / "train.parquet")
    assert [pair.targets for pair in get_task("glue_stsb").read("train", tmp_path)] == ["0.0", "1.0"]


@pytest.mark.parametrize("value", ["0.5", "NaN", "Infinity"])
def test_a_decimal_that_is_no_id_is_refused(value):
    with pytest.raises(DataError, match=r"labels are 0 negative, .*: give the id, a whole number, or the text"):
        label({"label": Decimal(value)}, LABELS)


STARS = ("1", "2", "3")


@pytest.mark.parametrize(
    ("labels", "value", "expected"),
    [
        (("true", "false"), "True", "true"),  # as pandas writes it
        (("true", "false"), "FALSE", "false"),
        (("true", "false"), True, "true"),
        (("True", "False"), "true", "True"),
        (("True", "False"), False, "False"),
        (("False", "True", "Unknown"), True, "True"),
        (("Yes", "no", "TRUE"), "true", "TRUE"),
        (STARS, "3", "3"),  # no id
        (STARS, 3, "3"),
        (STARS, 3.0, "3"),
        (("1.5", "2.5"), 1.5, "1.5"),
        (("0", "1"), "1", "1"),
        (("0", "1"), 1.0, "1"),
        (("0", "1"), True, "1"),
        (("-2", "2"), "-2", "-2"),
    ],
)
def test_a_label_of_the_same_text_comes_before_an_id(labels, value, expected):
    assert label({"label": value}, labels) == expected


@pytest.mark.parametrize("value", [True, "true", "False"])
@pytest.mark.parametrize("labels", [("yes", "no"), ("No", "Yes"), ("true", "wrong"), ("bad", "fair", "good")])
def test_true_and_false_are_refused_where_they_tell_no_label(labels, value):
    if labels[0] == "true" and value != "False":
        assert label({"label": value}, labels) == "true"
        return
    with pytest.raises(DataError) as caught:
        label({"label": value}, labels)
    names = ", ".join(f"{i} {one}" for i, one in enumerate(labels))
    said = f"it does not tell which of the labels is meant ({names}): give the id, a whole number, or the text of one"
    assert str(caught.value) == f"label={value!r}: {said} of them"


@pytest.mark.parametrize(
    ("labels", "value", "other"),
    [
        (STARS, "1", "is the id of another"),
        (STARS, 1, "is the id of another"),
        (STARS, 1.0, "is the id of another"),
        (STARS, "2.0", "is the id of another"),
        (("1.0", "2.0"), 1.0, "is the id of another"),
        (("1.0", "2.0"), "1", "is the id of another"),
        (("1", "0"), 1, "is the id of another"),
        (("1", "0"), False, "is the id of another"),
        (("-1", "0", "1"), -1, "means no label"),
        (("-1", "0", "1"), "-1.0", "means no label"),
    ],
)
def test_what_is_one_label_and_the_id_of_another_is_not_guessed(labels, value, other):
    with pytest.raises(DataError) as caught:
        label({"label": value}, labels)
    names = ", ".join(f"{i} {one}" for i, one in enumerate(labels))
    said = f"label={value!r}: it is the text of one label and {other} ({names}): give labels that are words, "
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("given", "expected"), [("tre\u0300s bon", "tr\u00e8s bon"), ("tr\u00e8s bon", "tr\u00e8s bon")]
)
def test_texts_of_labels_may_be_in_another_normal_form(given, expected):
    assert label({"label": given}, (expected, "mauvais")) == expected
    assert label({"label": expected}, ("mauvais", given)) == given
