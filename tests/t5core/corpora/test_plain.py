"""A user's own plain text and Markdown: in paragraphs, without markup, and without losing words."""

from collections import Counter

import pytest

from t5core.corpora.plain import markdown_text, plain_text


def test_plain_text_joins_wrapped_lines_and_leaves_long_ones_and_lists():
    long = "This line is a paragraph that nobody wrapped, " * 4 + "as web text often is."
    raw = f"A title\n=======\n\nwrapped\nby hand\n\n{long}\n{long}\n\n- one\n- two\n  more\n\n\n\nx : int\n    The x."
    assert plain_text(raw) == (
        f"A title\n----\n\nwrapped by hand\n\n{long}\n{long}\n\n- one\n- two more\n\nx : int\n    The x."
    )


def test_plain_text_keeps_lines_of_numbers_links_tables_and_signs():
    lines = ["0.12 0.88 1.92 2212 1123 3345 123.1 88.1 12.2 9", "https://a.org/b", "| a | b |", "* * *", "***", "{}();"]
    raw = "\n\n".join(lines)
    assert plain_text(raw) == raw


@pytest.mark.parametrize(
    ("first", "second", "between"),
    [
        ("岛上没有人记得是谁建造了", "灯塔。", ""),
        ("灯台は、島の", "北にある。", ""),
        ("ไม่มีใครบนเกาะจำ", "ได้ว่าใครสร้าง", ""),
        ("섬의 아무도 등대를", "기억하지 못한다.", " "),
        ("Никто на острове", "не помнит.", " "),
        ("لا أحد في الجزيرة", "يتذكر.", " "),
        ("द्वीप पर किसी को", "याद नहीं।", " "),
        ("灯塔 by the", "sea", " "),
    ],
)
def test_wrapped_lines_are_joined_as_their_script_parts_words(first, second, between):
    assert plain_text(f"{first}\n{second}") == f"{first}{between}{second}"


def test_markdown_loses_its_markup_and_keeps_its_words():
    counts = Counter()
    raw = (
        "# Гавань #\n\n> *Никто* на острове **не помнит**, кто [построил](http://a.org) `маяк`.\n\n"
        "## Examples\n\nA bad day: 3 * 4 * 5 is <em>60</em>, see <http://b.org/c>.\n"
    )
    assert markdown_text(raw, counts) == (
        "Гавань\n\nНикто на острове не помнит, кто построил маяк.\n\nExamples\n\n"
        "A bad day: 3 * 4 * 5 is 60, see http://b.org/c.\n"
    )
    assert +counts == {"left-out:markdown_html_tags": 2}


def test_what_holds_no_words_goes_out_of_markdown_and_is_counted():
    counts = Counter()
    raw = (
        "Before.\n\n```python\ncode\n\nmore\n```\n\n~~~~\n~~~\n~~~~\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "- https://x.y\n[ref]: http://a\n<!-- a\ncomment -->![pic](a.png)\n\nAfter.\n\n```\nnever closed\n"
    )
    assert markdown_text(raw, counts).split() == ["Before.", "After.", "```", "never", "closed"]
    assert counts == {
        "left-out:markdown_code_lines": 8,
        "left-out:markdown_table_lines": 3,
        "left-out:markdown_link_lines": 2,
        "left-out:markdown_html_tags": 1,
        "left-out:markdown_images": 1,
    }


def test_markdown_keeps_text_that_looks_like_markup():
    counts = Counter()
    lines = ["[Анна]: Привет, как дела?", "[^1]: Сноска.", "если x<y и z>w", "<Anna says hello>", "```x = 1``` и ещё"]
    kept = markdown_text("\n".join(lines), counts).split("\n")
    assert kept == [*lines[:4], "`x = 1` и ещё"] and not +counts
    assert markdown_text("[ref]: docs/a.md\n[web]: <http://a.org> 'T'\nA.", counts) == "A."
    assert counts["left-out:markdown_link_lines"] == 2
