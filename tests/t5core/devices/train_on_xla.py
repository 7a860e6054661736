"""Trains and decodes on XLA and prints what it found as JSON: a process of its own, for ``test_xla.py``.

python train_on_xla.py FOLDER [DATA MODEL]      with ``small_run`` importable and PJRT_DEVICE=CPU; a mesh if it is given
python train_on_xla.py FOLDER whole             in SPMD, on devices whose memory has room for all weights
"""

import json
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from small_run import MODEL, TRAIN, CopyFeed, ending_inputs, ending_model
from torch_xla import runtime
from torch_xla.distributed import spmd

from t5core import decoding
from t5core.config import DecodeConfig, MeshConfig
from t5core.decoding.teacher_forced import token_nats
from t5core.devices import XlaDevice, open_device, xla
from t5core.model import T5, Dropout
from t5core.training import TrainingRun, checkpoint
from t5core.training.step import TrainStep

WIDE = 1_000
COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
BRACKETS = re.compile(r"\w+\[([\d,]*)\]")
LONG = re.compile(r"= [su]64\[([\d,]+)\]")
SCATTER = re.compile(r"= \w+\[([\d,]*)\]\S* scatter\(")
MASKS = (101, 2, 3, 40)
CONFIG = TRAIN.replace(log_every=1, checkpoint_every=12)
"""``small_run``'s, dropout included; what the run saved at step 12 is put aside."""


class AsideFeed(CopyFeed):
    """Puts the checkpoint of step 12 aside while the run goes on: at its end none but the last is left."""

    def __init__(self, folder):
        super().__init__(CONFIG)
        self.folder = folder

    def batch(self, i):
        saved = checkpoint.step_folder(self.folder / "checkpoints", 12)
        if saved.exists():
            (self.folder / "resumed" / "checkpoints").mkdir(parents=True)
            saved.rename(self.folder / "resumed" / "checkpoints" / saved.name)
        return super().batch(i)


def train(device, folder):
    """A whole run, and one that goes on from its step 12."""
    found = {}
    for name, where, feed in (("run", folder, AsideFeed(folder)), ("resumed", folder / "resumed", CopyFeed(CONFIG))):
        run = TrainingRun(T5(MODEL).initialise(CONFIG.seed), feed, CONFIG, device, where)
        before = device.compilations()
        result = run.run()
        found[name] = {
            "losses": [row["loss"] for row in run.curve],
            "compiled": device.compilations() - before,
            "compiled_after_warmup": result.compilations_after_warmup,
            "steps_run": result.steps_run,
        }
    return {**found, "parts": parts(run.step.model)}


def parts(model):
    """The shape of each weight, and those of what the devices have of it."""
    found = {}
    for name, weight in model.named_parameters():
        shards = getattr(spmd.wrap_if_sharded(weight), "local_shards", [])
        found[name] = [list(weight.shape), [list(shard.data.shape) for shard in shards]]
    return found


def decode(device):
    """Greedy ids of three batches that end after different numbers of steps, and the compilations after each.

    With them the compilations after every step of the first batch, and of a beam search.
    """
    model = device.place(ending_model())
    generated, compiled, each = [], [], {}
    for name, beams in (("greedy", 1), ("beams", 2)):
        counts, end_step = [], device.end_step
        device.end_step = lambda counts=counts, end_step=end_step: (end_step(), counts.append(device.compilations()))
        config = DecodeConfig(max_new_tokens=10, num_beams=beams)
        decoding.decode(model, ending_inputs()[[0, 5, 7, 3]], config, device)
        del device.end_step
        each[name] = [count - counts[0] for count in counts[1:]]
    for rows in ([2, 3, 6, 9], [5, 9, 11, 2], [0, 5, 7, 3]):
        ids = decoding.decode(model, ending_inputs()[rows], DecodeConfig(max_new_tokens=10), device)
        generated.append(ids.tolist())
        compiled.append(device.compilations())
    return {"generated": generated, "compiled_decoding": compiled, "compiled_steps": each}


def vocabulary(device):
    """What devices send each other where the vocabulary is wider than all else: a step in two chunks, likelihoods."""
    device.loss_chunk_bytes = 1
    model = device.place(T5(MODEL.replace(vocab_size=WIDE)).initialise(0))
    before = programs()
    step, batch = TrainStep(model, CONFIG, device), CopyFeed(CONFIG).batch(0)
    step(batch, 0)
    token_nats(model, step.inputs(batch), device).cpu()
    text = "".join(path.read_text() for path in programs() - before)
    return {"sent": sent_in(text), "scattered": SCATTER.findall(text), "long": LONG.findall(text)}


def sent_in(text):
    """The kind and the shape of everything that devices send each other in a program."""
    found = re.findall(rf"= (.*?) ({'|'.join(COLLECTIVES)})(?:-start)?\(", text)
    shapes = [(kind, dims) for shape, kind in found for dims in BRACKETS.findall(shape)]
    return [(kind, [int(n) for n in dims.split(",") if n]) for kind, dims in shapes]


def hosts(device):
    """What is fetched, compiled and agreed on where a mesh spans two hosts; this process stands for both."""
    model = device.place(T5(MODEL).initialise(0))
    device.end_step()
    alone = device.gathered(model.state_dict())
    found, before = {"compiled": []}, programs()
    device._processes = 2
    for _ in range(2):
        compiled, both = device.compilations(), device.gathered(model.state_dict())
        found["compiled"].append(device.compilations() - compiled)
    found["equal"] = alone.keys() == both.keys() and all(torch.equal(alone[name], both[name]) for name in alone)
    text = "".join(path.read_text() for path in programs() - before)
    found["fetched"] = re.findall(r"ROOT \S+ = \(?\w+\[([\d,]+)\]", text)
    found["agreed"] = [sorted(device.everywhere(7.0))]
    device._cut, cut = lambda tensor, spec: cut(tensor.copy_(torch.tensor([3.0, 3.0, 4.0, 4.0])), spec), device._cut
    found["agreed"].append(sorted(device.everywhere(3.0)))
    del device._cut
    device.rank = 1
    found["of_the_second"] = len(device.gathered(model.state_dict()))
    device.rank, device._processes = 0, 1
    return found


def masks(device):
    """Dropout's masks of keys on both sides of an int32's sign."""
    keys = (5, 2**32 - 7)
    return [Dropout(rate=0.25, key=device.whole(key)).masks(*MASKS).cpu().tolist() for key in keys]


def programs():
    """The programs compiled so far, as every device runs them."""
    folder = Path(re.search(r"xla_dump_to=(\S+)", os.environ["XLA_FLAGS"])[1])
    return set(folder.glob("*after_optimizations.txt"))


def low_precision(folder):
    """Losses in bfloat16, and the precision of what is kept."""
    run = TrainingRun(
        T5(MODEL).initialise(CONFIG.seed), CopyFeed(CONFIG), CONFIG, XlaDevice(precision="bfloat16"), folder
    )
    run.run()
    kept = {str(weight.dtype) for weight in run.step.model.parameters()}
    return {"losses": [row["loss"] for row in run.curve], "kept": sorted(kept)}


def whole_weights():
    """Losses of the first steps, what lies on each device, and what they send each other."""
    runtime.use_spmd()
    xla.XlaDevice.memory_bytes = lambda self: xla.GIB
    device = open_device("xla")
    config = CONFIG.replace(steps=4, batch_size=8)
    step, feed, losses = (
        TrainStep(device.place(T5(MODEL).initialise(config.seed)), config, device),
        CopyFeed(config),
        [],
    )
    before, compiled = programs(), device.compilations()
    for i in range(config.steps):
        losses.append(step(feed.batch(i), i).item())
    text = "".join(path.read_text() for path in programs() - before)
    return {
        "losses": losses,
        "compiled": device.compilations() - compiled,
        "parts": parts(step.model),
        "sent": sent_in(text),
        "decisions": [asdict(decision) for decision in device.decisions()],
    }


def main():
    """Prints the findings."""
    folder, *axes = sys.argv[1:]
    if axes == ["whole"]:
        sys.stdout.write(json.dumps(whole_weights()) + "\n")
        return
    device = open_device("xla", mesh=MeshConfig(data=int(axes[0]), model=int(axes[1])) if axes else None)
    found = {
        **train(device, Path(folder)),
        **decode(device),
        "masks": masks(device),
        "fallbacks": device.fallbacks(),
        "decisions": [asdict(decision) for decision in device.decisions()],
    }
    if axes:
        found["vocabulary"] = vocabulary(device)
        found["hosts"] = hosts(device)
    else:
        found["low_precision"] = low_precision(Path(folder) / "low_precision")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
