"""Sentinels have the ids of the released vocabulary code, whether they lie above the SentencePiece model or in it."""

import pickle

import pytest
import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from t5core.config import ObjectiveConfig, VocabularyConfig
from t5core.errors import ConfigError
from t5core.objectives.shown import shown_examples
from t5core.vocabulary import Vocabulary, load_trained, train_vocabulary

PIECES, SENTINELS = 320, 12
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
TEXT = "The door of the house faces the north, and the harbour wakes when the boats return."
TEXTS = [
    "The door <extra_id_0> north.",
    "The <extra_id_0>, north",
    "<extra_id_0>, the door",
    "<extra_id_3>",
    "  <extra_id_0>  <extra_id_1> ",
    "<extra_id_0><extra_id_1>",
    "door<extra_id_0>north",
    "the (<extra_id_1>) door",
    "the <extra_id_1>s and <extra_id_11>!",
    "the\n<extra_id_10>\tdoor",
    "no such <extra_id_12> and <extra_id_007> and <extra_id_>",
    "a ＜extra_id_2＞ in wide letters, ▁<extra_id_4> with a mark",
    "<extra_id_0> \ufb01re <extra_id_1>",
    "",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = VocabularyConfig(num_pieces=PIECES, num_sentinels=SENTINELS, character_coverage=1.0, train_chars=100_000)
    folder = tmp_path_factory.mktemp("vocabulary")
    train_vocabulary([f"{TEXT} {i} {TEXT[::-1]}" for i in range(200)], config, folder)
    return (folder / "vocabulary.model").read_bytes()


def with_pieces(model, names, kind=USER_DEFINED, score=0.0, before=0):
    """The model with more pieces, ``before`` of its own behind them."""
    proto = ModelProto.FromString(model)
    own = [ModelProto.SentencePiece.FromString(p.SerializeToString()) for p in proto.pieces]
    del proto.pieces[len(own) - before :]
    for name in names:
        proto.pieces.add(piece=name, score=score, type=kind)
    proto.pieces.extend(own[len(own) - before :])
    return proto.SerializeToString()


def released(model):
    """The vocabulary of the released code, made by itself: its extra ids are pieces of the model."""
    pieces = sentencepiece.SentencePieceProcessor()
    names = [f"▁<extra_id_{k}>" for k in reversed(range(SENTINELS))]
    pieces.LoadFromSerializedProto(with_pieces(model, names))
    return pieces


@pytest.mark.parametrize("text", TEXTS)
def test_text_around_sentinels_has_the_ids_and_the_text_of_the_released_code(model, text):
    vocabulary, expected = Vocabulary(model, SENTINELS), released(model)
    ids = vocabulary.encode(text)
    assert ids == expected.encode(text)
    assert vocabulary.decode(ids) == expected.decode(ids)
    assert vocabulary.encode_flat([text])[0].tolist() == ids


def test_no_blank_comes_between_a_sentinel_and_a_comma(model):
    vocabulary = Vocabulary(model, SENTINELS)
    the, comma, north = (vocabulary.encode(text) for text in ("The", "x,", "north"))
    assert vocabulary.encode("The <extra_id_0>, north") == [*the, 331, comma[-1], *north]
    assert vocabulary.decode(vocabulary.encode("The <extra_id_0>, north")) == "The <extra_id_0>, north"


@pytest.mark.parametrize("mark", ["▁", ""])
@pytest.mark.parametrize("kind", [USER_DEFINED, NORMAL, CONTROL, UNUSED])
def test_sentinels_that_the_model_holds_keep_its_ids(model, kind, mark, tmp_path):
    held = with_pieces(model, [f"{mark}<extra_id_{k}>" for k in reversed(range(SENTINELS))], kind, score=-30.0)
    (tmp_path / "spiece.model").write_bytes(held)
    vocabulary = load_trained(tmp_path / "spiece.model", 384)  # with rows that no text uses, as mT5
    assert (vocabulary.num_pieces, vocabulary.num_sentinels, vocabulary.size) == (320, 12, 332)
    assert vocabulary.sentinels_end == 332 and vocabulary.holds_sentinels
    assert [vocabulary.sentinel_id(k) for k in (0, 1, 11)] == [331, 330, 320]
    assert [vocabulary.piece(i) for i in (331, 320, 332)] == ["<extra_id_0>", "<extra_id_11>", "<?>"]
    text = "The <extra_id_0>, north <extra_id_11> door"
    ids = vocabulary.encode(text)
    assert [i for i in ids if i >= 320] == [331, 320]
    expected = "The <extra_id_0>, north <extra_id_11> door"
    assert vocabulary.decode(ids) == expected
    if mark:
        assert ids == Vocabulary(model, SENTINELS).encode(text)
    vocabulary.save_to(tmp_path / "saved")
    for other in (Vocabulary.load(tmp_path / "saved" / "vocabulary.model"), pickle.loads(pickle.dumps(vocabulary))):
        assert (other.size, other.sentinel_id(0), other.encode(text)) == (332, 331, ids)


def test_sentinels_below_other_pieces_are_what_objectives_use(model):
    names = [f"▁<extra_id_{k}>" for k in reversed(range(SENTINELS))]
    vocabulary = Vocabulary(with_pieces(model, names, before=20))
    assert (vocabulary.sentinels_end, vocabulary.sentinel_id(0), vocabulary.size) == (312, 311, 332)
    for kind in ("replace_spans", "bert_style", "mass_style"):
        for example in shown_examples(TEXT, vocabulary, ObjectiveConfig(kind=kind), inputs_length=40, seed=0):
            ids = set(example.input_ids) - set(vocabulary.encode(TEXT)) - {1}
            assert kind == "bert_style" or ids <= set(range(300, 312))
            assert 311 in ids and "<extra_id_0>" in example.inputs


def test_sentinels_in_another_order_are_read_but_not_trained_with(model):
    vocabulary = Vocabulary(with_pieces(model, [f"▁<extra_id_{k}>" for k in range(SENTINELS)]))
    assert [vocabulary.sentinel_id(k) for k in (0, 11)] == [320, 331]
    ids = vocabulary.encode("The <extra_id_0> door <extra_id_11>")
    assert [i for i in ids if i >= 320] == [320, 331]
    assert vocabulary.decode(ids) == "The <extra_id_0> door <extra_id_11>"
    with pytest.raises(ConfigError, match=r"12 sentinels.*fall one by one from <extra_id_0> on.*320, 321, 322"):
        _ = vocabulary.sentinels_end


def test_sentinels_of_a_model_with_a_gap_or_twice_are_refused(model):
    with pytest.raises(ConfigError, match=r"'<extra_id_1>': the model holds <extra_id_2> without it"):
        Vocabulary(with_pieces(model, ["▁<extra_id_2>", "▁<extra_id_0>"]))
    with pytest.raises(ConfigError, match=r"'▁<extra_id_0>': the model holds it twice, at ids 320 and 321"):
        Vocabulary(with_pieces(model, ["<extra_id_0>", "▁<extra_id_0>"]))


def test_another_number_of_sentinels_than_the_model_holds_is_refused(model, tmp_path):
    held = with_pieces(model, [f"▁<extra_id_{k}>" for k in reversed(range(SENTINELS))])
    assert Vocabulary(held, SENTINELS).size == 332
    with pytest.raises(ConfigError, match="num_sentinels=100: the model itself holds 12, <extra_id_0> at id 331"):
        Vocabulary(held, 100)
    path = tmp_path / "spiece.model"
    path.write_bytes(held)
    for content, fits in (('{"extra_ids": 0}', True), ('{"extra_ids": 12}', True), ('{"extra_ids": 100}', False)):
        (tmp_path / "tokenizer_config.json").write_text(content)
        if fits:
            assert Vocabulary.load(path).size == 332
        else:
            with pytest.raises(ConfigError, match="holds 12 sentinels itself, but the files beside it say 100"):
                Vocabulary.load(path)


def test_a_piece_that_only_looks_like_a_sentinel_is_none(model):
    vocabulary = Vocabulary(with_pieces(model, ["x<extra_id_0>"]), SENTINELS)
    assert (vocabulary.num_pieces, vocabulary.size, vocabulary.holds_sentinels) == (321, 333, False)
    assert vocabulary.encode("<extra_id_0>") == [332]


def test_a_model_that_was_cut_short_is_none_whatever_is_put_behind_it(model):
    for cut in range(1, 400, 7):
        with pytest.raises(ConfigError, match=r"not a SentencePiece model|have to be ids"):
            Vocabulary(model[:-cut])


def test_no_sentinels_at_all_leave_their_text(model):
    vocabulary = Vocabulary(model, 0)
    assert vocabulary.size == vocabulary.sentinels_end == 320
    assert vocabulary.decode(vocabulary.encode("a <extra_id_0> b")) == "a <extra_id_0> b"
