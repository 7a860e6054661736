import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_run import MODEL, TRAIN, CopyFeed

from t5core.devices import open_device
from t5core.errors import CheckpointError
from t5core.model import T5
from t5core.training import checkpoint
from t5core.training.step import TrainStep

FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


@pytest.fixture(scope="module")
def trained():
    step = TrainStep(T5(MODEL).initialise(0), TRAIN, open_device("cpu"))
    for i in range(2):
        step(CopyFeed().batch(i), i)
    return step


def save(trained, root, step):
    weights, moments = trained.model.state_dict(), trained.optimizer.moments
    folder = checkpoint.step_folder(root, step)
    return checkpoint.save(folder, step, trained.model.config, weights, moments, {"total_step": 70 + step})


def test_a_checkpoint_comes_back_in_the_same_bits(trained, tmp_path):
    saved = save(trained, tmp_path, 2)
    back = checkpoint.load(saved.folder)
    assert (back.step, back.state["total_step"], back.folder.name) == (2, 72, "step-00000002")
    assert sorted(path.name for path in saved.folder.iterdir()) == sorted(FILES)
    model, moments = back.model(), back.optimizer()
    assert not model.training
    assert model.config == MODEL
    assert model.state_dict().keys() == trained.model.state_dict().keys()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in trained.model.state_dict().items())
    assert moments.keys() == trained.optimizer.moments.keys()
    assert all(torch.equal(value, moments[name]) for name, value in trained.optimizer.moments.items())


def test_a_weight_that_is_not_finite_is_refused_by_tensor_file_and_number(trained, tmp_path):
    weights = {name: tensor.clone() for name, tensor in trained.model.state_dict().items()}
    weights["encoder.final_norm.weight"][[1, 3]] = torch.tensor([float("nan"), float("inf")])
    folder = tmp_path / "step-00000002"
    checkpoint.save(folder, 2, MODEL, weights, trained.optimizer.moments, {})
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(folder).model()
    assert str(caught.value) == (
        f"tensor='encoder.final_norm.weight': 2 of its {MODEL.d_model} values in {folder / 'model.safetensors'} are "
        "not finite: take a checkpoint from before its training went wrong, or copy the file anew"
    )


@pytest.mark.parametrize("name", FILES[:2])
def test_one_altered_byte_anywhere_is_noticed_and_the_one_before_is_taken(trained, tmp_path, name):
    save(trained, tmp_path, 2)
    path = save(trained, tmp_path, 4).folder / name
    whole = path.read_bytes()
    rng = random.Random(name)
    for place in [0, len(whole) - 1, *rng.sample(range(len(whole)), 12)]:
        altered = bytearray(whole)
        altered[place] ^= 1 << rng.randrange(8)
        path.write_bytes(altered)
        with pytest.raises(CheckpointError, match="its checksum does not hold; use an older one"):
            checkpoint.load(path.parent)
        assert checkpoint.newest(tmp_path).step == 2, place
    path.write_bytes(whole)
    assert checkpoint.newest(tmp_path).step == 4


def test_one_altered_byte_in_the_state_is_noticed_or_alters_nothing(trained, tmp_path):
    path = save(trained, tmp_path, 4).folder / "state.json"
    whole = path.read_bytes()
    before = content(path.parent)
    noticed = 0
    for place in range(0, len(whole), 3):
        altered = bytearray(whole)
        altered[place] ^= 1 << (place % 8)
        path.write_bytes(altered)
        try:
            assert content(path.parent) == before, altered[max(0, place - 20) : place + 20]
        except CheckpointError:
            noticed += 1
    assert noticed > len(whole) / 3 / 2


def content(folder):
    state = checkpoint.load(folder).state
    return {name: state.get(name) for name in ("step", "model", "sha256", "total_step")}


def test_an_altered_step_in_the_state_is_noticed(trained, tmp_path):
    path = save(trained, tmp_path, 4).folder / "state.json"
    path.write_text(path.read_text().replace('"step": 4', '"step": 5'))
    with pytest.raises(CheckpointError, match=r"state\.json': its checksum does not hold"):
        checkpoint.load(path.parent)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0, 100, None], ids=["emptied", "cut short", "missing"])
def test_a_file_cut_short_or_missing_is_noticed(trained, tmp_path, name, left):
    path = save(trained, tmp_path, 4).folder / name
    if left is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(CheckpointError, match="use an older one"):
        checkpoint.load(path.parent)
    assert checkpoint.newest(tmp_path) is None


@pytest.mark.parametrize("text", ["[]", "{}", "null", '{"sha256": 3}'])
def test_a_state_of_another_form_is_no_checkpoint(trained, tmp_path, text):
    path = save(trained, tmp_path, 4).folder / "state.json"
    path.write_text(text)
    with pytest.raises(CheckpointError, match="not a whole checkpoint"):
        checkpoint.load(path.parent)


def test_no_checkpoint_is_none_and_a_missing_one_an_error(tmp_path):
    assert checkpoint.newest(tmp_path) is None
    assert checkpoint.newest(tmp_path / "never made") is None
    with pytest.raises(CheckpointError, match="checkpoint="):
        checkpoint.load(tmp_path / "step-00000001")


def test_the_newest_are_kept(trained, tmp_path):
    for step in (2, 10, 9):
        save(trained, tmp_path, step)
    assert checkpoint.newest(tmp_path).step == 10
    checkpoint.keep_newest(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000009", "step-00000010"]


def test_saving_again_replaces_what_is_there(trained, tmp_path):
    save(trained, tmp_path, 2)
    (tmp_path / "step-00000002" / "state.json").write_text("spoilt")
    save(trained, tmp_path, 2)
    assert checkpoint.newest(tmp_path).step == 2


KILLED_SAVE = """
import os, signal, sys
from pathlib import Path
from t5core.model import T5
from t5core.training import checkpoint
sys.path.append({here!r})
from small_run import MODEL
model, root, stop = T5(MODEL).initialise(0), Path({root!r}), {stop!r}
checkpoint.save(checkpoint.step_folder(root, 2), 2, MODEL, model.state_dict(), {{}}, {{}})

def die(event, arguments):
    # the audit hook sees files before they are opened or renamed
    if event in ("open", "os.rename") and stop in str(arguments[0]) and "00000004" in str(arguments[0]):
        if event == "os.rename" or stop != ".partial":
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die)
checkpoint.save(checkpoint.step_folder(root, 4), 4, MODEL, model.state_dict(), {{}}, {{}})
"""


@pytest.mark.parametrize("stop", ["state.json", ".partial"], ids=["before the state", "before the rename"])
def test_a_killed_save_leaves_no_half_checkpoint(trained, tmp_path, stop):
    code = KILLED_SAVE.format(here=str(Path(__file__).parent), root=str(tmp_path), stop=stop)
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-00000002"]
    assert (tmp_path / ".step-00000004.partial").is_dir()
    assert checkpoint.newest(tmp_path).step == 2
    save(trained, tmp_path, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000004"]
