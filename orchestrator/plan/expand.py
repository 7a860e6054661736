"""From an experiment to the stages that produce its scores, by role, each after what it reads."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from orchestrator.plan.cost import finetune_flops, multitask_flops, pretrain_flops
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.stage import Stage, corpus_role
from t5core.config import (
    CorpusConfig,
    LikelihoodConfig,
    TrainConfig,
    VocabularySource,
)
from t5core.corpora.variants import VARIANTS_VERSION
from t5core.errors import ConfigError
from t5core.tasks import tasks_of
from t5core.uris import masked
from t5core.vocabulary import whole_parts


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
