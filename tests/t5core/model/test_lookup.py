import pytest
import torch

from t5core.model import layers, lookup
from t5core.model.layers import Embedding


@pytest.mark.parametrize("one_hot_bytes", [1, 200, 1 << 28])
def test_compared_rows_and_their_gradient_are_those_that_are_looked_up(monkeypatch, one_hot_bytes):
    generator = torch.Generator().manual_seed(0)
    table = Embedding(20, 6)
    ids = torch.randint(0, 5, (3, 7), generator=generator)  # most come more than once
    upstream = torch.randn(3, 7, 6, generator=generator)
    expected = table(ids)
    (wanted,) = torch.autograd.grad(expected, table.weight, upstream)
    monkeypatch.setattr(layers, "by_place", lambda tensor: False)
    monkeypatch.setattr(lookup, "ONE_HOT_BYTES", one_hot_bytes)
    rows = table(ids)
    (gradient,) = torch.autograd.grad(rows, table.weight, upstream)
    assert torch.equal(rows, expected)
    assert type(rows.grad_fn).__name__ == "_RowsBackward"
    torch.testing.assert_close(gradient, wanted)


def test_what_is_compared_is_cut_by_rows_and_by_the_vocabulary(monkeypatch):
    cut = []

    def lay(tensor, axes):
        cut.append((tuple(tensor.shape), axes))
        return tensor

    table = Embedding(20, 6)
    table.lay = lay
    monkeypatch.setattr(layers, "by_place", lambda tensor: False)
    table(torch.tensor([[1, 2, 3]])).sum().backward()
    assert cut == [((3, 20), ("data", "model")), ((3, 6), ("data", None))]
