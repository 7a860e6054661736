"""Sets of text on the Hugging Face hub, streamed by ``datasets``.

    hf:allenai/c4:en                                     the split train of the newest commit
    hf:allenai/c4:en:validation@1588ec454efa...          a split of a commit, branch or tag
    hf:wikimedia/wikipedia:20231101.de                   a set's configs are its languages, dumps and the like
    hf:/data/wikipedia:20231101.de                       a clone of the set's repository, config and split as on the hub

A set is looked up once in a process: from then on it is that commit, and one part for each of its files, as
``datasets`` counts them, so that many workers share it. Rows are pages: ``text``, and ``url`` and ``timestamp`` where
there are such columns. What stands for the text is the set's name, config, split and commit; of a clone, the bytes of
its files.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from t5core.corpora.columns import COLUMNS, Tell, batch_rows
from t5core.corpora.hub_names import FORM, HubName, hub_name
from t5core.corpora.places import Place, reason_of
from t5core.errors import ConfigError

# what readers raise, the last one where a first file is empty; never the network
_DAMAGE = (ValueError, EOFError, zlib.error, gzip.BadGzipFile, StopIteration)

T = TypeVar("T")


class HubDamage(Exception):
    """The rest of a part cannot be read, because of what is in its file."""


@dataclass(frozen=True)
class HubPart(Place):
    """One of the parts of a set; it has rows in place of bytes.

    Attributes:
        named: the set, with a commit for its revision; of a clone, with the digest of its files.
        part: number of this part, from 0.
        parts: of the set.
        text_size: bytes of text in the part, about; None when the set does not say.
    """

    named: HubName = field(kw_only=True)
    part: int = 0
    parts: int = 1
    text_size: int | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The set's name, and which part this is."""
        return f"{self.named.path}:{self.named.config}:{self.named.split}-{self.part:05d}-of-{self.parts:05d}"

    @property
    def size(self) -> int | None:
        """See ``text_size``."""
        return self.text_size

    def content(self) -> str:
        """Returns what stands for the text: set, config, split, commit and part; of a clone not where it lies."""
        path = "" if self.named.is_clone else self.named.path
        return " ".join([path, *self.named[1:], f"{self.part}/{self.parts}"]).strip()

    def open(self) -> io.BufferedReader:
        """Raises TypeError: a set has rows and no bytes."""
        raise TypeError(f"{self.name} has rows and no bytes")

    def rows(self, tell: Tell) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields the rows of this part, numbered from 1, with those of COLUMNS that there are.

        Args:
            tell: gets what cannot be read in a row.

        Raises:
            ConfigError: the hub does not answer.
            HubDamage: the rest of the file cannot be read.
        """

        def opened() -> Iterator[Any]:
            rows = _streamed(self.named)[1].shard(num_shards=self.parts, index=self.part)
            if rows.column_names:
                rows = rows.select_columns([name for name in COLUMNS if name in rows.column_names])
            return iter(rows.with_format("arrow"))  # a value that Python cannot hold is then no end

        def following() -> Any:
            with _damage_of(self.named):
                return next(rows, None)

        rows = _asked("files", self.shown, opened)
        number = 0
        while (row := _asked("files", self.shown, following)) is not None:
            number += 1
            columns = [name for name in COLUMNS if name in row.column_names]
            yield from batch_rows(row.select(columns), number, tell)


def find_parts(text: str, field: str) -> tuple[HubPart, ...]:
    """Returns the parts of a set at the commit that its name stands for now.

    Raises:
        ConfigError: no such set, config or split, or no column ``text``; the hub does not answer; none of a set's
            files can be read.
    """
    name = hub_name(text, field)
    try:
        columns, parts = _asked(field, text, lambda: (_looked_up if name.is_clone else _looked_up_once)(name))
    except HubDamage as error:
        way_out = f"none of its files can be read ({error}): give them by themselves, for what is whole in them"
        raise ConfigError(field, text, way_out) from error
    if "text" not in columns:
        raise ConfigError(field, text, f"there is no column text, only {', '.join(columns)}: give another set")
    return parts


def _looked_up(name: HubName) -> tuple[tuple[str, ...], tuple[HubPart, ...]]:
    """The columns of a set, and its parts."""
    at = name if name.is_clone else name._replace(revision=_commit(name))
    builder, rows = _streamed(at)
    columns = tuple(rows.column_names or _columns(name, rows))
    at = at._replace(config=builder.config.name)
    if name.is_clone:
        at = at._replace(revision=_digest(builder.config.data_files[name.split]))
    stated = (builder.info.splits or {}).get(name.split)
    parts = rows.num_shards
    size = stated.num_bytes // parts if stated is not None and stated.num_bytes else None
    return columns, tuple(HubPart(str(at), named=at, part=part, parts=parts, text_size=size) for part in range(parts))


_looked_up_once = cache(_looked_up)
"""A process sees a set on the hub at one commit, however often its steps ask; folders here are looked at each time."""


def _columns(name: HubName, rows: Any) -> list[str]:
    """The columns of the first file that has a row and is not broken at its start."""
    damage: HubDamage | None = None
    for part in range(rows.num_shards):
        try:
            with _damage_of(name):
                row = next(iter(rows.shard(num_shards=rows.num_shards, index=part).with_format("arrow")), None)
        except HubDamage as error:
            damage = damage or error
            continue
        if row is not None:
            return list(row.column_names)
    if damage is not None:
        raise damage
    return []


def _streamed(name: HubName) -> tuple[Any, Any]:
    """What ``datasets`` calls the builder of a set, and its rows."""
    import datasets

    revision = None if name.is_clone else name.revision
    builder = datasets.load_dataset_builder(name.path, name.config or None, revision=revision)
    try:
        return builder, builder.as_streaming_dataset(split=name.split)
    except Exception as error:
        files = (builder.config.data_files or {}).get(name.split)
        if not files or not _is_damage(error, name):
            raise
        damage = HubDamage(reason_of(error))
    # which columns a set has is seen in its first file; that one is broken
    everything = builder.config.data_files
    for file in files:
        builder.config.data_files = {name.split: [file]}
        with suppress(HubDamage), _damage_of(name):
            builder.as_streaming_dataset(split=name.split)
            builder.config.data_files = everything
            return builder, builder.as_streaming_dataset(split=name.split)
    raise damage


@contextmanager
def _damage_of(name: HubName) -> Iterator[None]:
    """Tells what is wrong in a file from what is wrong on the way to it."""
    try:
        yield
    except Exception as error:
        if _is_damage(error, name):
            raise HubDamage(reason_of(error)) from error
        raise


def _is_damage(error: Exception, name: HubName) -> bool:
    """Whether it is of what is in a file.

    An error of input that no system call has is how pyarrow says that. From the hub it may be the network's, too, which
    is never taken for damage.
    """
    return isinstance(error, _DAMAGE) or (name.is_clone and isinstance(error, OSError) and error.errno is None)


def _commit(name: HubName) -> str:
    if name.is_pinned:
        return name.revision
    import huggingface_hub

    return str(huggingface_hub.HfApi().dataset_info(name.path, revision=name.revision or None).sha)


def _digest(paths: list[str]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:40]


def _asked(field: str, text: str, question: Callable[[], T]) -> T:
    """What the hub answers; whatever it, its client or the network raises becomes one line with a way out."""
    try:
        return question()
    except (ConfigError, HubDamage):
        raise
    except Exception as error:
        way_out = f"no answer ({reason_of(error)}); check {FORM} and the network, or give files of the set in a folder"
        raise ConfigError(field, text, way_out) from error
