"""Compiling: each shape once, as often as there are shapes, and counted."""

import os

import pytest
import torch
from torch._inductor.runtime.cache_dir_utils import cache_dir

from t5core.config import OptimizerConfig
from t5core.devices.compiled import INDUCTOR_CACHE, SHAPES, Compiler, keep_compiled
from t5core.training.adafactor import AdaFactor


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_graphs_are_counted_and_made_once_per_shape(backend):
    torch.compiler.reset()
    earlier = Compiler(backend)
    earlier(lambda x: x + 1)(torch.ones(3))
    compiler = Compiler(backend)
    doubled = compiler.for_shapes(lambda x: x * 2)
    for size in (3, 3, 4, 3, 4):
        assert doubled(torch.ones(size)).tolist() == [2.0] * size
    assert (earlier.graphs, compiler.graphs) == (3, 2)


def test_an_optimizer_of_more_shapes_than_pytorch_compiles_by_itself_is_compiled_for_each():
    """3B with adapters has nine; after eight PyTorch would go on uncompiled, without a word."""
    torch.compiler.reset()
    compiler = Compiler("eager")
    parameters = [torch.nn.Parameter(torch.ones(2, n)) for n in range(1, 13)]
    optimizer = AdaFactor(parameters, OptimizerConfig(), compiled=compiler.for_shapes)
    for _ in range(2):
        for p in parameters:
            p.grad = torch.ones_like(p)
        optimizer.step(torch.tensor(0.1), torch.tensor(0.5))
    assert compiler.graphs == 12


@pytest.mark.parametrize(("before", "behind"), [(8, SHAPES), (2 * SHAPES, 2 * SHAPES)])
def test_the_limit_is_raised_and_a_larger_one_of_the_users_stays(before, behind):
    with torch._dynamo.config.patch(recompile_limit=before):
        Compiler("eager")
        assert torch._dynamo.config.recompile_limit == behind


def test_options_of_a_backend_are_pytorchs_own_to_read():
    """Its name goes to ``torch.compile`` as it is: a function in its place would lose ``mode`` and options."""
    with pytest.raises(RuntimeError, match="Invalid backend"):
        Compiler("no such backend")(lambda x: x)(torch.ones(1))


def test_what_is_compiled_is_kept_in_the_users_cache_unless_a_folder_was_named(monkeypatch, tmp_path):
    monkeypatch.setenv("T5GRID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(INDUCTOR_CACHE, "/elsewhere")
    keep_compiled()
    assert os.environ[INDUCTOR_CACHE] == "/elsewhere"
    monkeypatch.delenv(INDUCTOR_CACHE)
    keep_compiled()
    assert os.environ[INDUCTOR_CACHE] == str(tmp_path / "cache" / "inductor")
    assert cache_dir() == str(tmp_path / "cache" / "inductor")  # what PyTorch makes of it


def test_without_a_folder_to_write_to_pytorch_keeps_it_where_it_likes(monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    monkeypatch.setenv("T5GRID_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(INDUCTOR_CACHE, raising=False)
    keep_compiled()
    assert INDUCTOR_CACHE not in os.environ
