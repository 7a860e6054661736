"""One experiment, whole: everything from text to scores, as one frozen value.

A study's baseline is an experiment; each of its rows is the baseline with something replaced. ``expand.stages_of``
makes of an experiment the stages that produce its scores.
"""

from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.plan.ensembles import EnsembleConfig, check_alike
from orchestrator.plan.parts import PartConfig
from t5core.config import (
    Config,
    CorpusConfig,
    DecodeConfig,
    InitConfig,
    MixtureConfig,
    ModelConfig,
    ObjectiveConfig,
    TasksConfig,
    TrainConfig,
    VocabularyConfig,
    VocabularySource,
    added,
)
from t5core.errors import ConfigError

PRECISIONS = ("float32", "bfloat16")
PROPORTIONAL = MixtureConfig()
"""Every task in proportion to its examples."""


@dataclass(frozen=True, kw_only=True)
class Experiment(Config):
    """Corpus, vocabulary, objective, model, training, tasks: what the paper calls one row.

    Attributes:
        objective: None for no pre-training: fine-tuning starts from random weights.
        model: its adapters, if it has any, are put into the pre-trained model when fine-tuning begins.
        unlabeled_tokens: pre-train on the first so many tokens of the corpus only, again and again (section 3.4.2); the
            corpus lies in random order, so any of them are as good; None: on all of it.
        vocabulary_corpus: what the vocabulary is trained on where rows differ in their text; None: on ``corpus``.
        vocabulary_mix: the corpora that the vocabulary is trained on, each with its parts; empty: the one above. Only
            what they train on is read, nothing that they hold out.
        tasks_corpus: what embedded tasks are made of, likewise. Nothing that they are judged by is trained on as long
            as both are variants of one source, which hold out the same text.
        finetune: where it keeps its last weights (``keep_last``), likelihoods are taken of all of them, and bits per
            byte are the mean; in multi-task training those of the end of the whole.
        mixture: how often each task is drawn in fine-tuning.
        multitask: train on the unlabeled text and all tasks at once in this mixture, from random weights, for the steps
            of pre-training and fine-tuning together, and evaluate without fine-tuning (section 3.5.2); None: one after
            the other. Without an objective there is no unlabeled text, and the tasks are all that is trained on.
        then_finetune: multi-task training takes the place of pre-training, for its steps, and fine-tuning follows.
        leave_one_out: each part of ``finetuning`` has a multi-task training of its own, without the part's tasks: how
            well does what is learned carry over to a task that is new (section 3.5.3)?
        finetuning: which tasks a fine-tuning learns: all "together", the paper's "groups", or each "apart", see
            ``orchestrator.plan.parts``; every part takes the steps of ``finetune``. Says nothing where
            there is no fine-tuning.
        part_configs: what is otherwise in parts about certain tasks: the first that fits a part counts.
        checkpoint: which of the weights that fine-tuning keeps (``keep_last``) answer a task: the "last", or for each
            task the "best" by the very examples it is judged by, as in the paper (section 3.1.2).
        parts: multi-task training is cut into so many stages, each going on where the one before ended: a search
            looks at the scores after each, and a study's row and a search's trial share what they have in common.
        ensemble: what is judged are several models, whose logits are averaged; None: one model.
        precision: of activations, where it is not what the device computes in by itself (``usual_precision``); None: as
            the device does. The rest of a result's identity says nothing of devices.
        init: a checkpoint, with its model and vocabulary, in place of pre-training: fine-tuning and multi-task training
            begin there. A row without objective and mixture has no pre-training that it could take the place of: what
            is left of it are its sizes and its vocabulary.
        further: pre-train on from there, with fresh moments and the schedule of pre-training.
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
    unlabeled_tokens: int | None = None
    vocabulary_corpus: CorpusConfig | None = None
    vocabulary_mix: tuple[VocabularySource, ...] = added(())
    tasks_corpus: CorpusConfig | None = None
    mixture: MixtureConfig = PROPORTIONAL
    multitask: MixtureConfig | None = None
    then_finetune: bool = added(False)
    leave_one_out: bool = added(False)
    finetuning: Literal["together", "groups", "apart"] = added("together")
    part_configs: tuple[PartConfig, ...] = added(())
    checkpoint: Literal["last", "best"] = added("last")
    parts: int = 1
    ensemble: EnsembleConfig | None = added(None)
    precision: str | None = added(None)
    init: InitConfig | None = added(None)
    further: bool = added(False)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.objective is not None and self.objective.kind == "lm" and not self.model.decoder_only:
            way_out = "an encoder needs an input: take prefix_lm, or a decoder-only architecture"
            raise ConfigError("objective", self.objective.kind, way_out)
        self._positive("parts", "unlabeled_tokens")
        self._one_of("finetuning", "checkpoint")
        if self.checkpoint == "best" and self.finetune.keep_last is None:
            raise ConfigError("checkpoint", "best", "there is one checkpoint: have some kept, with --checkpoints K")
        if self.precision not in (None, *PRECISIONS):
            raise ConfigError("precision", self.precision, f"choose one of {', '.join(PRECISIONS)}", choices=PRECISIONS)
        other = self.tasks_corpus
        if other is not None and _held_out(other) != _held_out(self.corpus):
            way_out = "tasks are judged by what their corpus holds out: take a variant of the text that is trained on"
            raise ConfigError("tasks_corpus", other.source, way_out)
        if self.pretrain.fresh_moments:
            way_out = "there are none to carry over into pre-training or multi-task training: set it in finetune"
            raise ConfigError("pretrain.fresh_moments", True, way_out)
        if self.pretrain.keep_last is not None:
            way_out = "likelihoods are of what is trained last, also in multi-task training: set it in finetune"
            raise ConfigError("pretrain.keep_last", self.pretrain.keep_last, way_out)
        if self.mixture.unsupervised is not None:
            way_out = "unlabeled text takes part in multi-task training: set it in multitask"
            raise ConfigError("mixture.unsupervised", self.mixture.unsupervised, way_out)
        self._check_init()
        self._check_multitask()
        if self.ensemble is not None:
            check_alike((self.model, *self.ensemble.models))
            alone = self.objective is None if self.multitask is None else not self.then_finetune
            if self.ensemble.kind == "finetuned" and alone:
                way_out = "there is no pre-training that its members could share: take the kind pretrained"
                raise ConfigError("ensemble", self.ensemble.kind, way_out)

    def _check_multitask(self) -> None:
        if self.then_finetune and self.multitask is None:
            raise ConfigError("then_finetune", True, "it belongs to multi-task training")
        if self.leave_one_out and not self.then_finetune:
            raise ConfigError("leave_one_out", True, "it belongs to multi-task training that fine-tuning follows")
        if self.multitask is None:
            return
        if self.objective is None and self.multitask.unsupervised is not None:
            raise ConfigError("objective", None, "multi-task training needs one for the unlabeled text")
        whole = self.multitask_train
        if self.parts > 1 and whole.schedule.over_the_run:
            way_out = "it is laid over a whole run, which cannot be cut into parts"
            raise ConfigError("schedule", whole.schedule.kind, way_out)
        if self.parts > 1 and whole.average_last is not None:
            way_out = "the next part would go on from the mean: a run that is averaged cannot be cut into parts"
            raise ConfigError("average_last", whole.average_last, way_out)
        if self.parts > 1 and whole.trainable == "gradual":
            raise ConfigError(
                "trainable", "gradual", "its episodes share out a whole run, which cannot be cut into parts"
            )

    def _check_init(self) -> None:
        """Checks that a row leaves a checkpoint what it is, and that its sentinels can be used where they have to."""
        if self.init is None:
            if self.further:
                raise ConfigError("further", True, "there is no checkpoint to pre-train further from: give init")
            return
        for name, value in self.init.model.to_dict().items():
            if name != "adapter_size" and (asked := getattr(self.model, name)) != value:
                way_out = f"the checkpoint {self.init.source} has {value}, and no other size: leave such rows out"
                raise ConfigError(name, asked, way_out)
        if self.trains_on_text and not self.init.vocabulary.num_sentinels:
            way_out = (
                "objectives need its vocabulary's sentinels, whose ids fall one by one from <extra_id_0>: fine-tune"
            )
            raise ConfigError("init", self.init.source, f"{way_out} from it only")

    @property
    def in_place(self) -> bool:
        """Whether a checkpoint takes the place of pre-training."""
        trained = self.objective is not None or self.multitask is not None
        return self.init is not None and not self.further and trained

    @property
    def trains_on_text(self) -> bool:
        """Whether something is trained on the unlabeled text."""
        return self.objective is not None and (self.multitask is not None or not self.in_place)

    @property
    def cut(self) -> dict[str, int]:
        """What a stage that trains on text has to know of ``unlabeled_tokens``: nothing where all of it is used."""
        return {} if self.unlabeled_tokens is None else {"unlabeled_tokens": self.unlabeled_tokens}

    @property
    def computed(self) -> dict[str, Any]:
        """What a stage on a device has to know of ``precision``: nothing where the device decides."""
        return {} if self.precision is None else {"precision": self.precision}

    @property
    def members(self) -> tuple["Experiment", ...]:
        """The members of its ensemble as experiments of their own; itself alone where it is none."""
        if self.ensemble is None:
            return (self,)
        alone = self.replace(ensemble=None)
        if self.ensemble.kind == "finetuned":
            seeds = [self.finetune.seed + number for number in range(self.ensemble.members)]
            return tuple(alone.replace(finetune=self.finetune.replace(seed=seed)) for seed in seeds)
        return tuple(
            alone.replace(seed=self.seed + number, model=self.ensemble.model_of(number, self.model))
            for number in range(self.ensemble.members)
        )

    @property
    def multitask_train(self) -> TrainConfig:
        """Multi-task training as a whole: the steps of both phases or of the first, at pre-training's schedule.

        Where a checkpoint takes the place of pre-training it is trained as fine-tuning is, as long and at its schedule.
        """
        pretrain, finetune = self.pretrain, self.finetune
        if self.in_place:
            none = {"keep_last": None, "keep_every": None} if self.then_finetune else {}
            return finetune.replace(fresh_moments=False, seed=finetune.seed + self.seed, **none)
        kept = {} if self.then_finetune else {"keep_last": finetune.keep_last, "keep_every": finetune.keep_every}
        return pretrain.replace(
            steps=pretrain.steps + (0 if self.then_finetune else finetune.steps),
            inputs_length=max(pretrain.inputs_length, finetune.inputs_length),
            targets_length=finetune.targets_length,
            packed=finetune.packed,
            **kept,
            seed=pretrain.seed + self.seed,
        )


def _held_out(config: CorpusConfig) -> tuple[object, ...]:
    """What determines which text a corpus holds out."""
    return config.source, config.content, config.validation_fraction, config.min_chars
