"""The stages that prepare text: corpus, vocabulary, tokens, tasks."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.plan.stage import corpus_role
from orchestrator.stages.work import Work, write_rows
from t5core.config import CorpusConfig, GivenVocabulary, TasksConfig, VocabularyConfig
from t5core.corpora import build_corpus, identify, read_documents
from t5core.errors import DataError
from t5core.feeds import tokenise
from t5core.tasks import DataSet, Document, Task, identify_tasks, load_documents, majority_scores, make_splits, tasks_of
from t5core.vocabulary import TextSource, sample_sources, train_on_samples

if TYPE_CHECKING:  # importing torch costs preparatory stages seconds that they do not need
    pass


def corpus(work: Work) -> dict[str, Any]:
    """Writes the corpus, train.jsonl and validation.jsonl; raises DataError when its text changed since the plan."""
    config = CorpusConfig.from_dict(work.setting("corpus"))
    result = dict(build_corpus(config, work.folder, work.report))
    if identify(config).fingerprint() != config.fingerprint():
        raise DataError(
            "corpus", config.source, "it changed since the plan was made (or differs on this node); run again"
        )
    return result


def vocabulary(work: Work) -> dict[str, Any]:
    """Trains the vocabulary on its corpora by their parts, or copies that of a checkpoint."""
    if "given" in work.stage.settings:
        return _given_vocabulary(work)
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


def _given_vocabulary(work: Work) -> dict[str, Any]:
    from t5core.start import open_vocabulary

    given = open_vocabulary(GivenVocabulary.from_dict(work.setting("given")))
    given.save_to(work.folder)
    return {"num_pieces": given.num_pieces, "num_sentinels": given.num_sentinels, "size": given.size}


def tokens(work: Work) -> dict[str, Any]:
    """Tokenises the corpus's splits, in random order."""
    vocabulary = work.vocabulary()
    result = {"vocab_size": vocabulary.size, "num_sentinels": vocabulary.num_sentinels}
    for split in ("train", "validation"):
        texts = (document["text"] for document in read_documents(work.inputs["corpus"] / f"{split}.jsonl"))
        result[f"{split}_tokens"] = tokenise(texts, vocabulary, work.folder, split, seed=0)
    return result


def tasks(work: Work) -> dict[str, Any]:
    """Writes the examples of every task; raises DataError for a task without any."""
    config = TasksConfig.from_dict(work.setting("tasks"))
    if identify_tasks(config).content != config.content:
        raise DataError("tasks", ",".join(config.names), "their data changed since the plan was made; run again")
    corpus = work.inputs.get("corpus")

    def documents(split: str) -> Iterable[Document]:
        return () if corpus is None else load_documents(corpus / f"{split}.jsonl")

    result: dict[str, Any] = {}
    for name, task in tasks_of(config).items():
        commit = _commit(task, config)  # before it is read: a branch may move on
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
        if commit:
            result[f"{name}.commit"] = commit
        if all(splits):
            result[f"{name}.majority"] = task.main_score(majority_scores(task, *splits))
        work.report({"step": len(result), "steps": None})
    return result


def _commit(task: Task, config: TasksConfig) -> str:
    """The commit that a set on the hub is read at, also where a branch is declared; "" for others."""
    if not isinstance(task.source, DataSet):
        return ""
    return task.source.open(None if config.data_dir is None else Path(config.data_dir)).commit()
