"""Which way to hold a model a run takes."""

import pytest
from small_run import MODEL, TRAIN, CopyFeed, run_in

from t5core.config import MeshConfig
from t5core.devices import Layout, open_device
from t5core.sizes import device_bytes
from t5core.training.fitting import ROOM, fit, taken_bytes

LENGTHS = {"inputs_length": TRAIN.inputs_length, "targets_length": TRAIN.targets_length}


def of_memory(memory, processes=1, parallel="auto"):
    """A device with so much memory, as one of some processes that all decide as it does."""
    device = open_device("cpu")
    device.group = device.group.__class__(size=processes)
    device.processes = processes
    device.ask_for(parallel)
    device.memory_bytes = lambda: memory
    device.everywhere = lambda value: {value}
    return device


def need(layout, processes=1, train=TRAIN):
    return taken_bytes(MODEL, train, of_memory(None, processes), layout, **LENGTHS)


def fitted(device, train=TRAIN):
    decision = fit(MODEL, train, device, lambda: CopyFeed().batch(0))
    return Layout(shard=device.shard, recompute=device.recompute), decision


def test_a_device_without_memory_of_its_own_changes_nothing():
    assert fitted(of_memory(None)) == (Layout(), None)
    assert fitted(of_memory(1, parallel="none")) == (Layout(), None)
    assert fitted(of_memory(1, parallel="recompute")) == (Layout(recompute=True), None)


def test_what_is_taken_is_what_sizes_says_of_a_processs_rows():
    sizes = {"batch_size": 6, "dtype": of_memory(None).compute_dtype, **LENGTHS}
    assert need(Layout()) == device_bytes(MODEL, MeshConfig(), **sizes).total
    assert need(Layout(recompute=True)) == device_bytes(MODEL, MeshConfig(), recompute=True, **sizes).total
    assert need(Layout(shard=True), 2) == device_bytes(MODEL, MeshConfig(data=2), **sizes).total
    assert need(Layout(), 2) == device_bytes(MODEL, MeshConfig(), **sizes | {"batch_size": 3}).total
    parts = TRAIN.replace(microbatch=2)
    assert need(Layout(), train=parts) == device_bytes(MODEL, MeshConfig(), **sizes | {"batch_size": 2}).total


def test_the_first_way_that_fits_is_taken_and_told():
    whole, twice = need(Layout()), need(Layout(recompute=True))
    assert twice < whole
    layout, decision = fitted(of_memory(int(whole / ROOM) + 1))
    assert layout == Layout()
    assert (decision.what, decision.value) == ("memory", "weights whole, layers computed once")
    layout, decision = fitted(of_memory(int(twice / ROOM) + 1))
    assert layout == Layout(recompute=True)
    assert decision.value == "weights whole, layers computed twice"
    assert decision.why.startswith("auto: training takes some 0.0 of 0.0 GiB; the ways that cost less take more")


def test_what_fits_in_no_way_is_tried_in_the_one_that_takes_least_and_told():
    layout, decision = fitted(of_memory(1000))
    assert layout == Layout(recompute=True)
    assert "which may not fit: a smaller --microbatch, or more devices in --mesh, take less" in decision.why


def test_several_processes_cut_weights_before_they_compute_layers_twice():
    ways = [Layout(), Layout(shard=True), Layout(recompute=True), Layout(shard=True, recompute=True)]
    needs = [need(way, 2) for way in ways]
    assert fitted(of_memory(int(needs[0] / ROOM) + 1, 2))[0] == ways[0]
    assert fitted(of_memory(int(needs[1] / ROOM) + 1, 2))[0] == ways[1]
    assert fitted(of_memory(1000, 2))[0] == ways[3]
    assert fitted(of_memory(10**12, 2, "shard"))[0] == ways[1]
    assert fitted(of_memory(1000, 2, "shard"))[0] == ways[3]


def test_another_process_that_it_does_not_fit_in_counts():
    device = of_memory(10**12)
    device.everywhere = lambda value: {value, 0.0}  # of the other one
    layout, decision = fitted(device)
    assert layout == Layout(recompute=True) and "may not fit" in decision.why


def test_a_run_decides_for_itself_and_the_next_one_on_the_device_anew(tmp_path):
    device = of_memory(1000)
    run = run_in(tmp_path / "large", TRAIN.replace(steps=2), device=device)
    run.run()
    assert [decision.what for decision in run.decisions].count("memory") == 1 and device.recompute
    device.memory_bytes = lambda: 10**12
    run_in(tmp_path / "small", TRAIN.replace(steps=2), device=device).run()
    assert not device.recompute
    for name in ("final/model.safetensors",):
        assert (tmp_path / "large" / name).read_bytes() == (tmp_path / "small" / name).read_bytes()


def test_where_nothing_is_known_of_the_memory_no_batch_is_asked_for():
    def refuse():
        pytest.fail("a batch was asked for")

    assert fit(MODEL, TRAIN, of_memory(None), refuse) is None
