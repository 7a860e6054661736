"""What a table looks like in a pipe and in terminals of every width."""

import doctest
import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from t5core import tables
from t5core.tables import Column, Output, print_line, print_table

COLUMNS = [
    Column(head="set", kind="name"),
    Column(head="of training examples", short="examples"),
    Column(head="kind", kind="name", priority=2),
    Column(head="what it asks", kind="text"),
    Column(head="mean score", priority=0),
]
ROWS = [
    ("cola", "8,551", "one", "is this a sentence that a speaker would say", "51.84"),
    ("mnli_matched", "392,702", "pair", "does one follow from the other", "84.24"),
]


def shown(width, *, columns=COLUMNS, rows=ROWS, **more):
    """The lines of a table: in a terminal of some width, or in a pipe (None)."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=width is not None, color_system=None)
    print_table(columns, rows, console=console, **more)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_documented_example_holds(monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)  # with it, rich takes a pipe for a terminal
    found = doctest.testmod(tables, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0 and found.attempted == 4


def test_in_a_pipe_a_table_is_as_wide_as_it_needs_to_be(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert shown(None, title="Two sets") == [
        "Two sets",
        "set           of training examples  kind  what it asks                                 mean score",
        "─" * 97,
        "cola                         8,551  one   is this a sentence that a speaker would say       51.84",
        "mnli_matched               392,702  pair  does one follow from the other                    84.24",
    ]
    assert shown(97) == shown(None)


def test_in_a_pipe_wide_heads_stand_in_lines_and_nothing_is_shortened_wrapped_or_left_out():
    columns = [Column(head=f"number {n} of many", short=f"n{n}", priority=9) for n in range(12)]
    columns += [Column(head="text", kind="text")]
    lines = shown(None, columns=columns, rows=[[*["1,000"] * 12, "word " * 40]])
    assert len(lines) == 5 and len(lines[-1]) > 200
    assert [lines[0].split(), lines[2].split()] == [["number"] * 12, ["many"] * 12 + ["text"]]


def test_heads_are_broken_between_words_before_anything_is_lost():
    assert shown(96)[:4] == [
        "                    of",
        "              training                                                      mean",
        "set           examples  kind  what it asks                                 score",
        "─" * 80,
    ]
    assert shown(80) == shown(96)


def test_text_is_wrapped_then_columns_are_left_out_and_named():
    assert shown(60)[2:] == [
        "set           examples  kind  what it asks             score",
        "─" * 60,
        "cola             8,551  one   is this a sentence that  51.84",
        "                              a speaker would say",
        "mnli_matched   392,702  pair  does one follow from     84.24",
        "                              the other",
    ]
    assert shown(40)[-4:] == [
        "cola             8,551  51.84",
        "mnli_matched   392,702  84.24",
        "no room for kind, what it asks: see all",
        "with | cat",
    ]
    assert shown(40, see_all="--json")[-1] == "with --json"


def test_short_heads_and_narrow_gaps_between_numbers_come_before_that():
    columns = [Column(head="model", kind="name"), Column(head="parameters", short="params"), Column(head="bytes")]
    rows = [("3B", "2851.6M", "10.62")]
    assert [shown(width, columns=columns, rows=rows)[0] for width in (24, 23, 22, 20)] == [
        "model  parameters  bytes",
        "model  parameters bytes",
        "model   params bytes",
        "model   params bytes",
    ]
    assert shown(19, columns=columns, rows=rows)[0] == "model  parameters"


def test_what_is_always_shown_is_wider_than_the_terminal_rather_than_cut():
    assert shown(10)[:5] == [
        "               mean",
        "set           score",
        "─" * 19,
        "cola          51.84",
        "mnli_matched  84.24",
    ]


def test_of_equal_columns_the_rightmost_is_left_out_first():
    columns = [Column(head=head) for head in "abcd"]
    rows = [("1111", "2222", "3333", "4444")]
    assert [shown(width, columns=columns, rows=rows)[2] for width in (19, 18, 14)] == [
        "1111 2222 3333 4444",
        "1111  2222  3333",
        "1111 2222 3333",
    ]


def test_cells_and_titles_are_text_as_it_is():
    columns = [Column(head="[b]", kind="name"), Column(head="n")]
    for width in (None, 40):
        found = shown(width, columns=columns, rows=[("w[red]x", "1"), (Text("[/]", style="bold"), "2")], title="[s]")
        assert found == ["[s]", "[b]      n", "─" * 10, "w[red]x  1", "[/]      2"]


def test_a_word_that_is_too_long_goes_on_below():
    columns = [Column(head="text", kind="text"), Column(head="characters", priority=0)]
    path = "s3://bucket/" + "a/long/path/" * 8
    lines = shown(50, columns=columns, rows=[(path, "1,000")])[2:]
    assert len(lines) > 1 and lines[0].endswith("  1,000")
    assert "".join(line.removesuffix("1,000").strip() for line in lines) == path


def test_totals_are_set_off():
    columns = [Column(head="kind", kind="name"), Column(head="finished")]
    assert shown(None, columns=columns, rows=[("tasks", "9")], totals=("all", "9")) == [
        "kind   finished",
        "─" * 15,
        "tasks         9",
        "",
        "all           9",
    ]


def test_lines_are_broken_in_terminals_only():
    lines = {}
    for name, is_terminal in (("pipe", False), ("terminal", True)):
        out = io.StringIO()
        console = Console(file=out, width=12, force_terminal=is_terminal, color_system=None)
        print_line("a line of [some] words", console=console)
        lines[name] = out.getvalue()
    assert lines == {"pipe": "a line of [some] words\n", "terminal": "a line of \n[some] words\n"}


def test_a_reader_that_leaves_is_an_error_that_the_command_answers():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        print_table(COLUMNS, ROWS, console=Output(file=Closed()))


WORD = st.text("abcdefgh", min_size=1, max_size=9)
NUMBER = st.integers(0, 10**12).map(lambda n: f"{n:,}") | st.integers(0, 10**8).map(lambda n: f"{n / 100:.2f}")
CELLS = {"number": NUMBER, "name": WORD, "text": st.lists(WORD, min_size=1, max_size=6).map(" ".join)}


@st.composite
def drawn_tables(draw):
    heads = st.lists(WORD, min_size=1, max_size=3).map(" ".join)
    made = st.builds(Column, head=heads, short=WORD, kind=st.sampled_from(list(CELLS)), priority=st.integers(0, 3))
    columns = draw(st.lists(made, min_size=1, max_size=8))
    rows = draw(st.lists(st.tuples(*(CELLS[column.kind] for column in columns)), min_size=1, max_size=4))
    return columns, rows


@settings(max_examples=200, deadline=None)
@given(drawn_tables(), st.integers(12, 120))
def test_at_any_width_what_is_shown_is_whole(drawn, width):
    columns, rows = drawn
    lines = shown(width, columns=columns, rows=rows)
    rule = next(at for at, line in enumerate(lines) if set(line) == {"─"})
    end = next((at for at, line in enumerate(lines) if line.startswith("no room")), len(lines))
    heads = {word for column in columns for word in (*column.head.split(), column.short)}
    cells = {word for cell in itertools.chain(*rows) for word in cell.split()}
    assert {word for line in lines[:rule] for word in line.split()} <= heads
    assert {word for line in lines[rule + 1 : end] for word in line.split()} <= cells
    if end == len(lines):
        assert cells <= {word for line in lines for word in line.split()}
    assert max(map(len, lines[:end])) == len(lines[rule])
    if len(lines[rule]) > width:  # nothing is left that could be left out
        optional = [column for column in columns[1:] if column.priority]
        assert " ".join(lines[end:]).count(",") == max(0, len(optional) - 1)
