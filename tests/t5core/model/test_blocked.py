"""The CPU's kernel gives the reference's numbers, whatever is masked and however it is cut into blocks."""

import itertools

import pytest
import torch

from t5core.config import ModelConfig
from t5core.devices import open_device
from t5core.model import T5, ModelInputs, blocked
from t5core.model.blocked import BlockedKernel
from t5core.model.kernels import ReferenceKernel, SdpaKernel
from t5core.model.visibility import Visibility
from t5core.training import kernel_choice

ROWS, HEADS, WIDTH = 3, 5, 16
LONG, SHORT = 90, 70
LENGTHS = torch.tensor([90, 50, 7])


def _padding(keys: int) -> torch.Tensor:
    return torch.arange(keys) < LENGTHS[:, None]


def _gaps(keys: int) -> torch.Tensor:
    """Padding on both sides, and a row of nothing else."""
    seen = _padding(keys)
    seen[0, :20] = False
    seen[2] = False
    return seen


def _segments(length: int) -> torch.Tensor:
    return torch.arange(length) // torch.tensor([30, 45, 91])[:, None] + 1


MASKS = {
    "nothing": lambda q, k: {},
    "all visible": lambda q, k: {"visible_BK": torch.ones(ROWS, k, dtype=torch.bool)},
    "padding": lambda q, k: {"visible_BK": _padding(k)},
    "gaps": lambda q, k: {"visible_BK": _gaps(k)},
    "segments": lambda q, k: {"query_segments_BQ": _segments(q), "key_segments_BK": _segments(k)},
    "prefix": lambda q, k: {"prefix_BK": _padding(k)},
    "prefix and segments": lambda q, k: {
        "prefix_BK": _padding(k),
        "query_segments_BQ": _segments(q),
        "key_segments_BK": _segments(k),
    },
}


def _numbers(kernel, visibility, *, biased, dtype=torch.float32, drawn_in=None):
    """Output and all gradients; queries that see nothing are left out, nobody reads them."""

    def drawn(*shape):
        return torch.randn(*shape, generator=generator, dtype=drawn_in or dtype).to(dtype)

    q, k = visibility.num_queries, visibility.num_keys
    generator = torch.Generator().manual_seed(0)
    tensors = [drawn(ROWS, HEADS, n, WIDTH) for n in (q, k, k)]
    if biased:
        tensors.append(drawn(HEADS, q + k - 1))
    upstream = drawn(ROWS, HEADS, q, WIDTH)
    seen = visibility.dense(torch.device("cpu"))
    read = torch.ones(1, dtype=torch.bool) if seen is None else seen.any(dim=-1, keepdim=True)
    for tensor in tensors:
        tensor.requires_grad_()
    scores = kernel.prepare(tensors[3] if biased else None, visibility, tensors[0])
    out = scores.attend(*tensors[:3]) * read
    return [out.detach(), *torch.autograd.grad(out, tensors, upstream)]


@pytest.mark.parametrize("buffer_bytes", [1 << 13, 1 << 20])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("mask", MASKS)
def test_values_and_gradients_are_the_references(mask, causal, biased, buffer_bytes, monkeypatch):
    monkeypatch.setattr(blocked, "BUFFER_BYTES", buffer_bytes)
    monkeypatch.setattr(blocked, "MIN_QUERIES", 16)
    for q, k in [(LONG, LONG)] if causal else [(LONG, LONG), (SHORT, LONG)]:
        visibility = Visibility(num_queries=q, num_keys=k, causal=causal, **MASKS[mask](q, k))
        ours = _numbers(BlockedKernel(), visibility, biased=biased)
        reference = _numbers(ReferenceKernel(), visibility, biased=biased)
        for a, b in zip(ours, reference, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_gradients_hold_in_double_precision():
    visibility = Visibility(num_queries=SHORT, num_keys=SHORT, causal=True, visible_BK=_padding(SHORT))
    ours = _numbers(BlockedKernel(), visibility, biased=True, dtype=torch.float64)
    reference = _numbers(SdpaKernel(), visibility, biased=True, dtype=torch.float64)
    for a, b in zip(ours, reference, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("mask", ["padding", "segments"])
def test_in_bfloat16_scores_and_softmax_are_exact_and_products_rounded(mask, biased):
    """So values are as near as the reference's, and nearer where that adds a bias in bfloat16."""
    visibility = Visibility(num_queries=LONG, num_keys=LONG, **MASKS[mask](LONG, LONG))
    drawn = {"biased": biased, "drawn_in": torch.bfloat16}
    exact = _numbers(ReferenceKernel(), visibility, **drawn)
    kernels = (BlockedKernel(), ReferenceKernel())
    ours, reference = (_numbers(kernel, visibility, dtype=torch.bfloat16, **drawn) for kernel in kernels)

    def errors(found):
        return [float((a.float() - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True)]

    assert max(errors(ours)) < 0.013
    nearer = 0.95 if biased else 1.01
    assert errors(ours)[0] < nearer * errors(reference)[0]
    if biased:
        assert all(own < nearer * other for own, other in zip(errors(ours), errors(reference), strict=True))


def test_padding_and_the_future_are_not_computed(monkeypatch):
    monkeypatch.setattr(blocked, "BUFFER_BYTES", 1 << 10)
    monkeypatch.setattr(blocked, "MIN_QUERIES", 16)
    padded = Visibility(num_queries=LONG, num_keys=LONG, visible_BK=_padding(LONG))
    causal = Visibility(num_queries=LONG, num_keys=LONG, causal=True)
    q = torch.randn(ROWS, HEADS, LONG, WIDTH)

    def computed(visibility):
        scores = BlockedKernel().prepare(torch.zeros(HEADS, 2 * LONG - 1), visibility, q)
        assert scores.mask_BQK is None
        blocks = list(scores.blocks(q.shape, LONG, q.itemsize))
        return sum(len(range(HEADS)[h]) * (c.stop - c.start) * j.stop for _, h, c, j in blocks)

    assert computed(padded) == HEADS * LONG * int(LENGTHS.sum())
    everything = ROWS * HEADS * LONG * LONG
    assert everything / 2 < computed(causal) < everything * 0.65


def test_a_model_trains_alike_with_either_kernel():
    config = ModelConfig(
        vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_heads=4, num_encoder_layers=2, num_decoder_layers=2
    )
    model = T5(config).initialise(0)
    ids = torch.randint(1, 64, (4, 30), generator=torch.Generator().manual_seed(0))
    inputs = ids.masked_fill(torch.arange(30) >= torch.tensor([30, 11, 20, 3])[:, None], 0)
    batch = ModelInputs(inputs_BS=inputs, targets_BT=ids[:, :17])
    gradients = []
    for kernel in (ReferenceKernel(), BlockedKernel()):
        model.use_kernel(kernel)
        model.hidden(batch).square().sum().backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
        model.zero_grad()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-4, msg=name)


def test_cpu_runs_try_it():
    names = open_device("cpu").kernels
    assert names[0] == "reference"  # what small runs take, without timing
    assert [kernel_choice.kernel_named(name).name for name in names] == ["reference", "blocked"]


def test_blocks_fit_the_buffer(monkeypatch):
    for buffer_bytes, queries, keys in itertools.product((1 << 16, 1 << 20), (114, 512, 2048), (512, 2048)):
        monkeypatch.setattr(blocked, "BUFFER_BYTES", buffer_bytes)
        room = buffer_bytes * torch.get_num_threads() // 4
        scores = BlockedKernel().prepare(None, Visibility(num_queries=queries, num_keys=keys), torch.zeros(1))
        shape = torch.Size([2, 8, queries, 64])
        seen = 0
        for _, heads, rows, columns in scores.blocks(shape, keys, 4):
            size = len(range(8)[heads]) * (rows.stop - rows.start) * columns.stop
            seen += size
            assert size <= max(room, blocked.MIN_QUERIES * keys)
        assert seen == 2 * 8 * queries * keys
