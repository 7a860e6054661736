"""One experiment, whole: everything from text to scores, as one frozen value.

A study's baseline is an experiment; each of its rows is the baseline with something replaced. ``stages_of`` expands
an experiment into the stages that produce its scores.
"""

from dataclasses import dataclass

from orchestrator.cost import finetune_flops, pretrain_flops
from orchestrator.plan import Stage
from t5core.config import (
    Config,
    CorpusConfig,
    DecodeConfig,
    ModelConfig,
    ObjectiveConfig,
    TasksConfig,
    TrainConfig,
    VocabularyConfig,
)
from t5core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Experiment(Config):
    """Corpus, vocabulary, objective, model, training, tasks: what the paper calls one row.

    Attributes:
        objective: None for no pre-training: fine-tuning starts from random weights.
        model: its adapters, if it has any, are put into the pre-trained model when fine-tuning begins.
        seed: added to the seeds of pre-training and fine-tuning; corpus, vocabulary and tasks stay the same.
    """

    corpus: CorpusConfig
    vocabulary: VocabularyConfig
    objective: ObjectiveConfig | None
    model: ModelConfig
    pretrain: TrainConfig
    tasks: TasksConfig
    finetune: TrainConfig
    decode: DecodeConfig
    seed: int = 0

    def __post_init__(self) -> None:
        if self.objective is not None and self.objective.kind == "lm" and not self.model.decoder_only:
            way_out = "an encoder needs an input: take prefix_lm, or a decoder-only architecture"
            raise ConfigError("objective", self.objective.kind, way_out)


def stages_of(experiment: Experiment, row: str) -> dict[str, Stage]:
    """Returns the experiment's stages by role, each after what it reads."""
    e = experiment
    stages: dict[str, Stage] = {}
    stages["corpus"] = Stage.of("corpus", e.corpus.source, corpus=e.corpus)
    stages["vocabulary"] = Stage.of(
        "vocabulary",
        f"{e.vocabulary.num_pieces}-pieces",
        inputs={"corpus": stages["corpus"]},
        vocabulary=e.vocabulary,
    )
    text = {"corpus": stages["corpus"], "vocabulary": stages["vocabulary"]}
    stages["tasks"] = Stage.of(
        "tasks", f"{len(e.tasks.names)}-tasks", inputs={"corpus": stages["corpus"]}, tasks=e.tasks
    )
    start = {"vocabulary": stages["vocabulary"]}
    pretrain = e.pretrain.replace(seed=e.pretrain.seed + e.seed)
    finetune = e.finetune.replace(seed=e.finetune.seed + e.seed)
    name = f"{row}-seed{e.seed}"
    plain = e.model.replace(adapter_size=None)  # adapters come with fine-tuning: rows with and without share the rest
    if e.objective is not None:
        stages["tokens"] = Stage.of("tokens", e.corpus.source, inputs=text)
        stages["pretrain"] = Stage.of(
            "pretrain",
            name,
            cost=pretrain_flops(plain, e.objective, pretrain),
            inputs={"tokens": stages["tokens"], **start},
            model=plain,
            objective=e.objective,
            train=pretrain,
        )
        start["pretrain"] = stages["pretrain"]
    stages["finetune"] = Stage.of(
        "finetune",
        name,
        cost=finetune_flops(e.model, finetune),
        inputs={"tasks": stages["tasks"], **start},
        model=e.model,
        train=finetune,
    )
    stages["evaluate"] = Stage.of(
        "evaluate",
        name,
        inputs={"finetune": stages["finetune"], "tasks": stages["tasks"], "vocabulary": stages["vocabulary"]},
        decode=e.decode,
        inputs_length=e.finetune.inputs_length,
    )
    return stages
