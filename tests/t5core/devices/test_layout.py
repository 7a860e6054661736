"""How models are held: what can be asked for, where, and that layers computed twice are the same layers."""

import pytest
import torch
from small_run import TRAIN, losses

from t5core.config import MeshConfig
from t5core.devices import CpuDevice, Layout, check_parallel, mesh_of, open_device
from t5core.devices.layout import ways
from t5core.devices.rates import memory_bytes
from t5core.errors import ConfigError


def test_the_ways_go_from_the_fastest_to_the_one_that_takes_least():
    whole, twice = Layout(), Layout(recompute=True)
    parts, both = Layout(shard=True), Layout(shard=True, recompute=True)
    assert [ways(parallel, 1) for parallel in ("auto", "none", "recompute")] == [(whole, twice), (whole,), (twice,)]
    assert [ways(parallel, 4) for parallel in ("auto", "shard")] == [(whole, parts, twice, both), (parts, both)]
    assert both.described == "weights sharded, layers computed twice"
    with pytest.raises(ConfigError, match=r"parallel='shard': start several processes \(torchrun\)"):
        ways("shard", 1)
    with pytest.raises(ConfigError, match=r"parallel='recomput': choose one of .* \(did you mean 'recompute'\?\)"):
        ways("recomput", 1)


def test_layers_that_are_computed_twice_give_the_same_bits():
    expected = losses(TRAIN.replace(steps=4), CpuDevice())
    for device in (open_device("cpu", recompute=True), open_device("cpu", parallel="recompute")):
        assert device.recompute
        assert losses(TRAIN.replace(steps=4), device) == expected
    assert not open_device("cpu", parallel="auto").recompute


@pytest.mark.parametrize(
    ("device", "parallel", "mesh", "said"),
    [
        ("cpu", "shard", None, "parallel='shard': a lane has one process, which has none to share weights with: give"),
        ("cuda", "shard", "1x1", "parallel='shard': a lane has one process"),
        ("cuda", "auto", "4x2", "mesh='4x2': devices share a layer on xla only; on cuda they share a batch: give 8x1"),
        ("xla", "recompute", None, "parallel='recompute': xla keeps what its layers computed: give a larger --mesh"),
        ("xla", "shard", "4x2", "parallel='shard': xla cuts weights along its mesh: give --mesh DxM"),
        ("cpu", "all", None, "parallel='all': choose one of auto, none, recompute, shard"),
    ],
)
def test_what_a_lane_cannot_do_is_refused(device, parallel, mesh, said):
    with pytest.raises(ConfigError) as caught:
        check_parallel(device, parallel, None if mesh is None else mesh_of(mesh))
    assert str(caught.value).startswith(said)
    check_parallel("cuda", "shard", MeshConfig(data=8))
    check_parallel("xla", "auto", MeshConfig(data=4, model=2))


@pytest.mark.parametrize("text", ["8", "0x1", "8x", "8x1x1", "ax1"])
def test_a_mesh_is_two_numbers(text):
    with pytest.raises(ConfigError, match=f"mesh='{text}': give data x model devices, like 16x4"):
        mesh_of(text)
    assert mesh_of("16x4") == MeshConfig(data=16, model=4)


def test_memory_is_a_gpus_own_or_told_by_a_tpus_name(monkeypatch):
    assert memory_bytes(torch.device("cpu")) is None and CpuDevice().memory_bytes() is None
    monkeypatch.setenv("PJRT_DEVICE", "TPU")
    for name, memory in (("v5litepod-16", 16e9), ("v4-8", 32e9), ("v99-8", None), ("", None)):
        monkeypatch.setenv("TPU_ACCELERATOR_TYPE", name)
        assert memory_bytes(torch.device("xla")) == memory
