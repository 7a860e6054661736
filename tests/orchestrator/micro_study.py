"""A study small enough for tests: made-up documents, 400 pieces, a model of one layer, 20 steps; all of it real."""

import json
import random
from pathlib import Path

from orchestrator.plan.experiment import Experiment
from orchestrator.plan.study import Row, Scale, Study
from t5core.config import (
    CorpusConfig,
    DecodeConfig,
    ModelConfig,
    ObjectiveConfig,
    ScheduleConfig,
    TasksConfig,
    TrainConfig,
    VocabularyConfig,
)

TASK_NAMES = ("doc_acceptability", "doc_qa", "doc_cloze")
STAGE_KINDS = {"corpus", "vocabulary", "tasks", "tokens", "pretrain", "finetune", "evaluate", "likelihood"}

_WORDS_TEXT = """
    reader writer record packet window garden river bridge letter signal market planet engine harbor forest valley
    copper silver marble velvet candle basket ladder mirror needle pencil ribbon saddle temple tunnel violin wagon
    gathers measures carries follows replaces divides compares announces collects delivers forgets inspects
"""
_WORDS = _WORDS_TEXT.split()
_TYPES = ["int", "str", "bool", "float", "dict", "callable", "ndarray", "list of str", "Path", "bytes"]
_DEFAULTS = ["None", "True", "3", "0.5", "7", "False", "12", "2.5"]


def write_documents(path: Path, count: int = 240) -> Path:
    """Writes ``count`` made-up docstrings in numpydoc's form, one per line of JSON; the same ones every time."""
    rng = random.Random("micro")
    rows = [json.dumps({"text": _document(rng, i), "source": f"made-up-{i}"}) for i in range(count)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def _document(rng: random.Random, number: int) -> str:
    def sentence(*first: str) -> str:
        words = [*first, *rng.sample(_WORDS, 8 - len(first))]
        return " ".join(words).capitalize() + "."

    shared = rng.sample(_WORDS, 3)
    parameters = "\n".join(
        f"{word}_{number} : {rng.choice(_TYPES)}, optional\n"
        f"    What {word} does to the {rng.choice(_WORDS)}. Default is {rng.choice(_DEFAULTS)}."
        for word in rng.sample(_WORDS, 3)
    )
    body = " ".join(sentence(*shared) for _ in range(3))
    return f"{sentence(*shared)}\n\n{body}\n\nParameters\n----\n{parameters}"


def experiment(corpus: Path) -> Experiment:
    """The baseline on the documents at ``corpus``."""
    vocabulary = VocabularyConfig(num_pieces=400, num_sentinels=32)
    constant = ScheduleConfig(kind="constant", learning_rate=0.01)
    return Experiment(
        corpus=CorpusConfig(source="files", paths=(str(corpus),), validation_fraction=0.3),
        vocabulary=vocabulary,
        objective=None,
        model=ModelConfig(
            vocab_size=vocabulary.size,
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_heads=4,
            num_encoder_layers=1,
            num_decoder_layers=1,
        ),
        pretrain=TrainConfig(
            steps=20, batch_size=8, inputs_length=32, schedule=constant, log_every=5, checkpoint_every=8
        ),
        tasks=TasksConfig(names=TASK_NAMES, train_examples=60, validation_examples=20),
        finetune=TrainConfig(
            steps=10, batch_size=8, inputs_length=48, targets_length=16, schedule=constant, checkpoint_every=5
        ),
        decode=DecodeConfig(max_new_tokens=4, batch_size=20),
    )


def scale(corpus: Path) -> Scale:
    """The only scale of the study."""
    return Scale(name="micro", purpose="a test", baseline=experiment(corpus), precision="float32")


def study(*more: Row) -> Study:
    """The baseline objective, no pre-training, and ``more`` rows."""
    return Study(
        name="trial",
        title="A trial",
        baseline="spans",
        baseline_sd={"GLUE": 0.2},
        rows=(
            Row(name="spans", label="Spans", changes={"objective": ObjectiveConfig()}, paper={"GLUE": 83.28}),
            Row(name="none", label="No pre-training", changes={"objective": None}, paper={"GLUE": 66.22}),
            *more,
        ),
    )


def diverging_row(corpus: Path) -> Row:
    """A row whose pre-training stops at a loss that is not finite."""
    mad = ScheduleConfig(kind="constant", learning_rate=1e30)
    pretrain = experiment(corpus).pretrain.replace(schedule=mad)
    return Row(name="diverges", label="Diverges", changes={"objective": ObjectiveConfig(), "pretrain": pretrain})
