import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t5core.config import VocabularyConfig
from t5core.errors import ConfigError
from t5core.vocabulary import EOS_ID, PAD_ID, UNK_ID, Vocabulary, train_vocabulary

CONFIG = VocabularyConfig(num_pieces=500, num_sentinels=10, train_chars=100_000)


def some_texts():
    nouns = ["array", "model", "layer", "server", "window", "result", "number", "table", "letter", "corpus"]
    verbs = ["returns", "holds", "copies", "counts", "prints", "writes", "shuffles", "trains", "reads", "drops"]
    return [
        f"The {a} {v} the {b} of {n} {w}s, and the {w} {v} {a} number {n}.\nIt never {v} a {b} by itself ({a}_{b})."
        for n, (a, b, v, w) in enumerate(
            (a, b, v, w) for a in nouns for b in nouns for v in verbs[:5] for w in nouns[:3]
        )
    ]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    return train_vocabulary(some_texts(), CONFIG, tmp_path_factory.mktemp("vocabulary"))


def test_sizes_and_special_ids_are_the_papers(vocabulary):
    assert (PAD_ID, EOS_ID, UNK_ID) == (0, 1, 2)
    assert (vocabulary.num_pieces, vocabulary.num_sentinels, vocabulary.size) == (500, 10, 510)
    assert [vocabulary.piece(i) for i in (0, 1, 2, 3, 258)] == ["<pad>", "</s>", "<unk>", "<0x00>", "<0xFF>"]


def test_the_first_sentinel_has_the_highest_id(vocabulary):
    assert [vocabulary.sentinel_id(k) for k in (0, 1, 9)] == [509, 508, 500]
    with pytest.raises(ConfigError, match="num_sentinels=10: there is no <extra_id_10>"):
        vocabulary.sentinel_id(10)


def test_sentinels_in_text_become_their_ids_and_come_back(vocabulary):
    ids = vocabulary.encode("The array <extra_id_0> the model <extra_id_9>")
    assert ids.count(509) == 1 and ids[-1] == 500
    assert vocabulary.decode(ids) == "The array <extra_id_0> the model <extra_id_9>"


@pytest.mark.parametrize("digits", [10, 5_000])
def test_a_number_that_no_sentinel_has_stays_text(vocabulary, digits):
    text = f"a <extra_id_{'9' * digits}> b"
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_a_sentinel_that_does_not_exist_stays_text(vocabulary):
    ids = vocabulary.encode("an <extra_id_10> b")
    assert max(ids) < 500 and vocabulary.decode(ids) == "an <extra_id_10> b"


def test_decoding_stops_at_the_first_end_and_skips_padding_and_strange_ids(vocabulary):
    ids = vocabulary.encode("The model")
    assert vocabulary.decode([0, *ids, 0, 5000, -1, EOS_ID, *ids]) == "The model"
    assert vocabulary.decode([]) == "" and vocabulary.decode([EOS_ID]) == ""


def test_special_pieces_written_as_text_are_text(vocabulary):
    ids = vocabulary.encode("</s> <pad> <unk>")
    assert not {PAD_ID, EOS_ID, UNK_ID} & set(ids)
    assert vocabulary.decode(ids) == "</s> <pad> <unk>"


@settings(max_examples=150, deadline=None)
@given(st.text())
def test_nothing_is_lost_but_what_normalisation_takes(vocabulary, text):
    # a sentinel's text is a sentinel, and U+2581 is SentencePiece's own space
    text = text.replace("<extra_id_", "").replace("▁", "")
    ids = vocabulary.encode(text)
    assert UNK_ID not in ids
    assert vocabulary.decode(ids) == vocabulary.normalize(text)


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(categories=["L", "Nd", "Po", "Sm", "Sc", "Zs"], exclude_characters="▁~～〜")))
def test_letters_digits_and_signs_survive_as_nfkc_with_single_spaces(vocabulary, text):
    def shape(value):
        return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", value)).strip()

    # the normaliser's tables are of an older Unicode: both sides are brought to this Python's
    assert shape(vocabulary.decode(vocabulary.encode(text))) == shape(text)


def test_batches_give_what_single_texts_give(vocabulary):
    texts = [*some_texts()[:50], "", "with <extra_id_3> inside", "你好 wörld"]
    assert vocabulary.encode_batch(texts) == [vocabulary.encode(text) for text in texts]


@pytest.mark.parametrize("threads", [-1, 1, 3])
def test_end_to_end_the_ids_are_those_of_single_texts_with_any_number_of_threads(vocabulary, threads):
    texts = ["the array", "", "half a pair \ud800", "<extra_id_3> and <extra_id_11>", *some_texts()]
    ids, sizes = vocabulary.encode_flat(texts, threads)
    assert (ids.dtype, sizes.dtype) == ("int32", "int64")
    assert sizes.tolist() == [len(vocabulary.encode(text)) for text in texts]
    assert ids.tolist() == [i for text in texts for i in vocabulary.encode(text)]
    assert [len(part) for part in vocabulary.encode_flat([])] == [0, 0]


def test_releases_of_sentencepiece_that_give_lists_alone_give_the_same_ids(vocabulary):
    class Lists:
        def encode(self, texts, out_type, num_threads):
            assert out_type is int
            return vocabulary.encode_batch(texts)

    older = Vocabulary(*vocabulary.__reduce__()[1])
    older._pieces = Lists()
    for ours, theirs in zip(vocabulary.encode_flat(some_texts()), older.encode_flat(some_texts()), strict=True):
        assert ours.dtype == theirs.dtype and (ours == theirs).all()


def test_training_again_in_another_order_gives_the_same_bytes(tmp_path):
    config = CONFIG.replace(train_chars=60_000)  # less than there is, so that the sample is drawn
    train_vocabulary(some_texts(), config, tmp_path / "a")
    train_vocabulary(reversed(some_texts()), config, tmp_path / "b")
    assert (tmp_path / "a/vocabulary.model").read_bytes() == (tmp_path / "b/vocabulary.model").read_bytes()


def test_another_seed_samples_other_text(tmp_path):
    config = CONFIG.replace(train_chars=20_000, num_pieces=400)
    train_vocabulary(some_texts(), config, tmp_path / "a")
    train_vocabulary(some_texts(), config.replace(seed=1), tmp_path / "b")
    assert (tmp_path / "a/vocabulary.model").read_bytes() != (tmp_path / "b/vocabulary.model").read_bytes()


def test_loading_what_was_trained(tmp_path):
    trained = train_vocabulary(some_texts(), CONFIG, tmp_path)
    loaded = Vocabulary.load(tmp_path / "vocabulary.model")
    assert loaded.size == trained.size == 510
    assert json.loads((tmp_path / "vocabulary.json").read_text()) == {"num_pieces": 500, "num_sentinels": 10}
    (tmp_path / "vocabulary.json").unlink()
    assert Vocabulary.load(tmp_path / "vocabulary.model").num_sentinels == 100


@pytest.mark.parametrize("pieces", [100, 259, 270])
def test_fewer_pieces_than_characters_need_is_said_with_the_number_needed(tmp_path, pieces):
    with pytest.raises(ConfigError, match=rf"^num_pieces={pieces}: .* \d+ or more") as caught:
        train_vocabulary(some_texts(), CONFIG.replace(num_pieces=pieces), tmp_path)
    assert "\n" not in str(caught.value)
    need = int(re.findall(r"(\d+) or more", str(caught.value))[0])
    assert need > pieces
    assert not (tmp_path / "vocabulary.model").exists()


def test_more_pieces_than_the_text_gives_is_said_with_what_it_gives(tmp_path):
    with pytest.raises(
        ConfigError, match=r"^num_pieces=8000: too many for so little text: give \d+ or fewer"
    ) as caught:
        train_vocabulary(some_texts()[:3], CONFIG.replace(num_pieces=8000), tmp_path)
    fits = int(re.findall(r"(\d+) or fewer", str(caught.value))[0])
    assert train_vocabulary(some_texts()[:3], CONFIG.replace(num_pieces=fits), tmp_path).num_pieces == fits


def test_no_text_and_no_model_are_said(tmp_path):
    with pytest.raises(ConfigError, match="no text"):
        train_vocabulary([" \n", ""], CONFIG, tmp_path)
    with pytest.raises(ConfigError, match=r"vocabulary=.*absent\.model"):
        Vocabulary.load(tmp_path / "absent.model")
    (tmp_path / "broken.model").write_bytes(b"not a model")
    with pytest.raises(ConfigError, match="not a SentencePiece model"):
        Vocabulary.load(tmp_path / "broken.model")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "3", "{}", '{"num_sentinels": "many"}', '{"num_sentinels": -1}', '{"num_sentinels": true}'],
)
def test_broken_settings_are_one_line(vocabulary, tmp_path, content):
    vocabulary.save_to(tmp_path)
    (tmp_path / "vocabulary.json").write_text(content)
    with pytest.raises(ConfigError, match=r"^vocabulary='.*vocabulary\.json': .*num_sentinels") as caught:
        Vocabulary.load(tmp_path / "vocabulary.model")
    assert "\n" not in str(caught.value)


def test_half_surrogate_pairs_become_question_marks(vocabulary):
    assert vocabulary.encode_batch(["a \ud800 b", "plain"]) == vocabulary.encode_batch(["a ? b", "plain"])
