"""From a source of text to ``train.jsonl`` and ``validation.jsonl``: de-duplicated, split, in hash order.

Documents are ordered by the hash of their text, so the same documents give the same files however they were listed.
A document falls into validation by the hash of its group (the source file) or of its text; where that leaves one side
of a small corpus empty, the first document of the other moves there.

Nothing that is held out is trained on. Validation is written first and wins: a line of 40 characters or more that was
written before, anywhere, is dropped where it comes again, and so is a training line that holds a sentence of validation
(both compared without case and punctuation). The lines kept before and after a dropped one stay.

What is held out is the same for every variant of a source (``t5core.corpora.variants``): the split and validation are
the plain corpus's, and a variant is made of training documents after the comparison, from which its recipe only takes
away. Lines that merely repeat each other stay in a variant, since its own rules say what becomes of them.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from t5core.config import CorpusConfig
from t5core.corpora import embedded, files, variants
from t5core.corpora.cleaning import is_entry, split_sentences
from t5core.corpora.documents import SourceDocument
from t5core.errors import ConfigError

TRAIN_FILE = "train.jsonl"
VALIDATION_FILE = "validation.jsonl"

# colons stay, since they part a name from its description
_PUNCTUATION = re.compile(r"[^\w\s:]+")

Report = Callable[[dict[str, object]], None]

_MIN_CHARS = 40  # of a line or sentence that is compared; shorter ones ("axis : int, optional") rightly come often
_MIN_COMPARED = 32  # the same without its punctuation


def identify(config: CorpusConfig) -> CorpusConfig:
    """Returns ``config`` with ``content`` and ``extra_content`` filled in: the digests of what lies there now.

    Raises:
        ConfigError: a path that does not exist or holds no text.
    """
    if config.source == "embedded":
        return config.replace(content=embedded.content_digest())
    return identify_extra(config.replace(content=files.content_digest(config.paths)))


def identify_extra(config: CorpusConfig) -> CorpusConfig:
    """Returns ``config`` with ``extra_content`` alone filled in; raises ConfigError for what cannot be read."""
    return config.replace(extra_content=variants.extra_digest(config))


def build_corpus(config: CorpusConfig, folder: Path, report: Report | None = None) -> dict[str, int]:
    """Writes ``train.jsonl`` and ``validation.jsonl`` into ``folder``: ``{"text", "source"}`` per line, in hash order.

    All documents are held in memory at once, about three bytes for each of text.

    Args:
        config: source, split and least length.
        folder: made when missing; files of that name in it are replaced.
        report: called with ``{"distribution": ...}`` or ``{"documents": ...}`` now and then.

    Returns:
        Counts: ``documents``, ``train_documents``, ``validation_documents``, ``chars`` (of text written),
        ``dropped_duplicates`` (documents), ``dropped_lines`` (repeated lines and sentences); of a variant also
        ``train_chars``, and ``dropped_by_variant`` (training documents) in place of ``dropped_duplicates``.

    Raises:
        ConfigError: the source has no text, or not enough for both splits.
    """
    if config.source == "embedded":
        source: Iterable[SourceDocument] = embedded.harvest(config.min_chars, report)
    else:
        source = files.read_files(config.paths, config.min_chars)
    by_hash: dict[bytes, SourceDocument] = {}
    read = 0
    for document in source:
        read += 1
        by_hash.setdefault(_digest(document.text), document)
        if report is not None and read % 20_000 == 0:
            report({"documents": read})
    where = ", ".join(config.paths) if config.source == "files" else "embedded"
    if not by_hash:
        raise ConfigError("corpus", where, f"no text there of {config.min_chars} characters or more (min_chars)")

    held_out: list[SourceDocument] = []
    training: list[SourceDocument] = []
    for digest, document in sorted(by_hash.items()):
        key = _digest(f"group\n{document.group}") if document.group else digest
        share = int.from_bytes(key[:8], "big") / 2**64
        (held_out if share < config.validation_fraction else training).append(document)

    # by chance a small corpus may have nothing on one side: one document makes the difference
    if len(by_hash) > 1 and not held_out:
        held_out.append(training.pop(0))
    elif len(by_hash) > 1 and not training:
        training.append(held_out.pop(0))

    plain = config.variant == "plain"
    books = {_digest(document.text): document for document in variants.read_books(config)}
    if books:
        by_digest = {_digest(document.text): document for document in training}
        training = [document for _, document in sorted((books | by_digest).items())]
    folder.mkdir(parents=True, exist_ok=True)
    writer = _Writer(config.min_chars)
    with (folder / VALIDATION_FILE).open("w", encoding="utf-8") as file:
        validation_documents = writer.write(writer.held_out(held_out), file)
    held_out_chars = writer.chars
    with (folder / TRAIN_FILE).open("w", encoding="utf-8") as file:
        fresh = writer.training(training, once=plain)
        train_documents = writer.write(variants.chosen(config, fresh), file)
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
        "chars": writer.chars,
        "dropped_duplicates": read - train_documents - validation_documents,
        "dropped_lines": writer.dropped_lines,
    }
    if plain:
        return counts
    del counts["dropped_duplicates"]
    dropped = len(training) - train_documents
    return {**counts, "train_chars": writer.chars - held_out_chars, "dropped_by_variant": dropped}


class _Writer:
    """Writes documents without the lines that it has seen before."""

    def __init__(self, min_chars: int) -> None:
        self._min_chars = min_chars
        self._lines: set[bytes] = set()
        self._held_out_sentences: set[bytes] = set()
        self.chars = 0
        self.dropped_lines = 0

    def held_out(self, documents: Iterable[SourceDocument]) -> Iterator[SourceDocument]:
        """Yields documents without repeated lines; remembers their sentences."""
        for document in documents:
            yield replace(document, text=self._fresh(document.text, remember_sentences=True, remember_lines=True))

    def training(self, documents: Iterable[SourceDocument], *, once: bool) -> Iterator[SourceDocument]:
        """Yields documents with enough text, without what is held out; without repeated lines where ``once``."""
        for document in documents:
            text = self._fresh(document.text, remember_sentences=False, remember_lines=once)
            if len(text) >= self._min_chars:
                yield replace(document, text=text)

    def write(self, documents: Iterable[SourceDocument], file: TextIO) -> int:
        """Returns how many documents have enough text and were written."""
        written = 0
        for document in documents:
            if len(document.text) < self._min_chars:
                continue
            file.write(json.dumps({"text": document.text, "source": document.source}) + "\n")
            written += 1
            self.chars += len(document.text)
        return written

    def _fresh(self, text: str, *, remember_sentences: bool, remember_lines: bool) -> str:
        kept = []
        for line in text.split("\n"):
            if len(line) >= _MIN_CHARS and not is_entry(line):
                sentences = [_plain(sentence) for sentence in split_sentences(line)]
                digest = _digest(" ".join(sentences))
                known = digest in self._lines
                if remember_sentences:
                    if not known:
                        self._held_out_sentences.update(_sentence_digests(sentences))
                else:
                    known = known or any(s in self._held_out_sentences for s in _sentence_digests(sentences))
                if known:
                    self.dropped_lines += 1
                    continue
                if remember_lines:
                    self._lines.add(digest)
            kept.append(line)
        return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _sentence_digests(sentences: Iterable[str]) -> Iterator[bytes]:
    """Of each plain sentence, and of what follows a colon in it: in ``name: What it means.`` the meaning."""
    for sentence in sentences:
        while len(sentence) >= _MIN_COMPARED:
            yield _digest(sentence)
            sentence = sentence.partition(": ")[2]


def _plain(text: str) -> str:
    return _PUNCTUATION.sub("", text.lower()).strip()


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).digest()
