"""Checkpoints that a training starts from: what they are known by, and what is said of those that cannot be used."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import published
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import MT5Config, MT5ForConditionalGeneration

from t5core.config import InitConfig
from t5core.errors import CheckpointError, ConfigError
from t5core.interchange import from_hf
from t5core.model import T5
from t5core.start import identify_start, open_start, open_vocabulary
from t5core.training import checkpoint
from t5core.vocabulary import Vocabulary, write_hf
from t5core.vocabulary.proto import with_pieces

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder ``hf`` and a checkpoint ``own`` of the same weights and vocabulary, which no test changes."""
    folder = tmp_path_factory.mktemp("made")
    published.hf_folder(folder / "hf")
    published.own_folder(folder / "own", total_step=30)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A Hugging Face folder that a test may break."""
    return Path(shutil.copytree(made / "hf", tmp_path / "folder"))


def identity(init):
    return init.content, init.vocabulary.content


def test_a_checkpoint_is_known_by_what_it_holds_wherever_it_lies(made, tmp_path):
    here = identify_start(str(made / "hf"))
    there = identify_start(str(shutil.copytree(made / "hf", tmp_path / "there")))
    assert here.source == str(made / "hf") != there.source
    assert here.fingerprint() == there.fingerprint()
    assert (here.model, here.total_step) == (published.SMALL, 0)
    assert (here.vocabulary.num_pieces, here.vocabulary.num_sentinels, here.vocabulary.rows) == (400, 32, 512)
    assert InitConfig.from_json(here.to_json()) == here


def test_what_does_not_belong_to_the_model_does_not_count(made, folder):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "dropout_rate": 0.3, "_name_or_path": "elsewhere"}))
    assert identity(identify_start(str(folder))) == identity(identify_start(str(made / "hf")))


def test_weights_moments_and_vocabulary_count_each_for_what_reads_it(made, folder, tmp_path):
    before = identify_start(str(made / "hf"))
    tensors = load_file(folder / "model.safetensors")
    tensors["shared.weight"][3, 3] += 1
    save_file(tensors, folder / "model.safetensors")
    after = identify_start(str(folder))
    assert after.content != before.content and after.vocabulary.content == before.vocabulary.content
    own, later = identify_start(str(made / "own")), published.own_folder(tmp_path / "later", total_step=31)
    assert own.vocabulary.content == before.vocabulary.content
    assert len({own.content, identify_start(str(later)).content, before.content}) == 3
    vocabulary = published.vocabulary(tmp_path / "vocabulary")
    write_hf(Vocabulary(vocabulary.model, 16), folder)
    fewer = identify_start(str(folder))
    assert fewer.vocabulary.content != after.vocabulary.content and fewer.content != after.content


def test_a_folder_is_read_with_moments_that_begin_anew(made):
    start = open_start(identify_start(str(made / "hf")))
    expected = from_hf(made / "hf").state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in start.model.state_dict().items())
    assert start.total_step == 0 and not any(tensor.any() for tensor in start.moments.values())
    assert start.vocabulary.size == 432


def test_a_checkpoint_of_ours_is_read_with_its_moments_also_by_its_stages_folder(made, tmp_path):
    shutil.copytree(made / "own", tmp_path / "stage" / "final")
    init = identify_start(str(tmp_path / "stage"))
    assert identity(init) == identity(identify_start(str(made / "own")))
    start = open_start(init)
    assert start.total_step == init.total_step == 30
    assert start.moments.keys() == checkpoint.load(made / "own").optimizer().keys()


def test_weights_that_were_kept_without_moments_begin_anew(tmp_path):
    init = identify_start(str(published.own_folder(tmp_path / "kept")))
    start = open_start(init)
    assert init.total_step == start.total_step == 0
    assert start.moments and not any(tensor.any() for tensor in start.moments.values())


def test_a_model_whose_vocabulary_holds_the_sentinels_is_read_with_those(tmp_path):
    sizes = {"vocab_size": 512, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_heads": 2, "num_layers": 1}
    MT5ForConditionalGeneration(MT5Config(**sizes, decoder_start_token_id=0)).save_pretrained(tmp_path / "mt5")
    trained = published.vocabulary(tmp_path / "vocabulary")
    names = [f"▁<extra_id_{k}>" for k in reversed(range(100))]
    (tmp_path / "mt5" / "spiece.model").write_bytes(with_pieces(trained.model, names))
    init = identify_start(str(tmp_path / "mt5"))
    assert (init.vocabulary.num_pieces, init.vocabulary.num_sentinels) == (400, 100)
    vocabulary = open_vocabulary(init.vocabulary)
    assert vocabulary.holds_sentinels and vocabulary.sentinel_id(0) == 499


def test_sentinels_that_objectives_cannot_use_are_counted_as_none(made, folder, tmp_path):
    names = [f"▁<extra_id_{k}>" for k in range(20)]  # rising
    for path in folder.glob("*token*"):
        path.unlink()
    (folder / "spiece.model").write_bytes(with_pieces(published.vocabulary(tmp_path / "v").model, names))
    assert identify_start(str(folder)).vocabulary.num_sentinels == 0


def test_what_changed_since_is_refused(folder, tmp_path):
    init = identify_start(str(folder))
    write_hf(Vocabulary(published.vocabulary(tmp_path / "v").model, 16), folder)
    for read, config in ((open_start, init), (open_vocabulary, init.vocabulary)):
        with pytest.raises(CheckpointError, match=r"^init='.*': it changed since the plan was made"):
            read(config)


def without(name):
    return lambda folder: (folder / name).unlink()


def narrower(folder):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "d_ff": 63}))


def one_tensor_less(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["decoder.final_layer_norm.weight"]
    save_file(tensors, folder / "model.safetensors")


def other_model(folder):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "bart"}))


def more_sentinels(folder):
    write_hf(Vocabulary(published.vocabulary(folder.with_name("v")).model, 200), folder)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            without("config.json"),
            "init='{folder}': no state.json, no final/state.json and no config.json is there: give",
        ),
        (without("model.safetensors"), "folder='{folder}': neither model.safetensors nor "),
        (without("spiece.model"), "init='{folder}': no vocabulary.model and no spiece.model is there: put the vocab"),
        (narrower, "encoder.block.0.layer.1.DenseReluDense.wi_0.weight=(64, 32): config.json asks for (63, 32)"),
        (one_tensor_less, "tensor='decoder.final_layer_norm.weight': 1 tensors are missing from "),
        (other_model, "model_type='bart': this is another model: give a folder of T5"),
        (more_sentinels, "vocabulary='{folder}/spiece.model': it has 400 pieces and 200 sentinels, but the model 512 "),
    ],
)
def test_what_cannot_be_started_from_is_said_in_one_line(broken, message, folder):
    broken(folder)
    with pytest.raises(ConfigError) as caught:
        identify_start(str(folder))
    assert str(caught.value).startswith(message.format(folder=folder)) and "\n" not in str(caught.value)


def test_weights_of_ours_that_are_not_those_of_their_config_are_refused_before_they_are_loaded(tmp_path):
    model = T5(published.SMALL).initialise(0)
    wrong = published.SMALL.replace(d_ff=60)
    checkpoint.save(tmp_path / "own", 3, wrong, model.state_dict(), None, {})
    published.vocabulary(tmp_path / "own")
    with pytest.raises(CheckpointError, match=r"wi_0.weight=\(64, 32\): state.json asks for \(60, 32\); give a whole"):
        identify_start(str(tmp_path / "own"))


def test_adapters_are_refused(tmp_path):
    own = published.own_folder(tmp_path / "own", published.SMALL.replace(adapter_size=4), total_step=3)
    with pytest.raises(ConfigError, match=r"^init='.*own': it has adapters, which are of the tasks that it learnt"):
        identify_start(str(own))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nowhere", "init='nowhere': no such folder; from the hub: hf:NAME or hf:NAME@REVISION"),
        ("s3://bucket/model", "init='s3://bucket/model': give a folder that can be read here as a path, or hf:NAME"),
        ("hf:", "init='hf:': give hf:NAME or hf:NAME@REVISION, as hf:google/flan-t5-small"),
        ("hf:a/b/c", "init='hf:a/b/c': give hf:NAME"),
        ("hf:a/b@", "init='hf:a/b@': give hf:NAME"),
    ],
)
def test_a_name_that_is_none_is_refused(given, message):
    with pytest.raises(ConfigError) as caught:
        identify_start(given)
    assert str(caught.value).startswith(message)


@pytest.fixture
def hub(made, monkeypatch):
    """Simulates a hub with the model ann/t5 at one commit; gives what was asked for."""
    asked = []

    def model_info(self, name, *, revision=None):
        asked.append((name, revision))
        if name != "ann/t5":
            raise ConnectionError(f"404: no {name}\nRequest ID: 7")
        return huggingface_hub.hf_api.ModelInfo(id=name, sha=COMMIT)

    def snapshot_download(name, *, revision, allow_patterns):
        asked.append((name, revision))
        assert "config.json" in allow_patterns and not any("bin" in pattern for pattern in allow_patterns)
        if (name, revision) != ("ann/t5", COMMIT):
            raise ConnectionError(f"404: no {name}")
        return str(made / "hf")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_a_name_on_the_hub_is_the_commit_that_it_stands_for_now_and_the_same_as_the_folder(hub, made):
    init = identify_start("hf:ann/t5")
    assert init.source == init.vocabulary.source == f"hf:ann/t5@{COMMIT}"
    assert init.fingerprint() == identify_start(str(made / "hf")).fingerprint()
    assert hub == [("ann/t5", None), ("ann/t5", COMMIT)]
    assert identify_start("hf:ann/t5@refs/pr/1") == init and ("ann/t5", "refs/pr/1") in hub


def test_a_whole_commit_is_not_looked_up_also_where_a_stage_reads_it(hub):
    init = identify_start(f"hf:ann/t5@{COMMIT}")
    open_start(init)
    assert set(hub) == {("ann/t5", COMMIT)}


@pytest.mark.parametrize("given", ["hf:ann/other", f"hf:ann/other@{COMMIT}"])
def test_a_hub_that_does_not_answer_is_one_line(hub, given):
    with pytest.raises(ConfigError) as caught:
        identify_start(given)
    assert str(caught.value) == (
        f"init='{given}': no answer (ConnectionError: 404: no ann/other); check hf:NAME or hf:NAME@REVISION and the "
        "network, or give a folder"
    )
