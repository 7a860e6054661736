"""The verb ``bench``: measures t5core on a device, alone or against transformers.

t5core bench --device cuda --against transformers
"""

import argparse

from t5core.arguments import OneLineParser
from t5core.errors import ConfigError

VERBS = ("bench",)


def add_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verb to the command."""
    parser = verbs.add_parser("bench", help="measure speed", description=bench.__doc__, allow_abbrev=False)
    parser.add_argument("--what", default="train", metavar="WHAT", help="train or decode (default: train)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or xla (default: auto)")
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

    settings = BenchSettings(
        what=arguments.what,
        device=arguments.device,
        size=arguments.size,
        batch=_count("batch", arguments.batch),
        inputs_length=_count("inputs_length", arguments.inputs_length) or 0,
        targets_length=_count("targets_length", arguments.targets_length),
        dropout=_rate("dropout", arguments.dropout),
        against=arguments.against,
        rounds=_count("rounds", arguments.rounds),
    )
    (train if settings.what == "train" else decode).measure(settings)
    return 0


def _count(field: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) < 1 << 31:
        raise ConfigError(field, text, "give a whole number from 1 up")
    return int(text)


def _rate(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(field, text, "give a rate from 0 up to, not including, 1") from None
