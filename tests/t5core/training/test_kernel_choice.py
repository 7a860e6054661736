"""The choice of an attention kernel at a run's start, and compiled steps, on this machine's processor."""

import json
import time

import pytest
import torch
from like_cuda import LikeCuda
from small_run import MODEL, TRAIN, CopyFeed, losses, run_in

from t5core.devices import CpuDevice, Decision
from t5core.errors import ConfigError
from t5core.model import T5
from t5core.model.kernels import ReferenceKernel, SdpaKernel
from t5core.training import kernel_choice
from t5core.training.step import TrainStep


class Slow(ReferenceKernel):
    name = "slow"

    def prepare(self, offsets_HR, visibility, like):
        time.sleep(0.02)
        return super().prepare(offsets_HR, visibility, like)


class Broken(ReferenceKernel):
    name = "broken"

    def prepare(self, offsets_HR, visibility, like):
        raise NotImplementedError("no such\nthing here")


@pytest.fixture
def inputs():
    device = CpuDevice()
    step = TrainStep(T5(MODEL).initialise(0), TRAIN, device)
    return step.inputs(CopyFeed().batch(0)), device


@pytest.fixture
def always_timed(monkeypatch):
    monkeypatch.setattr(kernel_choice, "WORTH_TIMING", 0)


def test_attentions_are_those_of_the_model(inputs):
    batch, _ = inputs
    encoder, decoder, across = kernel_choice.attentions(MODEL, batch)
    assert [(a.layers, a.rows, a.biased) for a in (encoder, decoder, across)] == [
        (2, 6, True),
        (2, 6, True),
        (2, 6, False),
    ]
    assert [(a.visibility.num_queries, a.visibility.num_keys) for a in (encoder, decoder, across)] == [
        (12, 12),
        (8, 8),
        (8, 12),
    ]
    assert [a.visibility.causal for a in (encoder, decoder, across)] == [False, True, False]
    assert torch.equal(across.visibility.visible_BK, batch.inputs_BS != 0)
    assert encoder.scores(heads=4) == 2 * 6 * 4 * 12 * 12
    only = MODEL.replace(architecture="language_model", num_encoder_layers=0)
    (alone,) = kernel_choice.attentions(only, batch)
    assert (alone.layers, alone.visibility.causal) == (2, True)


@pytest.mark.usefixtures("always_timed")
def test_the_faster_candidate_is_taken_and_its_times_are_told(inputs):
    decision = kernel_choice.choose([Slow(), ReferenceKernel()], MODEL, *inputs)
    assert (decision.what, decision.value) == ("attention kernel", "reference")
    assert "slow " in decision.why
    assert decision.why.count(" ms") == 2


@pytest.mark.usefixtures("always_timed")
def test_the_first_candidate_is_kept_unless_another_is_clearly_faster(inputs, monkeypatch):
    monkeypatch.setattr(kernel_choice, "CLEARLY_FASTER", 0.0)
    decision = kernel_choice.choose([Slow(), ReferenceKernel()], MODEL, *inputs)
    assert decision.value == "slow"
    assert decision.why.endswith("no candidate is clearly faster than the first")


@pytest.mark.usefixtures("always_timed")
def test_a_candidate_that_fails_is_passed_over_and_all_of_them_are_an_error(inputs):
    decision = kernel_choice.choose([Broken(), SdpaKernel()], MODEL, *inputs)
    assert decision.value == "sdpa"
    assert "broken failed (NotImplementedError: no such)" in decision.why
    with pytest.raises(RuntimeError, match="no attention kernel works here"):
        kernel_choice.choose([Broken()], MODEL, *inputs)


def test_small_steps_are_not_timed_so_that_noise_decides_nothing(inputs):
    decision = kernel_choice.choose([Broken(), SdpaKernel()], MODEL, *inputs)
    assert (decision.value, "not worth timing" in decision.why) == ("broken", True)


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ConfigError, match=r"kernel='flexx': choose one of .* \(did you mean 'flex'\?\)"):
        kernel_choice.kernel_named("flexx")


class Choosing(CpuDevice):
    kernels = ("reference", "sdpa")


def test_a_resumed_run_keeps_the_kernel_of_its_first_attempt(tmp_path, monkeypatch):
    def chosen(value):
        decision = Decision(what="attention kernel", value=value, why="for this test")
        monkeypatch.setattr(kernel_choice, "choose", lambda *_: decision)

    chosen("sdpa")
    first = run_in(tmp_path, TRAIN.replace(steps=8), device=Choosing())
    assert isinstance(first.step.model.encoder.kernel, SdpaKernel)
    assert json.loads((tmp_path / "kernel.json").read_text())["value"] == "sdpa"
    chosen("reference")
    again = run_in(tmp_path, TRAIN.replace(steps=8), device=Choosing())
    assert isinstance(again.step.model.decoder.kernel, SdpaKernel)
    assert again.decisions[-1] == first.kernel
    monkeypatch.setattr(Choosing, "kernels", ("reference", "flex"))  # a device that has not the earlier one's
    other = run_in(tmp_path, TRAIN.replace(steps=8), device=Choosing())
    assert isinstance(other.step.model.decoder.kernel, ReferenceKernel)


@pytest.mark.parametrize(
    ("backend", "kernel", "recompute"),
    [
        pytest.param("aot_eager", "sdpa", False, marks=pytest.mark.slow),
        pytest.param("aot_eager", "sdpa", True, marks=pytest.mark.slow),
        ("eager", "flex", False),
    ],
)
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_a_step_compiles_as_one_graph_once(backend, kernel, recompute):
    config = TRAIN.replace(steps=4)
    device = LikeCuda(precision="float32", recompute=recompute, backend=backend)
    found = losses(config, device, kernel=kernel)
    # and AdaFactor's arithmetic for each of the shapes [48, 32], [32, 32], [64, 32], [32, 64], [32, 4] and [32]
    assert device.compilations() == 1 + 6
    assert found == pytest.approx(losses(config, CpuDevice()), abs=1e-5)
