"""The verb ``sizes``: what training each model takes on the devices of a mesh.

t5core sizes --mesh 16x4 --memory-gib 32
"""

import argparse

from t5core.arguments import OneLineParser, whole_number
from t5core.errors import ConfigError

VERBS = ("sizes",)
_GIB = 1 << 30


def add_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verb to the command."""
    parser = verbs.add_parser("sizes", help="show what models take in memory", description=sizes.__doc__)
    parser.add_argument("--mesh", default="1x1", metavar="DxM", help="devices: data x model (default: 1x1)")
    parser.add_argument("--batch", default="128", metavar="N", help="sequences of the whole batch (default: 128)")
    parser.add_argument("--inputs-length", default="512", metavar="N", help="tokens (default: 512)")
    parser.add_argument("--targets-length", default="114", metavar="N", help="tokens (default: 114)")
    parser.add_argument("--precision", default="bfloat16", metavar="NAME", help="of activations: bfloat16 or float32")
    parser.add_argument("--memory-gib", metavar="N", help="of a device: says which models fit")
    parser.set_defaults(verb=sizes)


def sizes(arguments: argparse.Namespace) -> int:
    """Shows what training every preset takes on each device of a mesh, without taking it."""
    import torch

    from t5core.devices import mesh_of
    from t5core.model import PRESETS, num_parameters, preset
    from t5core.sizes import device_bytes
    from t5core.tables import Column, print_table

    mesh = mesh_of(arguments.mesh)
    precisions = {"bfloat16": torch.bfloat16, "float32": torch.float32}
    if arguments.precision not in precisions:
        raise ConfigError("precision", arguments.precision, "choose one of bfloat16, float32", choices=precisions)
    batch, inputs, targets = (
        whole_number(name, getattr(arguments, name), least=1) for name in ("batch", "inputs_length", "targets_length")
    )
    memory = None if arguments.memory_gib is None else whole_number("memory_gib", arguments.memory_gib, least=1)
    title = f"GiB on each of {mesh.size} devices ({arguments.mesh}), batch {batch} x ({inputs}, {targets})"
    columns = [
        Column(head="model", kind="name"),
        Column(head="parameters", short="params"),
        Column(head="weights", priority=3),
        Column(head="gradients", short="grads", priority=3),
        Column(head="moments", priority=3),
        Column(head="activations", short="acts", priority=2),
        Column(head="total", priority=0),
        Column(head="with recomputing", short="recomp."),
    ]
    if memory is not None:
        columns.append(Column(head=f"fits in {memory} GiB", short="fits", kind="name", priority=0))
    rows = []
    for name in PRESETS:
        config = preset(name)
        plain, again = (
            device_bytes(
                config,
                mesh,
                batch_size=batch,
                inputs_length=inputs,
                targets_length=targets,
                dtype=precisions[arguments.precision],
                recompute=recompute,
            )
            for recompute in (False, True)
        )
        numbers = (plain.weights, plain.gradients, plain.moments, plain.activations, plain.total, again.total)
        fits = []
        if memory is not None:
            fits = ["yes" if plain.total <= memory * _GIB else "recomputing" if again.total <= memory * _GIB else "no"]
        rows.append((name, f"{num_parameters(config) / 1e6:,.1f}M", *(f"{n / _GIB:.2f}" for n in numbers), *fits))
    print_table(columns, rows, title=title)
    return 0
