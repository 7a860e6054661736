"""From a source of text to ``train.jsonl`` and ``validation.jsonl``: de-duplicated, split, in hash order.

Nothing that is held out is trained on: ``t5core.corpora.held_out`` splits the source and says which lines go. The plain
corpus keeps a repeated line once. A variant (``t5core.corpora.variants``) is made of training documents after that
comparison, from which its recipe only takes away, and lines that merely repeat each other stay in it, since its own
rules say what becomes of them. So validation is the same for every variant of a source.

Text streams from step to step through files, in a folder that goes in the end: disk is needed for about four times the
text, memory for a part of it.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from t5core.config import CorpusConfig
from t5core.corpora import embedded, files, variants
from t5core.corpora.c4.build import text_bytes
from t5core.corpora.documents import SourceDocument
from t5core.corpora.held_out import Gathering
from t5core.corpora.hub_names import pinned_name
from t5core.errors import ConfigError
from t5core.uris import masked

TRAIN_FILE = "train.jsonl"
VALIDATION_FILE = "validation.jsonl"

_PARTITION_BYTES = 64 << 20
_EMBEDDED_BYTES = 100 << 20  # a guess, above what is found
_REPORTED_DOCUMENTS = 20_000

Report = Callable[[dict[str, object]], None]


def corpus_at(paths: tuple[str, ...]) -> CorpusConfig:
    """Returns the corpus that absolute paths, globs or URIs stand for, not yet identified.

    One set on the hub at a whole commit is known by its name; all else by what lies there.

    Raises:
        ConfigError: no path; what begins as the name of a set on the hub and is none.
    """
    name = pinned_name(paths[0], "corpus") if len(paths) == 1 else None
    if name is None:
        return CorpusConfig(source="files", paths=paths)
    return CorpusConfig(source="hub", paths=(str(name),))


def identify(config: CorpusConfig) -> CorpusConfig:
    """Returns ``config`` with ``content`` and ``extra_content`` filled in: the digests of what lies there now.

    Raises:
        ConfigError: a path that does not exist, or holds no text of ``min_chars`` characters.
    """
    if config.source == "embedded":
        return config.replace(content=embedded.content_digest())
    if config.source == "hub":  # a commit holds what it holds: the hub need not be there
        content = hashlib.sha256(config.paths[0].encode()).hexdigest()[:16]
    else:
        content = files.content_digest(config.paths)
        if not files.has_document(config.paths, config.min_chars):
            raise _no_text(config)
    return identify_extra(config.replace(content=content))


def identify_extra(config: CorpusConfig) -> CorpusConfig:
    """Returns ``config`` with ``extra_content`` alone filled in; raises ConfigError for what cannot be read."""
    return config.replace(extra_content=variants.extra_digest(config))


def build_corpus(config: CorpusConfig, folder: Path, report: Report | None = None) -> dict[str, int]:
    """Writes ``train.jsonl`` and ``validation.jsonl`` into ``folder``: ``{"text", "source"}`` per line, in hash order.

    Args:
        config: source, split and least length.
        folder: made when missing; files of that name in it are replaced.
        report: called with ``{"distribution": ...}``, ``{"documents": ...}`` or ``{"partition": ...}`` now and then.

    Returns:
        Counts: ``documents``, ``train_documents``, ``validation_documents``, ``chars`` (of text written),
        ``dropped_duplicates`` (documents), ``dropped_lines`` (repeated lines and sentences); of a variant also
        ``train_chars``, and ``dropped_by_variant`` (training documents) in place of ``dropped_duplicates``. Also what
        reading skipped, mended or left out, as ``t5core.corpora.files`` names it.

    Raises:
        ConfigError: the source has no text, or not enough for both splits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / ".between-steps"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        return _build(config, folder, scratch, report)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _build(config: CorpusConfig, folder: Path, scratch: Path, report: Report | None) -> dict[str, int]:
    where = masked(", ".join(config.paths)) or config.source
    skipped: Counter[str] = Counter()
    partitions = _text_bytes(config) // _PARTITION_BYTES + 1
    with Gathering(scratch / "source", config.validation_fraction, partitions) as gathering:
        for document in _documents(config, skipped, report):
            gathering.add(document)
            if report is not None and gathering.read % _REPORTED_DOCUMENTS == 0:
                report({"documents": gathering.read})
        read = gathering.read
        if not read:
            raise _no_text(config)
        for document in _books(config, skipped):
            gathering.add(document, training_only=True)
    plain = config.variant == "plain"
    split = gathering.split(once=plain, report=report)

    def training() -> Iterator[SourceDocument]:
        return (document for document in split.read("train") if len(document.text) >= config.min_chars)

    kept = training() if plain else variants.chosen(config, training, scratch / "variant", partitions)
    validation_documents, held_out_chars = _write(split.read("validation"), folder / VALIDATION_FILE, config.min_chars)
    train_documents, train_chars = _write(kept, folder / TRAIN_FILE, config.min_chars)
    if not train_documents or not validation_documents:
        raise ConfigError(
            "corpus",
            where,
            f"{read} documents give {train_documents} for training and {validation_documents} for validation: "
            "give more text (at least two documents that do not repeat each other), or another validation_fraction",
        )
    counts = {
        "documents": train_documents + validation_documents,
        "train_documents": train_documents,
        "validation_documents": validation_documents,
        "chars": held_out_chars + train_chars,
        "dropped_duplicates": read - train_documents - validation_documents,
        "dropped_lines": split.dropped_lines,
        **{name: count for name, count in sorted(skipped.items()) if ":" in name and count},
    }
    if plain:
        return counts
    del counts["dropped_duplicates"]
    dropped = split.train_documents - train_documents
    return {**counts, "train_chars": train_chars, "dropped_by_variant": dropped}


def _no_text(config: CorpusConfig) -> ConfigError:
    where = masked(", ".join(config.paths)) or config.source
    return ConfigError("corpus", where, f"no text there of {config.min_chars} characters or more (min_chars)")


def _documents(config: CorpusConfig, skipped: "Counter[str]", report: Report | None) -> Iterable[SourceDocument]:
    if config.source == "embedded":
        return embedded.harvest(config.min_chars, report)
    return files.read_files(config.paths, config.min_chars, skipped)


def _books(config: CorpusConfig, skipped: "Counter[str]") -> Iterable[SourceDocument]:
    if config.source == "embedded" or config.variant != "wikipedia_books":
        return ()
    return (replace(book, group=variants.BOOK) for book in files.read_files(config.extra, config.min_chars, skipped))


def _text_bytes(config: CorpusConfig) -> int:
    if config.source == "embedded":
        return _EMBEDDED_BYTES
    return sum(text_bytes(place) for place in files.find_files(config.paths))


def _write(documents: Iterable[SourceDocument], path: Path, min_chars: int) -> tuple[int, int]:
    """Writes the documents that have enough text; returns how many, and their characters."""
    written = chars = 0
    with path.open("w", encoding="utf-8") as file:
        for document in documents:
            if len(document.text) >= min_chars:
                file.write(json.dumps({"text": document.text, "source": document.source}) + "\n")
                written += 1
                chars += len(document.text)
    return written, chars
