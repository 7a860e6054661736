"""Tokens that were added in a Hugging Face folder are read in text, shown in answers, kept, or refused by name."""

import json
import pickle

import pytest

from t5core.config import VocabularyConfig
from t5core.errors import ConfigError
from t5core.vocabulary import AddedToken, Vocabulary, load_trained, train_vocabulary, write_hf

PIECES, SENTINELS = 320, 12
BRACE, LINE = PIECES + SENTINELS, PIECES + SENTINELS + 1
TEXT = "explain: if (x) return y; The door of the house faces the north, and the harbour wakes."
PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = VocabularyConfig(num_pieces=PIECES, num_sentinels=SENTINELS, character_coverage=1.0, train_chars=100_000)
    folder = tmp_path_factory.mktemp("vocabulary")
    train_vocabulary([f"{TEXT} {i} {TEXT[::-1]}" for i in range(200)], config, folder)
    return (folder / "vocabulary.model").read_bytes()


@pytest.fixture
def folder(model, tmp_path):
    """Writes a folder's files and returns its model file."""

    def write(**files):
        (tmp_path / "spiece.model").write_bytes(model)
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path / "spiece.model"

    return write


def added(**tokens):
    return [AddedToken(content=content, id=token) for content, token in tokens.items()]


def decoder(**more):
    """As transformers writes it: special pieces and sentinels too."""
    special = dict(PLAIN, special=True, normalized=False)
    names = {0: "<pad>", 1: "</s>", 2: "<unk>"} | {PIECES + i: f"<extra_id_{SENTINELS - 1 - i}>" for i in range(12)}
    tokens = {str(i): {"content": name, **special} for i, name in names.items()}
    return tokens | {token: {**PLAIN, **values} for token, values in more.items()}


FORMS = {
    "added_tokens": {"added_tokens": {"{": BRACE, "\n": LINE}, "tokenizer_config": {"extra_ids": 12}},
    "sentinels, too": {
        "added_tokens": {"{": BRACE, "\n": LINE, **{f"<extra_id_{k}>": BRACE - 1 - k for k in range(12)}},
    },
    "decoder": {
        "tokenizer_config": {
            "extra_ids": 12,
            "added_tokens_decoder": decoder(**{str(BRACE): {"content": "{"}, str(LINE): {"content": "\n"}}),
            "additional_special_tokens": [f"<extra_id_{k}>" for k in range(12)],
        },
        "added_tokens": {"{": BRACE},
    },
    "tokenizer.json": {
        "tokenizer": {
            "added_tokens": [
                {"id": int(token), **values}
                for token, values in decoder(
                    **{str(BRACE): {"content": "{", "special": True}, str(LINE): {"content": "\n"}}
                ).items()
            ]
        },
        "special_tokens_map": {"additional_special_tokens": ["{", {"content": "<extra_id_3>"}]},
    },
    "ours": {
        "vocabulary": {
            "num_sentinels": 12,
            "added_tokens": [{"content": "{", "id": BRACE}, {"content": "\n", "id": LINE}],
        }
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_added_tokens_are_read_in_every_form_that_folders_have(model, folder, form):
    vocabulary = load_trained(folder(**FORMS[form]), LINE + 1)
    plain = Vocabulary(model, SENTINELS)
    assert (vocabulary.num_pieces, vocabulary.num_sentinels, vocabulary.size) == (PIECES, SENTINELS, LINE + 1)
    assert [(token.content, token.id) for token in vocabulary.added_tokens] == [("{", BRACE), ("\n", LINE)]
    assert vocabulary.sentinel_id(0) == vocabulary.sentinels_end - 1 == BRACE - 1
    text = "explain: if (x) {\n return <extra_id_0>; }"
    expected = [*plain.encode("explain: if (x)"), BRACE, LINE, *plain.encode("return <extra_id_0>; }")]
    assert vocabulary.encode(text) == expected
    assert vocabulary.encode_batch(["the door", text, "{"]) == [plain.encode("the door"), expected, [BRACE]]
    ids, sizes = vocabulary.encode_flat(["the door", text])
    assert ids.tolist() == [*plain.encode("the door"), *expected] and sizes[1] == len(expected)
    assert vocabulary.decode([*expected, 1, BRACE]) == "explain: if (x){\n return <extra_id_0>; }"
    assert vocabulary.decode([BRACE, 0, LINE]) == "{\n" and vocabulary.decode([LINE, *plain.encode("x")]) == "\n x"
    assert (vocabulary.piece(BRACE), vocabulary.piece(LINE + 1)) == ("{", "<?>")


def test_the_longest_of_several_is_taken_and_flags_are_heeded(model):
    tokens = [
        *added(**{"<a": 332, "<ab>": 333, "<": 334}),
        AddedToken(content="[l]", id=335, lstrip=True),
        AddedToken(content="[r]", id=336, rstrip=True),
        AddedToken(content="ho", id=337, single_word=True),
    ]
    vocabulary = Vocabulary(model, SENTINELS, tokens)
    assert vocabulary.encode("<ab><a<") == [333, 332, 334]
    assert vocabulary.encode("\n [l]\n") == [335] and vocabulary.encode("[r] \n[r]") == [336, 336]
    the = Vocabulary(model, SENTINELS).encode("the")
    assert vocabulary.encode("the ho, the") == [*the, 337, *Vocabulary(model, SENTINELS).encode(", the")]
    assert 337 not in vocabulary.encode("house hoho ho_")


def test_a_vocabulary_with_added_tokens_goes_through_files_and_processes(model, tmp_path):
    tokens = [*added(**{"{": BRACE}), AddedToken(content="[x]", id=400, special=True, normalized=False, lstrip=True)]
    vocabulary = Vocabulary(model, SENTINELS, tokens)
    vocabulary.save_to(tmp_path / "ours")
    write_hf(vocabulary, tmp_path / "theirs")
    ids = vocabulary.encode("if [x] {")
    assert vocabulary.size == 401 and ids[-2:] == [400, BRACE]
    for back in (
        pickle.loads(pickle.dumps(vocabulary)),
        Vocabulary.load(tmp_path / "ours" / "vocabulary.model"),
        Vocabulary.load(tmp_path / "theirs" / "spiece.model"),
    ):
        assert back.added_tokens == vocabulary.added_tokens
        assert (back.size, back.num_sentinels, back.encode("if [x] {")) == (401, SENTINELS, ids)
    assert json.loads((tmp_path / "theirs" / "added_tokens.json").read_text()) == {"{": BRACE, "[x]": 400}


def test_transformers_reads_the_same_ids_in_the_folder_that_is_written(model, tmp_path):
    from transformers import T5Tokenizer

    write_hf(Vocabulary(model, SENTINELS, added(**{"{": BRACE, "}": BRACE + 1})), tmp_path)
    theirs = T5Tokenizer.from_pretrained(tmp_path)
    assert len(theirs) == BRACE + 2
    names = ["<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_11>", "{", "}"]
    assert theirs.convert_tokens_to_ids(names) == [0, 1, 2, BRACE - 1, PIECES, BRACE, BRACE + 1]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"added_tokens": {"{": 325}, "tokenizer_config": {"extra_ids": 12}},
            r"'\{': it has id 325 in .*added_tokens\.json, which is that of '▁<extra_id_6>': give ids from 332 up",
        ),
        ({"added_tokens": {"{": 325}}, r"which is that of '▁<extra_id_94>'"),
        ({"added_tokens": {"{": 20}}, r"'\{': .*which is that of '<0x11>'"),
        ({"added_tokens": {"<extra_id_0>": 320}, "tokenizer_config": {"extra_ids": 12}}, r"it at 331: take it out"),
        ({"added_tokens": {"<extra_id_1>": 330, "<extra_id_3>": 328}}, r"<extra_id_3> without it: name all of them"),
        ({"added_tokens": {"<extra_id_12>": 332}, "tokenizer_config": {"extra_ids": 12}}, "the vocabulary has 12 sent"),
        ({"added_tokens": {"</s>": 332}, "tokenizer_config": {"extra_ids": 12}}, r"'</s>': .* has it at 1: take it"),
        (
            {"added_tokens": {"{": 332}, "tokenizer_config": {"added_tokens_decoder": {"333": {"content": "{"}}}},
            r"'\{': it has id 332 in .*added_tokens\.json, but '\{' \(id 333 in .*tokenizer_config\.json\) is",
        ),
        ({"added_tokens": {"{": 332, "}": 332}}, r"'\}': it has id 332 .*'\{' \(id 332 .*take the wrong one out"),
        (
            {"tokenizer_config": {"additional_special_tokens": ["<sep>"]}},
            r"'<sep>': .*tokenizer_config\.json names it, but no file says its id: write it into added_tokens\.json",
        ),
        (
            {"special_tokens_map": {"additional_special_tokens": [{"content": "<sep>"}]}},
            r"special_tokens_map\.json nam",
        ),
        (
            {"tokenizer_config": {"extra_ids": 12, "sep_token": "<sep>"}},
            r"^sep_token='<sep>': .*tokenizer_config\.json names it, but it is no piece of the model and no file "
            r"says its id: write it into added_tokens\.json, or take it out$",
        ),
        (
            {"tokenizer_config": {"extra_ids": 12, "mask_token": {"content": "<mask>"}}},
            r"^mask_token='<mask>': .*tokenizer_config\.json names it",
        ),
        (
            {"special_tokens_map": {"bos_token": "<s>"}, "tokenizer_config": {"extra_ids": 12}},
            r"^bos_token='<s>': .*special_tokens_map\.json names it",
        ),
        ({"tokenizer_config": {"cls_token": 3}}, r"^cls_token=3: this is no token in .*tokenizer_config\.json"),
        (
            {"tokenizer_config": {"extra_ids": 12, "sep_token": "<extra_id_12>"}},
            r"^sep_token='<extra_id_12>': .*tokenizer_config\.json names it",
        ),
        (
            {"tokenizer_config": {"extra_ids": 0, "additional_special_tokens": ["<extra_id_0>"]}},
            r"'<extra_id_0>': the files beside .*spiece\.model name it, but 0 sentinels are there",
        ),
        ({"tokenizer_config": {"extra_ids": "many"}}, r"extra_ids='many': give a whole number"),
        ({"tokenizer_config": {"legacy": False}, "added_tokens": {"{": 420}}, "legacy=False: text is cut at added"),
        ({"added_tokens": {"{": "420"}, "tokenizer_config": "{"}, r"tokenizer_config\.json': not readable as JSON"),
        ({"added_tokens": [3]}, r"added_tokens\.json': give a JSON object"),
        ({"added_tokens": {"{": None}}, r"'\{': it has no id but None in .*added_tokens\.json"),
        ({"added_tokens": {"": 420}}, r"'': it is no text in"),
        (
            {"tokenizer": {"added_tokens": [{"id": 420, "content": "{", "lstrip": 1}]}},
            "has lstrip 1, not true or false",
        ),
        ({"tokenizer": {"added_tokens": {"{": 420}}}, r"not in the form of Hugging Face in .*tokenizer\.json"),
        (
            {"vocabulary": {"num_sentinels": 12, "added_tokens": [3]}},
            r"added token=3: it is no object .*vocabulary\.json",
        ),
        (
            {"added_tokens": {"{": 420}},
            r"added tokens up to '\{' \(id 420 in .*added_tokens\.json\), but the model 420 ",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_token_file_and_way_out(folder, files, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_trained(folder(**files), 420)
    assert "\n" not in str(caught.value)


def test_tokens_may_be_named_for_what_they_do(model, folder, tmp_path):
    piece = Vocabulary(model, SENTINELS).piece(PIECES - 1)
    config = {"extra_ids": 12, "eos_token": "</s>", "unk_token": {"content": "<unk>"}, "pad_token": "<pad>"}
    roles = {"bos_token": None, "sep_token": "<extra_id_0>", "cls_token": piece, "mask_token": "{"}
    vocabulary = load_trained(folder(tokenizer_config={**config, **roles}, added_tokens={"{": BRACE}), BRACE + 1)
    assert (vocabulary.num_sentinels, vocabulary.size) == (SENTINELS, BRACE + 1)
    (tmp_path / "added_tokens.json").unlink()
    alone = Vocabulary.load(folder(tokenizer_config={"mask_token": "<extra_id_0>"}))
    assert alone.num_sentinels == 100  # it does not say how many there are


def test_tokens_that_name_pieces_of_the_model_keep_their_ids(model):
    plain = Vocabulary(model, SENTINELS)
    token = next(i for i in range(259, PIECES) if plain.piece(i).isalpha() and len(plain.piece(i)) > 1)
    content = plain.piece(token)
    vocabulary = Vocabulary(model, SENTINELS, added(**{content: token}))
    assert vocabulary.size == plain.size
    assert vocabulary.encode(f"x{content}") == [*plain.encode("x"), token]


def test_added_tokens_right_above_the_pieces_leave_no_room_for_sentinels(folder):
    vocabulary = load_trained(folder(added_tokens={"{": PIECES}), PIECES + 1)
    assert (vocabulary.num_sentinels, vocabulary.size) == (0, PIECES + 1)
    assert vocabulary.encode("{") == [PIECES]
