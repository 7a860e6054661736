"""PyTorch's fused attention: the gradient of the learned bias, and which implementation may compute it."""

from types import SimpleNamespace

import pytest
import torch
from like_cuda import DEVICES
from torch._dynamo.backends.common import aot_autograd
from torch.nn import functional
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends

from t5core.model.kernels import ReferenceKernel, SdpaKernel, SdpaScores, pinned_attention
from t5core.model.visibility import Visibility

B, H, D = 3, 2, 64
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 2e-2}
"""Of a tensor's largest number. bfloat16 has 8 bits: a rounding is off by up to 0.4 %, and there are some in a row."""


@pytest.fixture
def without_tf32():
    """A test that opened a GPU may have allowed it."""
    earlier = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(earlier)


def two_layers(kernel, visibility):
    """A function of queries, keys, values and offsets: the output of two layers that share their scores."""

    def attended(q, k, v, offsets):
        scores = kernel.prepare(offsets, visibility, q)
        return scores.attend(q, k, v) + scores.attend(0.5 * q, v, k)

    return attended


def results(function, tensors):
    """What a function gives, and the gradients of its arguments."""
    given = [tensor.detach().requires_grad_() for tensor in tensors]
    out = function(*given)
    weights = torch.linspace(-1, 1, out.shape[-1], device=out.device, dtype=out.dtype)
    return [out, *torch.autograd.grad((out * weights).float().sum(), given)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("kind", ["full", "causal", "padded"])
@pytest.mark.parametrize(
    ("length", "compiled"),  # 192: cuDNN makes NaN 64 beyond a multiple of 128
    [(114, False), (128, False), (192, False), pytest.param(192, True, marks=pytest.mark.slow)],
)
@pytest.mark.usefixtures("without_tf32")
def test_the_learned_bias_has_the_references_gradient(device, dtype, kind, length, compiled):
    """The reference computes in float32, from the same numbers."""
    generator = torch.Generator().manual_seed(0)
    shapes = {0.1: (B, H, length, D), 1.0: (B, H, length, D), 2.0: (B, H, length, D)}
    drawn = [(scale * torch.randn(shape, generator=generator)).to(dtype) for scale, shape in shapes.items()]
    offsets = torch.randn((H, 2 * length - 1), generator=generator).to(dtype).float()
    tensors = [x.to(device) for x in (*drawn, offsets)]
    seen_B = torch.tensor([length, length // 3, 0])  # the last row sees nothing
    visible_BK = (torch.arange(length) < seen_B[:, None]).to(device) if kind == "padded" else None
    visibility = Visibility(num_queries=length, num_keys=length, causal=kind == "causal", visible_BK=visible_BK)
    function = two_layers(SdpaKernel(), visibility)
    if compiled:
        torch.compiler.reset()
        backend = "inductor" if device == "cuda" else "aot_eager"
        function = torch.compile(function, backend=backend, dynamic=False, fullgraph=True)
    found = results(function, tensors)
    expected = results(two_layers(ReferenceKernel(), visibility), [x.float() for x in tensors])
    for name, ours, theirs in zip(("out", "q", "k", "v", "offsets"), found, expected, strict=True):
        off = (ours.float() - theirs).abs().max() / theirs.abs().max()
        assert off < TOLERANCE[dtype], f"{name} is off by {off:.2g}"


class Spy:
    """Stands in for PyTorch's function: keeps which implementations it might take."""

    def __init__(self, monkeypatch):
        self.allowed = []
        monkeypatch.setattr(functional, "scaled_dot_product_attention", self)

    def __call__(self, *_, **__):
        self.allowed.append(set(_cur_sdpa_kernel_backends()))


def test_on_a_gpu_cudnn_may_not_compute_what_has_a_bias_and_without_one_all_may(monkeypatch):
    spy = Spy(monkeypatch)
    everything = set(_cur_sdpa_kernel_backends())
    on_gpu, on_cpu, bias = SimpleNamespace(is_cuda=True), SimpleNamespace(is_cuda=False), torch.zeros(1)
    for scores, q in ((SdpaScores(bias), on_gpu), (SdpaScores(None), on_gpu), (SdpaScores(bias), on_cpu)):
        scores.attend(q, None, None)
    few = {SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH}
    assert spy.allowed == [few, everything, everything]  # on a CPU the flash kernel is the fast one
    assert SDPBackend.CUDNN_ATTENTION in everything == set(_cur_sdpa_kernel_backends())


def test_the_choice_holds_inside_a_compiled_program():
    """On a CPU the flash kernel would be taken: where only others may, it must not be in the graph."""
    graphs = []

    def kept(graph, _):
        graphs.append({str(node.target) for node in graph.graph.nodes})
        return graph.forward

    def free(q, k, v, bias):
        return SdpaScores(bias).attend(q, k, v)

    q, bias = torch.randn(B, H, 16, D), torch.randn(1, H, 16, 16)
    torch.compiler.reset()
    with torch.no_grad():
        for function in (free, pinned_attention):
            backend = aot_autograd(fw_compiler=kept)
            torch.compile(function, backend=backend, dynamic=False, fullgraph=True)(q, q, q, bias)
    flash = "aten._scaled_dot_product_flash_attention_for_cpu.default"
    assert [flash in graph for graph in graphs] == [True, False]
