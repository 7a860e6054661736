"""``t5core generate`` on small models with random weights and a vocabulary of its own: what it prints is what
``decode`` gives."""

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from t5core import to_hf
from t5core.config import DecodeConfig, ModelConfig, VocabularyConfig
from t5core.decoding import decode
from t5core.devices import open_device
from t5core.model import T5
from t5core.tasks import get_task
from t5core.training import AdaFactor, checkpoint
from t5core.vocabulary import EOS_ID, Vocabulary, train_vocabulary

PIECES, SENTINELS = 300, 10
MODEL = ModelConfig(
    vocab_size=PIECES + SENTINELS,
    d_model=32,
    d_kv=8,
    d_ff=48,
    num_heads=4,
    num_encoder_layers=2,
    num_decoder_layers=2,
)
WORDS = ["rain", "snow", "river", "letter", "window", "table", "fell", "rose", "wrote", "opened", "slowly", "again"]
EXAMPLES = [{"sentence": f"The {a} {b} {a}.", "label": i % 2} for i, (a, b) in enumerate(pairwise(WORDS[:8]))]
COLA = [
    {"inputs": f"cola sentence: {e['sentence']}", "targets": ("unacceptable", "acceptable")[e["label"]]}
    for e in EXAMPLES
]
PAIRS = [
    {"inputs": "question: What fell? context: Rain fell.", "targets": "Rain"},
    {
        "inputs": "question: Who wrote the letter again? context: Ann.",
        "targets": "Ann",
        "context": {"answers": ["Ann"]},
    },
]


pytestmark = pytest.mark.usefixtures("one_thread")


def lively(config):
    """A random model whose answers depend on more than the token before."""
    model = T5(config).initialise(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.split(".")[-2] in ("o", "wo"):
                weight.mul_(6.0)
    return model.eval()


def saved(model, folder):
    checkpoint.save(folder, 5, model.config, model.state_dict(), AdaFactor(list(model.named_parameters())).moments, {})


class Parts:
    """A vocabulary, and models with it as they lie on disk."""

    def __init__(self, folder):
        texts = [f"{a} {b} {c}: what, the {c} {a}? {i}" for i, a in enumerate(WORDS) for b in WORDS for c in WORDS]
        config = VocabularyConfig(num_pieces=PIECES, num_sentinels=SENTINELS, train_chars=100_000)
        self.vocabulary = train_vocabulary(texts, config, folder / "vocabulary")
        self.model = lively(MODEL)
        self.stage = folder / "spans-0a1b2c"
        saved(self.model, self.stage / "final")
        shutil.copy(folder / "vocabulary" / "vocabulary.model", self.stage / "final")
        self.hf = folder / "hf"
        to_hf(self.model, self.hf)
        shutil.copy(folder / "vocabulary" / "vocabulary.model", self.hf / "spiece.model")
        shutil.copy(folder / "vocabulary" / "vocabulary.json", self.hf)
        self.folder = folder

    def answers(self, texts, model=None, ending=(EOS_ID,), **settings):
        """What ``decode`` says, one text at a time."""
        config = DecodeConfig(**settings)
        out = []
        for text in texts:
            ids = np.array([[*self.vocabulary.encode(text), *ending]])
            generated = decode(model or self.model, ids, config, open_device("cpu"))
            out.append(self.vocabulary.decode(generated[0].tolist()))
        return out


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return Parts(tmp_path_factory.mktemp("generate"))


@pytest.fixture
def generate(t5core):
    """Runs ``t5core generate`` on some standard input and returns exit code, rows and stderr."""

    def run(*arguments, stdin=""):
        code, out, err = t5core("generate", *arguments, stdin=stdin)
        return code, [json.loads(line) for line in out.splitlines()], err

    return run


def as_rows(pairs, predictions):
    keys = ("inputs", "target", "prediction")
    return [
        dict(zip(keys, (pair["inputs"], pair["targets"], text), strict=True))
        for pair, text in zip(pairs, predictions, strict=True)
    ]


@pytest.mark.parametrize("place", ["", "final"])
def test_hub_examples_of_a_file_are_answered_in_order_as_decode_does(generate, parts, tmp_path, place):
    path = tmp_path / "cola.jsonl"
    path.write_text("\n".join(map(json.dumps, EXAMPLES)))
    code, rows, err = generate(parts.stage / place, "--task", "glue_cola", "--file", path, "--batch-size", 3)
    assert (code, err) == (0, "")
    new = get_task("glue_cola").max_targets_tokens
    predictions = parts.answers([pair["inputs"] for pair in COLA], max_new_tokens=min(new, 128))
    assert rows == as_rows(COLA, predictions)
    assert len(set(predictions)) > 3  # the model listens


def test_pairs_from_standard_input_are_taken_as_they_are_for_every_task(generate, parts):
    predictions = parts.answers([pair["inputs"] for pair in PAIRS], max_new_tokens=6)
    for task in ("doc_qa", "squad"):
        code, rows, err = generate(parts.stage, "--task", task, "--max-new-tokens", 6, stdin=PAIRS)
        assert (code, rows, err) == (0, as_rows(PAIRS, predictions), "")
    mixed = [PAIRS[0], EXAMPLES[2], PAIRS[1]]
    _, rows, _ = generate(parts.stage, "--task", "glue_cola", "--limit", 2, stdin=mixed)
    assert [row["inputs"] for row in rows] == [PAIRS[0]["inputs"], COLA[2]["inputs"]]


def test_a_hugging_face_folder_answers_as_the_checkpoint_does_with_beams_too(generate, parts):
    options = ("--task", "glue_cola", "--max-new-tokens", 7)
    for beams in (1, 3):
        given = (*options, "--num-beams", beams)
        predictions = parts.answers([pair["inputs"] for pair in COLA], max_new_tokens=7, num_beams=beams)
        for folder in (parts.hf, parts.stage):
            assert generate(folder, *given, stdin=EXAMPLES)[1] == as_rows(COLA, predictions)
    assert predictions != parts.answers([pair["inputs"] for pair in COLA], max_new_tokens=7)


@pytest.mark.parametrize("architecture", ["language_model", "prefix_lm"])
def test_a_decoder_only_model_reads_the_marker_behind_its_inputs(generate, parts, tmp_path, architecture):
    model = lively(MODEL.replace(architecture=architecture, num_encoder_layers=0))
    saved(model, tmp_path / "final")
    marker = parts.vocabulary.encode("target:")
    options = ("--task", "glue_cola", "--max-new-tokens", 5, "--vocabulary", parts.folder / "vocabulary")
    code, rows, err = generate(tmp_path, *options, stdin=EXAMPLES)
    predictions = parts.answers([pair["inputs"] for pair in COLA], model, marker, max_new_tokens=5)
    assert (code, rows, err) == (0, as_rows(COLA, predictions), "")
    assert predictions != parts.answers([pair["inputs"] for pair in COLA], model, max_new_tokens=5)


def test_score_says_the_metrics_and_how_many_outputs_are_no_label(generate, parts):
    code, rows, err = generate(parts.hf, "--task", "glue_cola", "--score", stdin=EXAMPLES)
    assert code == 0 and len(rows) == len(EXAMPLES)
    assert (
        err == f"t5core: matthews_corrcoef 0.00; {len(rows)} of {len(rows)} outputs are nothing that a target can be\n"
    )
    answers = generate(parts.hf, "--task", "squad", stdin=PAIRS)[1]
    pairs = [dict(PAIRS[0], context={"answers": ["Snow", answers[0]["prediction"]]}), PAIRS[1]]
    err = generate(parts.hf, "--task", "squad", "--score", stdin=pairs)[2]
    assert err == "t5core: em 50.00, f1 50.00; 0 of 2 outputs are nothing that a target can be\n"


def test_a_tasks_own_set_is_read_from_a_folder_20_pairs_unless_told(generate, parts, tmp_path):
    (tmp_path / "cola").mkdir()
    many = [dict(EXAMPLES[i % len(EXAMPLES)], idx=i) for i in range(23)]
    (tmp_path / "cola" / "validation.jsonl").write_text("\n".join(map(json.dumps, many)))
    options = (parts.stage, "--task", "glue_cola", "--max-new-tokens", 1, "--data-dir", tmp_path)
    code, rows, err = generate(*options)
    assert code == 0 and err == "t5core: these are the first 20 of validation; --limit N takes more\n"
    assert [row["inputs"] for row in rows] == [COLA[i % len(COLA)]["inputs"] for i in range(20)]
    assert [len(generate(*options, "--split", "validation", "--limit", n)[1]) for n in (2, 22, 99)] == [2, 22, 23]
    (tmp_path / "cola" / "test.jsonl").write_text("\n".join(json.dumps(dict(row, label=-1)) for row in many[:2]))
    assert [row["target"] for row in generate(*options, "--split", "test")[1]] == ["<unk>", "<unk>"]
    code, rows, err = generate(*options, "--split", "test", "--score")
    assert (code, rows) == (2, []) and "cola/test.jsonl:1: label=-1: task 'glue_cola' has no label" in err
    code, rows, err = generate(*options, "--split", "train")
    assert (code, rows) == (2, []) and "split='train': no file train.jsonl" in err


def test_long_inputs_are_cut_and_it_is_said(generate, parts):
    long = {"inputs": "rain " * 50, "targets": ""}
    ids = parts.vocabulary.encode(long["inputs"])
    options = ("--task", "doc_qa", "--max-new-tokens", 4, "--inputs-length", 9)
    _, rows, err = generate(parts.stage, *options, stdin=[{"inputs": "rain", "targets": ""}, long])
    assert f"1 of 2 inputs are longer than 9 tokens and are cut; the longest has {len(ids) + 1}:" in err
    cut = decode(parts.model, np.array([[*ids[:8], EOS_ID]]), DecodeConfig(max_new_tokens=4), open_device("cpu"))
    assert rows[1]["prediction"] == parts.vocabulary.decode(cut[0].tolist())


def test_a_vocabulary_is_a_file_or_a_folder_and_has_to_fit(generate, parts, tmp_path):
    bare = tmp_path / "bare"
    to_hf(parts.model, bare)
    run = (bare, "--task", "doc_qa", "--max-new-tokens", 2)
    code, _, err = generate(*run, stdin=PAIRS)
    assert code == 2 and err == (
        f"t5core: error: vocabulary='{bare}': no vocabulary.model and no spiece.model is there: "
        "give the model's vocabulary, --vocabulary FILE_OR_FOLDER\n"
    )
    for place in (parts.folder / "vocabulary", parts.hf, parts.stage / "final" / "vocabulary.model"):
        assert generate(*run, "--vocabulary", place, stdin=PAIRS)[::2] == (0, "")
    for place, message in ((tmp_path, "no spiece.model is there"), (tmp_path / "x.model", "No such file")):
        code, _, err = generate(*run, "--vocabulary", place, stdin=PAIRS)
        assert code == 2 and f"vocabulary='{place}': " in err and message in err
    model = (parts.folder / "vocabulary" / "vocabulary.model").read_bytes()
    for above, fits in ((-20, False), (-1, False), (0, True), (100, True), (227, True), (228, False)):
        folder = (
            tmp_path / f"rows{above}"
        )  # without vocabulary.json, up to 100 sentinels and 127 rows that no text uses
        to_hf(lively(MODEL.replace(vocab_size=PIECES + above)), folder)
        (folder / "spiece.model").write_bytes(model)
        code, _, err = generate(folder, *run[1:], stdin=PAIRS)
        assert code == (0 if fits else 2), above
        assert fits or f"{PIECES} pieces and 100 sentinels, but the model {PIECES + above} ids: give the one of" in err
    Vocabulary(model, 30).save_to(tmp_path / "more")
    code, _, err = generate(*run, "--vocabulary", tmp_path / "more", stdin=PAIRS)
    assert code == 2 and "it has 300 pieces and 30 sentinels, but the model 310 ids" in err


@pytest.mark.parametrize("sentinels", [SENTINELS, 130])
def test_sentinels_have_the_ids_of_training_also_where_only_the_pieces_lie_beside_a_checkpoint(
    generate, parts, tmp_path, sentinels
):
    model = lively(MODEL.replace(vocab_size=PIECES + sentinels))
    saved(model, tmp_path / "final")
    source = parts.folder / "vocabulary" / "vocabulary.model"
    shutil.copy(source, tmp_path / "final")
    pair = {"inputs": "cloze passage: The <extra_id_0> fell.", "targets": "rain"}
    rows = generate(tmp_path, "--task", "doc_cloze", "--max-new-tokens", 8, stdin=[pair])[1]
    vocabulary = Vocabulary(source.read_bytes(), sentinels)
    ids = np.array([[*vocabulary.encode(pair["inputs"]), EOS_ID]])
    assert PIECES + sentinels - 1 in ids
    found = decode(model, ids, DecodeConfig(max_new_tokens=8), open_device("cpu"))
    assert rows == as_rows([pair], [vocabulary.decode(found[0].tolist())])


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("--task", "glue_colo"), "", "tasks='glue_colo': choose from"),
        ((), "", "the following arguments are required: --task"),
        (("--task", "glue_cola"), "", "file='stdin': there is nothing in it"),
        (("--task", "glue_cola"), [EXAMPLES[0], {"label": 1}], "stdin:2: sentence=None: the example has no such"),
        (("--task", "doc_qa"), [EXAMPLES[0]], "stdin:1: inputs=None: the example has no such field"),
        (("--task", "doc_qa"), [dict(PAIRS[0], context=3)], "stdin:1: context=3: this field has to be an object"),
        (
            ("--task", "doc_qa"),
            [{"inputs": "\ud83d", "targets": ""}],
            "stdin:1: inputs='\\ud83d': this is no text",
        ),
        (("--task", "glue_cola", "--score"), [PAIRS[0]], "stdin:1: target='Rain'"),
        (
            ("--task", "glue_cola", "--score"),
            [EXAMPLES[0], dict(EXAMPLES[1], label=-1)],
            "stdin:2: label=-1: task 'glue_cola' has no label in this line: -1 means unlabelled",
        ),
        (
            ("--task", "glue_cola"),
            [dict(PAIRS[0], targets=None)],
            "stdin:1: targets=None: targets is null in this line",
        ),
        (("--task", "glue_cola"), [dict(EXAMPLES[0], sentence=None)], "stdin:1: sentence=None: sentence is null"),
        (("--task", "glue_cola", "--file", "nowhere"), "", "file='nowhere': cannot be read"),
        (("--task", "glue_cola", "--file", "f", "--split", "train"), "", "file='f': give lines, or --data-dir"),
        (
            ("--task", "doc_qa", "--data-dir", "."),
            "",
            "task='doc_qa': its examples are made from a corpus: give --file",
        ),
        (("--task", "glue_cola", "--data-dir", "nowhere"), "", "data_dir='nowhere': no such set there"),
        (("--task", "glue_cola", "--split", "dev"), "", "split='dev': choose one of train, validation, test"),
        (("--task", "glue_cola", "--num-beams", "0"), "", "num_beams='0': give a whole number from 1 up to 4,096"),
        (("--task", "glue_cola", "--batch-size", "x"), "", "batch_size='x': give a whole number from 1 up\n"),
        (("--task", "glue_cola", "--limit", ""), "", "limit='': give a whole number from 1 up\n"),
        (("--task", "glue_cola", "--device", "gpu"), "", "device='gpu': choose one of auto, cpu, cuda, xla"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(generate, parts, arguments, stdin, message):
    code, rows, err = generate(parts.stage, *arguments, stdin=stdin)
    assert (code, rows) == (2, []) and message in err
    assert err.startswith("t5core: error: ") and err.count("\n") == 1


def test_a_folder_that_is_no_model_and_one_that_is_broken(generate, parts, tmp_path):
    code, _, err = generate(tmp_path, "--task", "doc_qa", stdin=PAIRS)
    assert code == 2 and err == (
        f"t5core: error: CHECKPOINT='{tmp_path}': no state.json, no final/state.json and no config.json is there: "
        "give a checkpoint or a Hugging Face T5 folder\n"
    )
    broken = tmp_path / "final"
    shutil.copytree(parts.stage / "final", broken)
    with (broken / "model.safetensors").open("ab") as file:
        file.write(b"x")
    code, _, err = generate(tmp_path, "--task", "doc_qa", stdin=PAIRS)
    assert code == 2 and "its checksum does not hold" in err and err.count("\n") == 1


def test_added_tokens_of_a_hugging_face_folder_are_read_and_shown(generate, parts, tmp_path):
    rows = PIECES + SENTINELS + 2
    model = lively(MODEL.replace(vocab_size=rows, tied_embeddings=False))
    with torch.no_grad():  # answers are nothing but these two
        model.lm_head.weight[: PIECES + SENTINELS] = 0
    to_hf(model, tmp_path)
    shutil.copy(parts.hf / "spiece.model", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"extra_ids": SENTINELS}))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"{": rows - 2, "\n": rows - 1}))
    pair = {"inputs": "rain {\n <extra_id_0>, rose", "targets": "x"}
    ids = [*parts.vocabulary.encode("rain"), rows - 2, rows - 1, *parts.vocabulary.encode("<extra_id_0>, rose"), EOS_ID]
    found = decode(model, np.array([ids]), DecodeConfig(max_new_tokens=6), open_device("cpu"))[0].tolist()
    expected = "".join({rows - 2: "{", rows - 1: "\n"}.get(i, "") for i in found)
    answers = generate(tmp_path, "--task", "doc_qa", "--max-new-tokens", 6, stdin=[pair])[1]
    assert answers == as_rows([pair], [expected]) and expected
    (tmp_path / "added_tokens.json").write_text(json.dumps({"{": PIECES}))
    code, answers, err = generate(tmp_path, "--task", "doc_qa", stdin=[pair])
    assert (code, answers) == (2, []) and err.count("\n") == 1
    assert err.startswith(f"t5core: error: added token='{{': it has id 300 in {tmp_path / 'added_tokens.json'}, which")


def test_sentinels_that_the_sentencepiece_model_holds_have_its_ids(generate, parts, tmp_path):
    proto = ModelProto.FromString((parts.hf / "spiece.model").read_bytes())
    for k in reversed(range(SENTINELS)):
        proto.pieces.add(piece=f"▁<extra_id_{k}>", score=0.0, type=4)
    model = lively(MODEL.replace(vocab_size=384))  # with rows that no text uses, as mT5
    to_hf(model, tmp_path)
    (tmp_path / "spiece.model").write_bytes(proto.SerializeToString())
    pair = {"inputs": "the <extra_id_0>, rose <extra_id_9>", "targets": "x"}
    ids = [*parts.vocabulary.encode(pair["inputs"]), EOS_ID]
    assert ids.count(309) == ids.count(300) == 1
    found = decode(model, np.array([ids]), DecodeConfig(max_new_tokens=6), open_device("cpu"))[0].tolist()
    answers = generate(tmp_path, "--task", "doc_qa", "--max-new-tokens", 6, stdin=[pair])[1]
    assert answers == as_rows([pair], [parts.vocabulary.decode(found)])


def test_sentinels_that_are_read_as_text_are_counted(generate, parts):
    texts = ["the <extra_id_0>, rose", "the (<extra_id_0>) rose", "no <extra_id_10>", "<extra_id_1><extra_id_1>"]
    pairs = [{"inputs": text, "targets": ""} for text in texts]
    _, _, err = generate(parts.stage, "--task", "doc_qa", "--max-new-tokens", 1, stdin=pairs)
    assert "2 of 4 inputs have an <extra_id_k> right behind a word or sign: it is plain text there" in err
    _, _, err = generate(parts.stage, "--task", "doc_qa", "--max-new-tokens", 1, stdin=pairs[:1])
    assert err == ""


def test_a_model_with_a_weight_that_is_not_finite_answers_nothing(generate, parts, tmp_path):
    model = lively(MODEL)
    with torch.no_grad():
        model.decoder.final_norm.weight[2] = torch.inf
    saved(model, tmp_path / "ours")
    to_hf(model, tmp_path / "theirs")
    for place, name in (("ours", "decoder.final_norm.weight"), ("theirs", "decoder.final_layer_norm.weight")):
        code, rows, err = generate(tmp_path / place, "--task", "doc_qa", stdin=PAIRS)
        path = tmp_path / place / "model.safetensors"
        assert (code, rows) == (2, []) and err.count("\n") == 1
        assert err.startswith(f"t5core: error: tensor='{name}': 1 of its 32 values in {path} are not finite")


def test_examples_that_give_no_pair_are_said(generate, parts):
    example = {"text": "Ann saw Bo. She left.", "span1_text": "Bo", "span2_text": "She", "span2_index": 3, "label": 0}
    code, rows, err = generate(parts.stage, "--task", "super_glue_wsc_train", stdin=[example])
    assert (code, rows) == (2, [])
    assert err == "t5core: error: task='super_glue_wsc_train': none of the examples gives a pair of text: give others\n"
