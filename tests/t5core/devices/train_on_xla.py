"""Trains and decodes on an XLA device and prints what it found as JSON: a process of its own, for ``test_xla.py``.

python train_on_xla.py          with ``small_run`` importable and PJRT_DEVICE set
"""

import json
import sys

from small_run import MODEL, TRAIN, CopyFeed, ending_inputs, ending_model

from t5core import decoding
from t5core.config import DecodeConfig
from t5core.devices import open_device
from t5core.model import T5
from t5core.training.step import TrainStep

SMALLER = MODEL.replace(num_encoder_layers=1, num_decoder_layers=1)


def train(device, config):
    """The losses of all steps, and after each how many programs had been compiled before its loss was fetched."""
    step = TrainStep(T5(SMALLER).initialise(config.seed).to(device.torch_device), config, device)
    losses, compiled = [], []
    for i in range(config.steps):
        losses.append(step(CopyFeed(config).batch(i), i))
        compiled.append(device.compilations())
    return [loss.item() for loss in losses], compiled


def decode(device):
    """Greedy ids of three batches that end after different numbers of steps, and the compilations after each."""
    model = ending_model().to(device.torch_device)
    generated, compiled = [], []
    for rows in ([0, 5, 9], [2, 3, 6], [5, 9, 11]):
        ids = decoding.decode(model, ending_inputs()[rows], DecodeConfig(max_new_tokens=10), device)
        generated.append(ids.tolist())
        compiled.append(device.compilations())
    return generated, compiled


def main():
    """Prints the findings of the CPU and of XLA."""
    # XLA first: PyTorch's autograd counts its devices at the first backward pass of a process
    devices = [open_device("xla"), open_device("cpu")]
    found = {}
    for device in devices:
        losses, compiled = train(device, TRAIN.replace(dropout_rate=0.0))
        generated, compiled_decoding = decode(device)
        found[device.name] = {
            "losses": losses,
            "compiled": compiled,
            "generated": generated,
            "compiled_decoding": compiled_decoding,
            "decisions": [decision.what for decision in device.decisions()],
        }
    found["dropout_losses"], found["compiled_dropout"] = train(devices[0], TRAIN.replace(steps=6))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
