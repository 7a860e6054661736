"""Measures sequences on XLA and prints what it found as JSON: a process of its own, for ``test_teacher_forced.py``."""

import json
import sys

from measured import MARKER, asked_of, model_of

from t5core.decoding.teacher_forced import sequence_nats
from t5core.devices import open_device


def main():
    """Prints nats, how many programs were compiled after one pass and after another, and what ran on the host."""
    device = open_device("xla")
    found = {}
    for architecture in ("encoder_decoder", "prefix_lm"):
        model = device.place(model_of(architecture))
        joined_by = MARKER if model.config.decoder_only else None
        nats, compiled = [], []
        for seed in (0, 1):
            asked = asked_of(30, seed=seed)
            rows = sequence_nats(model, asked, device, batch_size=8, inputs_length=10, joined_by=joined_by)
            nats.append([row.tolist() for row in rows])
            compiled.append(device.compilations())
        found[architecture] = {"nats": nats, "compiled": compiled}
    sys.stdout.write(json.dumps({**found, "fallbacks": device.fallbacks()}) + "\n")


if __name__ == "__main__":
    main()
