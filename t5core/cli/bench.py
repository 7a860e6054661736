"""The verb ``bench``: measures t5core on a device, alone or against transformers.

t5core bench --device cuda --against transformers
"""

import argparse

from t5core.arguments import OneLineParser, real_number, whole_number

VERBS = ("bench",)


def add_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verb to the command."""
    parser = verbs.add_parser("bench", help="measure speed", description=bench.__doc__, allow_abbrev=False)
    parser.add_argument("--what", default="train", metavar="WHAT", help="train or decode (default: train)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or xla (default: auto)")
    parser.add_argument("--precision", metavar="P", help="auto, float32 or bfloat16 (default: float32 on cpu)")
    parser.add_argument("--size", metavar="NAME", help="a preset (default: base on accelerators, small on cpu)")
    parser.add_argument("--batch", metavar="N", help="sequences (default: train 128, on cpu 4; decode 16)")
    parser.add_argument("--inputs-length", default="512", metavar="N", help="tokens (default: 512)")
    parser.add_argument("--targets-length", metavar="N", help="tokens, or new ones (default: train 114, decode 64)")
    parser.add_argument("--dropout", default="0.1", metavar="P", help="in training (default: 0.1)")
    parser.add_argument("--against", default="none", metavar="PEER", help="none or transformers (default: none)")
    parser.add_argument("--rounds", metavar="N", help="timed ones per contestant (default: 20, on cpu 5)")
    parser.set_defaults(verb=bench)


def bench(arguments: argparse.Namespace) -> int:
    """Times training steps or greedy decoding; with a peer, in turns on the same weights and batch."""
    from t5core.bench import BenchSettings, decode, train

    counts = {
        name: whole_number(name, text, least=1)
        for name in ("batch", "inputs_length", "targets_length", "rounds")
        if (text := getattr(arguments, name)) is not None
    }
    settings = BenchSettings(
        what=arguments.what,
        device=arguments.device,
        precision=arguments.precision,
        size=arguments.size,
        dropout=real_number("dropout", arguments.dropout, "give a rate from 0 up to, not including, 1"),
        against=arguments.against,
        **counts,
    )
    (train if settings.what == "train" else decode).measure(settings)
    return 0
