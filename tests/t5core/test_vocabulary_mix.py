"""Vocabularies from several texts: shares of characters, drawn by hash, whatever the order, in little memory."""

import hashlib
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t5core.config import VocabularyConfig
from t5core.errors import ConfigError
from t5core.vocabulary import TextSource, sample_sources, train_on_samples, train_vocabulary, whole_parts

SENTENCES = {
    "english": "the river was high after three days of rain and nobody had expected the old bridge to hold",
    "german": "der Fluss führte nach drei Tagen Regen Hochwasser und niemand hätte der Brücke das zugetraut",
    "romanian": "râul era în creștere după trei zile de ploaie și nimeni nu credea că podul vechi va rezista",
}
CONFIG = VocabularyConfig(num_pieces=320, num_sentinels=10, train_chars=40_000, character_coverage=1.0)


def texts_of(language, count=400):
    rng = random.Random(language)
    words = SENTENCES[language].split()
    words += [first + second for first in words for second in words]
    return [" ".join(rng.choices(words, k=rng.randint(5, 30))) for _ in range(count)]


def sources(*, english=10.0, german=1.0, romanian=1.0, order=lambda texts: texts):
    parts = {"english": english, "german": german, "romanian": romanian}
    return [TextSource(name=name, texts=order(texts_of(name)), parts=part) for name, part in parts.items()]


def drawn(given_sources, train_chars=12_000, seed=0):
    return sample_sources(given_sources, train_chars=train_chars, seed=seed)


def test_characters_are_shared_out_by_parts():
    english, german, romanian = drawn(sources())
    assert (english.chars, german.chars, romanian.chars) == (10_000, 1_000, 1_000)
    assert (english.wanted_chars, english.parts, german.parts) == (10_000, 10, 1)
    everything = texts_of("english")
    assert (english.found_documents, english.found_chars) == (400, sum(map(len, everything)))
    assert set(list(english.texts)[:-1]) <= set(everything)
    assert not any(sample.is_short for sample in (english, german, romanian))


@pytest.mark.parametrize("order", [lambda texts: texts[::-1], lambda texts: random.Random(3).sample(texts, len(texts))])
def test_the_same_text_is_drawn_in_any_order_of_documents(order):
    assert drawn(sources()) == drawn(sources(order=order))


def test_what_is_drawn_are_the_documents_with_the_lowest_hashes():
    def rank(text):
        return hashlib.blake2b(f"5\n{text}".encode(), digest_size=8).digest()

    (sample,) = drawn([TextSource(texts=texts_of("german"))], train_chars=5_000, seed=5)
    assert "".join(sample.texts) == "".join(sorted(texts_of("german"), key=rank))[:5_000]


def test_one_source_gives_the_bytes_of_training_on_it_alone_whatever_its_parts(tmp_path):
    config = CONFIG.replace(train_chars=9_000)
    train_vocabulary(texts_of("english"), config, tmp_path / "alone")
    samples = drawn([TextSource(texts=texts_of("english"), parts=7)], train_chars=9_000)
    train_on_samples(samples, config, tmp_path / "mix")
    assert (tmp_path / "alone/vocabulary.model").read_bytes() == (tmp_path / "mix/vocabulary.model").read_bytes()


def test_a_vocabulary_has_the_same_bytes_in_any_order_of_documents_and_sources_and_any_unit_of_parts(tmp_path):
    train_on_samples(drawn(sources(english=3.0)), CONFIG, tmp_path / "a")
    turned = sources(english=1.5, german=0.5, romanian=0.5, order=reversed)[::-1]
    train_on_samples(drawn(turned), CONFIG, tmp_path / "b")
    assert (tmp_path / "a/vocabulary.model").read_bytes() == (tmp_path / "b/vocabulary.model").read_bytes()


def test_a_part_of_another_language_makes_its_text_shorter_in_tokens(tmp_path):
    def tokens(samples, folder):
        vocabulary = train_on_samples(samples, CONFIG, folder)
        return sum(map(len, vocabulary.encode_batch(texts_of("romanian", 50))))

    alone = tokens(drawn(sources()[:1]), tmp_path / "english")
    assert tokens(drawn(sources(english=1.0)), tmp_path / "mix") < 0.85 * alone


def test_where_a_source_is_short_the_others_give_less_so_that_proportions_hold():
    given_sources = sources()
    given_sources[2] = TextSource(name="romanian", texts=["x" * 150, "y" * 100], parts=1)
    english, german, romanian = drawn(given_sources)
    assert romanian.is_short and not german.is_short
    assert (romanian.wanted_chars, romanian.found_chars, romanian.chars) == (1_000, 250, 250)
    assert (english.chars, german.chars) == (2_500, 250)
    # what is left is what a smaller sample would have drawn
    assert list(english.texts) == list(drawn(sources(), train_chars=3_000)[0].texts)


def test_memory_holds_a_source_s_share_and_not_the_source():
    def stream():
        rng = random.Random(0)
        letters = "".join(rng.choices("abcdefgh ", k=4_000))
        for number in range(20_000):
            yield f"{number} {letters[number % 1_500 :][:2_500]}"

    tracemalloc.start()
    try:
        big, small = drawn(
            [TextSource(texts=stream(), parts=3), TextSource(texts=stream(), parts=1)], train_chars=1_000_000
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert big.found_chars > 49_000_000
    assert (big.chars, small.chars) == (750_000, 250_000)
    assert peak < 3_000_000


def test_a_document_above_the_share_is_cut_to_it():
    (sample,) = drawn([TextSource(texts=["long " * 100_000])], train_chars=1_000)
    assert (sample.documents, sample.chars, sample.found_chars) == (1, 1_000, 500_000)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.text("aäșß", min_size=1), max_size=20), st.floats(0.01, 100)), min_size=1, max_size=4
    ),
    st.integers(1, 200),
)
def test_no_source_gives_more_than_its_share_and_all_keep_to_the_shortest(mix, train_chars):
    given_sources = [TextSource(texts=[*texts, "word"], parts=parts) for texts, parts in mix]
    samples = drawn(given_sources, train_chars=train_chars)
    fullness = min(min(s.found_chars, s.wanted_chars) / s.wanted_chars for s in samples)
    for sample in samples:
        assert 1 <= sample.chars <= sample.wanted_chars
        assert abs(sample.chars - sample.wanted_chars * fullness) <= 1


def test_parts_are_compared_as_numbers_people_write():
    assert whole_parts([10, 1, 1, 1]) == whole_parts([20.0, 2.0, 2.0, 2.0]) == (10, 1, 1, 1)
    assert whole_parts([0.1, 0.3]) == (1, 3)
    assert whole_parts([1e-5, 1.0]) == (1, 100_000)


@pytest.mark.parametrize("parts", [0, -1.0, float("nan"), float("inf")])
def test_parts_that_are_no_share_are_refused(parts):
    with pytest.raises(ConfigError, match=r"^parts=.*: give a number above 0$"):
        drawn(sources(german=parts))


def test_a_source_without_text_is_named():
    with pytest.raises(ConfigError, match=r"^corpus='german': there is no text to train a vocabulary on$"):
        drawn([sources()[0], TextSource(name="german", texts=[" \n", ""])])
