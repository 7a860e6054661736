"""The verb ``corrupt``: what an objective shows the model of a text and asks of it, printed before anything trains.

t5core corrupt --objective span --mean-span 3 --rate 0.15 --seed 0 < any.txt
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from t5core.arguments import OneLineParser, real_number, whole_number
from t5core.cli.lines import note
from t5core.config import ObjectiveConfig, ObjectiveKind
from t5core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from t5core.objectives.shown import Codec, ShownExample

VERBS = ("corrupt",)
_SHORT_NAMES: dict[str, ObjectiveKind] = {
    "span": "replace_spans",
    "iid": "replace_spans",
    "bert": "bert_style",
    "mass": "mass_style",
    "drop": "drop_tokens",
    "deshuffle": "deshuffling",
}
_KINDS: tuple[ObjectiveKind, ...] = get_args(ObjectiveKind)
_DEFAULT_MEAN_SPAN = 3.0
_SENTINEL = re.compile(r"<extra_id_\d+>")
_COLOUR, _PLAIN = "\x1b[1;36m", "\x1b[0m"


def add_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verb to the command."""
    parser = verbs.add_parser(
        "corrupt", help="show what an objective makes of a text", description=corrupt.__doc__, allow_abbrev=False
    )
    names = ", ".join([*_SHORT_NAMES, *_KINDS])
    # numbers are taken as text and checked by hand, so that what is wrong with them can be said by name
    parser.add_argument("--objective", default="span", metavar="NAME", help=f"one of {names} (default: span)")
    parser.add_argument("--rate", metavar="R", help="share of the tokens that is corrupted (default: 0.15)")
    parser.add_argument("--mean-span", metavar="N", help="mean length of a corrupted span, in tokens (span: 3)")
    parser.add_argument("--seed", default="0", metavar="N", help="of the noise (default: 0)")
    parser.add_argument(
        "--length", default="512", metavar="N", help="input tokens at most, with end mark (default: 512)"
    )
    parser.add_argument("--vocabulary", metavar="FOLDER", help="a t5core vocabulary; without one, words are the tokens")
    parser.add_argument("--json", action="store_true", help="one JSON object per example")
    parser.set_defaults(verb=corrupt)


def corrupt(arguments: argparse.Namespace) -> int:
    """Prints what an objective shows the model and asks of it, for the text on standard input."""
    from t5core.objectives.catalogue import MIN_INPUTS_LENGTH
    from t5core.objectives.shown import Words, shown_examples

    objective = _objective(arguments)
    length = whole_number("length", arguments.length)
    if length < MIN_INPUTS_LENGTH:
        raise ConfigError("length", length, f"give {MIN_INPUTS_LENGTH} or more tokens")
    seed = whole_number("seed", arguments.seed)
    vocabulary = None if arguments.vocabulary is None else _vocabulary(Path(arguments.vocabulary))
    text = _standard_input()
    if vocabulary is None:
        note("words are the tokens here; --vocabulary FOLDER shows a vocabulary's pieces")
    codec = vocabulary or Words(text)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for number, example in enumerate(shown_examples(text, codec, objective, inputs_length=length, seed=seed)):
        if arguments.json:
            print(_as_json(example, with_ids=vocabulary is not None))
            continue
        if number:
            print()
        print(f"inputs:  {_coloured(example.inputs, colour)}")
        print(f"targets: {_coloured(example.targets, colour)}")
    sys.stdout.flush()
    return 0


def _objective(arguments: argparse.Namespace) -> ObjectiveConfig:
    from t5core.objectives.catalogue import recipe

    name = arguments.objective
    choices = [*_SHORT_NAMES, *_KINDS]
    if name not in choices:
        raise ConfigError("objective", name, f"choose one of {', '.join(choices)}", choices=choices)
    kind = _SHORT_NAMES.get(name, name)
    rate = 0.15 if arguments.rate is None else real_number("rate", arguments.rate)
    if not 0 < rate < 1:
        raise ConfigError("rate", rate, "give a corruption rate between 0 and 1, like 0.15")
    mean_span = None if arguments.mean_span is None else real_number("mean_span", arguments.mean_span)
    if mean_span is not None and not 1 <= mean_span < float("inf"):
        raise ConfigError("mean_span", mean_span, "give a mean span length of 1 or more tokens")
    has_rate = recipe(ObjectiveConfig(kind=kind)).noise not in ("none", "prefix")
    if arguments.rate is not None and not has_rate:
        note(f"{name} has no corruption rate: --rate is not used")
    if mean_span is not None and (not has_rate or name == "iid"):
        note(f"{name} has no spans of its own length: --mean-span is not used")
        mean_span = None
    if name == "span" and mean_span is None:
        mean_span = _DEFAULT_MEAN_SPAN
    return ObjectiveConfig(kind=kind, noise_density=rate, mean_noise_span_length=mean_span)


def _vocabulary(path: Path) -> "Codec":
    from t5core.vocabulary import MODEL_FILE, Vocabulary, model_file

    return Vocabulary.load((model_file(path) or path / MODEL_FILE) if path.is_dir() else path)


def _standard_input() -> str:
    if sys.stdin.isatty():
        note("reading text from the keyboard; end it with Ctrl-D")
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError("stdin", "bytes", f"give text in UTF-8 (byte {error.start} is not)") from error
    if not text.strip():
        raise DataError("stdin", text, "there is no text: pipe some in, like t5core corrupt < any.txt")
    return text


def _coloured(text: str, colour: bool) -> str:
    return _SENTINEL.sub(lambda match: f"{_COLOUR}{match[0]}{_PLAIN}", text) if colour else text


def _as_json(example: "ShownExample", *, with_ids: bool) -> str:
    values: dict[str, object] = {"inputs": example.inputs, "targets": example.targets}
    if with_ids:  # a word's id means nothing outside this call
        values |= {"input_ids": example.input_ids, "target_ids": example.target_ids}
    return json.dumps(values, ensure_ascii=False)
