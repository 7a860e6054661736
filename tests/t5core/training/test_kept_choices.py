"""Choices of a kernel that outlive a run, on a device that compiles: here the CPU says that it is one."""

import json

import pytest
import torch
from small_run import MODEL, TRAIN, CopyFeed, PackedFeed, run_in

from t5core.devices import CpuDevice
from t5core.model import T5
from t5core.training import kept_choices, kernel_choice
from t5core.training.step import TrainStep


class Compiling(CpuDevice):
    kernels = ("reference", "sdpa")
    hardware = "Some GPU 80GB"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The user's cache, empty."""
    monkeypatch.setenv("T5GRID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_choice, "WORTH_TIMING", 0)
    return tmp_path / "cache" / "kernels"


@pytest.fixture
def timed(monkeypatch):
    """Names of the kernels that were timed; the first one counts as slow, so that it is not the usual one that wins."""
    names = []

    def seconds(kernel, *_):
        names.append(kernel.name)
        return {"reference": 2.0, "sdpa": 1.0}[kernel.name]

    monkeypatch.setattr(kernel_choice, "_seconds", seconds)
    return names


def chosen(device=None, *, config=MODEL, feed=CopyFeed, candidates=("reference", "sdpa")):
    device = device or Compiling()
    inputs = TrainStep(T5(MODEL).initialise(0), TRAIN, device).inputs(feed().batch(0))
    return kernel_choice.choose([kernel_choice.kernel_named(name) for name in candidates], config, inputs, device)


def test_what_was_timed_once_is_not_timed_again_and_says_so(timed, folder):
    first = chosen()
    assert (first.value, len(timed)) == ("sdpa", 6)  # two kernels, three kinds of attention
    again = chosen()
    assert (again.value, len(timed)) == ("sdpa", 6)
    assert again.why == f"kept from an earlier run here: {first.why}"
    (path,) = folder.iterdir()
    asked = json.loads(path.read_text())["asked"]
    assert (asked["hardware"], asked["torch"]) == ("Some GPU 80GB", torch.__version__)
    assert asked["attentions"][2] == {
        "layers": 2,
        "rows": 6,
        "queries": 8,
        "keys": 12,
        "biased": False,
        "causal": False,
        "hidden": ["padding"],
    }


def test_another_shape_precision_hardware_or_version_is_timed_by_itself(timed, folder, monkeypatch):
    chosen()

    class Other(Compiling):
        hardware = "Another GPU"

    low = Compiling()
    low.compute_dtype = torch.bfloat16
    others = [
        lambda: chosen(Other()),
        lambda: chosen(low),
        lambda: chosen(config=MODEL.replace(num_encoder_layers=3)),
        lambda: chosen(feed=PackedFeed),
        lambda: chosen(candidates=("sdpa", "reference")),
    ]
    for other in others:
        before = len(timed)
        other()
        assert len(timed) == before + 6
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    chosen()
    assert len(timed) == 6 * (len(others) + 2)
    assert len(list(folder.iterdir())) == len(others) + 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:20],
        lambda text: "[]",
        lambda text: text.replace('"sdpa"', '"of an older version"'),
        lambda text: text.replace("Some GPU", "Elsewhere"),  # as two questions of one digest would be
        lambda text: json.dumps({**json.loads(text), "decision": {"value": "sdpa"}}),
    ],
)
def test_a_damaged_file_is_passed_over_and_written_anew(timed, folder, spoil):
    chosen()
    (path,) = folder.iterdir()
    whole = path.read_text()
    path.write_text(spoil(whole))
    assert chosen().value == "sdpa"
    assert len(timed) == 12
    assert path.read_text() == whole
    assert [file.name for file in folder.iterdir()] == [path.name]


def test_without_a_folder_to_write_to_choices_are_made_anew(timed, folder):
    folder.parent.write_text("a file where the folder should be")
    assert [chosen().value, chosen().value] == ["sdpa", "sdpa"]
    assert len(timed) == 12


def test_a_choice_in_which_a_candidate_failed_is_not_kept(folder, monkeypatch):
    def seconds(kernel, *_):
        if kernel.name == "sdpa":
            raise RuntimeError("out of memory")
        return 1.0

    monkeypatch.setattr(kernel_choice, "_seconds", seconds)
    assert "sdpa failed (RuntimeError: out of memory)" in chosen().why
    assert not folder.exists()


def test_a_cpu_keeps_nothing(timed, folder):
    """What one bad measurement chose would hold for ever, and timing is cheap there."""
    chosen(CpuDevice())
    chosen(CpuDevice())
    assert (len(timed), folder.exists()) == (12, False)


def test_the_first_processs_file_counts_for_all(timed, monkeypatch):
    """The others may see another cache, or none; all of them must compute alike."""
    chosen()

    class Second(Compiling):
        def total(self, value):
            return value + 2  # what the first process gives: the second of the candidates

    second = Second()
    second.rank = 1
    monkeypatch.setattr(kept_choices, "_read", lambda _: pytest.fail("only the first process reads"))
    decision = chosen(second)
    assert (decision.what, decision.value, len(timed)) == ("attention kernel", "sdpa", 6)


def test_a_run_keeps_its_own_choice_beside_it(timed, tmp_path, folder):
    """A resumed run goes on with what lies in its folder, whatever the cache says by then."""
    run_in(tmp_path / "run", TRAIN.replace(steps=8), device=Compiling())
    assert json.loads((tmp_path / "run" / "kernel.json").read_text())["value"] == "sdpa"
    (path,) = folder.iterdir()
    path.write_text(path.read_text().replace('"value": "sdpa"', '"value": "reference"'))
    resumed = run_in(tmp_path / "run", TRAIN.replace(steps=8), device=Compiling())
    other = run_in(tmp_path / "other", TRAIN.replace(steps=8), device=Compiling())
    assert (resumed.kernel.value, other.kernel.value) == ("sdpa", "reference")
