"""The flex kernel, not compiled, against the reference: the same numbers and the same gradients."""

import warnings

import pytest
import torch
from like_cuda import GPU
from torch.nn.attention.flex_attention import create_block_mask

from t5core.model import flex
from t5core.model.kernels import ReferenceKernel
from t5core.model.visibility import Visibility

B, H, D = 2, 3, 4


@pytest.fixture(autouse=True)
def not_compiled():
    """Uncompiled, flex attention says that it is slow."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="flex_attention called without torch.compile", category=UserWarning)
        yield


def segments(*lengths):
    """One row of segments 1, 2, ... of these lengths; a last negative length is padding."""
    numbers = [0 if n < 0 else i for i, n in enumerate(lengths, start=1)]
    return torch.repeat_interleave(torch.tensor(numbers), torch.tensor([abs(n) for n in lengths]))


def seen(*lengths, of):
    return torch.arange(of)[None, :] < torch.tensor(lengths)[:, None]


PACKED = torch.stack([segments(9, 140, 21, -10), segments(60, 60, 60)])
PACKED_TARGETS = torch.stack([segments(5, 70, 40, -15), segments(50, 30, 50)])
VISIBILITIES = {
    "all": Visibility(num_queries=20, num_keys=20),
    "padding": Visibility(num_queries=180, num_keys=180, visible_BK=seen(180, 131, of=180)),
    "causal": Visibility(num_queries=150, num_keys=150, causal=True),
    "packed": Visibility(num_queries=180, num_keys=180, query_segments_BQ=PACKED, key_segments_BK=PACKED),
    "packed, causal": Visibility(
        num_queries=130, num_keys=130, causal=True, query_segments_BQ=PACKED_TARGETS, key_segments_BK=PACKED_TARGETS
    ),
    "packed, across": Visibility(
        num_queries=130, num_keys=180, query_segments_BQ=PACKED_TARGETS, key_segments_BK=PACKED
    ),
    "prefix": Visibility(num_queries=150, num_keys=150, causal=True, prefix_BK=seen(40, 135, of=150)),
    "prefix and padding": Visibility(
        num_queries=30, num_keys=30, causal=True, prefix_BK=seen(4, 9, of=30), visible_BK=seen(30, 12, of=30)
    ),
}


def results(kernel, visibility, *, biased=True):
    """Attention of two layers that share their scores, and the gradients of queries, keys, values and bias."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(shape, generator=generator).requires_grad_()

    v = visibility
    q, k, values = drawn(B, H, v.num_queries, D), drawn(B, H, v.num_keys, D), drawn(B, H, v.num_keys, D)
    offsets = drawn(H, v.num_queries + v.num_keys - 1) if biased else None
    scores = kernel.prepare(offsets, visibility, q)
    out = scores.attend(q, k, values) + scores.attend(0.5 * q, values, k)
    weights = torch.randn(out.shape, generator=generator)
    inputs = [q, k, values, *([offsets] if biased else [])]
    return [out, *torch.autograd.grad((out * weights).sum(), inputs)]


@pytest.mark.parametrize("name", VISIBILITIES)
def test_flex_gives_the_references_numbers_and_gradients(name):
    for biased in (True, False):
        expected = results(ReferenceKernel(), VISIBILITIES[name], biased=biased)
        found = results(flex.FlexKernel(), VISIBILITIES[name], biased=biased)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in VISIBILITIES if name != "all"])
def test_blocks_of_the_mask_are_pytorchs(name):
    v = VISIBILITIES[name]
    ours = flex.block_mask(v, torch.device("cpu"))
    rows = ours.kv_num_blocks.shape[0]
    theirs = create_block_mask(flex.mask_mod(v), rows, None, v.num_queries, v.num_keys, "cpu", flex.MASK_BLOCK)
    assert rows == (1 if name == "causal" else B)
    for part in ("kv", "full_kv", "q", "full_q"):
        counts = getattr(ours, f"{part}_num_blocks")
        assert torch.equal(counts, getattr(theirs, f"{part}_num_blocks")), part
        listed = torch.arange(getattr(ours, f"{part}_indices").shape[-1]) < counts[..., None]
        for which in (ours, theirs):
            getattr(which, f"{part}_indices").masked_fill_(~listed, 0)
        assert torch.equal(getattr(ours, f"{part}_indices"), getattr(theirs, f"{part}_indices")), part
    assert ours.seq_lengths == (v.num_queries, v.num_keys)


def test_blocks_in_which_nothing_is_seen_are_left_out():
    mask = flex.block_mask(VISIBILITIES["causal"], torch.device("cpu"))
    assert (mask.kv_num_blocks + mask.full_kv_num_blocks).tolist() == [[[1, 2]]]
    assert flex.block_mask(VISIBILITIES["all"], torch.device("cpu")) is None


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("packed", "cpu"),  # as a graph that is run as it is: a compiled kernel is there on GPUs only
        *(pytest.param(name, "cpu", marks=pytest.mark.slow) for name in VISIBILITIES if name != "packed"),
        *(pytest.param(name, *GPU.values, marks=GPU.marks) for name in VISIBILITIES),
    ],
)
def test_compiled_on_a_gpu_flex_gives_the_references_numbers(name, device):
    v = VISIBILITIES[name]
    on_gpu = Visibility(**{key: x.to(device) if torch.is_tensor(x) else x for key, x in vars(v).items()})

    def ours(kernel):
        def attend(q, k, values, offsets):
            scores = kernel.prepare(offsets, on_gpu, q)
            return scores.attend(q, k, values) + scores.attend(0.5 * q, values, k)

        return attend

    generator = torch.Generator().manual_seed(0)
    shapes = [(B, H, v.num_queries, 64), *[(B, H, v.num_keys, 64)] * 2, (H, v.num_queries + v.num_keys - 1)]
    inputs = [(0.3 * torch.randn(shape, generator=generator)).to(device).requires_grad_() for shape in shapes]
    torch.compiler.reset()
    backend = "inductor" if device == "cuda" else "eager"
    program = torch.compile(ours(flex.FlexKernel()), backend=backend, dynamic=False, fullgraph=True)
    compiled = program(*inputs)
    expected = ours(ReferenceKernel())(*inputs)
    torch.testing.assert_close(compiled, expected, atol=5e-3, rtol=5e-3)
    for found, wanted in zip(
        torch.autograd.grad(compiled.sum(), inputs), torch.autograd.grad(expected.sum(), inputs), strict=True
    ):
        torch.testing.assert_close(found, wanted, atol=2e-2, rtol=2e-2)
