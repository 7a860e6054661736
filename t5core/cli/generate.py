"""The verb ``generate``: what a trained model answers. JSON Lines in, JSON Lines out.

    t5core generate STORE/finetune/spans-0a1b2c --task glue_mnli --file examples.jsonl
    t5core generate STORE/finetune/spans-0a1b2c --task doc_qa --file STORE/tasks/6-tasks-3d4e5f/doc_qa.validation.jsonl
    t5core generate my-t5 --task squad --data-dir data --split validation --limit 100

A model and the vocabulary that it was trained with come from one folder, in either form:

    checkpoint            state.json, model.safetensors, ...       vocabulary.model (vocabulary.json)
    stage that trained    final/, a checkpoint
    Hugging Face folder   config.json, model.safetensors           spiece.model (tokenizer_config.json, ...)

A model whose embedding has other rows than a vocabulary has ids would answer nonsense without a word, so sizes are
held against each other. Released models have 100 sentinels and up to 127 rows more, which no text uses; ours have a row
for each id. So where neither the ``.model`` file, as mT5's, nor a file beside it says how many sentinels there are,
``vocabulary.model`` has as many as the model has rows above the pieces, and any other file 100, or fewer where there is
no room for them. Tokens that were added in a Hugging Face folder are read in inputs and shown in answers.

A line is an example in the fields of the hub, or a pair of text already: one with ``inputs`` and ``targets`` is taken
as it is, whatever the task. All lines are read before the first answer is searched for, so that a bad one is told at
once; answers are printed batch by batch. Inputs are cut, joined and padded as stages do it, and the same search gives
the same answers as theirs.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t5core.arguments import OneLineParser, whole_number
from t5core.cli.lines import note, print_json, rows
from t5core.errors import ConfigError, DataError

if TYPE_CHECKING:  # importing torch takes seconds that --help does not need
    from t5core.model import T5
    from t5core.tasks import Task, TextPair
    from t5core.vocabulary import Vocabulary

VERBS = ("generate",)
_ALPHA = 0.6
_MOST_NEW_TOKENS = 128
_LIMIT = 20
_BATCH = 32
_SENTINEL = re.compile(r"<extra_id_(\d{1,9})>")
_COUNTS = {"max_new_tokens": 1 << 12, "num_beams": 1 << 12, "batch_size": None, "inputs_length": None, "limit": None}
"""Flag -> the most that it may be; None: any."""


def add_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verb to the command."""
    parser = verbs.add_parser(
        "generate", help="show what a trained model answers", description=generate.__doc__, allow_abbrev=False
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a checkpoint, a stage's folder, or a Hugging Face T5")
    parser.add_argument("--task", metavar="TASK", required=True, help="a task's name, or a .yaml or .py file")
    parser.add_argument("--vocabulary", metavar="PATH", help="a .model file or its folder (default: in CHECKPOINT)")
    parser.add_argument("--file", metavar="F", help="JSON Lines, also .gz (default: standard input)")
    parser.add_argument("--data-dir", metavar="FOLDER", help="read the task's own set from here in place of lines")
    parser.add_argument("--split", metavar="NAME", help="of the task's own set (default: validation)")
    parser.add_argument("--limit", metavar="N", help=f"pairs at most (default: {_LIMIT} of the own set, all lines)")
    parser.add_argument("--score", action="store_true", help="also the task's metrics, on stderr")
    parser.add_argument("--num-beams", metavar="N", help="1 is greedy search (default: 1)")
    parser.add_argument(
        "--max-new-tokens", metavar="N", help=f"tokens (default: the task's, {_MOST_NEW_TOKENS} at most)"
    )
    parser.add_argument("--inputs-length", metavar="N", help="tokens; longer inputs are cut (default: the task's)")
    parser.add_argument("--batch-size", metavar="N", help=f"inputs at a time (default: {_BATCH})")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="auto, cpu, cuda or xla (default: cpu)")
    parser.add_argument("--precision", metavar="P", help="auto, float32 or bfloat16 (default: float32 on cpu)")
    parser.set_defaults(verb=generate)


def generate(arguments: argparse.Namespace) -> int:
    """Answers a task's examples with a trained model: inputs, target and prediction as a JSON object a line."""
    from t5core.config import DecodeConfig
    from t5core.decoding import decode
    from t5core.devices import DEVICE_NAMES, open_device
    from t5core.feeds import marker_ids, padded_batches
    from t5core.tasks import get_task

    task = get_task(arguments.task)
    most_new = min(_MOST_NEW_TOKENS, task.max_targets_tokens)
    counts = {
        name: whole_number(name, text, least=1, most=most)
        for name, most in _COUNTS.items()
        if (text := getattr(arguments, name)) is not None
    }
    config = DecodeConfig(
        max_new_tokens=counts.get("max_new_tokens", most_new),
        num_beams=counts.get("num_beams", 1),
        length_penalty=_ALPHA,
        length_penalty_form="t5",
        batch_size=counts.get("batch_size", _BATCH),
    )
    length = counts.get("inputs_length", task.max_inputs_tokens)
    limit = counts.get("limit")
    if arguments.device not in DEVICE_NAMES:
        raise ConfigError("device", arguments.device, f"choose one of {', '.join(DEVICE_NAMES)}", choices=DEVICE_NAMES)
    device = open_device(arguments.device, precision=arguments.precision)
    model, folder = _trained(Path(arguments.checkpoint))
    given = None if arguments.vocabulary is None else Path(arguments.vocabulary)
    vocabulary = _vocabulary(folder, given, model.config.vocab_size)
    pairs = _pairs(arguments, task, limit)
    inputs = vocabulary.encode_batch([pair.inputs for pair in pairs])
    longest = max(len(ids) for ids in inputs) + 1  # with its end
    if longest > length:
        number = sum(len(ids) >= length for ids in inputs)
        cut = f"{number} of {len(inputs)} inputs are longer than {length} tokens and are cut"
        note(f"{cut}; the longest has {longest}: --inputs-length N takes more")
    glued = sum(_has_glued(vocabulary, pair.inputs, ids) for pair, ids in zip(pairs, inputs, strict=True))
    if glued:
        note(
            f"{glued} of {len(inputs)} inputs have an <extra_id_k> right behind a word or sign: it is plain text there"
        )
    marker = marker_ids(vocabulary) if model.config.decoder_only else None
    model = model.to(device.torch_device)
    model.compute_dtype = device.compute_dtype
    predictions: list[str] = []
    batches = padded_batches(inputs, min(config.batch_size, len(inputs)), min(length, longest), marker)
    for inputs_BS, real in batches:
        generated_BN = decode(model, inputs_BS, config, device)
        for row in generated_BN[:real].tolist():
            pair = pairs[len(predictions)]
            predictions.append(vocabulary.decode(row))
            print_json({"inputs": pair.inputs, "target": pair.targets, "prediction": predictions[-1]})
        sys.stdout.flush()
    if arguments.score:
        note(_scored(task, pairs, predictions))
    return 0


def _trained(path: Path) -> "tuple[T5, Path]":
    """Returns a model on the CPU and the folder that holds its files."""
    from t5core.interchange import from_hf
    from t5core.start import is_ours, trained_folder
    from t5core.training import checkpoint

    folder = trained_folder(path, "CHECKPOINT")
    return (checkpoint.load(folder).model() if is_ours(folder) else from_hf(folder)), folder


def _vocabulary(folder: Path, given: Path | None, num_rows: int) -> "Vocabulary":
    """Returns the vocabulary that is given, or lies beside a model, for an embedding of so many rows."""
    from t5core.vocabulary import HF_MODEL_FILE, MODEL_FILE, load_trained, model_file

    place = folder if given is None else given
    found = model_file(place)
    if found is None and (given is None or place.is_dir()):
        way_out = "give the model's vocabulary, --vocabulary FILE_OR_FOLDER"
        raise ConfigError("vocabulary", str(place), f"no {MODEL_FILE} and no {HF_MODEL_FILE} is there: {way_out}")
    return load_trained(found or place, num_rows)


def _has_glued(vocabulary: "Vocabulary", text: str, ids: list[int]) -> bool:
    """Whether a sentinel is written in a text where the vocabulary, as the released one, does not take it for one."""
    written = sum(int(number) < vocabulary.num_sentinels for number in _SENTINEL.findall(text))
    return written > 0 and written > sum(vocabulary.piece(token).startswith("<extra_id_") for token in ids)


def _pairs(arguments: argparse.Namespace, task: "Task", limit: int | None) -> "list[TextPair]":
    """Returns what is to be answered, at least one pair; with --score only what an answer can be held against."""
    from t5core.tasks.files import located

    own = arguments.data_dir is not None or arguments.split is not None
    if own and arguments.file is not None:
        raise ConfigError("file", arguments.file, "give lines, or --data-dir and --split for the task's own set")
    if own and task.embedded:
        way_out = f"its examples are made from a corpus: give --file with pairs, a tasks stage's {task.name}.validation"
        raise ConfigError("task", task.name, f"{way_out}.jsonl")
    found = _of_set(arguments, task, limit or _LIMIT) if own else _of_lines(arguments, task)
    pairs = []
    for where, pair in islice(found, limit):
        try:
            _check(pair)
            if arguments.score:
                task.check_row(pair.targets, pair.context)
        except DataError as error:
            raise located(error, where) from error
        pairs.append(pair)
    if not pairs:
        raise DataError("task", task.name, "none of the examples gives a pair of text: give others")
    return pairs


def _of_lines(arguments: argparse.Namespace, task: "Task") -> "Iterator[tuple[str, TextPair]]":
    from t5core.tasks.files import located
    from t5core.tasks.forms import given

    with rows(arguments.file) as found:
        for where, example in found:
            try:
                if arguments.score and not _is_pair(example):
                    task.check_labelled(example)
                made = given(example) if _is_pair(example) else task.form(example)
            except DataError as error:
                raise located(error, where) from error
            yield from ((where, pair) for pair in made)


def _of_set(arguments: argparse.Namespace, task: "Task", limit: int) -> "Iterator[tuple[str, TextPair]]":
    from t5core.tasks.sources import SPLITS

    split = "validation" if arguments.split is None else arguments.split
    if split not in SPLITS:
        raise ConfigError("split", split, f"choose one of {', '.join(SPLITS)}", choices=SPLITS)
    data_dir = None if arguments.data_dir is None else Path(arguments.data_dir)
    found = task.read_examples(split, data_dir, labelled=arguments.score)
    for number, (where, pair) in enumerate(((where, pair) for where, pairs in found for pair in pairs), start=1):
        if number > limit:
            note(f"these are the first {limit} of {split}; --limit N takes more")
            return
        yield where, pair


def _is_pair(example: dict[str, Any]) -> bool:
    """Whether a line is a pair of text; null in place of one is told as what it is."""
    return all(name in example and isinstance(example[name], str | None) for name in ("inputs", "targets"))


def _check(pair: "TextPair") -> None:
    try:
        pair.inputs.encode("utf-8")
    except UnicodeEncodeError as error:
        shown = pair.inputs[max(0, error.start - 10) : error.start + 10]
        raise DataError("inputs", shown, "this is no text that a vocabulary can read: half a surrogate pair") from error


def _scored(task: "Task", pairs: "list[TextPair]", predictions: list[str]) -> str:
    """Returns the metrics, how many outputs are no answer and what else to read them with, in one line."""
    targets = [pair.targets for pair in pairs]
    scores = task.score(targets, predictions, [pair.context for pair in pairs])
    values = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
    note = f"; {unseen}" if (unseen := task.note(targets)) else ""
    return f"{values}; {task.invalid(predictions)} of {len(predictions)} outputs are nothing that a target can be{note}"
