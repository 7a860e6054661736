"""Products with a weight that is rearranged once, against ordinary ones, in every precision that decoding has."""

import pytest
import torch

from t5core.model.products import MANY_ROWS, RowsProduct, linear

NEAR = {torch.float32: 1e-5, torch.bfloat16: 0.05}
"""Of numbers around 8: bfloat16 has 8 bits, and a residual is rounded before or after it is added."""


@pytest.fixture(params=NEAR, ids=["float32", "bfloat16"])
def operands(request):
    torch.manual_seed(0)
    shapes = {"x": (16, 64), "weight": (96, 64), "residual": (16, 96)}
    return request.param, {name: torch.randn(*shape).to(request.param) for name, shape in shapes.items()}


@torch.no_grad()
def test_a_rearranged_weight_gives_the_product_its_positive_part_and_its_sum(operands):
    dtype, given = operands
    product = RowsProduct(given["weight"].float(), dtype, 16)
    can = torch.backends.mkldnn.is_available()
    assert (product.packed is not None) == (
        can and (dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )
    exact = given["x"].double() @ given["weight"].double().T
    for found, wanted in (
        (product(given["x"]), exact),
        (product(given["x"], relu=True), exact.relu()),
        (product.added(given["residual"], given["x"]), exact + given["residual"].double()),
    ):
        assert found.dtype == dtype
        assert found.shape == (16, 96)
        assert torch.allclose(found.double(), wanted, rtol=2**-8 if dtype == torch.bfloat16 else 0, atol=NEAR[dtype])


@torch.no_grad()
def test_many_rows_without_gradients_give_what_few_rows_give(operands):
    dtype, given = operands
    many = given["x"].repeat(MANY_ROWS // 16, 1)
    few = RowsProduct(given["weight"], dtype, 16)(given["x"], relu=True)
    assert torch.allclose(linear(many, given["weight"], relu=True)[:16], few, atol=NEAR[dtype])
    assert torch.allclose(linear(many, given["weight"])[:16], linear(given["x"], given["weight"]), atol=NEAR[dtype])
