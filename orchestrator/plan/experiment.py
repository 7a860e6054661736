"""One experiment, whole: everything from text to scores, as one frozen value.

A study's baseline is an experiment; each of its rows is the baseline with something replaced. ``stages_of`` expands
an experiment into the stages that produce its scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from orchestrator.plan.cost import finetune_flops, multitask_flops, pretrain_flops
from orchestrator.plan.stage import Stage, corpus_role
from t5core.config import (
    Config,
    CorpusConfig,
    DecodeConfig,
    LikelihoodConfig,
    MixtureConfig,
    ModelConfig,
    ObjectiveConfig,
    TasksConfig,
    TrainConfig,
    VocabularyConfig,
    VocabularySource,
    added,
)
from t5core.corpora.variants import VARIANTS_VERSION
from t5core.errors import ConfigError
from t5core.tasks import tasks_of
from t5core.uris import masked
from t5core.vocabulary import whole_parts

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
            the other.
        parts: multi-task training is cut into so many stages, each going on where the one before ended: a search
            looks at the scores after each, and a study's row and a search's trial share what they have in common.
        precision: of activations, where it is not what the device computes in by itself (``usual_precision``); None: as
            the device does. The rest of a result's identity says nothing of devices.
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
    parts: int = 1
    precision: str | None = added(None)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.objective is not None and self.objective.kind == "lm" and not self.model.decoder_only:
            way_out = "an encoder needs an input: take prefix_lm, or a decoder-only architecture"
            raise ConfigError("objective", self.objective.kind, way_out)
        self._positive("parts", "unlabeled_tokens")
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
        if self.multitask is None:
            return
        if self.objective is None:
            raise ConfigError("objective", None, "multi-task training needs one for the unlabeled text")
        schedule = self.pretrain.schedule
        if self.parts > 1 and schedule.over_the_run:
            raise ConfigError("schedule", schedule.kind, "it is laid over a whole run, which cannot be cut into parts")
        if self.parts > 1 and self.pretrain.average_last is not None:
            way_out = "the next part would go on from the mean: a run that is averaged cannot be cut into parts"
            raise ConfigError("average_last", self.pretrain.average_last, way_out)
        if self.parts > 1 and self.pretrain.trainable == "gradual":
            raise ConfigError(
                "trainable", "gradual", "its episodes share out a whole run, which cannot be cut into parts"
            )

    @property
    def cut(self) -> dict[str, int]:
        """What a stage that trains on text has to know of ``unlabeled_tokens``: nothing where all of it is used."""
        return {} if self.unlabeled_tokens is None else {"unlabeled_tokens": self.unlabeled_tokens}

    @property
    def computed(self) -> dict[str, Any]:
        """What a stage on a device has to know of ``precision``: nothing where the device decides."""
        return {} if self.precision is None else {"precision": self.precision}

    @property
    def multitask_train(self) -> TrainConfig:
        """Multi-task training as a whole: the steps of both phases, at the schedule of pre-training."""
        pretrain, finetune = self.pretrain, self.finetune
        return pretrain.replace(
            steps=pretrain.steps + finetune.steps,
            inputs_length=max(pretrain.inputs_length, finetune.inputs_length),
            targets_length=finetune.targets_length,
            packed=finetune.packed,
            keep_last=finetune.keep_last,
            keep_every=finetune.keep_every,
            seed=pretrain.seed + self.seed,
        )


def stages_of(experiment: Experiment, row: str) -> dict[str, Stage]:
    """Returns the experiment's stages by role, each after what it reads."""
    e = experiment
    stages: dict[str, Stage] = {}
    stages["corpus"] = _corpus(e.corpus)
    stages["vocabulary"] = _vocabulary(e, stages)
    text = {"corpus": stages["corpus"], "vocabulary": stages["vocabulary"]}
    from_corpus = any(task.embedded for task in tasks_of(e.tasks).values())
    source = {"corpus": _other_corpus(e.tasks_corpus, stages, "tasks_corpus")} if from_corpus else {}
    stages["tasks"] = Stage.of("tasks", f"{len(e.tasks.names)}-tasks", inputs=source, tasks=e.tasks)
    if e.objective is not None:
        stages["tokens"] = Stage.of("tokens", stages["corpus"].name, inputs=text)
    name = f"{row}-seed{e.seed}"
    trained = _multitask(e, stages, name) if e.multitask is not None else _one_after_the_other(e, stages, name)
    stages.update(trained)
    last = list(trained.values())[-1]
    stages["evaluate"] = evaluation(e, stages, last, name)
    stages["likelihood"] = _likelihood(e, stages, last, name)
    return stages


def _corpus(config: CorpusConfig) -> Stage:
    name: str = config.source
    if name == "hub":
        name = config.paths[0].removeprefix("hf:").partition("@")[0].replace("/", "_")  # as its folder is called
    if config.variant == "plain":
        return Stage.of("corpus", name, corpus=config)
    return Stage.of("corpus", f"{name}-{config.variant}", corpus=config, recipes=VARIANTS_VERSION)


def _vocabulary(e: Experiment, stages: dict[str, Stage]) -> Stage:
    """Returns the stage of the vocabulary and adds those of the corpora that only it reads.

    Neither their order nor the unit of their parts makes a difference to the vocabulary, so neither counts.
    """
    mix = e.vocabulary_mix or (VocabularySource(),)
    corpora: dict[str, tuple[Stage, float]] = {}
    for number, source in enumerate(mix, start=1):
        role = "vocabulary_corpus" if number == 1 else f"vocabulary_corpus{number}"
        stage = _other_corpus(source.corpus or e.vocabulary_corpus, stages, role)
        if stage.key in corpora:
            raise ConfigError("vocabulary_mix", _shown(source.corpus), "this text is in it already: add up its parts")
        corpora[stage.key] = stage, source.parts
    ordered = [corpora[key] for key in sorted(corpora)]
    parts = list(whole_parts([parts for _, parts in ordered]))
    shares: dict[str, Any] = {"parts": parts} if len(parts) > 1 else {}
    return Stage.of(
        "vocabulary",
        f"{e.vocabulary.num_pieces}-pieces",
        inputs={corpus_role(number): stage for number, (stage, _) in enumerate(ordered)},
        vocabulary=e.vocabulary,
        **shares,
    )


def _shown(corpus: CorpusConfig | None) -> str:
    return "corpus" if corpus is None else ", ".join(map(masked, corpus.paths)) or corpus.source


def _other_corpus(config: CorpusConfig | None, stages: dict[str, Stage], role: str) -> Stage:
    """Returns the stage of a corpus beside the one that is trained on, which it adds; None stands for that one."""
    if config is None:
        return stages["corpus"]
    stage = _corpus(config)
    if stage.key != stages["corpus"].key:
        stages[role] = stage
    return stage


def _held_out(config: CorpusConfig) -> tuple[object, ...]:
    """What determines which text a corpus holds out."""
    return config.source, config.content, config.validation_fraction, config.min_chars


def evaluation(e: Experiment, stages: Mapping[str, Stage], trained: Stage, name: str) -> Stage:
    """Returns the stage that evaluates what a stage trained, on inputs as long as it was trained on."""
    return Stage.of(
        "evaluate",
        name,
        inputs={"trained": trained, "tasks": stages["tasks"], "vocabulary": stages["vocabulary"]},
        decode=e.decode,
        tasks=e.tasks,
        inputs_length=_evaluated_length(e),
        **e.computed,
    )


def _likelihood(e: Experiment, stages: Mapping[str, Stage], trained: Stage, name: str) -> Stage:
    """Returns the stage that says how likely what was trained finds the right answers, on the inputs of ``evaluate``.

    Nothing of how answers are searched for is in it, and nothing of it in ``evaluate``: each stays when the other
    changes.
    """
    return Stage.of(
        "likelihood",
        name,
        inputs={"trained": trained, "tasks": stages["tasks"], "vocabulary": stages["vocabulary"]},
        likelihood=LikelihoodConfig(batch_size=e.decode.batch_size, also_at=_kept_steps(trained)),
        tasks=e.tasks,
        inputs_length=_evaluated_length(e),
        **e.computed,
    )


def _kept_steps(trained: Stage) -> tuple[int, ...]:
    """The steps of which a stage leaves weights beside its last ones."""
    return TrainConfig.from_dict(dict(trained.settings["train"])).kept_steps


def _evaluated_length(e: Experiment) -> int:
    """Columns of evaluation's inputs: as many as training's."""
    return (e.finetune if e.multitask is None else e.multitask_train).inputs_length


def _one_after_the_other(e: Experiment, stages: Mapping[str, Stage], name: str) -> dict[str, Stage]:
    out: dict[str, Stage] = {}
    start = {"vocabulary": stages["vocabulary"]}
    pretrain = e.pretrain.replace(seed=e.pretrain.seed + e.seed)
    finetune = e.finetune.replace(seed=e.finetune.seed + e.seed)
    plain = e.model.replace(adapter_size=None)  # adapters come with fine-tuning: rows with and without share the rest
    if e.objective is None:
        finetune = finetune.replace(fresh_moments=False)  # they are so by themselves: one stage, not two
    else:
        out["pretrain"] = Stage.of(
            "pretrain",
            name,
            cost=pretrain_flops(plain, e.objective, pretrain),
            inputs={"tokens": stages["tokens"], **start},
            model=plain,
            objective=e.objective,
            train=pretrain,
            **e.cut,
            **e.computed,
        )
        start["pretrain"] = out["pretrain"]
    out["finetune"] = Stage.of(
        "finetune",
        name,
        cost=finetune_flops(e.model, finetune),
        inputs={"tasks": stages["tasks"], **start},
        model=e.model,
        train=finetune,
        mixture=e.mixture,
        **e.computed,
    )
    return out


def _multitask(e: Experiment, stages: Mapping[str, Stage], name: str) -> dict[str, Stage]:
    """Returns the parts by role, "multitask" or "multitask1", "multitask2", ...; as equal as whole steps can be."""
    assert e.multitask is not None
    assert e.objective is not None
    whole = e.multitask_train
    ends = [whole.steps * part // e.parts for part in range(e.parts + 1)]
    early = whole.replace(keep_last=None, keep_every=None)  # only what is judged in the end is kept
    out: dict[str, Stage] = {}
    earlier: dict[str, Stage] = {}
    for part, (begin, end) in enumerate(pairwise(ends), start=1):
        train = whole.replace(steps=end - begin) if part == e.parts else early.replace(steps=end - begin)
        role = "multitask" if e.parts == 1 else f"multitask{part}"
        out[role] = Stage.of(
            "multitask",
            name if e.parts == 1 else f"{name}-part{part}",
            cost=multitask_flops(e.model, e.objective, train),
            inputs={r: stages[r] for r in ("tokens", "tasks", "vocabulary")} | earlier,
            model=e.model,
            objective=e.objective,
            train=train,
            mixture=e.multitask,
            **e.cut,
            **e.computed,
        )
        earlier = {"earlier": out[role]}
    return out
