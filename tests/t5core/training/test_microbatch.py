"""A batch that is computed in parts: the whole batch's losses and gradients, and its dropout."""

import pytest
import torch
from small_run import GOLDEN, MODEL, TRAIN, CopyFeed, Stopped, StoppingFeed, losses, run_in

from t5core.devices import CpuDevice
from t5core.errors import ConfigError
from t5core.model import T5, Dropout
from t5core.training.step import TrainStep


def gradients(config, batch, *, model=MODEL, device=None):
    """The loss of one step and the gradients that its optimizer is given."""
    step = TrainStep(T5(model).initialise(3), config, device or CpuDevice())
    found = {}
    step.optimizer.step = lambda *_: found.update({n: p.grad.clone() for n, p in step.optimizer.parameters.items()})
    return step(batch, 0).item(), found


@pytest.mark.parametrize("name", ["targets", "tokens", "encoder_decoder", "prefix_lm", "packed", "v1.1"])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_parts_have_the_loss_and_the_gradients_of_the_whole_batch(name, rows):
    case = GOLDEN[name]
    config, model, batch = case["config"], case.get("model", MODEL), case.get("feed", CopyFeed)().batch(0)
    loss, whole = gradients(config, batch, model=model)
    loss_in_parts, in_parts = gradients(config.replace(microbatch=rows), batch, model=model)
    assert loss_in_parts == pytest.approx(loss, abs=1e-6)
    assert in_parts.keys() == whole.keys()
    for parameter, gradient in whole.items():
        torch.testing.assert_close(in_parts[parameter], gradient, atol=1e-6, rtol=1e-5, msg=parameter)


@pytest.mark.parametrize("rows", [2, 3])
def test_a_run_in_parts_keeps_to_the_whole_batchs_losses(rows):
    found = losses(TRAIN.replace(microbatch=rows), CpuDevice())
    assert found == pytest.approx(losses(TRAIN, CpuDevice()), abs=2e-4)


def test_a_row_has_the_same_masks_in_whichever_part_it_is():
    key = torch.tensor(77)
    whole = Dropout(rate=0.3, key=key).masks(2, 3, 6, 50)
    parts = [Dropout(rate=0.3, key=key, first_row=torch.tensor(row)).masks(2, 3, 2, 50) for row in (0, 2, 4)]
    assert torch.equal(torch.cat(parts, dim=1), whole)


def test_parts_are_one_program():
    """A part's place is data: a compiler that had it as a number would make a program for each part."""
    from t5core.devices.compiled import Compiler

    class Compiling(CpuDevice):
        compiler = Compiler("eager")

        def wrap(self, program):
            torch.compiler.reset()
            return self.compiler(program)

    device = Compiling()
    step = TrainStep(T5(MODEL).initialise(3), TRAIN.replace(microbatch=1), device)
    for i in range(2):
        step(CopyFeed().batch(i), i)
    assert device.compiler.graphs == 1


def test_a_part_is_no_larger_than_what_a_process_has():
    step = TrainStep(T5(MODEL).initialise(3), TRAIN.replace(microbatch=6), CpuDevice())
    assert [len(part.targets_BT) for part in step.parts(CopyFeed().batch(0))] == [6]
    step.device.group = step.device.group.__class__(rank=1, size=2)
    step.device.rank = 1
    (part,) = step.parts(CopyFeed().batch(0))
    assert part.targets_BT.tolist() == CopyFeed().batch(0).targets[3:].tolist()


def test_rows_that_do_not_come_out_even_are_refused():
    with pytest.raises(ConfigError, match="microbatch=4: give a number that divides 6, the batch_size"):
        TRAIN.replace(microbatch=4)
    with pytest.raises(ConfigError, match="microbatch=0: give a number above 0"):
        TRAIN.replace(microbatch=0)
    step = TrainStep(T5(MODEL).initialise(3), TRAIN.replace(microbatch=2), CpuDevice())
    step.device.group = step.device.group.__class__(size=2)
    with pytest.raises(ConfigError, match="microbatch=2: give a number that divides 3, the rows of a process"):
        step.parts(CopyFeed().batch(0))

    class Meshed(CpuDevice):
        def rows(self, batch_size):
            if batch_size % 6:
                raise ConfigError("batch_size", batch_size, "give a multiple of 6, the mesh's data axis")
            return range(batch_size)

    step = TrainStep(T5(MODEL).initialise(3), TRAIN.replace(microbatch=3), Meshed())
    with pytest.raises(ConfigError, match="microbatch=3: give a multiple of 6, the mesh's data axis"):
        step.parts(CopyFeed().batch(0))


def test_it_counts_for_a_runs_identity_where_it_is_set():
    assert "microbatch" not in TRAIN.fingerprint()
    assert TRAIN.replace(microbatch=3).fingerprint()["microbatch"] == 3


def test_a_run_in_parts_goes_on_as_any_other(tmp_path):
    config = TRAIN.replace(microbatch=2, steps=8)
    straight = run_in(tmp_path / "straight", config).run()

    with pytest.raises(Stopped):
        run_in(tmp_path / "stopped", config, feed=StoppingFeed(7)).run()
    resumed = run_in(tmp_path / "stopped", config).run()
    assert resumed.last_loss == straight.last_loss
    names = ("final/model.safetensors", "final/optimizer.safetensors")
    for name in names:
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
