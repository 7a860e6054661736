import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t5core.corpora.c4 import C4Config, clean_page, rules
from t5core.corpora.c4.bad_words import BadWords, digest, finder, published_words, read_words
from t5core.corpora.c4.language import LANGUAGE_RULES, check_language, identified, language_verdict
from t5core.corpora.c4.recipes import declared
from t5core.corpora.c4.sentences import has_sentences, sentences
from t5core.corpora.c4.spans import span_hashes, without_spans
from t5core.corpora.c4.tally import judged_page
from t5core.errors import ConfigError, DataError

RIVER = "The river was high after three days of rain."
BRIDGE = "Nobody had expected the old bridge to hold that long."
SUMMIT = "They finally reached the summit before noon!"
PAGE = f"{RIVER}\n{BRIDGE}\n{SUMMIT}"

# pieces that the rules speak about, so that random pages meet them often
PIECES = st.sampled_from(
    [
        RIVER,
        BRIDGE,
        "\n",
        "\r\n",
        "\x85",
        " ",
        "...",
        "?!",
        ". . .",
        '"',
        "{",
        "a b c d e",
        "W" * 1001,
        "JavaScript ",
        "Lorem Ipsum ",
        "use cookies ",
        "Dr. Who went. He left",
        "\ud800",
        "İ",
        "\u3000",
    ]
)
PAGES = st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=12).map("".join))


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("Word " * 5 + "x" * 1001 + ".", rules.TOO_LONG_WORD),
        ("Home | About | Contact", rules.NO_END_MARK),
        ("And then the story goes on...", rules.NO_END_MARK),
        ("An ellipsis character ends this line…", rules.NO_END_MARK),
        ("A citation after a space leaves one. [1]", rules.NO_END_MARK),
        ("Four words are here.", rules.TOO_SHORT),
        ("Please enable Javascript to view this.", rules.JAVASCRIPT),
        ("We have updated our Privacy Policy today.", rules.POLICY),
        ("Lorem Ipsum dolor sit amet elit.", rules.LOREM_IPSUM),
        ("The set {1, 2} has two members.", rules.CURLY_BRACKET),
        ("The curly { bracket in a JavaScript line.", rules.JAVASCRIPT),
        ("A { that ends in nothing", rules.NO_END_MARK),
        (RIVER, rules.LINE_PASSED),
    ],
)
def test_the_first_rule_that_speaks_names_the_verdict(line, verdict):
    assert rules.judged_line(line, C4Config(), None)[0] == verdict


def test_thresholds_come_from_the_config():
    config = C4Config(min_words=2, end_marks=(";",), min_sentences=1, policy_phrases=("bridge",))
    assert clean_page("Two words;\nThe old bridge;\nno end", config) == (
        "Two words;",
        {rules.LINE_PASSED: 1, rules.POLICY: 1, rules.NO_END_MARK: 1, rules.PAGE_PASSED: 1},
    )
    with pytest.raises(ConfigError, match="min_words=-1"):
        C4Config(min_words=-1)


def test_sentences_are_counted_inside_lines():
    assert clean_page("It rained all day long. Then it stopped at last. We went out again.")[0] is not None
    assert clean_page(f"{RIVER}\n{BRIDGE}") == (None, {rules.LINE_PASSED: 2, rules.TOO_FEW_SENTENCES: 1})
    assert sentences("Dr. Smith met Mrs. Jones at 5 p.m. on Friday. He was tired.")[1:] == ["He was tired."]
    assert sentences("  ") == []
    assert has_sentences(["A b.", "C d."], 2)
    assert not has_sentences([], 1)


def test_bad_words_count_only_between_what_is_no_letter():
    search = finder(["Darn", "oh my", "2good", "☠"], "en")
    for line in ("Well, darn that old bridge again.", '"Darn!" they said to us all.', "Then oh my it rained so."):
        assert clean_page(f"{PAGE}\n{line}", bad_words=search)[1][rules.BAD_WORD] == 1
    for line in ("He had darned his socks again.", "The Édarn valley is very wide."):
        assert clean_page(f"{PAGE}\n{line}", bad_words=search)[0] == f"{PAGE}\n{line}"
    assert clean_page(f"{PAGE}\ndarn", bad_words=search)[0] == PAGE  # a line that went before does not count
    assert search.search("so 2good of you")[0] == "2good"
    assert search.search("a ☠ here")[0] == "☠"
    assert not search.search("a☠ there, an oh and my")
    assert finder(["犬"], "ja").search("子犬だ")
    assert finder([], "en") is None


def test_the_published_list_and_a_users_own(tmp_path):
    words = published_words("en")
    assert len(words) > 300
    assert len(digest(words)) == 16
    assert published_words("xx") == () == tuple(digest(()))
    own = tmp_path / "words.txt"
    own.write_text("# mine\nDarn\n\n  heck \n")
    assert read_words(own) == ("darn", "heck")
    own.write_bytes(b"\xff")
    with pytest.raises(DataError, match="bad-words"):
        read_words(own)
    own.write_text("# nothing\n")
    with pytest.raises(DataError, match="no word in it"):
        read_words(own)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_words(tmp_path / "none.txt")


def test_language_is_the_same_for_the_same_text_and_off_when_told():
    german = "Der Fluss stand hoch nach drei Tagen Regen, und niemand wollte über die alte Brücke gehen."
    assert identified(german) == identified(german)
    assert identified(german)[0] == "de"
    assert language_verdict(german, C4Config()) == "filtered:ignored_language"
    assert language_verdict(german, C4Config(language="de")) is None
    assert language_verdict(german, C4Config(language="none")) is None
    assert language_verdict(PAGE, C4Config()) is None
    assert language_verdict("12 34", C4Config()) == "filtered:langdetect_exception"
    assert language_verdict(PAGE, C4Config(min_language_probability=1.0)) == "filtered:low_confidence"
    fast = C4Config(identifier="resiliparse")
    assert [language_verdict(text, fast) for text in (german, PAGE)] == ["filtered:ignored_language", None]
    assert language_verdict("12 34", fast) in LANGUAGE_RULES
    assert check_language("gl", "resiliparse") == "gl"  # Galician, which langdetect cannot tell
    with pytest.raises(ConfigError, match="identifier='cld3'"):
        C4Config(identifier="cld3")
    with pytest.raises(ConfigError, match="language='english'"):
        check_language("english")


def test_spans_slide_inside_a_line_and_short_lines_are_whole():
    five = "One is here. Two is here. Three is here. Four is here. Five is here."
    assert len(span_hashes(five)) == 3
    assert len(span_hashes(f"{five}\n{RIVER}")) == 4
    assert span_hashes(RIVER) == span_hashes(RIVER.upper())
    assert span_hashes("") == []
    left = without_spans(f"{five}\n{RIVER}", {2, 3})
    assert (left.text, left.lines, left.sentences) == ("One is here. Two is here.", 1, 4)


@given(PAGES)
@settings(deadline=None)
def test_any_text_can_be_cleaned_and_every_line_is_counted_once(text):
    kept, counters = clean_page(text)
    assert (kept is not None) == (rules.PAGE_PASSED in counters)
    lines = sum(count for name, count in counters.items() if name.startswith("line-"))
    assert lines == len(text.splitlines()) or kept is None


@given(PAGES.map(lambda text: text.replace("[", "")))
@settings(deadline=None)
def test_cleaning_what_was_kept_changes_nothing(text):
    kept, _ = clean_page(text, C4Config(min_sentences=1))
    if kept is not None:
        assert clean_page(kept, C4Config(min_sentences=1))[0] == kept


def test_only_a_citation_in_a_citation_is_found_by_a_second_cleaning():
    once, _ = clean_page(f"{PAGE}\nThe theory was first stated then[[1]].")
    twice, _ = clean_page(once)
    assert re.findall(r"\[.*\]", once) == ["[]"]
    assert re.findall(r"\[.*\]", twice) == []


@given(PAGES)
@settings(deadline=None)
def test_no_lost_span_leaves_a_page_as_it_is_and_all_lost_leave_nothing_to_compare(text):
    kept, _ = clean_page(text, C4Config(min_sentences=0))
    if kept:
        assert without_spans(kept, ()).text == kept
        assert span_hashes(without_spans(kept, range(10_000)).text) == []


@given(
    st.lists(st.sampled_from(["ass", "a b", "b", "2g", "é", "x-a", "!"]), min_size=1),
    st.text("asbg2éx-! ", max_size=30),
)
def test_the_short_way_to_bad_words_finds_what_the_long_one_does(words, line):
    alternatives = "|".join(re.escape(word) for word in sorted(set(words)))
    long = re.search(rf"(?<![^\W\d_])(?:{alternatives})(?![^\W\d_])", line)
    assert (BadWords(words).search(line) or [None])[0] == (long or [None])[0]


PAGES = {
    "ko": "항구는 해가 뜨기 전에 깨어나고 첫 배들이 일찍 떠난다.\n섬의 아무도 누가 등대를 지었는지 기억하지 못한다.\n"
    "빵집 주인은 매일 아침 빵 네 바구니를 부두로 나른다.",
    "ja": "港は日が昇る前に目を覚まし、最初の船が早くから出ていきます。\n島の誰も灯台を建てた人を覚えていません。\n"
    "パン屋は毎朝かごを四つ波止場まで運びます。",
    "th": "ท่าเรือตื่นก่อนพระอาทิตย์ขึ้น และเรือลำแรกออกไปแต่เช้า\nไม่มีใครบนเกาะจำได้ว่าใครสร้างประภาคาร\n"
    "คนทำขนมปังแบกตะกร้าสี่ใบลงไปที่ท่าเรือทุกเช้า",
    "hi": "बंदरगाह सूरज से पहले जागता है और पहली नावें जल्दी निकलती हैं।\nद्वीप पर किसी को याद नहीं कि प्रकाशस्तंभ किसने बनाया।\n"
    "नानबाई हर सुबह रोटी की चार टोकरियाँ घाट तक ले जाता है।",
    "ar": "يستيقظ الميناء قبل الشمس وتغادر القوارب الأولى في الصباح الباكر.\n"
    "هل يتذكر أحد في الجزيرة من بنى المنارة القديمة؟\n"
    "يحمل الخباز أربع سلال من الخبز إلى الرصيف كل صباح.",
}


@pytest.mark.parametrize("language", PAGES)
def test_pages_of_any_script_pass_the_rules_of_their_language(language):
    config = declared("c4", language=language, words=()).config
    text, counters = clean_page(PAGES[language], config)
    assert (text, counters["passed"]) == (PAGES[language], 1)
    assert judged_page(PAGES[language], config, None).text == PAGES[language]
    menu = PAGES[language].split("\n")[0][:7]  # no end, or too short
    assert clean_page(f"{menu}\n{PAGES[language]}", config)[0] == PAGES[language]


def test_sentences_that_are_lost_leave_no_blanks_in_a_script_without():
    marks = declared("c4", language="ja", words=()).config.end_marks
    line = "港は目を覚ます。船が出ていく。誰も覚えていない。パン屋は運ぶ。"
    assert len(span_hashes(line, end_marks=marks)) == 2
    assert (
        without_spans(line + "犬が鳴く。猫が寝る。", {0}, end_marks=marks).text == "パン屋は運ぶ。犬が鳴く。猫が寝る。"
    )


def test_the_rules_of_english_and_its_neighbours_are_the_papers():
    for language in ("en", "de", "ru", "none"):
        assert declared("c4", language=language, words=()).config == C4Config(language=language)
