import re
import sys

import pytest
import torch

from t5core.bench import BenchSettings, decode, interleaved, matrix_rate, train
from t5core.errors import ConfigError

SMALL = {"device": "cpu", "size": "tiny", "batch": 2, "inputs_length": 16, "targets_length": 8, "rounds": 2}


def test_contestants_take_turns_and_the_warm_up_is_not_counted():
    calls = []

    def contestant(name):
        def run(lap):
            calls.append(name)
            lap()

        return run

    figures = interleaved({name: contestant(name) for name in "ab"}, rounds=2, warm_up=1)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert [len(figure.rounds) for figure in figures.values()] == [2, 2]
    median = figures["a"].median()
    assert 0 <= median.lap <= median.whole


def test_settings_left_open_depend_on_what_and_device():
    train_cpu = BenchSettings(device="cpu").resolved()
    assert (train_cpu.size, train_cpu.batch, train_cpu.targets_length) == ("small", 4, 114)
    decode_cpu = BenchSettings(device="cpu", what="decode").resolved()
    assert (decode_cpu.size, decode_cpu.batch, decode_cpu.targets_length) == ("small", 16, 64)


def test_matrix_rate_is_operations_per_second():
    assert 1e8 < matrix_rate(torch.device("cpu"), torch.float32, size=256) < 1e14


def test_a_training_step_is_measured_by_itself(capsys):
    figures = train.measure(BenchSettings(**SMALL))
    out = capsys.readouterr().out
    assert "training step: tiny, batch 2 x (16, 8), dropout 0.1, cpu, float32" in out
    assert "attention kernel: reference" in out
    assert figures["ratio"] is None
    assert len(figures["ours"].rounds) == 2
    assert 0 < figures["share_of_matrix_rate"] < 1


@pytest.mark.slow
def test_a_training_step_is_measured_against_transformers(capsys):
    figures = train.measure(BenchSettings(against="transformers", **SMALL))
    out = capsys.readouterr().out
    losses = re.findall(r"t5core ([\d.]+), transformers (?:sdpa|eager) ([\d.]+)", out)
    assert len(losses) == 2
    assert all(ours == pytest.approx(float(theirs), abs=1e-4) for ours, theirs in ((float(a), b) for a, b in losses))
    ours, theirs = figures["ours"].median(), figures["theirs"].median()
    assert figures["ratio"] == pytest.approx(theirs.whole / ours.whole)
    assert theirs.lap < theirs.whole


@pytest.mark.slow
def test_decoding_gives_the_ids_that_transformers_gives(capsys):
    figures = decode.measure(BenchSettings(what="decode", against="transformers", **SMALL))
    assert "ids equal" in capsys.readouterr().out
    assert figures["ratio"] == pytest.approx(figures["theirs"] / figures["ours"])


def test_without_transformers_the_way_out_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match="install it first: pip install transformers"):
        train.measure(BenchSettings(against="transformers", **SMALL))
