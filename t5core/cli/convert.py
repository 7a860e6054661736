"""The verb ``convert``: a checkpoint becomes a Hugging Face folder, and a Hugging Face folder a checkpoint.

    t5core convert STORE/pretrain/spans-0a1b2c/final my-t5          for transformers
    t5core convert my-t5 my-checkpoint --step 1000000         to go on training; AdaFactor's moments start at 0

The direction follows from what lies in the first folder. The vocabulary goes along where one lies there, with the
tokens that were added to it.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from t5core.arguments import OneLineParser, whole_number
from t5core.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from t5core.vocabulary import Vocabulary

VERBS = ("convert",)


def add_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verb to the command."""
    parser = verbs.add_parser(
        "convert", help="to and from Hugging Face T5 folders", description=convert.__doc__, allow_abbrev=False
    )
    parser.add_argument("source", metavar="FROM", help="a checkpoint's folder, or a Hugging Face T5 folder")
    parser.add_argument("target", metavar="TO", help="a folder that is not there yet")
    parser.add_argument("--step", metavar="N", help="to a checkpoint: steps the model was trained for (default: 0)")
    parser.set_defaults(verb=convert)


def convert(arguments: argparse.Namespace) -> int:
    """Writes a checkpoint as a Hugging Face T5 folder, or the other way round."""
    source, target = Path(arguments.source), Path(arguments.target)
    if target.exists():
        raise ConfigError("TO", str(target), "it is there already: give a new folder")
    from t5core.interchange import CONFIG_FILE, from_hf, to_hf
    from t5core.model import num_parameters
    from t5core.training import AdaFactor, checkpoint
    from t5core.vocabulary import write_hf

    if (source / checkpoint.STATE_FILE).is_file():
        if arguments.step is not None:
            raise ConfigError("step", arguments.step, "it goes with a Hugging Face folder; a checkpoint knows its step")
        model, form = checkpoint.load(source).model(), "Hugging Face folder"
        vocabulary = _vocabulary(source, model.config.vocab_size)
        to_hf(model, target)
        if vocabulary is not None:
            write_hf(vocabulary, target)
    elif (source / CONFIG_FILE).is_file():
        step = 0 if arguments.step is None else whole_number("step", arguments.step)
        model, form = from_hf(source), f"checkpoint at step {step}"
        vocabulary = _vocabulary(source, model.config.vocab_size)
        moments = AdaFactor(list(model.named_parameters())).moments
        target.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.save(target, step, model.config, model.state_dict(), moments, {"total_step": step})
        if vocabulary is not None:
            vocabulary.save_to(target)
    else:
        way_out = (
            f"no {checkpoint.STATE_FILE} and no {CONFIG_FILE} is there: give a checkpoint or a Hugging Face folder"
        )
        raise CheckpointError("FROM", str(source), way_out)
    print(f"{target}: {form}, {num_parameters(model.config):,} parameters")
    return 0


def _vocabulary(folder: Path, num_rows: int) -> "Vocabulary | None":
    """Returns the vocabulary beside a model, None where there is none; raises ConfigError for a broken one."""
    from t5core.vocabulary import load_trained, model_file

    found = model_file(folder)
    return None if found is None else load_trained(found, num_rows)
