"""The sizes at which every study runs: the same code at all of them.

    tiny    first contact: a study in minutes on two CPU cores
    desk    first evidence: an evening on two CPU cores
    mini    a real answer from one GPU
    paper   the paper's own settings, for TPU pods

``tiny`` and ``desk`` were chosen by measurement; docs/tiny.md and docs/desk.md tell what was tried.
"""

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.plan.experiment import Experiment
from orchestrator.plan.study import Scale
from t5core.config import (
    CorpusConfig,
    DecodeConfig,
    MixtureConfig,
    ModelConfig,
    ScheduleConfig,
    TasksConfig,
    TrainConfig,
    VocabularyConfig,
    VocabularySource,
)
from t5core.corpora import identify
from t5core.model import preset
from t5core.tasks import EMBEDDED_TASKS
from t5core.tasks.known import PAPER_GROUP

TRAIN_EXAMPLES = 8_000
"""Of each task at the small scales, unless a flag says otherwise."""
ALL = 2**40
"""More examples than any set has."""

EMBEDDED_TASK_NAMES = tuple(task.name for task in EMBEDDED_TASKS)
TINY_TASK_NAMES = ("doc_acceptability", "doc_topic", "doc_summary", "doc_qa", "doc_cloze", "doc_completion")
"""Those on which a model as small as ``tiny`` rises; docs/tiny.md has the trials."""


def _warmup_steps(steps: int) -> int:
    """Returns the paper's 10,000 steps of 2^19 as steps of a scale's baseline: its rate falls as far as the paper's.

    Rows that train longer keep the scale's, so that the first steps of all of them are the same run.
    """
    return round(steps * 10_000 / 2**19)


def tiny() -> Scale:
    """Returns the scale of a first look: every choice was made so that a row takes about 110 s on one core."""
    vocabulary = VocabularyConfig(num_pieces=4_000, num_sentinels=100, train_chars=4_000_000)
    model = preset("tiny", vocab_size=vocabulary.size)
    steps = 1_300
    return Scale(
        name="tiny",
        purpose="a first look in minutes on two CPU cores",
        precision="float32",  # the same figures, to rounding, on every kind of processor
        baseline=Experiment(
            corpus=CorpusConfig(),
            vocabulary=vocabulary,
            objective=None,
            model=model.replace(relative_attention_init_std=1.0, attention_init="mimetic"),
            pretrain=TrainConfig(
                steps=steps,
                batch_size=24,
                inputs_length=48,
                schedule=ScheduleConfig(learning_rate=0.08, warmup_steps=_warmup_steps(steps)),
                dropout_rate=0.0,
                checkpoint_every=650,
            ),
            tasks=TasksConfig(names=TINY_TASK_NAMES, train_examples=TRAIN_EXAMPLES, validation_examples=400),
            finetune=TrainConfig(
                steps=800,
                batch_size=16,
                inputs_length=48,
                targets_length=16,
                schedule=ScheduleConfig(kind="linear", learning_rate=0.02),
                dropout_rate=0.0,
                checkpoint_every=400,
            ),
            decode=DecodeConfig(max_new_tokens=16, batch_size=100),
        ),
    )


def desk() -> Scale:
    """Returns the scale of an evening without a GPU: real text and tasks, nine times what ``tiny`` computes."""
    vocabulary = VocabularyConfig(num_pieces=8_000, num_sentinels=100, train_chars=20_000_000)
    steps = 1_200
    return Scale(
        name="desk",
        purpose="first evidence in an evening on two CPU cores",
        baseline=Experiment(
            corpus=CorpusConfig(),
            vocabulary=vocabulary,
            objective=None,
            model=preset("desk", vocab_size=vocabulary.size).replace(
                relative_attention_init_std=1.0, attention_init="mimetic"
            ),
            pretrain=TrainConfig(
                steps=steps,
                batch_size=32,
                inputs_length=64,
                schedule=ScheduleConfig(learning_rate=0.04, warmup_steps=_warmup_steps(steps)),
                dropout_rate=0.0,
                checkpoint_every=400,
            ),
            tasks=TasksConfig(names=TINY_TASK_NAMES, train_examples=TRAIN_EXAMPLES, validation_examples=400),
            finetune=TrainConfig(
                steps=800,
                batch_size=16,
                inputs_length=96,
                targets_length=24,
                schedule=ScheduleConfig(kind="linear", learning_rate=0.02),
                dropout_rate=0.0,
                checkpoint_every=400,
            ),
            decode=DecodeConfig(max_new_tokens=24, batch_size=100),
        ),
    )


def mini() -> Scale:
    """Returns the scale for one GPU."""
    vocabulary = VocabularyConfig(num_pieces=16_000, num_sentinels=100, train_chars=20_000_000)
    return Scale(
        name="mini",
        purpose="a real answer from one GPU",
        baseline=Experiment(
            corpus=CorpusConfig(),
            vocabulary=vocabulary,
            objective=None,
            model=preset("mini", vocab_size=vocabulary.size),
            pretrain=TrainConfig(
                steps=8_192,
                batch_size=128,
                inputs_length=256,
                schedule=ScheduleConfig(warmup_steps=_warmup_steps(8_192)),
            ),
            tasks=TasksConfig(names=EMBEDDED_TASK_NAMES, train_examples=TRAIN_EXAMPLES, validation_examples=400),
            finetune=TrainConfig(
                steps=2_048,
                batch_size=128,
                inputs_length=112,
                targets_length=32,
                packed=True,
                schedule=ScheduleConfig(kind="constant", learning_rate=0.001),
            ),
            decode=DecodeConfig(max_new_tokens=32),
        ),
    )


def part_of_tiny(baseline: Experiment, divisor: int) -> dict[str, TrainConfig]:
    """Returns the phases of ``tiny`` with their steps over ``divisor``, for studies of costly rows; none elsewhere."""
    if baseline != tiny().baseline:
        return {}
    phases = {"pretrain": baseline.pretrain, "finetune": baseline.finetune}
    return {name: train.replace(steps=train.steps // divisor) for name, train in phases.items()}


C4_COMMIT = "1588ec454efa1a09f29cd18ddd04fe05fc8653a2"
"""Of the set on the hub with C4 and its pages in other languages; the one that others pin too."""
C4 = f"hf:allenai/c4:en:train@{C4_COMMIT}"
"""The paper's corpus."""


def _vocabulary_mix() -> tuple[VocabularySource, ...]:
    """10 parts of C4 to 1 each of pages in German, French and Romanian (section 2.2); some million characters of each.

    Their validation splits have more than that, and are a thousandth of the sets.
    """
    sets = [f"hf:allenai/c4:{language}:validation@{C4_COMMIT}" for language in ("de", "fr", "ro")]
    others = [identify(CorpusConfig(source="hub", paths=(name,))) for name in sets]
    return (VocabularySource(parts=10), *(VocabularySource(corpus=other) for other in others))


def paper() -> Scale:
    """Returns the paper's baseline settings (sections 3.1.1 and 3.1.2); embedding rows as in the released models.

    Text, vocabulary and tasks are the paper's, on the hub: C4, pages in three other languages, and what the columns of
    its tables are made of. Their names and commits say what they hold, so a plan is the same everywhere and needs no
    network.
    """
    return Scale(
        name="paper",
        purpose="the paper's own settings, for TPU pods",
        baseline=Experiment(
            corpus=CorpusConfig(source="hub", paths=(C4,)),
            vocabulary=VocabularyConfig(),
            vocabulary_mix=_vocabulary_mix(),
            objective=None,
            model=ModelConfig(),
            pretrain=TrainConfig(steps=2**19, batch_size=128, inputs_length=512),
            tasks=TasksConfig(names=PAPER_GROUP, train_examples=ALL, validation_examples=ALL),
            finetune=TrainConfig(
                steps=2**18,
                batch_size=128,
                inputs_length=512,
                targets_length=512,
                packed=True,
                schedule=ScheduleConfig(kind="constant", learning_rate=0.001),
            ),
            decode=DecodeConfig(max_new_tokens=128),
            finetuning="groups",
            # for who takes all tasks together: by their sizes alone, 86 of 100 examples would be English and French;
            # this K is the paper's for all tasks at once (3.5.3). No set of GLUE or SuperGLUE is as large
            mixture=MixtureConfig(maximum=2.0**19),
        ),
    )


SCALES: Mapping[str, Scale] = MappingProxyType({scale.name: scale for scale in (tiny(), desk(), mini(), paper())})
