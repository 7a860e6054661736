"""Batches without padding: no mask is made for them, and nothing is copied for each row."""

from dataclasses import replace

import pytest
import torch
from like_cuda import LikeCuda
from small_run import MODEL, TRAIN, CopyFeed, JoinedFeed, PackedFeed
from torch.nn import functional

from t5core.devices import CpuDevice
from t5core.feeds.batch import Batch
from t5core.model import T5
from t5core.training import kernel_choice
from t5core.training.step import TrainStep

ROWS, INPUTS, TARGETS = TRAIN.batch_size, TRAIN.inputs_length, TRAIN.targets_length


class FullFeed(CopyFeed):
    """Rows that fill their width."""

    def batch(self, i: int) -> Batch:
        """Returns batch ``i``."""
        batch = super().batch(i)
        return Batch(inputs=batch.inputs + 2 * (batch.inputs == 0), targets=batch.targets)


@pytest.fixture
def masks(monkeypatch):
    """Shape and strides of every mask that PyTorch's attention is given; None: no mask."""
    given, attention = [], functional.scaled_dot_product_attention

    def spied(*args, attn_mask=None, **more):
        given.append(None if attn_mask is None else (tuple(attn_mask.shape), attn_mask.stride()))
        return attention(*args, attn_mask=attn_mask, **more)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spied)
    return given


def step_with(kernel, model=MODEL):
    step = TrainStep(T5(model).initialise(0), TRAIN, CpuDevice())
    step.model.use_kernel(kernel_choice.kernel_named(kernel))
    return step


def test_the_bias_alone_is_read_by_all_rows_and_attention_across_has_no_mask(masks):
    step_with("sdpa")(FullFeed().batch(0), 0)
    encoder, decoder, across = masks[:2], masks[2::2], masks[3::2]
    assert [shape for shape, _ in encoder] == [(1, MODEL.num_heads, INPUTS, INPUTS)] * 2
    assert [shape for shape, _ in decoder] == [(1, MODEL.num_heads, TARGETS, TARGETS)] * 2
    assert across == [None, None]  # so that a GPU takes its flash kernel


def test_padding_is_masked_also_where_the_batches_before_had_none(masks):
    step = step_with("sdpa")
    step(FullFeed().batch(0), 0)
    masks.clear()
    step(CopyFeed().batch(1), 1)
    assert [shape[0] for shape, _ in masks[:2]] == [ROWS, ROWS]
    assert [shape for shape, _ in masks[3::2]] == [(ROWS, 1, 1, INPUTS)] * 2


@pytest.mark.parametrize("kernel", ["reference", "blocked", "sdpa", "flex"])
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_a_mask_that_hides_nothing_changes_no_bit(kernel):
    step, batch = step_with(kernel), FullFeed().batch(0)
    inputs = step.inputs(batch)
    assert (inputs.padded, inputs.visible_BS) == (False, None)
    with torch.no_grad():
        found = step.program(inputs)
        expected = step.program(replace(inputs, padded=True))
    assert [x.item() for x in found] == [x.item() for x in expected]


def test_rows_that_are_packed_or_have_no_encoder_never_count_as_padded():
    """What hides padding there is not this mask, and one program serves batches that are full and that are not."""
    packed = step_with("sdpa")
    assert not packed.inputs(PackedFeed().batch(0)).padded
    alone = step_with("sdpa", MODEL.replace(architecture="language_model", num_encoder_layers=0))
    assert not alone.inputs(JoinedFeed().batch(0)).padded


def test_a_feed_that_pads_now_and_then_is_compiled_twice_at_most():
    device = LikeCuda()
    step = TrainStep(T5(MODEL).initialise(0), TRAIN, device)
    step.model.use_kernel(kernel_choice.kernel_named("sdpa"))
    optimizer, graphs = 6, []  # a graph for each of its shapes
    for i, feed in enumerate([FullFeed(), FullFeed(), CopyFeed(), FullFeed(), CopyFeed()]):
        step(feed.batch(i), i)
        graphs.append(device.compilations() - optimizer)
    assert graphs == [1, 1, 2, 2, 2]


def test_kernels_are_timed_with_the_masks_that_steps_have():
    step = step_with("sdpa")
    encoder, _, across = kernel_choice.attentions(MODEL, step.inputs(FullFeed().batch(0)))
    assert encoder.visibility.visible_BK is None and across.visibility.visible_BK is None
    encoder, _, across = kernel_choice.attentions(MODEL, step.inputs(CopyFeed().batch(0)))
    assert encoder.visibility.visible_BK.shape == across.visibility.visible_BK.shape == (ROWS, INPUTS)
