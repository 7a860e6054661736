"""CSV and TSV files, as users, spreadsheets and GLUE write them."""

import gzip

import pytest

from t5core.errors import DataError
from t5core.tasks import get_task
from t5core.tasks.delimited import table
from t5core.tasks.files import read_csv, read_tsv

YAML = """
name: notes
source: notes
inputs: "note: {text}"
targets: "{label}"
labels: {label: [negative, positive]}
metrics: [accuracy]
"""
COLUMNS = {"text": "text", "label": "label"}


@pytest.fixture
def notes(tmp_path):
    """Writes a file of notes, and returns its pairs of text."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes.yaml").write_text(YAML)

    def read(content, name="train.csv"):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "notes" / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        split = name.partition(".")[0]
        return [(pair.inputs, pair.targets) for pair in get_task(str(tmp_path / "notes.yaml")).read(split)]

    return read


def rows(path, content, reader=read_csv):
    path.write_bytes(content)
    return list(reader(path, {}))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (["label,text", "0,cold", '1,"Warm bread', "0,Never", "1,fine"], 3),  # to the end of the file
        (["text,label", "cold,0", '"Warm bread,1', "Never,0", "fine,1"], 3),  # in the first column
        (["label,text", "0,cold", "1,warm", '0,"Never'], 4),  # in the last cell of all
        (["label,text", '0,"two', 'lines"', '1,"Warm', "0,Never"], 4),  # behind a good cell of two lines
        (["label,text,more", '0,"two', 'lines","Warm', "0,Never"], 3),  # and in the same row
        (["label,text", '1,"He said ""hi""', "0,Never"], 2),  # doubled ones close nothing
        (['label,"text', "0,cold", "1,warm"], 1),  # in the header
    ],
)
@pytest.mark.parametrize("last_end", [True, False])
def test_a_quote_that_is_never_closed_is_told_with_the_line_where_it_begins(tmp_path, end, lines, number, last_end):
    content = end.join(lines) + (end if last_end else "")
    with pytest.raises(
        DataError, match=rf"notes\.csv:{number}='.*': the quote that begins here is never closed"
    ) as caught:
        rows(tmp_path / "notes.csv", content.encode())
    assert "\n" not in str(caught.value) and "\r" not in str(caught.value)


@pytest.mark.parametrize("name", ["train.csv", "validation.csv", "train.csv.gz"])
def test_a_quote_that_the_next_cell_in_quotes_closes_is_told_too(notes, name):
    content = 'text,label\ncold,0\n"Warm bread,1\nNever,0\n"Fine, then",1\nloud,0\n'
    match = rf"{name}:3='\"Warm bread,1': the quote that begins here is closed in line 5 with text right behind it"
    with pytest.raises(DataError, match=match):
        notes(content, name)


def test_text_behind_a_closing_quote_is_not_lost_or_joined(notes):
    with pytest.raises(DataError, match=r"train\.csv:2='.*': .* closed in line 2 with text right behind it"):
        notes('text,label\n"Great" film,1\n')


def test_quotes_that_are_closed_or_stand_within_a_cell_are_taken(notes):
    content = 'text,label\r\n"two\r\nlines",1\r\n5" nails,0\r\nsaid "so",1\r\n"a ""b"", c",0\r\n"",1\r\n"end",0'
    assert notes(content) == [
        ("note: two\r\nlines", "positive"),
        ('note: 5" nails', "negative"),
        ('note: said "so"', "positive"),
        ('note: a "b", c', "negative"),
        ("note: ", "positive"),
        ("note: end", "negative"),
    ]


@pytest.mark.parametrize("name", ["train.tsv", "validation.tsv.gz"])
def test_quotes_in_a_tsv_are_text_closed_or_not(notes, name):
    assert notes('text\tlabel\n"Warm bread\t1\n"so"\t0\nsaid "\t1\n', name) == [
        ('note: "Warm bread', "positive"),
        ('note: "so"', "negative"),
        ('note: said "', "positive"),
    ]


def test_a_row_is_named_by_the_line_where_it_begins(tmp_path):
    found = rows(tmp_path / "a.csv", b'\xef\xbb\xbftext,label\n\n"two\nlines",1\nb,0\n')
    path = tmp_path / "a.csv"
    assert found == [
        (f"{path}:3", {"text": "two\nlines", "label": "1"}),
        (f"{path}:5", {"text": "b", "label": "0"}),
    ]
    assert rows(path, b"") == rows(path, b"text,label\n") == []


def test_a_line_that_is_not_utf_8_is_named_far_down_a_file(tmp_path):
    with pytest.raises(DataError, match=r"a\.csv:3002=b'\\xe9.*': this is not UTF-8"):
        rows(tmp_path / "a.csv", b"text,label\n" + b"cold soup,0\n" * 3000 + b"caf\xe9,1\n")
    with pytest.raises(DataError, match=r"a\.tsv:3=b'\\xe9': this is not UTF-8"):
        rows(tmp_path / "a.tsv", b"text\rcold\rcaf\xe9", read_tsv)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("gj04\t1\t\tThey ran.\n", {"delimiter": "\t"}, r"f:1='gj04, 1, , They ran\.': the first line has to be the "),
        (
            "gj04\t1\t\tThey ran.\n",
            {"delimiter": "\t"},
            r"names none of text, label: .*CoLA: source\\tlabel\\tmark\\tsen",
        ),
        ("cold,0\nwarm,1\n", {}, r"f:1='cold, 0': .* put the columns' names above the first example, or"),
        ("text\tlabel\ncold\t0\n", {}, r"f:1='text\\tlabel': .*cells are cut at ',' here, not at '\\t'"),
        ("text;label\ncold;0\n", {}, r"f:1='text;label': .*cells are cut at ',' here, not at ';'"),
        (" text, label\ncold,0\n", {}, r"f:1=' text,  label': .*names none of text, label, .*did you mean 'text'\?"),
        ("Text,LABEL\ncold,0\n", {}, r"f:1='Text, LABEL': .*, but for blanks and case \(did you mean 'text'\?\)"),
        ("Note\tLabel\ncold\t0\n", {"delimiter": "\t"}, r"f:1='Note, Label': .*did you mean 'label'\?"),
        ("text,label,label\ncold,0,1\n", {}, r"f:1='label': two columns have this name"),
    ],
)
def test_a_first_line_that_is_no_header_is_told(content, options, message):
    with pytest.raises(DataError, match=message):
        list(table(content.splitlines(keepends=True), "f", COLUMNS, **{"delimiter": ",", "quoting": 0, **options}))


@pytest.mark.parametrize(
    ("kind", "cell", "message"),
    [
        ("integer", "", "a='': this cell is empty: it has to be a whole number"),
        ("number", " ", "a=' ': this cell is empty: it has to be a number"),
        ("json", "", "a='': this cell is empty: it has to be JSON"),
        ("integer", "0.5", r"a='0\.5': this cell has to be a whole number"),
        ("json", "[" * 9999, r"this cell has to be JSON"),
    ],
)
def test_a_cell_of_another_kind_is_told(kind, cell, message):
    with pytest.raises(DataError, match=f"^f:2: .*{message}"):
        list(table(["a,b\n", f"{cell},x\n"], "f", {"a": kind}, delimiter=",", quoting=0))


def test_cells_are_read_by_their_kind():
    columns = {"a": "integer", "b": "number", "c": "json", "d": "label"}
    lines = ["a,b,c,d,c.x\n", "1.0,2.5,so,1.0,y\n"]
    (row,) = table(lines, "f", columns, delimiter=",", quoting=0)
    assert row == ("f:2", {"a": 1, "b": 2.5, "c": "so", "d": "1.0", "c.x": "y"})
    (row,) = table(["c\n", "null\n"], "f", columns, delimiter=",", quoting=0)
    assert row == ("f:2", {"c": None})
