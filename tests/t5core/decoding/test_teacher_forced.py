"""The likelihood of given sequences: by hand, against the plain forward pass, and however rows are laid."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from measured import CPU, MARKER, StaticDevice, asked_of, model_of, unigram
from small_run import CopyFeed, JoinedFeed, PackedFeed

from t5core.decoding import teacher_forced
from t5core.decoding.teacher_forced import Asked, sequence_nats, token_nats
from t5core.errors import ConfigError, DataError
from t5core.model import ModelInputs

ARCHITECTURES = ["encoder_decoder", "shared_encoder_decoder", "language_model", "prefix_lm"]


@torch.no_grad()
def plainly(model, asked, inputs_length):
    """Every sequence by itself: the plain forward pass in float32 and a log-softmax."""
    out = []
    for one in asked:
        given = list(one.inputs[: inputs_length - 1])
        given += list(MARKER) if model.config.decoder_only else [1]
        nats = []
        for ids in one.sequences:
            logits_TV = model(torch.tensor([given]), labels=torch.tensor([ids])).logits[0].double()
            nats.append(-torch.log_softmax(logits_TV, -1)[range(len(ids)), list(ids)].sum().item())
        out.append(np.array(nats))
    return out


def measured(model, asked, device=CPU, batch_size=4, inputs_length=10):
    first = model[0] if isinstance(model, list) else model
    joined_by = MARKER if first.config.decoder_only else None
    return sequence_nats(model, asked, device, batch_size=batch_size, inputs_length=inputs_length, joined_by=joined_by)


def assert_same(found, expected, atol=2e-5):
    assert [len(one) for one in found] == [len(one) for one in expected]
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), rtol=0, atol=atol)


def test_the_nats_of_a_sequence_are_those_of_its_tokens_and_of_its_end():
    model = unigram(0.05, 0.25, 0.1, 0.2, 0.4)
    asked = [Asked(inputs=(3, 4), sequences=((4, 1), (4, 3, 1), (1,))), Asked(inputs=(), sequences=((2, 2),))]
    expected = [[0.4 * 0.25, 0.4 * 0.2 * 0.25, 0.25], [0.1 * 0.1]]
    for device in (CPU, StaticDevice()):
        found = sequence_nats(model, asked, device, batch_size=2, inputs_length=4)
        assert_same(found, [-np.log(row) for row in expected], atol=1e-6)
        assert {row.dtype for row in found} == {np.dtype(np.float64)}


@pytest.mark.parametrize("device", [CPU, StaticDevice()], ids=["free shapes", "static shapes"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sequences_side_by_side_cost_what_each_costs_alone(architecture, device):
    model = model_of(architecture)
    asked = asked_of()
    expected = plainly(model, asked, 10)
    assert_same(measured(model, asked, device), expected)
    assert np.concatenate(expected).std() > 3


@torch.no_grad()
def averaged(models, asked, inputs_length):
    """Every sequence by itself: the softmax of the mean of the models' logits."""
    out = []
    for one in asked:
        given = torch.tensor([[*one.inputs[: inputs_length - 1], 1]])
        nats = []
        for ids in one.sequences:
            logits_MTV = torch.stack([m(given, labels=torch.tensor([ids])).logits[0].double() for m in models])
            log_TV = torch.log_softmax(logits_MTV.mean(0), -1)
            nats.append(-log_TV[range(len(ids)), list(ids)].sum().item())
        out.append(np.array(nats))
    return out


@pytest.mark.parametrize("device", [CPU, StaticDevice()], ids=["free shapes", "static shapes"])
def test_an_ensemble_costs_what_its_average_logits_say(device):
    members = [model_of(), model_of("shared_encoder_decoder", seed=8), model_of(seed=9, d_model=24)]
    found = sequence_nats(members, asked_of(), device, batch_size=4, inputs_length=10)
    expected = averaged(members, asked_of(), 10)
    assert_same(found, expected)
    alone = [np.concatenate(measured(member, asked_of())) for member in members]
    assert all(np.abs(np.concatenate(expected) - one).max() > 0.1 for one in [*alone, np.mean(alone, axis=0)])
    assert_same(measured(members[:1] * 4, asked_of()), measured(members[0], asked_of()), atol=1e-5)


def test_two_unigrams_average_to_the_geometric_mean_of_their_probabilities():
    p, q = (0.05, 0.25, 0.1, 0.2, 0.4), (0.1, 0.2, 0.3, 0.3, 0.1)
    mean = np.sqrt(np.multiply(p, q))
    mean /= mean.sum()
    (found,) = sequence_nats(
        (unigram(*p), unigram(*q)), [Asked(inputs=(3,), sequences=((4, 1),))], CPU, batch_size=1, inputs_length=4
    )
    np.testing.assert_allclose(found, -np.log(mean[4] * mean[1]), atol=1e-6)


def test_members_of_different_vocabularies_or_with_and_without_a_marker_are_refused():
    with pytest.raises(ConfigError, match="give models that share a vocabulary"):
        measured([model_of(), model_of(vocab_size=70)], asked_of())
    with pytest.raises(ConfigError, match="a decoder-only model needs the ids of its marker"):
        measured([model_of(), model_of("prefix_lm")], asked_of())


@pytest.mark.parametrize("more", [{"feed_forward": "gated_gelu", "tied_embeddings": False}, {"adapter_size": 6}])
def test_v1_1_and_adapters_agree_with_the_plain_forward_pass(more):
    model = model_of(**more)
    assert_same(measured(model, asked_of()), plainly(model, asked_of(), 10))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bfloat16_agrees_with_float32_within_its_rounding(architecture):
    model = model_of(architecture)
    expected = plainly(model, asked_of(30), 10)
    model.compute_dtype = torch.bfloat16
    found = measured(model, asked_of(30))
    lengths = np.array([len(ids) for one in asked_of(30) for ids in one.sequences])
    error = (np.concatenate(found) - np.concatenate(expected)) / lengths
    assert 0 < abs(error).max() < 0.1
    assert abs(error.mean()) < 0.005


@pytest.mark.parametrize("feed", [CopyFeed(), PackedFeed(), JoinedFeed()], ids=["plain", "packed", "joined"])
@pytest.mark.parametrize("static", [False, True])
def test_the_nats_of_a_training_batch_are_its_loss_and_each_examples_are_its_own(feed, static):
    model = model_of("prefix_lm" if isinstance(feed, JoinedFeed) else "encoder_decoder")
    batch = feed.batch(0)
    put = {name: None if array is None else CPU.put(array) for name, array in vars(batch).items()}
    inputs = ModelInputs(
        inputs_BS=put["inputs"],
        targets_BT=put["targets"],
        input_segments_BS=put["input_segments"],
        target_segments_BT=put["target_segments"],
        prefix_BT=put["prefix"],
    )
    nats_BT = token_nats(model, inputs, StaticDevice() if static else CPU)
    assert nats_BT.dtype == torch.float32 and nats_BT.shape == batch.targets.shape
    assert (nats_BT[inputs.asked_BT == 0] == 0).all()
    alone = []
    for k in range(2 if isinstance(feed, PackedFeed) else 1):
        source = CopyFeed().batch(k)
        for row, target in zip(source.inputs, source.targets, strict=True):
            given = row[row > 0]
            given = [*given[:-1], JoinedFeed.MARKER] if isinstance(feed, JoinedFeed) else given
            labels = torch.from_numpy(target[target > 0]).long()[None]
            with torch.no_grad():
                alone.append(model(torch.tensor([list(map(int, given))]), labels=labels).loss.item() * labels.numel())
    if isinstance(feed, PackedFeed):
        found = [nats_BT.where(inputs.target_segments_BT == n, 0.0).sum(1) for n in (1, 2)]
        np.testing.assert_allclose(torch.cat(found), alone, rtol=0, atol=2e-5)
    else:
        np.testing.assert_allclose(nats_BT.sum(1), alone, rtol=0, atol=2e-5)


def test_the_encoder_reads_an_input_once_for_all_its_sequences(monkeypatch):
    model = model_of()
    read = []
    encoder = model.encoder.forward

    def noted(x_BSD, *more, **named):
        read.append(len(x_BSD))
        return encoder(x_BSD, *more, **named)

    monkeypatch.setattr(model.encoder, "forward", noted)
    measured(model, asked_of(9, sequences=5), batch_size=3)
    assert sum(read) == 9


def test_sequences_that_do_not_fit_into_a_row_take_further_ones(monkeypatch):
    model = model_of()
    asked = asked_of(5, sequences=6)
    monkeypatch.setattr(teacher_forced, "MAX_ROW", 12)
    assert_same(measured(model, asked), plainly(model, asked, 10))


def test_a_device_that_compiles_shapes_sees_few_of_them_and_long_rows_come_fewer_at_a_time():
    model, device = model_of(), StaticDevice()
    rng = np.random.default_rng(0)
    asked = [Asked(inputs=(5, 6), sequences=((*map(int, rng.integers(3, 48, n)), 1),)) for n in range(1, 90)]
    found = measured(model, asked, device, batch_size=16, inputs_length=24)
    assert set(device.shapes) == {(16, 24), (9, 24), (2, 24), (1, 24), (16, 16), (9, 32), (2, 64), (1, 128)}
    assert device.ended_steps == len(device.shapes) / 3 == 1 + 2 + 16 + 26
    assert_same(found, plainly(model, asked, 24), atol=5e-5)


def test_nothing_asked_for_is_nothing_measured():
    assert measured(model_of(), []) == []
    (found,) = measured(model_of(), [Asked(inputs=(5,), sequences=())])
    assert found.shape == (0,)


def test_what_cannot_be_measured_is_told():
    model = model_of()
    with pytest.raises(
        ConfigError, match=r"id=48: of example 2: it is outside the model's vocabulary of 48; use its own"
    ):
        measured(model, [Asked(inputs=(5,), sequences=((3, 1),)), Asked(inputs=(5,), sequences=((3, 1), (48, 1)))])
    with pytest.raises(ConfigError, match="joined_by=None: a decoder-only model needs the ids of its marker"):
        sequence_nats(model_of("prefix_lm"), [], CPU, batch_size=2, inputs_length=8)
    with torch.no_grad():
        model.decoder.final_norm.weight.fill_(math.nan)
    with pytest.raises(DataError, match="likelihood=nan: of example 1: the model's output is no number"):
        measured(model, asked_of(2))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch_xla") is None, reason="torch_xla is not installed")
def test_xla_measures_what_the_cpu_does_with_a_few_programs():
    here = Path(__file__).parent
    paths = [str(here), str(here.parent / "training"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PJRT_DEVICE": "CPU", "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, str(here / "measure_on_xla.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for architecture in ("encoder_decoder", "prefix_lm"):
        model = model_of(architecture)
        for seed in (0, 1):
            expected = plainly(model, asked_of(30, seed=seed), 10)
            assert_same([np.array(row) for row in found[architecture]["nats"][seed]], expected, atol=1e-4)
        first, second = found[architecture]["compiled"]
        assert second == first
    assert found["fallbacks"] == []
