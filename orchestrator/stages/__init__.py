"""What each kind of stage does: plain functions over t5core and folders. They run with or without Ray.

A stage's function is given the folders of the stages it reads, a work folder and a device, and returns a JSON
result. What it writes to the work folder becomes the stage's content when the store commits it; what a killed attempt
left there is taken up again.

    corpus      train.jsonl, validation.jsonl
    vocabulary  vocabulary.model, vocabulary.json
    tokens      {train,validation}.{tokens,offsets}.npy
    tasks       {task}.{train,validation}.jsonl
    pretrain    final/ (a checkpoint), metrics.jsonl
    finetune, multitask    the same
    evaluate    {task}.predictions.jsonl, {task}.scores.npy
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.plan.plan import Stage, corpus_role
from orchestrator.stages.work import Report, Work, marker, read_pairs, write_rows
from t5core.config import CorpusConfig, DecodeConfig, TasksConfig, VocabularyConfig
from t5core.corpora import build_corpus, identify, read_documents
from t5core.errors import DataError
from t5core.feeds import padded_batches, tokenise
from t5core.tasks import Document, identify_tasks, load_documents, majority_scores, make_splits, tasks_of
from t5core.vocabulary import TextSource, sample_sources, train_on_samples

if TYPE_CHECKING:  # importing torch costs preparatory stages seconds that they do not need
    from t5core.devices import Device


def run_stage(stage: Stage, inputs: Mapping[str, Path], work: Path, device: "Device", report: Report) -> dict[str, Any]:
    """Runs one stage in ``work`` and returns its result; whatever it raises is the stage's failure."""
    functions: dict[str, Callable[[Work], dict[str, Any]]] = {
        "corpus": _corpus,
        "vocabulary": _vocabulary,
        "tokens": _tokens,
        "tasks": _tasks,
        "evaluate": _evaluate,
    }
    work.mkdir(parents=True, exist_ok=True)
    function = functions.get(stage.kind) or _training(stage.kind)
    return function(Work(stage=stage, inputs=inputs, folder=work, device=device, report=report))


def _training(kind: str) -> Callable[[Work], dict[str, Any]]:
    from orchestrator.stages import training as training_stages

    functions = {
        "pretrain": training_stages.pretrain,
        "finetune": training_stages.finetune,
        "multitask": training_stages.multitask,
    }
    return functions[kind]


def _corpus(work: Work) -> dict[str, Any]:
    config = CorpusConfig.from_dict(work.setting("corpus"))
    result = dict(build_corpus(config, work.folder, work.report))
    if identify(config).fingerprint() != config.fingerprint():
        raise DataError(
            "corpus", config.source, "it changed since the plan was made (or differs on this node); run again"
        )
    return result


def _vocabulary(work: Work) -> dict[str, Any]:
    config = VocabularyConfig.from_dict(work.setting("vocabulary"))
    sources = []
    for number, parts in enumerate(work.stage.settings.get("parts", [1])):
        role = corpus_role(number)
        texts = (document["text"] for document in read_documents(work.inputs[role] / "train.jsonl"))
        sources.append(TextSource(name=work.stage.inputs[role], texts=texts, parts=parts))
    samples = sample_sources(sources, train_chars=config.train_chars, seed=config.seed)
    vocabulary = train_on_samples(samples, config, work.folder)
    sizes = {"num_pieces": vocabulary.num_pieces, "num_sentinels": vocabulary.num_sentinels, "size": vocabulary.size}
    if len(samples) == 1:
        return sizes
    drawn = [
        {
            "corpus": sample.name,
            "parts": sample.parts,
            "wanted_chars": sample.wanted_chars,
            "found_chars": sample.found_chars,
            "chars": sample.chars,
            "documents": sample.documents,
        }
        for sample in samples
    ]
    return {**sizes, "sources": drawn}


def _tokens(work: Work) -> dict[str, Any]:
    vocabulary = work.vocabulary()
    result = {"vocab_size": vocabulary.size, "num_sentinels": vocabulary.num_sentinels}
    for split in ("train", "validation"):
        texts = (document["text"] for document in read_documents(work.inputs["corpus"] / f"{split}.jsonl"))
        result[f"{split}_tokens"] = tokenise(texts, vocabulary, work.folder, split, seed=0)
    return result


def _tasks(work: Work) -> dict[str, Any]:
    config = TasksConfig.from_dict(work.setting("tasks"))
    if identify_tasks(config).content != config.content:
        raise DataError("tasks", ",".join(config.names), "their data changed since the plan was made; run again")
    corpus = work.inputs.get("corpus")

    def documents(split: str) -> Iterable[Document]:
        return () if corpus is None else load_documents(corpus / f"{split}.jsonl")

    result: dict[str, Any] = {}
    for name, task in tasks_of(config).items():
        splits = make_splits(
            task,
            documents("train"),
            documents("validation"),
            seed=config.seed,
            train_examples=config.train_examples,
            eval_examples=config.validation_examples,
            data_dir=None if config.data_dir is None else Path(config.data_dir),
        )
        for split, pairs in zip(("train", "validation"), splits, strict=True):
            if split not in task.splits:
                continue
            if not pairs:
                where = "the corpus" if task.embedded else "its set"
                raise DataError("tasks", name, f"{where} gives no {split} examples of this task; leave it out")
            write_rows(work.folder / f"{name}.{split}.jsonl", [asdict(pair) for pair in pairs])
            result[f"{name}.{split}"] = len(pairs)
        if all(splits):
            result[f"{name}.majority"] = task.main_score(majority_scores(task, *splits))
        work.report({"step": len(result), "steps": None})
    return result


def _evaluate(work: Work) -> dict[str, Any]:
    from t5core.decoding import decode
    from t5core.training import checkpoint

    config = DecodeConfig.from_dict(work.setting("decode"))
    vocabulary = work.vocabulary()
    model = checkpoint.load(work.inputs["trained"] / "final").model().to(work.device.torch_device)
    tasks = tasks_of(TasksConfig.from_dict(work.setting("tasks")))
    scores: dict[str, dict[str, float]] = {}
    invalid: dict[str, int] = {}
    started = time.monotonic()
    paths = sorted(work.inputs["tasks"].glob("*.validation.jsonl"))
    for done, path in enumerate(paths, start=1):
        task = tasks[path.name.split(".")[0]]
        pairs = read_pairs(path)
        inputs = vocabulary.encode_batch([pair.inputs for pair in pairs])
        predictions: list[str] = []
        length = work.stage.settings["inputs_length"]
        for inputs_BS, real in padded_batches(inputs, config.batch_size, length, marker(model.config, vocabulary)):
            generated_BN = decode(model, inputs_BS, config, work.device)
            predictions += [vocabulary.decode(row.tolist()) for row in generated_BN[:real]]
        targets, contexts = [pair.targets for pair in pairs], [pair.context for pair in pairs]
        scores[task.name] = task.score(targets, predictions, contexts)
        invalid[task.name] = task.invalid(predictions)
        per_example_Nk = task.example_scores(targets, predictions, contexts)
        np.save(work.folder / f"{task.name}.scores.npy", per_example_Nk, allow_pickle=False)
        rows = zip(pairs, predictions, strict=True)
        write_rows(
            work.folder / f"{task.name}.predictions.jsonl",
            [{"inputs": pair.inputs, "target": pair.targets, "prediction": text} for pair, text in rows],
        )
        work.report({"step": done, "steps": len(paths)})
    return {
        "scores": scores,
        "invalid": invalid,
        "seconds": time.monotonic() - started,
    }
