"""XLA on this machine's processor, in processes of their own: torch_xla stays out of pytest's.

Each trains ``small_run``'s model, with dropout, and a second run that goes on from a checkpoint of the first; then it
decodes. One has one device, the other a mesh of four virtual ones.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_run import TRAIN, CopyFeed, ending_inputs, ending_model, losses, run_in

from t5core import decoding
from t5core.config import DecodeConfig
from t5core.devices import open_device
from t5core.model import Dropout

HERE = Path(__file__).parent
CONFIG = TRAIN.replace(log_every=1)
AXES: dict[str, list[str]] = {"one": [], "mesh": ["2", "2"]}

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("torch_xla") is None, reason="torch_xla is not installed"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("xla")


@pytest.fixture(scope="module", params=[pytest.param("one", marks=pytest.mark.slow), "mesh"])
def where(request):
    """One device, or a mesh of four."""
    return request.param


@pytest.fixture(scope="module")
def found(folder, where):
    """What the process prints."""
    return told(folder / where, *AXES[where])


def told(folder, *arguments, **variables):
    """What a process of ``train_on_xla`` prints."""
    paths = [str(HERE.parent / "training"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "CPU_NUM_DEVICES"},
        "PJRT_DEVICE": "CPU",
        # compiling is most of this test's time
        "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
        f"--xla_dump_hlo_as_text --xla_dump_to={folder / 'programs'}",
        "PYTHONPATH": os.pathsep.join(paths),
        **variables,
    }
    command = [sys.executable, str(HERE / "train_on_xla.py"), str(folder), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def size_of(dims):
    return int(np.prod([int(n) for n in dims.split(",")]))


@pytest.fixture(scope="module")
def cpu(tmp_path_factory):
    """The same run on the CPU: losses and final weights."""
    run = run_in(tmp_path_factory.mktemp("cpu"), CONFIG, feed=CopyFeed(CONFIG))
    run.run()
    return [row["loss"] for row in run.curve], load_file(run.folder / "final" / "model.safetensors")


def test_losses_and_weights_are_those_of_the_cpu(found, cpu, folder, where):
    losses, weights = cpu
    assert len(losses) == 20
    assert found["run"]["losses"] == pytest.approx(losses, abs=1e-4)
    saved = load_file(folder / where / "final" / "model.safetensors")
    assert saved.keys() == weights.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(saved[name], weight, rtol=0, atol=1e-3, msg=name)


@pytest.mark.parametrize("where", [pytest.param("one", marks=pytest.mark.slow)], indirect=True)
def test_bfloat16_stays_near_and_keeps_float32_weights(found, cpu):
    low = found["low_precision"]
    assert low["losses"] == pytest.approx(cpu[0], abs=0.05)
    assert low["losses"] != pytest.approx(cpu[0], abs=1e-4)
    assert low["kept"] == ["torch.float32"]


def test_a_run_goes_on_from_its_checkpoint_with_the_same_losses(found, folder, where):
    resumed = found["resumed"]
    assert resumed["steps_run"] == 8
    assert resumed["losses"] == pytest.approx(found["run"]["losses"][12:], abs=1e-5)
    moments = [load_file(folder / where / part / "final" / "optimizer.safetensors") for part in (".", "resumed")]
    assert moments[0].keys() == moments[1].keys()
    assert any(".blocks.1." in name for name in moments[0])
    assert not any(".layers." in name for name in moments[0])


def test_one_program_serves_all_steps_and_nothing_falls_back_to_the_host(found, where):
    run, resumed = found["run"], found["resumed"]
    assert run["compiled"] == 1
    assert run["compiled_after_warmup"] == resumed["compiled_after_warmup"] == 0
    assert resumed["compiled"] == 0
    assert found["fallbacks"] == []


def test_a_mesh_cuts_every_matrix_into_four(found, where):
    cut = found["parts"]
    if where == "one":
        assert all(shards == [] for _, shards in cut.values())
        return
    assert cut["decoder.layers.feed_forward.wi.weight"] == [[2, 64, 32], [[2, 32, 16]] * 4]
    assert cut["embedding.weight"] == [[48, 32], [[24, 16]] * 4]
    for name, (shape, shards) in cut.items():
        if "norm" not in name and "position_bias" not in name:
            assert {int(np.prod(shard)) for shard in shards} == {int(np.prod(shape)) // 4}, name


@pytest.mark.parametrize("where", ["mesh"], indirect=True)
def test_no_device_is_sent_a_chunk_of_logits(found):
    wide = [(kind, dims) for kind, dims in found["vocabulary"]["sent"] if {500, 1_000} & set(dims) and len(dims) > 1]
    # a device's half of the vocabulary: its weights, and its gradients of the loss's two chunks and of two lookups
    assert {tuple(dims) for _, dims in wide} == {(500, 32)}
    assert sum(kind != "all-gather" for kind, _ in wide) <= 4
    assert [dims for dims in found["vocabulary"]["scattered"] if "500" in dims or "1000" in dims] == []


@pytest.mark.parametrize("where", ["mesh"], indirect=True)
def test_long_integers_are_no_more_than_the_ids_of_a_batch(found):
    assert max(size_of(dims) for dims in found["vocabulary"]["long"]) <= CONFIG.batch_size * CONFIG.inputs_length


@pytest.mark.parametrize("where", ["mesh"], indirect=True)
def test_hosts_fetch_a_layer_at_a_time_and_tell_each_other_where_they_are(found):
    hosts = found["hosts"]
    assert hosts["equal"]
    assert hosts["of_the_second"] == 0
    assert hosts["compiled"][1] == 0
    assert {"48,32", "64,32", "32,64", "32,32", "32"} <= set(hosts["fetched"])
    assert max(size_of(dims) for dims in hosts["fetched"]) == 64 * 32  # one layer's largest
    assert hosts["agreed"] == [[7.0], [3.0, 4.0]]


def test_dropout_has_the_bits_of_the_cpu(found):
    for key, masks in zip((5, 2**32 - 7), found["masks"], strict=True):
        assert masks == Dropout(rate=0.25, key=torch.tensor(key)).masks(101, 2, 3, 40).tolist()


def test_greedy_ids_are_those_of_the_cpu_and_one_program_gives_them(found, where):
    generated = found["generated"]
    for rows, ids in zip(([2, 3, 6, 9], [5, 9, 11, 2], [0, 5, 7, 3]), generated, strict=True):
        config, device = DecodeConfig(max_new_tokens=10), open_device("cpu")
        assert ids == decoding.decode(ending_model(), ending_inputs()[rows], config, device).tolist()
    used = [(np.array(ids) != 0).sum(axis=1).tolist() for ids in generated]
    assert len({max(lengths) for lengths in used}) > 1, used  # batches that stop after different numbers of steps
    compiled = found["compiled_decoding"]
    assert set(compiled) == {compiled[0]}, compiled


def test_one_program_serves_all_steps_of_a_decoding(found):
    for name, counts in found["compiled_steps"].items():
        assert len(counts) == 10, name
        # the step itself, and behind the fourth the question which rows go on
        assert counts == [1, 1, 1, 1, *[2] * 6], name


def test_decisions_say_what_was_decided_and_why(found, where):
    decisions = {decision["what"]: decision for decision in found["decisions"]}
    assert decisions.keys() == {"device", "sharding", "precision", "kernel", "programs", "layers"}
    assert all(decision["why"] for decision in decisions.values())
    assert (decisions["precision"]["value"], decisions["layers"]["value"]) == ("float32", "scanned")
    assert ("2 data x 2 model" in decisions["device"]["value"]) == (where == "mesh")
    assert (decisions["sharding"]["value"] == "none") == (where == "one")


@pytest.mark.slow
def test_weights_that_fit_stay_whole_and_nothing_but_sums_is_sent(tmp_path):
    found = told(tmp_path, "whole", CPU_NUM_DEVICES="4")
    config = CONFIG.replace(steps=4, batch_size=8)
    assert found["losses"] == pytest.approx(losses(config, open_device("cpu")), abs=1e-4)
    assert found["compiled"] == 1
    for shape, shards in found["parts"].values():
        assert {tuple(shard) for shard in shards} <= {tuple(shape)}
    sizes = [int(np.prod(dims)) for kind, dims in found["sent"] if kind != "all-reduce"]
    assert max(sizes) < 32 * 32  # less than the smallest matrix
    sharding = next(decision for decision in found["decisions"] if decision["what"] == "sharding")
    assert sharding["value"] == "batch along data; weights whole"
    assert sharding["why"].startswith("they fit, 0.4 of 1 GiB")
