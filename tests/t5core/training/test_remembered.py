"""A run that goes on computes with the threads that it began with, on every processor and whatever the worker has.

Not every processor's sums depend on threads. So ``bound_to_threads`` makes this one such that they do.
"""

import json
from contextlib import nullcontext

import pytest
import torch
from small_run import TRAIN, CopyFeed, Stopped, run_in

from t5core.devices import CpuDevice, Decision
from t5core.training import checkpoint, remembered
from t5core.training.measures import repeatable
from t5core.training.program import LossProgram

SHORT = TRAIN.replace(steps=8, log_every=1, checkpoint_every=3)
ASKED = "as many as were asked for"
AS_BEFORE = "as the attempt before began with"


class WatchedFeed(CopyFeed):
    """Notes with how many threads a batch is asked for; ends the run when batch ``at`` is."""

    def __init__(self, at=None):
        super().__init__(SHORT)
        self.at = at
        self.threads = set()

    def batch(self, i):
        self.threads.add(torch.get_num_threads())
        if i == self.at:
            raise Stopped
        return super().batch(i)


@pytest.fixture
def bound_to_threads(monkeypatch):
    """Makes the loss and its gradients depend on the number of threads, as MKL's sums do, only more."""
    plain = LossProgram.forward

    def forward(self, *given):
        training, cross_entropy, tokens = plain(self, *given)
        threads = torch.get_num_threads()
        return training * (1 + threads / 1000), cross_entropy * (1 + threads / 1000), tokens

    monkeypatch.setattr(LossProgram, "forward", forward)


@pytest.fixture(autouse=True)
def two_cpus(monkeypatch):
    """What a run says of its threads is here what it says where there are two CPUs."""
    monkeypatch.setattr(remembered, "usable_cores", lambda: 2)


def begun(folder, threads, at=None):
    """Runs in ``folder`` on so many threads, to its end or to batch ``at``; leaves the process with one."""
    try:
        if at is None:
            return run_in(folder, SHORT, device=CpuDevice(threads)).run()
        with pytest.raises(Stopped):
            run_in(folder, SHORT, device=CpuDevice(threads), feed=WatchedFeed(at)).run()
        return None
    finally:
        torch.set_num_threads(1)


def told(run):
    (found,) = [decision for decision in run.decisions if decision.what == "threads"]
    return found.value, found.why


def left(folder):
    curve = [repeatable(json.loads(line)) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    names = (f"final/{checkpoint.MODEL_FILE}", f"final/{checkpoint.OPTIMIZER_FILE}")
    return [curve, *((folder / name).read_bytes() for name in names)]


@pytest.mark.usefixtures("bound_to_threads")
@pytest.mark.parametrize("at", [1, 5])  # before the first checkpoint, and behind it
def test_a_resumed_run_ends_in_the_bits_of_one_with_as_many_threads_as_it_began_with(tmp_path, at):
    for threads in (1, 2):
        begun(tmp_path / f"straight-{threads}", threads)
    assert left(tmp_path / "straight-1") != left(tmp_path / "straight-2")
    for threads, others in ((2, 1), (1, 2)):
        folder = tmp_path / f"stopped-{threads}"
        begun(folder, threads, at)
        begun(folder, others)
        assert left(folder) == left(tmp_path / f"straight-{threads}")


def test_a_resumed_run_takes_the_number_it_began_with_and_gives_the_workers_back(tmp_path):
    begun(tmp_path, 2, at=5)
    seen, feed = set(), WatchedFeed()
    run = run_in(tmp_path, SHORT, device=CpuDevice(), feed=feed, report=lambda _: seen.add(torch.get_num_threads()))
    assert torch.get_num_threads() == 1
    run.run()
    assert seen == feed.threads == {2}
    assert torch.get_num_threads() == 1
    assert told(run) == ("2", AS_BEFORE)


def test_the_workers_number_comes_back_also_after_an_error(tmp_path):
    begun(tmp_path, 2, at=5)
    with pytest.raises(Stopped):
        run_in(tmp_path, SHORT, feed=WatchedFeed(at=6)).run()
    assert torch.get_num_threads() == 1


def test_the_attention_kernel_is_chosen_with_the_runs_threads_too(tmp_path):
    begun(tmp_path, 2, at=1)
    (tmp_path / "kernel.json").unlink()
    feed = WatchedFeed()
    run_in(tmp_path, SHORT, feed=feed)
    assert feed.threads == {2}


@pytest.mark.usefixtures("bound_to_threads")
def test_held_out_batches_are_computed_with_the_runs_threads_too(tmp_path):
    begun(tmp_path / "one", 1)
    begun(tmp_path / "two", 2)
    batches = [CopyFeed(SHORT).batch(100 + i) for i in range(2)]
    runs = {name: run_in(tmp_path / name, SHORT) for name in ("one", "two")}
    for run in runs.values():
        run.step.model.load_state_dict(runs["one"].step.model.state_dict())
    losses = {name: run.held_out(batches) for name, run in runs.items()}
    assert losses["two"] / losses["one"] == pytest.approx(1.002 / 1.001, abs=1e-4)


def test_a_run_says_how_many_threads_it_has_and_why_and_keeps_it_for_later_attempts(tmp_path):
    torch.set_num_threads(2)
    assert told(run_in(tmp_path / "found", SHORT)) == ("2", "as many as PyTorch finds")
    run = run_in(tmp_path / "asked", SHORT, device=CpuDevice(1))
    assert told(run) == ("1", ASKED)
    assert json.loads((tmp_path / "asked" / "threads.json").read_text()) == {
        "what": "threads",
        "value": "1",
        "why": ASKED,
    }
    torch.set_num_threads(2)
    assert told(run) == ("1", ASKED)  # what the run has, not what the process has now
    assert told(run_in(tmp_path / "asked", SHORT)) == ("1", AS_BEFORE)


def test_more_threads_than_cpus_are_taken_all_the_same_and_the_run_says_that_it_is_slower(tmp_path, monkeypatch):
    begun(tmp_path, 2, at=5)
    monkeypatch.setattr(remembered, "usable_cores", lambda: 1)
    feed, why = WatchedFeed(), f"{AS_BEFORE}, though this process has 1 of the CPUs: slower"
    with pytest.warns(UserWarning, match=f"^threads=2: {why}$"):
        run = run_in(tmp_path, SHORT, feed=feed)
    run.run()
    assert feed.threads == {2}
    assert told(run) == ("2", why)


def test_where_pytorch_does_not_take_the_number_the_run_says_so(tmp_path):
    class Fixed(CpuDevice):
        def with_threads(self, count):
            return nullcontext()

    begun(tmp_path, 2, at=5)
    feed = WatchedFeed()
    why = "the attempt before began with 2, which PyTorch does not take here: the last bits may be others"
    with pytest.warns(UserWarning, match=f"^threads=1: {why}$"):
        run = run_in(tmp_path, SHORT, device=Fixed(), feed=feed)
    run.run()
    assert feed.threads == {1}
    assert told(run) == ("1", why)
    assert remembered.read(tmp_path / "threads.json").value == "2"  # an attempt elsewhere may have them


@pytest.mark.parametrize("kept", [None, "", "{", "[]", '{"what": "threads"}', '{"what": "", "value": "x", "why": ""}'])
def test_an_attempt_that_left_no_number_goes_on_with_what_is_here(tmp_path, kept):
    begun(tmp_path, 2, at=5)
    path = tmp_path / "threads.json"
    path.unlink()
    if kept is not None:
        path.write_text(kept)
    feed = WatchedFeed()
    run = run_in(tmp_path, SHORT, feed=feed)
    run.run()
    assert feed.threads == {1}
    assert told(run) == ("1", "as many as are here: the attempt before left no number")
    assert remembered.read(path).value == "1"


def test_a_run_that_takes_over_anothers_weights_has_a_number_of_its_own(tmp_path):
    begun(tmp_path / "first", 2)
    start = checkpoint.load(tmp_path / "first" / "final")
    more = {"moments": start.optimizer(), "first_step": 8}
    run = run_in(tmp_path / "second", SHORT, model=start.model(), device=CpuDevice(1), **more)
    assert told(run) == ("1", ASKED)


def test_a_device_whose_sums_do_not_depend_on_threads_keeps_no_number(tmp_path):
    class Elsewhere(CpuDevice):
        def threads(self):
            return None

        def with_threads(self, count):
            raise AssertionError("nobody asked for threads")

        def decisions(self):
            return (Decision(what="device", value="elsewhere", why="for this test"),)

    run = run_in(tmp_path, SHORT, device=Elsewhere())
    run.run()
    assert run.threads is None
    assert not (tmp_path / "threads.json").exists()
    assert [decision.what for decision in run.decisions] == ["device", "attention kernel"]


def test_a_choice_that_was_cut_short_is_made_anew(tmp_path):
    begun(tmp_path, 1, at=5)
    (tmp_path / "kernel.json").write_text("")
    run = run_in(tmp_path, SHORT)
    assert remembered.read(tmp_path / "kernel.json") == run.kernel
