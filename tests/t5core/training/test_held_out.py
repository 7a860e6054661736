"""What is computed without training uses no kernel that wants a compiler, and leaves the run's own in place."""

import numpy as np
import pytest
from like_cuda import LikeCuda
from small_run import MODEL, TRAIN, CopyFeed, ending_inputs

from t5core.config import DecodeConfig
from t5core.decoding import decode
from t5core.devices import CpuDevice
from t5core.model import T5
from t5core.model.flex import FlexKernel, FlexScores
from t5core.model.kernels import ReferenceKernel, SdpaKernel, without_gradient
from t5core.training.step import TrainStep


def test_held_out_batches_are_computed_by_fused_attention_where_the_run_uses_flex(monkeypatch):
    device = LikeCuda(precision="float32")
    step = TrainStep(T5(MODEL).initialise(0), TRAIN, device)
    flex = FlexKernel()
    step.model.use_kernel(flex)
    feed = CopyFeed()
    step(feed.batch(0), 0)
    graphs = device.compilations()
    expected = [x.item() for x in _held_out_by_the_reference(step.model, feed.batch(100))]
    with monkeypatch.context() as context:
        context.setattr(FlexScores, "attend", lambda *_: pytest.fail("flex attention was not compiled"))
        found = step.held_out(feed.batch(100))
    assert [x.item() for x in found] == pytest.approx(expected, rel=1e-5)
    assert step.model.encoder.kernel is step.model.decoder.kernel is flex
    step(feed.batch(1), 1)
    assert device.compilations() == graphs  # nothing was compiled for it, nor again behind it


def _held_out_by_the_reference(model, batch):
    other = T5(MODEL)
    other.load_state_dict(model.state_dict())
    return TrainStep(other, TRAIN, CpuDevice()).held_out(batch)


def test_the_runs_kernels_come_back_also_behind_an_error():
    model = T5(MODEL)
    model.use_kernel(FlexKernel())
    with pytest.raises(KeyError), model.kernels_replaced(lambda _: ReferenceKernel()):
        assert model.encoder.kernel.name == "reference"
        raise KeyError
    assert model.encoder.kernel.name == model.decoder.kernel.name == "flex"


@pytest.mark.parametrize("architecture", ["encoder_decoder", "language_model"])
def test_a_model_that_was_trained_with_flex_decodes_without_it(architecture, monkeypatch):
    monkeypatch.setattr(FlexScores, "attend", lambda *_: pytest.fail("flex attention was not compiled"))
    layers = 2 if architecture == "encoder_decoder" else 0
    model = T5(MODEL.replace(architecture=architecture, num_encoder_layers=layers)).initialise(0)
    config, inputs = DecodeConfig(max_new_tokens=4), ending_inputs()
    expected = decode(model, inputs, config, CpuDevice())
    model.use_kernel(FlexKernel())
    assert np.array_equal(decode(model, inputs, config, CpuDevice()), expected)


def test_other_kernels_of_a_run_stay():
    for kernel in (ReferenceKernel(), SdpaKernel()):
        assert without_gradient(kernel, "cuda", 8) is kernel
    assert isinstance(without_gradient(FlexKernel(), "cuda", 8), SdpaKernel)
