"""What differs from script to script: sentences, words, punctuation."""

import pytest

from t5core.scripts import (
    end_marks_of,
    gap_between,
    parted_at_marks,
    parts_words,
    sentences_of,
    split_sentences,
    tokens_of,
    without_punctuation,
    words_of,
)


def test_english_sentences_end_before_a_capital_and_not_after_an_abbreviation():
    line = "One is here, e.g. The thing. Two? Three v1.2 is. and on."
    assert split_sentences(line) == ["One is here, e.g. The thing.", "Two?", "Three v1.2 is. and on."]
    assert sentences_of(line) == split_sentences(line)


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("Это маяк. Он стоит! а вот море? Да.", ["Это маяк.", "Он стоит! а вот море?", "Да."]),
        ("Über allem. Ärger kam.", ["Über allem.", "Ärger kam."]),
        (
            "灯塔很高。他说：“好！”然后走了。真的吗？！是",
            ["灯塔很高。", "他说：“好！”", "然后走了。", "真的吗？！", "是"],
        ),
        ("यह घर है। वह बड़ा है॥ ठीक", ["यह घर है।", "वह बड़ा है॥", "ठीक"]),
        ("أين المنارة؟ هي هنا. نعم", ["أين المنارة؟", "هي هنا.", "نعم"]),
        ("등대는 높다. 바다는 넓다.", ["등대는 높다.", "바다는 넓다."]),
    ],
)
def test_sentences_of_any_script_end_at_its_marks(line, sentences):
    assert sentences_of(line) == sentences


def test_marks_alone_part_no_english():
    assert parted_at_marks("One. Two.") == ["One. Two."]


def test_words_of_scripts_that_part_none_are_pairs_of_letters():
    assert words_of("灯塔很高 the sea", spaced=False) == ["灯塔", "很高", "the", "sea"]
    assert words_of("灯塔很高 the sea", spaced=True) == ["灯塔很高", "the", "sea"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("It's a (big) one: yes!", "Its a big one: yes"),
        ("हिन्दी में।", "हिन्दी में"),
        ("«Маяк», да?", "Маяк да"),
        ("“ไม่มี”", "ไม่มี"),
    ],
)
def test_punctuation_is_no_vowel_sign(text, left):
    assert without_punctuation(text) == left


def test_languages_have_their_marks_and_blanks():
    usual = (".", "?")
    assert end_marks_of("en", usual) == end_marks_of("ko", usual) == end_marks_of("none", usual) == usual
    assert end_marks_of("hi", usual) == (".", "?", "।", "॥", "”")
    assert end_marks_of("th", usual) == ()
    assert [parts_words(language) for language in ("ko", "ar", "ja", "zh-cn", "th")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_pieces_are_joined_as_their_script_does_it():
    assert gap_between("灯塔。", "很高") == "" and gap_between("灯塔", "the") == gap_between("one", "two") == " "


def test_tokens_are_words_of_any_script_and_single_letters_of_those_without_blanks():
    assert tokens_of("हिन्दी में Это ёлка-2") == ["हिन्दी", "में", "это", "ёлка", "2"]
    assert tokens_of("灯塔。ABC_d ม่มี") == ["灯", "塔", "abc", "d", "ม่", "มี"]
