"""To and from Hugging Face folders: bits, configs, and what is said of folders that cannot be read."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import MT5Config, MT5ForConditionalGeneration, T5Config, T5ForConditionalGeneration

import t5core
from t5core import from_hf, to_hf
from t5core.config import ModelConfig
from t5core.errors import CheckpointError, ConfigError
from t5core.model import T5

REFERENCE = Path(__file__).parents[1] / "conformance" / "data" / "model"
VERSIONS = ("t5_v1_0", "t5_v1_1")
SMALL = ModelConfig(vocab_size=40, d_model=16, d_kv=4, d_ff=24, num_heads=2, num_encoder_layers=1, num_decoder_layers=3)
THEIRS = {"vocab_size": 40, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_heads": 2, "decoder_start_token_id": 0}
V1_1 = SMALL.replace(feed_forward="gated_gelu", tied_embeddings=False)


@pytest.fixture
def folder(tmp_path):
    """A folder of v1.0 that a test may break."""
    return Path(shutil.copytree(REFERENCE / "t5_v1_0", tmp_path / "folder"))


def change_config(folder, **changes):
    path = folder / "config.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in values.items() if value != "absent"}))
    return folder


def change_tensors(folder, **changes):
    path = folder / "model.safetensors"
    tensors = {**load_file(path), **{name.replace("__", "."): tensor for name, tensor in changes.items()}}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    return folder


def logits_of(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(2, 40, (3, 9), generator=generator)
    labels = torch.randint(2, 40, (3, 6), generator=generator)
    mask = torch.ones_like(input_ids)
    mask[1, 5:] = 0
    with torch.no_grad():
        return model(input_ids=input_ids, attention_mask=mask, labels=labels).logits


@pytest.mark.parametrize("version", VERSIONS)
def test_a_folder_comes_back_with_the_same_bits_and_config(version, tmp_path):
    to_hf(from_hf(REFERENCE / version), tmp_path / "back")
    before, after = (load_file(path / "model.safetensors") for path in (REFERENCE / version, tmp_path / "back"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    configs = [json.loads((path / "config.json").read_text()) for path in (REFERENCE / version, tmp_path / "back")]
    assert configs[0] == configs[1]
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("config", [SMALL, V1_1, SMALL.replace(relative_attention_num_buckets=8)])
def test_a_model_comes_back_with_the_same_bits_and_config(config, tmp_path):
    model = T5(config).initialise(5)
    to_hf(model, tmp_path / "folder")
    back = from_hf(tmp_path / "folder")
    assert back.config == config
    assert back.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(back.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


def test_a_model_that_was_read_is_in_eval_mode_float32_and_trainable():
    model = from_hf(str(REFERENCE / "t5_v1_1"))
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(p.requires_grad and not p.is_meta for p in model.parameters())


@pytest.mark.parametrize("config", [SMALL, V1_1])
def test_transformers_reads_our_folder_and_computes_our_logits(config, tmp_path):
    model = T5(config).initialise(5).eval()
    to_hf(model, tmp_path / "folder")
    theirs = T5ForConditionalGeneration.from_pretrained(tmp_path / "folder").eval()
    torch.testing.assert_close(logits_of(model), logits_of(theirs), rtol=0, atol=2e-5)


@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize("feed_forward", ["relu", "gated-gelu"])
def test_a_folder_that_transformers_wrote_gives_its_logits(feed_forward, untied, tmp_path):
    torch.manual_seed(0)
    kind = {"feed_forward_proj": feed_forward, "tie_word_embeddings": not untied}
    theirs = T5ForConditionalGeneration(T5Config(num_layers=2, num_decoder_layers=1, **kind, **THEIRS)).eval()
    if untied:
        theirs.lm_head.weight = torch.nn.Parameter(torch.randn(40, 16))
    theirs.save_pretrained(tmp_path / "folder")
    ours = from_hf(tmp_path / "folder")
    assert ours.config.tied_embeddings is not untied
    torch.testing.assert_close(logits_of(ours), logits_of(theirs), rtol=0, atol=2e-5)
    to_hf(ours, tmp_path / "again")
    theirs_again = T5ForConditionalGeneration.from_pretrained(tmp_path / "again").eval()
    torch.testing.assert_close(logits_of(theirs_again), logits_of(theirs), rtol=0, atol=2e-5)


def test_an_unscaled_head_that_is_the_embedding_is_copied(tmp_path):
    """transformers 5 makes such models of ``tie_word_embeddings=False``: one matrix, decoder output not scaled."""
    torch.manual_seed(0)
    theirs = T5ForConditionalGeneration(T5Config(num_layers=1, tie_word_embeddings=False, **THEIRS)).eval()
    theirs.save_pretrained(tmp_path)
    ours = from_hf(tmp_path)
    assert torch.equal(ours.lm_head.weight, ours.embedding.weight)
    assert ours.lm_head.weight.data_ptr() != ours.embedding.weight.data_ptr()
    torch.testing.assert_close(logits_of(ours), logits_of(theirs), rtol=0, atol=2e-5)


def test_mt5_is_read_as_the_v1_1_it_is(tmp_path):
    torch.manual_seed(0)
    theirs = MT5ForConditionalGeneration(MT5Config(num_layers=2, **THEIRS)).eval()
    theirs.save_pretrained(tmp_path)
    torch.testing.assert_close(logits_of(from_hf(tmp_path)), logits_of(theirs), rtol=0, atol=2e-5)


def test_shards_are_read_by_their_index(folder, tmp_path):
    whole = from_hf(folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = [dict(list(tensors.items())[i::3]) for i in range(3)]
    names = [f"model-{i + 1:05d}-of-00003.safetensors" for i in range(3)]
    for name, part in zip(names, parts, strict=True):
        save_file(part, folder / name)
    index = {tensor: name for name, part in zip(names, parts, strict=True) for tensor in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    found = from_hf(folder).state_dict()
    assert all(torch.equal(tensor, found[name]) for name, tensor in whole.state_dict().items())
    (folder / names[1]).unlink()
    with pytest.raises(CheckpointError, match=r"model-00002-of-00003\.safetensors.*not in the folder"):
        from_hf(folder)
    index["shared.weight"] = "../other.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    with pytest.raises(CheckpointError, match="not in the folder"):
        from_hf(folder)


def test_half_precision_is_read_as_float32(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor.bfloat16() for name, tensor in tensors.items()}, folder / "model.safetensors")
    found = from_hf(folder)
    assert torch.equal(found.embedding.weight, tensors["shared.weight"].bfloat16().float())


def test_copies_of_the_embedding_are_read_if_they_agree(folder):
    embedding = load_file(folder / "model.safetensors")["shared.weight"]
    copies = {"encoder__embed_tokens__weight": embedding.clone(), "lm_head__weight": embedding.clone()}
    unused = {"decoder__block__0__layer__1__EncDecAttention__relative_attention_bias__weight": torch.zeros(32, 4)}
    change_tensors(folder, **copies, **unused)
    assert torch.equal(from_hf(folder).embedding.weight, embedding)
    change_tensors(folder, shared__weight=None)
    assert torch.equal(from_hf(folder).embedding.weight, embedding)
    change_tensors(folder, shared__weight=embedding, lm_head__weight=embedding + 1)
    with pytest.raises(CheckpointError, match=r"lm_head\.weight.*differs from shared\.weight"):
        from_hf(folder)


def test_a_short_config_means_what_transformers_takes_it_to_mean(folder):
    change_config(folder, num_decoder_layers="absent", relative_attention_max_distance=None, is_gated_act="absent")
    assert from_hf(folder).config.num_decoder_layers == 2
    assert from_hf(folder).config.relative_attention_max_distance == 128


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, r"model_type='bert': this is another model"),
        ({"model_type": "umt5"}, r"model_type='umt5': this is another model"),
        ({"model_type": "absent"}, r"model_type=None: this is another model"),
        ({"feed_forward_proj": "gated-silu"}, r"feed_forward_proj='gated-silu'.*relu or gated-gelu"),
        ({"is_encoder_decoder": False}, "is_encoder_decoder=False"),
        ({"d_kv": "8"}, r"d_kv='8': give a whole number above 0"),
        ({"num_layers": 0}, "num_layers=0: give a whole number above 0"),
        ({"layer_norm_epsilon": 0}, "layer_norm_epsilon=0"),
        ({"pad_token_id": 3}, "pad_token_id=3: t5core's models have 0"),
        ({"relative_attention_num_buckets": 7}, "relative_attention_num_buckets=7"),
    ],
)
def test_a_config_of_another_model_is_refused_by_field(folder, changes, message):
    with pytest.raises(ConfigError, match=message):
        from_hf(change_config(folder, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_layers": 3}, r"tensor='encoder\.block\.2\.\S+': 8 tensors are missing"),
        ({"num_decoder_layers": 1}, r"tensor='decoder\.block\.1\.\S+': 13 of its tensors have no place"),
        ({"d_ff": 64}, r"DenseReluDense\.wi\.weight=\(48, 32\): config\.json asks for \(64, 32\)"),
        ({"feed_forward_proj": "gated-gelu"}, "have no place"),
        ({"tie_word_embeddings": False}, r"tensor='lm_head\.weight': 1 tensors are missing"),
    ],
)
def test_tensors_that_do_not_fit_the_config_are_refused_by_name(folder, changes, message):
    with pytest.raises(CheckpointError, match=message):
        from_hf(change_config(folder, **changes))


def test_a_missing_tensor_is_named(folder):
    change_tensors(folder, decoder__final_layer_norm__weight=None)
    with pytest.raises(CheckpointError, match=r"decoder\.final_layer_norm\.weight.*1 tensors are missing"):
        from_hf(folder)


def test_whole_numbers_are_no_weights(folder):
    change_tensors(folder, encoder__final_layer_norm__weight=torch.ones(32, dtype=torch.int32))
    with pytest.raises(CheckpointError, match=r"encoder\.final_layer_norm\.weight.*give floating-point weights"):
        from_hf(folder)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_weight_that_is_not_finite_is_refused_by_tensor_file_and_number(folder, value):
    name = "encoder__block__1__layer__1__DenseReluDense__wo__weight"
    weight = torch.ones(32, 48)
    weight[3, 5] = weight[4, 5] = value
    change_tensors(folder, **{name: weight})
    with pytest.raises(CheckpointError) as caught:
        from_hf(folder)
    assert str(caught.value) == (
        f"tensor='encoder.block.1.layer.1.DenseReluDense.wo.weight': 2 of its 1,536 values in "
        f"{folder / 'model.safetensors'} are not finite: take a checkpoint from before its training went wrong, "
        "or copy the file anew"
    )


def test_weights_that_float32_cannot_hold_and_unused_ones_are_told_apart(folder):
    change_tensors(folder, shared__weight=load_file(folder / "model.safetensors")["shared.weight"].double())
    unused = {
        "decoder__block__0__layer__1__EncDecAttention__relative_attention_bias__weight": torch.full((2,), torch.inf)
    }
    from_hf(change_tensors(folder, **unused))
    change_tensors(folder, encoder__final_layer_norm__weight=torch.full((32,), 1e300, dtype=torch.float64))
    with pytest.raises(CheckpointError, match=r"encoder\.final_layer_norm\.weight': 32 of its 32 values .* not finite"):
        from_hf(folder)


def test_a_folder_that_is_none_or_not_whole_is_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json is there"):
        from_hf(tmp_path / "nowhere")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        from_hf(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor"):
        from_hf(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not readable as JSON"):
        from_hf(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="give a JSON object"):
        from_hf(folder)


def test_pickled_weights_are_refused_with_the_way_out(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04never read")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin.*never loaded.*save_pretrained"):
        from_hf(folder)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (SMALL.replace(architecture="shared_encoder_decoder", num_encoder_layers=3), "architecture"),
        (SMALL.replace(architecture="prefix_lm", num_encoder_layers=0), "architecture"),
        (SMALL.replace(adapter_size=4), "adapter_size"),
    ],
)
def test_what_hugging_face_cannot_express_is_refused_with_the_way_out(config, field, tmp_path):
    with pytest.raises(ConfigError, match=rf"{field}=.*t5core checkpoint"):
        to_hf(T5(config), tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_an_earlier_model_in_the_folder_is_replaced(folder):
    (folder / "model.safetensors.index.json").write_text("{}")
    model = T5(V1_1).initialise(1)
    to_hf(model, folder)
    assert torch.equal(from_hf(folder).lm_head.weight, model.lm_head.weight)
    assert not (folder / "model.safetensors.index.json").exists()


def test_a_folder_that_cannot_be_written_is_refused(folder):
    with pytest.raises(ConfigError, match="give a folder that can be written"):
        to_hf(T5(SMALL), folder / "config.json" / "below")


def test_importing_t5core_does_not_import_torch():
    code = "import sys, t5core; assert 'torch' not in sys.modules; from t5core import from_hf, generate, to_hf"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {"from_hf", "generate", "to_hf"} <= set(dir(t5core))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        t5core.nothing  # noqa: B018
