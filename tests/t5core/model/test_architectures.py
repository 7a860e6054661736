"""The architectures of Table 2: who sees what, packed rows, and decoding step by step against teacher forcing."""

import pytest
import torch
from torch.nn import functional

from t5core.config import ModelConfig
from t5core.errors import ConfigError
from t5core.model import T5, ModelInputs
from t5core.model.inputs import shifted_right

ENCODER_DECODERS = ["encoder_decoder", "shared_encoder_decoder"]
DECODER_ONLY = ["language_model", "prefix_lm"]


def model_of(architecture, **more):
    config = ModelConfig(
        architecture=architecture,
        vocab_size=48,
        d_model=24,
        d_kv=6,
        d_ff=40,
        num_heads=4,
        num_encoder_layers=0 if architecture in DECODER_ONLY else 2,
        num_decoder_layers=2,
        relative_attention_init_std=1.0,
        **more,
    )
    return T5(config).initialise(3).eval()


def logits(model, **batch):
    return model.hidden(ModelInputs(**batch)) @ model.output_weight.T


def rows(*lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(2, 48, (length,), generator=generator) for length in lengths]


def padded(sequences, width):
    return torch.stack([functional.pad(row, (0, width - len(row))) for row in sequences])


def joined(sequences, width):
    return functional.pad(torch.cat(sequences), (0, width - sum(map(len, sequences))))[None]


def segments(sequences, width):
    numbers = torch.cat([torch.full((len(row),), n) for n, row in enumerate(sequences, start=1)])
    return functional.pad(numbers, (0, width - len(numbers)))[None]


@pytest.mark.parametrize("more", [{}, {"feed_forward": "gated_gelu", "tied_embeddings": False}], ids=["v1.0", "v1.1"])
@pytest.mark.parametrize("architecture", ENCODER_DECODERS)
def test_packed_rows_give_the_logits_of_unpacked_ones(architecture, more):
    model = model_of(architecture, **more)
    inputs, targets = rows(5, 9, 3), rows(4, 2, 6, seed=1)
    alone = logits(model, inputs_BS=padded(inputs, 9), targets_BT=padded(targets, 6))
    together = logits(
        model,
        inputs_BS=joined(inputs, 20),
        targets_BT=joined(targets, 14),
        input_segments_BS=segments(inputs, 20),
        target_segments_BT=segments(targets, 14),
    )
    begin = 0
    for row, target in enumerate(targets):
        end = begin + len(target)
        torch.testing.assert_close(together[0, begin:end], alone[row, : len(target)], rtol=0, atol=1e-5)
        begin = end
    assert together.isfinite().all()


@pytest.mark.parametrize("architecture", DECODER_ONLY)
def test_packed_joined_rows_give_the_logits_of_unpacked_ones(architecture):
    model = model_of(architecture)
    texts, given = rows(7, 4, 9), (3, 0, 5)
    prefixes = [torch.arange(len(text)) < n for text, n in zip(texts, given, strict=True)]
    none = torch.zeros(3, 0, dtype=torch.int64)
    alone = logits(
        model,
        inputs_BS=none,
        targets_BT=padded(texts, 9),
        prefix_BT=torch.stack([functional.pad(p, (0, 9 - len(p))) for p in prefixes]),
    )
    together = logits(
        model,
        inputs_BS=none[:1],
        targets_BT=joined(texts, 22),
        target_segments_BT=segments(texts, 22),
        prefix_BT=joined(prefixes, 22),
    )
    begin = 0
    for row, text in enumerate(texts):
        end = begin + len(text)
        torch.testing.assert_close(together[0, begin:end], alone[row, : len(text)], rtol=0, atol=1e-5)
        begin = end


def changed(model, targets, prefix, place):
    """The positions whose logits move when the target at ``place`` is another one."""
    none = torch.zeros(1, 0, dtype=torch.int64)
    other = targets.clone()
    other[0, place] = (other[0, place] - 1) % 46 + 2
    before, after = (logits(model, inputs_BS=none, targets_BT=t, prefix_BT=prefix) for t in (targets, other))
    return [n for n, moved in enumerate((before - after).abs().amax(-1)[0] > 1e-6) if moved]


def test_a_language_model_sees_only_what_came_before():
    prefix = torch.tensor([[True] * 4 + [False] * 4])
    assert changed(model_of("language_model"), rows(8)[0][None], prefix, 2) == [3, 4, 5, 6, 7]


def test_a_prefix_lm_sees_its_whole_prefix_and_only_what_came_before_of_the_rest():
    prefix = torch.tensor([[True] * 4 + [False] * 4])
    model, targets = model_of("prefix_lm"), rows(8)[0][None]
    assert changed(model, targets, prefix, 2) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert changed(model, targets, prefix, 3) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert changed(model, targets, prefix, 4) == [5, 6, 7]
    assert changed(model, targets, None, 2) == [3, 4, 5, 6, 7]


def test_the_loss_of_a_joined_row_is_taken_behind_its_prefix():
    batch = ModelInputs(
        inputs_BS=torch.zeros(1, 0, dtype=torch.int64),
        targets_BT=torch.tensor([[5, 6, 7, 8, 1, 0]]),
        prefix_BT=torch.tensor([[True, True, False, False, False, False]]),
    )
    assert batch.asked_BT.tolist() == [[0, 0, 7, 8, 1, 0]]


def test_every_segment_is_shifted_behind_a_start_token_of_its_own():
    targets = torch.tensor([[5, 6, 1, 7, 1, 0, 0]])
    assert shifted_right(targets).tolist() == [[0, 5, 6, 1, 7, 1, 0]]
    assert shifted_right(targets, torch.tensor([[1, 1, 1, 2, 2, 0, 0]])).tolist() == [[0, 5, 6, 0, 7, 0, 0]]


def test_a_shared_encoder_is_the_decoders_blocks_without_cross_attention():
    model = model_of("shared_encoder_decoder")
    names = {name.split(".")[0] for name, _ in model.named_parameters()}
    assert names == {"embedding", "decoder"}
    inputs, targets = rows(6)[0][None], rows(5, seed=2)[0][None]
    logits(model, inputs_BS=inputs, targets_BT=targets).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("architecture", ENCODER_DECODERS + DECODER_ONLY)
def test_decoding_step_by_step_gives_the_logits_of_teacher_forcing(architecture):
    model = model_of(architecture)
    prompts, targets = padded(rows(6, 3, 5), 6), padded(rows(7, 7, 7, seed=4), 7)
    forced = model(prompts, attention_mask=prompts != 0, labels=targets).logits
    with torch.no_grad():
        state = model.start(prompts, 7)
        previous = torch.zeros(3, 1, dtype=torch.int64)
        for n in range(7):
            step = model.step(previous, torch.tensor([n]), state)
            torch.testing.assert_close(step, forced[:, n], rtol=0, atol=1e-5)
            previous = targets[:, n : n + 1]


@pytest.mark.parametrize("architecture", ENCODER_DECODERS + DECODER_ONLY)
def test_rows_of_a_decoder_state_can_be_dropped_doubled_and_put_in_another_order(architecture):
    model = model_of(architecture)
    prompts = padded(rows(6, 3, 5), 6)
    chosen = torch.tensor([2, 0, 2])
    with torch.no_grad():
        state = model.start(prompts, 4)
        tokens = torch.tensor([[0], [0], [0]])
        for n in range(2):
            model.step(tokens, torch.tensor([n]), state)
            tokens = torch.tensor([[7], [8], [9]])
        expected = model.step(tokens, torch.tensor([2]), state)[chosen]
        found = model.step(tokens[chosen], torch.tensor([2]), state.select(chosen))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_teacher_forced_language_models_agree_on_joined_rows_and_on_prompts_with_labels():
    for architecture in DECODER_ONLY:
        model = model_of(architecture)
        prompt, target = rows(5, 4)
        row = torch.cat([prompt, target])[None]
        prefix = (torch.arange(9) < 5)[None]
        batch = logits(model, inputs_BS=row[:, :0], targets_BT=row, prefix_BT=prefix)[:, 5:]
        torch.testing.assert_close(model(prompt[None], labels=target[None]).logits, batch, rtol=0, atol=1e-5)


def test_layers_and_architecture_must_fit():
    with pytest.raises(ConfigError, match="num_encoder_layers=12: a prefix_lm has no encoder: give 0"):
        ModelConfig(architecture="prefix_lm")
    with pytest.raises(ConfigError, match="num_encoder_layers=6: shared: give 12, the decoder's"):
        ModelConfig(architecture="shared_encoder_decoder", num_encoder_layers=6)
    with pytest.raises(ConfigError, match="num_encoder_layers=0: give a number above 0"):
        ModelConfig(num_encoder_layers=0)
