import functools
from pathlib import Path

import pytest
import torch
from small_run import MODEL, TRAIN, run_in

from t5core import from_hf, to_hf
from t5core.config import OptimizerConfig, VocabularyConfig
from t5core.model import T5
from t5core.training import checkpoint
from t5core.vocabulary import AddedToken, Vocabulary, train_vocabulary, write_hf

REFERENCE = Path(__file__).parents[2] / "conformance" / "data" / "model" / "t5_v1_1"


def same_weights(one, other):
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


@pytest.fixture
def convert(t5core):
    return functools.partial(t5core, "convert")


def test_a_folder_becomes_a_checkpoint_and_a_folder_again(convert, tmp_path):
    saved, back = tmp_path / "a" / "saved", tmp_path / "b" / "back"
    code, out, err = convert(REFERENCE, saved, "--step", "1000")
    assert (code, err) == (0, "")
    assert out == f"{saved}: checkpoint at step 1000, 47,744 parameters\n"
    read = checkpoint.load(saved)
    assert read.step == read.state["total_step"] == 1000
    assert same_weights(read.model(), from_hf(REFERENCE))
    assert convert(saved, back) == (0, f"{back}: Hugging Face folder, 47,744 parameters\n", "")
    assert same_weights(from_hf(back), from_hf(REFERENCE))


def test_training_goes_on_from_a_converted_folder(convert, tmp_path):
    to_hf(T5(MODEL).initialise(3), tmp_path / "folder")
    convert(tmp_path / "folder", tmp_path / "saved")
    start = checkpoint.load(tmp_path / "saved")
    config = TRAIN.replace(optimizer=OptimizerConfig())
    more = {"model": start.model(), "moments": start.optimizer(), "first_step": start.state["total_step"]}
    found = run_in(tmp_path / "run", config, **more).run()
    assert found.last_loss == run_in(tmp_path / "direct", config, model=T5(MODEL).initialise(3)).run().last_loss


def test_the_vocabulary_goes_along_both_ways_with_what_was_added_to_it(convert, tmp_path):
    config = VocabularyConfig(num_pieces=286, num_sentinels=10, train_chars=10_000)
    trained = train_vocabulary([f"the door faces north {i}" for i in range(99)], config, tmp_path / "vocabulary")
    vocabulary = Vocabulary(trained.model, 10, [AddedToken(content="\n", id=296)])
    model = T5(MODEL.replace(vocab_size=384)).initialise(3)
    to_hf(model, tmp_path / "theirs")
    write_hf(vocabulary, tmp_path / "theirs")
    assert convert(tmp_path / "theirs", tmp_path / "ours")[::2] == (0, "")
    assert convert(tmp_path / "ours", tmp_path / "back")[::2] == (0, "")
    for path in (tmp_path / "ours" / "vocabulary.model", tmp_path / "back" / "spiece.model"):
        found = Vocabulary.load(path)
        assert (found.num_sentinels, found.added_tokens) == (10, vocabulary.added_tokens)
        assert found.encode("the <extra_id_0>\n door") == vocabulary.encode("the <extra_id_0>\n door")
    names = sorted(path.name for path in (tmp_path / "theirs").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "back").iterdir())
    assert all((tmp_path / "theirs" / name).read_bytes() == (tmp_path / "back" / name).read_bytes() for name in names)
    assert same_weights(checkpoint.load(tmp_path / "ours").model(), model)


def test_a_vocabulary_that_does_not_fit_is_said_before_anything_is_written(convert, tmp_path):
    config = VocabularyConfig(num_pieces=286, num_sentinels=10, train_chars=10_000)
    trained = train_vocabulary([f"the door faces north {i}" for i in range(99)], config, tmp_path / "vocabulary")
    to_hf(T5(MODEL.replace(vocab_size=384)).initialise(3), tmp_path / "theirs")
    write_hf(Vocabulary(trained.model, 10, [AddedToken(content="{", id=400)]), tmp_path / "theirs")
    code, _, err = convert(tmp_path / "theirs", tmp_path / "ours")
    assert code == 2 and "added tokens up to '{' (id 400 in" in err and "but the model 384 ids" in err
    assert err.count("\n") == 1 and not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "new"), "FROM='nowhere': no state.json and no config.json is there"),
        ((REFERENCE, "."), "TO='.': it is there already"),
        ((REFERENCE, "new", "--step", "-1"), "step='-1': give a whole number from 0 up"),
    ],
)
def test_what_cannot_be_converted_is_said_in_one_line(convert, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = convert(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"t5core: error: {message}") and err.count("\n") == 1


def test_a_checkpoint_knows_its_own_step(convert, tmp_path):
    convert(REFERENCE, tmp_path / "saved")
    code, _, err = convert(tmp_path / "saved", tmp_path / "new", "--step", "3")
    assert code == 2 and "a checkpoint knows its step" in err
