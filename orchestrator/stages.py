"""What each kind of stage does: plain functions over t5core and folders. They run with or without Ray.

A stage's function is given the folders of the stages it reads, a work folder and a device, and returns a JSON
result. What it writes to the work folder becomes the stage's content when the store commits it; what a killed attempt
left there is taken up again.

    corpus      train.jsonl, validation.jsonl
    vocabulary  vocabulary.model, vocabulary.json
    tokens      {train,validation}.{tokens,offsets}.npy
    tasks       {task}.{train,validation}.jsonl
    pretrain    final/ (a checkpoint), metrics.jsonl
    finetune    the same
    evaluate    {task}.predictions.jsonl, {task}.scores.npy
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.plan import Stage
from t5core.config import (
    CorpusConfig,
    DecodeConfig,
    ModelConfig,
    ObjectiveConfig,
    TasksConfig,
    TrainConfig,
    VocabularyConfig,
)
from t5core.corpora import build_corpus, identify, read_documents
from t5core.errors import DataError
from t5core.feeds import ExampleFeed, PretrainFeed, load_tokens, marker_ids, padded_batches, tokenise
from t5core.tasks import TextPair, get_task, load_documents, make_splits
from t5core.vocabulary import Vocabulary, train_vocabulary

if TYPE_CHECKING:  # importing torch costs preparatory stages seconds that they do not need
    from t5core.devices import Device

Report = Callable[[dict[str, Any]], None]

VALIDATION_BATCHES = 8
"""Held-out batches on which a pre-trained model's denoising loss is taken."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a stage's function is given."""

    stage: Stage
    inputs: Mapping[str, Path]
    folder: Path
    device: "Device"
    report: Report

    def setting(self, name: str) -> dict[str, Any]:
        """Returns the JSON form of one of the stage's configs."""
        return dict(self.stage.settings[name])


def run_stage(stage: Stage, inputs: Mapping[str, Path], work: Path, device: "Device", report: Report) -> dict[str, Any]:
    """Runs one stage in ``work`` and returns its result; whatever it raises is the stage's failure."""
    functions: dict[str, Callable[[Work], dict[str, Any]]] = {
        "corpus": _corpus,
        "vocabulary": _vocabulary,
        "tokens": _tokens,
        "tasks": _tasks,
        "pretrain": _pretrain,
        "finetune": _finetune,
        "evaluate": _evaluate,
    }
    work.mkdir(parents=True, exist_ok=True)
    return functions[stage.kind](Work(stage=stage, inputs=inputs, folder=work, device=device, report=report))


def _corpus(work: Work) -> dict[str, Any]:
    config = CorpusConfig.from_dict(work.setting("corpus"))
    result = dict(build_corpus(config, work.folder, work.report))
    if identify(config).content != config.content:
        raise DataError(
            "corpus", config.source, "it changed since the plan was made (or differs on this node); run again"
        )
    return result


def _vocabulary(work: Work) -> dict[str, Any]:
    texts = (document["text"] for document in read_documents(work.inputs["corpus"] / "train.jsonl"))
    vocabulary = train_vocabulary(texts, VocabularyConfig.from_dict(work.setting("vocabulary")), work.folder)
    return {"num_pieces": vocabulary.num_pieces, "num_sentinels": vocabulary.num_sentinels, "size": vocabulary.size}


def _tokens(work: Work) -> dict[str, Any]:
    vocabulary = Vocabulary.load(work.inputs["vocabulary"] / "vocabulary.model")
    result = {"vocab_size": vocabulary.size, "num_sentinels": vocabulary.num_sentinels}
    for split in ("train", "validation"):
        texts = (document["text"] for document in read_documents(work.inputs["corpus"] / f"{split}.jsonl"))
        result[f"{split}_tokens"] = tokenise(texts, vocabulary, work.folder, split, seed=0)
    return result


def _tasks(work: Work) -> dict[str, Any]:
    config = TasksConfig.from_dict(work.setting("tasks"))
    corpus = work.inputs["corpus"]
    result = {}
    for name in config.names:
        splits = make_splits(
            get_task(name),
            load_documents(corpus / "train.jsonl"),
            load_documents(corpus / "validation.jsonl"),
            seed=config.seed,
            train_examples=config.train_examples,
            eval_examples=config.validation_examples,
        )
        for split, pairs in zip(("train", "validation"), splits, strict=True):
            if not pairs:
                raise DataError("tasks", name, f"the corpus gives no {split} examples of this task; leave it out")
            _write_rows(work.folder / f"{name}.{split}.jsonl", [asdict(pair) for pair in pairs])
            result[f"{name}.{split}"] = len(pairs)
    return result


def _pretrain(work: Work) -> dict[str, Any]:
    from t5core.model import T5
    from t5core.training import TrainingRun

    train = TrainConfig.from_dict(work.setting("train"))
    vocabulary = Vocabulary.load(work.inputs["vocabulary"] / "vocabulary.model")
    config = ModelConfig.from_dict(work.setting("model"))

    def feed(split: str) -> PretrainFeed:
        tokens, offsets = load_tokens(work.inputs["tokens"], split)
        return PretrainFeed(
            tokens,
            offsets,
            ObjectiveConfig.from_dict(work.setting("objective")),
            vocab_size=vocabulary.size,
            num_sentinels=vocabulary.num_sentinels,
            batch_size=train.batch_size,
            inputs_length=train.inputs_length,
            targets_length=train.targets_length,
            seed=train.seed,
            joined_by=_marker(config, vocabulary),
        )

    model = T5(config).initialise(train.seed)
    run = TrainingRun(
        model, feed("train"), train, work.device, work.folder, report=work.report, show=_shown_by(vocabulary)
    )
    held_out = feed("validation")  # before training: a corpus too small for it is told at once
    result = run.run()
    sums = [run.step.held_out(held_out.batch(i)) for i in range(VALIDATION_BATCHES)]
    total, count = (sum(float(x) for x in column) for column in zip(*sums, strict=True))
    return {
        **asdict(result),
        "validation_loss": total / count,
        "flops": work.stage.cost,
        "device": work.device.name,
        "decisions": [asdict(decision) for decision in run.decisions],
    }


def _finetune(work: Work) -> dict[str, Any]:
    from t5core.model import T5
    from t5core.model.adapters import adapter_parameters, with_adapters
    from t5core.training import TrainingRun, checkpoint

    train = TrainConfig.from_dict(work.setting("train"))
    vocabulary = Vocabulary.load(work.inputs["vocabulary"] / "vocabulary.model")
    config = ModelConfig.from_dict(work.setting("model"))
    examples = {}
    for path in sorted(work.inputs["tasks"].glob("*.train.jsonl")):
        pairs = _read_pairs(path)
        examples[path.name.split(".")[0]] = list(
            zip(
                vocabulary.encode_batch([pair.inputs for pair in pairs]),
                vocabulary.encode_batch([pair.targets for pair in pairs]),
                strict=True,
            )
        )
    feed = ExampleFeed(
        examples,
        batch_size=train.batch_size,
        inputs_length=train.inputs_length,
        targets_length=train.targets_length or train.inputs_length,
        seed=train.seed,
        packed=train.packed,
        joined_by=_marker(config, vocabulary),
    )
    moments, first_step, new = None, 0, frozenset[str]()
    if "pretrain" in work.inputs:
        start = checkpoint.load(work.inputs["pretrain"] / "final")
        model, moments, first_step = start.model(), start.optimizer(), start.state["total_step"]
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
    return {
        **asdict(run.run()),
        "flops": work.stage.cost,
        "device": work.device.name,
        "decisions": [asdict(decision) for decision in run.decisions],
    }


def _shown_by(vocabulary: Vocabulary) -> Callable[[np.ndarray], list[str]]:
    """Returns what makes the batch that ended a run readable."""
    return lambda ids_BL: [vocabulary.decode(row) for row in ids_BL.tolist()]


def _evaluate(work: Work) -> dict[str, Any]:
    from t5core.decoding import decode
    from t5core.training import checkpoint

    config = DecodeConfig.from_dict(work.setting("decode"))
    vocabulary = Vocabulary.load(work.inputs["vocabulary"] / "vocabulary.model")
    model = checkpoint.load(work.inputs["finetune"] / "final").model().to(work.device.torch_device)
    scores: dict[str, dict[str, float]] = {}
    started = time.monotonic()
    paths = sorted(work.inputs["tasks"].glob("*.validation.jsonl"))
    for done, path in enumerate(paths, start=1):
        task = get_task(path.name.split(".")[0])
        pairs = _read_pairs(path)
        inputs = vocabulary.encode_batch([pair.inputs for pair in pairs])
        predictions: list[str] = []
        length = work.stage.settings["inputs_length"]
        for inputs_BS, real in padded_batches(inputs, config.batch_size, length, _marker(model.config, vocabulary)):
            generated_BN = decode(model, inputs_BS, config, work.device)
            predictions += [vocabulary.decode(row.tolist()) for row in generated_BN[:real]]
        targets, contexts = [pair.targets for pair in pairs], [pair.context for pair in pairs]
        scores[task.name] = task.score(targets, predictions, contexts)
        per_example_Nk = task.example_scores(targets, predictions, contexts)
        np.save(work.folder / f"{task.name}.scores.npy", per_example_Nk, allow_pickle=False)
        rows = zip(pairs, predictions, strict=True)
        _write_rows(
            work.folder / f"{task.name}.predictions.jsonl",
            [{"inputs": pair.inputs, "target": pair.targets, "prediction": text} for pair, text in rows],
        )
        work.report({"step": done, "steps": len(paths)})
    return {"scores": scores, "seconds": time.monotonic() - started}


def _marker(model: ModelConfig, vocabulary: Vocabulary) -> tuple[int, ...] | None:
    """The ids that join inputs and targets for a decoder-only model."""
    return marker_ids(vocabulary) if model.decoder_only else None


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _read_pairs(path: Path) -> list[TextPair]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return [TextPair(inputs=r["inputs"], targets=r["targets"], context=r["context"]) for r in rows]
