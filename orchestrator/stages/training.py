"""The stages that train: pre-training, fine-tuning, and both at once.

    pretrain    unlabeled text                           from random weights, or from a checkpoint that is given
    finetune    tasks, mixed                             from what is trained before, such a checkpoint, random weights
    multitask   unlabeled text and tasks, mixed          from random weights, such a checkpoint, or its own earlier part

All leave ``final/`` (a checkpoint with the vocabulary beside it) and ``metrics.jsonl``.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from orchestrator.stages.work import Work, marker, read_pairs
from t5core.config import MixtureConfig, ModelConfig, ObjectiveConfig, TrainConfig
from t5core.errors import DataError
from t5core.feeds import ExampleFeed, MixedFeed, PretrainFeed, ShiftedFeed, TokenStore
from t5core.mixing import UNSUPERVISED, mixture_rates
from t5core.model import T5
from t5core.model.adapters import adapter_parameters, with_adapters
from t5core.training import TrainingRun, checkpoint
from t5core.training.loop import FINAL
from t5core.vocabulary import Vocabulary

VALIDATION_BATCHES = 8
"""Held-out batches on which a pre-trained model's denoising loss is taken."""


def pretrain(work: Work) -> dict[str, Any]:
    """Trains on unlabeled text; from a checkpoint that is given it begins anew, but for the weights."""
    train, config, vocabulary = _settings(work)
    model = _first_model(work, config, train)
    run = TrainingRun(
        model,
        _text(work, "train", train, config, vocabulary),
        train,
        work.device,
        work.folder,
        report=work.report,
        show=_shown_by(vocabulary),
    )
    held_out = _text(work, "validation", train, config, vocabulary)  # before training: too little text is told at once
    result = _trained(work, run)
    return {**result, "validation_loss": run.held_out(held_out.batch(i) for i in range(VALIDATION_BATCHES))}


def finetune(work: Work) -> dict[str, Any]:
    """Trains on a mixture of tasks."""
    train, config, vocabulary = _settings(work)
    examples, rates = _mixture(work, vocabulary)
    feed = _example_feed(examples, rates, train, config, vocabulary)
    moments, first_step, new = None, 0, frozenset[str]()
    earlier = work.inputs.get("pretrain") or work.inputs.get("init")
    if earlier is not None:
        start = checkpoint.load(earlier / FINAL)
        model, first_step = start.model(), start.state["total_step"]
        moments = None if train.fresh_moments else start.optimizer()
        if config.adapter_size is not None and model.config.adapter_size is None:
            model = with_adapters(model, config.adapter_size, train.seed)
            new = adapter_parameters(model)
    else:
        model = T5(config).initialise(train.seed)
    run = TrainingRun(
        model,
        feed,
        train,
        work.device,
        work.folder,
        moments=moments,
        new=new,
        first_step=first_step,
        report=work.report,
        show=_shown_by(vocabulary),
    )
    return {**_trained(work, run), "rates": feed.rates, "cut": _cut(examples, train)}


def multitask(work: Work) -> dict[str, Any]:
    """Trains on unlabeled text and tasks at once; as a later part, goes on exactly where the earlier one ended."""
    train, config, vocabulary = _settings(work)
    examples, rates = _mixture(work, vocabulary)
    share = rates.get(UNSUPERVISED, 0.0)
    tasks = _example_feed(examples, {n: r for n, r in rates.items() if n != UNSUPERVISED}, train, config, vocabulary)
    feed: MixedFeed | ExampleFeed = tasks
    if share:
        # as many columns for the targets as the objective needs, also where the tasks need fewer
        text = _text(work, "train", train.replace(targets_length=None), config, vocabulary)
        feed = MixedFeed(text, tasks, share)
    moments, first_step = None, 0
    if "earlier" in work.inputs:
        start = checkpoint.load(work.inputs["earlier"] / FINAL)
        model, moments, first_step = start.model(), start.optimizer(), start.state["total_step"]
    else:
        model = _first_model(work, config, train)
    run = TrainingRun(
        model,
        ShiftedFeed(feed, first_step),
        train,
        work.device,
        work.folder,
        moments=moments,
        first_step=first_step,
        report=work.report,
        show=_shown_by(vocabulary),
    )
    return {**_trained(work, run), "rates": rates, "cut": _cut(examples, train)}


def _first_model(work: Work, config: ModelConfig, train: TrainConfig) -> T5:
    """The model that a training begins with which goes on with no other's moments and steps."""
    if "init" not in work.inputs:
        return T5(config).initialise(train.seed)
    model = checkpoint.load(work.inputs["init"] / FINAL).model()
    return model if config.adapter_size is None else with_adapters(model, config.adapter_size, train.seed)


def _settings(work: Work) -> tuple[TrainConfig, ModelConfig, Vocabulary]:
    train, model = TrainConfig.from_dict(work.setting("train")), ModelConfig.from_dict(work.setting("model"))
    return train, model, work.vocabulary()


def _mixture(work: Work, vocabulary: Vocabulary) -> tuple["Examples", dict[str, float]]:
    """The tasks' training examples, and how often each task is drawn."""
    examples = _examples(work, vocabulary)
    sizes = {name: len(pairs) for name, pairs in examples.items()}
    mixture = MixtureConfig.from_dict(work.setting("mixture"))
    if mixture.weights and work.some_tasks:  # the others' weights were meant for the whole
        mixture = mixture.replace(weights=tuple(w for w in mixture.weights if w.name in (*sizes, UNSUPERVISED)))
    return examples, mixture_rates(mixture, sizes)


def _trained(work: Work, run: TrainingRun) -> dict[str, Any]:
    """Runs to the end; the checkpoint gets the vocabulary, so that it can be used by itself."""
    result = asdict(run.run())
    if work.device.rank == 0:  # another may come to it when the first one has committed the folder already
        for name in ("vocabulary.model", "vocabulary.json"):
            shutil.copyfile(work.inputs["vocabulary"] / name, work.folder / FINAL / name)
    return {
        **result,
        "flops": work.stage.cost,
        "device": work.device.name,
        "decisions": [asdict(decision) for decision in run.decisions],
    }


def _text(work: Work, split: str, train: TrainConfig, model: ModelConfig, vocabulary: Vocabulary) -> PretrainFeed:
    store = TokenStore.open(work.inputs["tokens"], split)
    limit = work.stage.settings.get("unlabeled_tokens")
    if split == "train" and limit is not None:
        store = store.first(limit)
    objective = ObjectiveConfig.from_dict(work.setting("objective"))
    return PretrainFeed(
        store.tokens,
        store.offsets,
        objective,
        vocab_size=vocabulary.sentinels_end,
        num_sentinels=vocabulary.num_sentinels,
        batch_size=train.batch_size,
        inputs_length=train.inputs_length,
        targets_length=train.targets_length,
        seed=train.seed,
        joined_by=marker(model, vocabulary),
    )


Examples = dict[str, Sequence[tuple[Sequence[int], Sequence[int]]]]


def _examples(work: Work, vocabulary: Vocabulary) -> Examples:
    examples: Examples = {}
    for path in work.task_files("train"):
        pairs = read_pairs(path)
        inputs, targets = ([getattr(pair, side) for pair in pairs] for side in ("inputs", "targets"))
        encoded = zip(vocabulary.encode_batch(inputs), vocabulary.encode_batch(targets), strict=True)
        examples[path.name.split(".")[0]] = list(encoded)
    if not examples:
        raise DataError("tasks", work.stage.name, "none of them has training examples: add one that has")
    return examples


def _example_feed(
    examples: Examples, rates: dict[str, float], train: TrainConfig, model: ModelConfig, vocabulary: Vocabulary
) -> ExampleFeed:
    return ExampleFeed(
        examples,
        rates=rates,
        batch_size=train.batch_size,
        inputs_length=train.inputs_length,
        targets_length=train.targets_length or train.inputs_length,
        seed=train.seed,
        packed=train.packed,
        joined_by=marker(model, vocabulary),
    )


def _cut(examples: Examples, train: TrainConfig) -> dict[str, float]:
    """The share of each task's examples whose inputs or targets are too long and are cut, EOS counted."""
    longest = (train.inputs_length, train.targets_length or train.inputs_length)
    return {
        name: sum(any(len(ids) >= n for ids, n in zip(pair, longest, strict=True)) for pair in pairs) / len(pairs)
        for name, pairs in examples.items()
    }


def _shown_by(vocabulary: Vocabulary) -> Callable[[np.ndarray], list[str]]:
    """Returns what makes the batch that ended a run readable."""
    return lambda ids_BL: [vocabulary.decode(row) for row in ids_BL.tolist()]


__all__ = ["finetune", "multitask", "pretrain"]
