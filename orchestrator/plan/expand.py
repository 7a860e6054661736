"""From an experiment to the stages that produce its scores, by role, each after what it reads."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from orchestrator.plan.cost import finetune_flops, multitask_flops, pretrain_flops
from orchestrator.plan.ensembles import member_name, member_role, trained_role
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.init import init_stages, read_ones
from orchestrator.plan.parts import WHOLE, Part, PartConfig, parts_of
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
    if e.init is None:
        stages["vocabulary"] = _vocabulary(e, stages)
    else:
        stages |= init_stages(e.init)
    text = {"corpus": stages["corpus"], "vocabulary": stages["vocabulary"]}
    from_corpus = any(task.embedded for task in tasks_of(e.tasks).values())
    source = {"corpus": _other_corpus(e.tasks_corpus, stages, "tasks_corpus")} if from_corpus else {}
    stages["tasks"] = Stage.of("tasks", f"{len(e.tasks.names)}-tasks", inputs=source, tasks=e.tasks)
    if e.trains_on_text:
        stages["tokens"] = Stage.of("tokens", stages["corpus"].name, inputs=text)
    name = f"{row}-seed{e.seed}"
    members = [_trained(of_one, stages, member_name(name, number)) for number, of_one in enumerate(e.members)]
    for number, trained in enumerate(members):
        known = {stage.key for stage in stages.values()}  # what members share is there once, as the first one's
        found = {role: stage for part in trained for role, stage in part.stages.items() if stage.key not in known}
        stages |= {member_role(role, number): stage for role, stage in found.items()}
    for role, judge in (("evaluate", evaluation), ("likelihood", _likelihood)):
        for first, *others in zip(*members, strict=True):
            last = [one.last for one in (first, *others)]
            stages[first.role(role)] = judge(e, stages, last, first.called(name), first.part)
    return stages if e.init is None else read_ones(stages)


@dataclass(frozen=True, kw_only=True)
class _Trained:
    """The trainings behind one part of a row, by role; the last of them is judged."""

    part: Part
    stages: Mapping[str, Stage]

    @property
    def last(self) -> Stage:
        return list(self.stages.values())[-1]

    def role(self, role: str) -> str:
        return f"{role}:{self.part.name}" if self.part.name else role

    def called(self, name: str) -> str:
        return _called(name, self.part)


def _called(name: str, part: Part) -> str:
    return f"{name}-{part.name}" if part.name else name


def _trained(e: Experiment, stages: Mapping[str, Stage], name: str) -> list[_Trained]:
    """Returns the trainings of each part; what parts share is in the first one's."""
    tasks = tasks_of(e.tasks)
    if e.multitask is not None and not e.then_finetune:
        return [_Trained(part=WHOLE, stages=_multitask(e, stages, name, ()))]
    if e.leave_one_out:
        parts = parts_of(tasks, "groups" if e.finetuning == "together" else e.finetuning)
        if len(parts) == 1:
            raise ConfigError("leave_one_out", parts[0].name, "no other task is in the mixture")
        out = []
        for part in parts:
            before = _multitask(e, stages, f"{name}-without-{part.name}", part.tasks)
            before = {f"{role}:{part.name}": stage for role, stage in before.items()}
            out.append(_Trained(part=part, stages={**before, **_finetuned(e, stages, name, part, before)}))
        return out
    before = _multitask(e, stages, name, ()) if e.multitask is not None else _pretrained(e, stages, name)
    first, *others = parts_of(tasks, e.finetuning)
    return [
        _Trained(part=first, stages={**before, **_finetuned(e, stages, name, first, before)}),
        *(_Trained(part=part, stages=_finetuned(e, stages, name, part, before)) for part in others),
    ]


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


def evaluation(
    e: Experiment, stages: Mapping[str, Stage], trained: Sequence[Stage], name: str, part: Part = WHOLE
) -> Stage:
    """Returns the stage that evaluates what a stage trained, or several together, on inputs as long as they knew."""
    longest = _targets_length(e, part)
    decode = _part_config(e, part).decode or e.decode
    new_tokens = decode.max_new_tokens if longest is None else min(decode.max_new_tokens, longest)
    choice: dict[str, Any] = {"also_at": _kept_steps(trained[0])} if e.checkpoint == "best" else {}
    return Stage.of(
        "evaluate",
        name,
        inputs=_judged(stages, trained),
        decode=decode.replace(max_new_tokens=new_tokens),
        tasks=e.tasks,
        inputs_length=_evaluated_length(e),
        **choice,
        **part.only,
        **e.computed,
    )


def _judged(stages: Mapping[str, Stage], trained: Sequence[Stage]) -> dict[str, Stage]:
    """What a stage reads that judges: the trained models, and what they are judged by."""
    models = {trained_role(member): stage for member, stage in enumerate(trained)}
    return {**models, "tasks": stages["tasks"], "vocabulary": stages["vocabulary"]}


def _likelihood(e: Experiment, stages: Mapping[str, Stage], trained: Sequence[Stage], name: str, part: Part) -> Stage:
    """Returns the stage that says how likely what was trained finds the right answers, on the inputs of ``evaluate``.

    Nothing of how answers are searched for is in it, and nothing of it in ``evaluate``: each stays when the other
    changes.
    """
    return Stage.of(
        "likelihood",
        name,
        inputs=_judged(stages, trained),
        likelihood=LikelihoodConfig(batch_size=e.decode.batch_size, also_at=_kept_steps(trained[0])),
        tasks=e.tasks,
        inputs_length=_evaluated_length(e),
        **part.only,
        **e.computed,
    )


def _kept_steps(trained: Stage) -> tuple[int, ...]:
    """The steps of which a stage leaves weights beside its last ones."""
    return TrainConfig.from_dict(dict(trained.settings["train"])).kept_steps


def _evaluated_length(e: Experiment) -> int:
    """Columns of evaluation's inputs: as many as training's."""
    only_once = e.multitask is not None and not e.then_finetune
    return (e.multitask_train if only_once else e.finetune).inputs_length


def _part_config(e: Experiment, part: Part) -> PartConfig:
    """Returns what is otherwise in a part; of what is the whole, and of parts that none is about, nothing is."""
    nothing = PartConfig(tasks=())
    return next((c for c in e.part_configs if part.judged and set(part.judged) <= set(c.tasks)), nothing)


def _targets_length(e: Experiment, part: Part) -> int | None:
    """Tokens of a part's targets: as its tasks need, at most the experiment's; None where it is the whole."""
    if part.targets_length is None:
        return None
    return min(part.targets_length, e.finetune.targets_length or e.finetune.inputs_length)


def _pretrained(e: Experiment, stages: Mapping[str, Stage], name: str) -> dict[str, Stage]:
    """Returns the stage of pre-training by its role; none where the row has no objective, or a checkpoint instead."""
    if e.objective is None or e.in_place:
        return {}
    pretrain = e.pretrain.replace(seed=e.pretrain.seed + e.seed)
    plain = e.model.replace(adapter_size=None)  # adapters come with fine-tuning: rows with and without share the rest
    stage = Stage.of(
        "pretrain",
        name,
        cost=pretrain_flops(plain, e.objective, pretrain),
        inputs={"tokens": stages["tokens"], "vocabulary": stages["vocabulary"], **_begun(e, stages)},
        model=plain,
        objective=e.objective,
        train=pretrain,
        **e.cut,
        **e.computed,
    )
    return {"pretrain": stage}


def _begun(e: Experiment, stages: Mapping[str, Stage]) -> dict[str, Stage]:
    """Returns the stage of the checkpoint that a first training starts from, by its role; none for random weights."""
    return {} if e.init is None else {"init": stages["init"]}


def _finetuned(
    e: Experiment, stages: Mapping[str, Stage], name: str, part: Part, before: Mapping[str, Stage]
) -> dict[str, Stage]:
    """Returns the stage that fine-tunes on a part's tasks what the last stage of ``before`` trained, by its role."""
    train = e.finetune.replace(seed=e.finetune.seed + e.seed)
    if part.targets_length is not None:
        train = train.replace(targets_length=_targets_length(e, part))
    train = train.replace(batch_size=_part_config(e, part).batch_size or train.batch_size)
    start = {"pretrain": list(before.values())[-1]} if before else _begun(e, stages) if e.in_place else {}
    if not start:
        train = train.replace(fresh_moments=False)  # they are so by themselves: one stage, not two
    stage = Stage.of(
        "finetune",
        _called(name, part),
        cost=finetune_flops(e.model, train),
        inputs={"tasks": stages["tasks"], "vocabulary": stages["vocabulary"], **start},
        model=e.model,
        train=train,
        mixture=e.mixture,
        **part.only,
        **e.computed,
    )
    return {f"finetune:{part.name}" if part.name else "finetune": stage}


def _multitask(e: Experiment, stages: Mapping[str, Stage], name: str, without: Collection[str]) -> dict[str, Stage]:
    """Returns the parts by role, "multitask" or "multitask1", "multitask2", ...; as equal as whole steps can be.

    Args:
        e: whose.
        stages: what they read.
        name: of the row.
        without: tasks that are left out.
    """
    assert e.multitask is not None
    whole = e.multitask_train
    ends = [whole.steps * part // e.parts for part in range(e.parts + 1)]
    early = whole.replace(keep_last=None, keep_every=None)  # only what is judged in the end is kept
    out: dict[str, Stage] = {}
    earlier = _begun(e, stages)
    read = ("tokens", "tasks", "vocabulary") if e.objective is not None else ("tasks", "vocabulary")
    plain = e.model.replace(adapter_size=None) if e.then_finetune else e.model
    text: dict[str, Any] = {} if e.objective is None else {"objective": e.objective}
    for part, (begin, end) in enumerate(pairwise(ends), start=1):
        train = whole.replace(steps=end - begin) if part == e.parts else early.replace(steps=end - begin)
        role = "multitask" if e.parts == 1 else f"multitask{part}"
        out[role] = Stage.of(
            "multitask",
            name if e.parts == 1 else f"{name}-part{part}",
            cost=multitask_flops(plain, e.objective, train),
            inputs={r: stages[r] for r in read} | earlier,
            model=plain,
            train=train,
            mixture=e.multitask,
            **text,
            **({"without": sorted(without)} if without else {}),
            **e.cut,
            **e.computed,
        )
        earlier = {"earlier": out[role]}
    return out
