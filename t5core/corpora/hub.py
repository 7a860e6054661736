"""Sets of text on the Hugging Face hub, streamed by ``datasets``.

    hf:allenai/c4:en                                     the split train of the newest commit
    hf:allenai/c4:en:validation@1588ec454efa...          a split of a commit, branch or tag
    hf:wikimedia/wikipedia:20231101.de                   a set's configs are its languages, dumps and the like
    hf:/data/wikipedia:20231101.de                       a clone of the set's repository, config and split as on the hub

A set is looked up once: from then on it is that commit, and one part for each of its files, as ``datasets`` counts
them, so that many workers share it. Rows are pages: ``text``, and ``url`` and ``timestamp`` where there are such
columns. What stands for the text is the set's name, config, split and commit; of a clone, the bytes of its files.
"""

import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from t5core.corpora.places import HUB_PREFIX, Place, reason_of
from t5core.errors import ConfigError

COLUMNS = ("text", "url", "timestamp")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FORM = "hf:NAME[:CONFIG][:SPLIT][@REVISION]"
_DEFAULT_SPLIT = "train"

_DAMAGE = (ValueError, EOFError, zlib.error, gzip.BadGzipFile)  # what readers raise; never the network

T = TypeVar("T")


class HubDamage(Exception):
    """The rest of a part cannot be read, because of what is in its file."""


class HubName(NamedTuple):
    """What a person asks for; "" for what is left to the set: its only config, its newest commit."""

    path: str
    config: str
    split: str
    revision: str

    @property
    def is_clone(self) -> bool:
        """Whether it is a folder with the files of a set's repository."""
        return self.path.startswith("/")

    def __str__(self) -> str:
        """Returns it in the form of ``hub_name``."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{HUB_PREFIX}{self.path}:{self.config}:{self.split}{revision}"


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

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields the rows of this part with those of COLUMNS that there are.

        Raises:
            ConfigError: the hub does not answer.
            HubDamage: what is in the file cannot be read.
        """

        def opened() -> Iterator[dict[str, Any]]:
            rows = _builder(self.named).as_streaming_dataset(split=self.named.split)
            rows = rows.shard(num_shards=self.parts, index=self.part)
            if rows.column_names:
                rows = rows.select_columns([name for name in COLUMNS if name in rows.column_names])
            return iter(rows)

        def following() -> dict[str, Any] | None:
            try:
                return next(rows, None)
            except _DAMAGE as error:
                raise HubDamage(reason_of(error)) from error

        rows = _asked("files", self.shown, opened)
        while (row := _asked("files", self.shown, following)) is not None:
            yield row


def hub_name(text: str, field: str) -> HubName:
    """Returns what ``hf:NAME[:CONFIG][:SPLIT][@REVISION]`` asks for.

    Raises:
        ConfigError: it is not of that form.
    """
    given, at, revision = text.removeprefix(HUB_PREFIX), "", ""
    if not given.startswith("/"):
        given, at, revision = given.partition("@")
    path, *rest = given.split(":")
    if not path or len(rest) > 2 or (at and not revision):
        raise ConfigError(field, text, f"give {_FORM}")
    if path.startswith((".", "~")):
        raise ConfigError(field, text, "give the clone's absolute path")
    config, split = (*rest, "", "")[:2]
    return HubName(path, config, split or _DEFAULT_SPLIT, revision)


def find_parts(text: str, field: str) -> tuple[HubPart, ...]:
    """Returns the parts of a set at the commit that its name stands for now.

    Raises:
        ConfigError: no such set, config or split, or no column ``text``; the hub does not answer.
    """
    name = hub_name(text, field)

    def looked_up() -> tuple[HubPart, ...]:
        at = name if name.is_clone else name._replace(revision=_commit(name))
        builder = _builder(at)
        rows = builder.as_streaming_dataset(split=name.split)
        columns = rows.column_names or list(next(iter(rows), {}))
        if "text" not in columns:
            raise ConfigError(field, text, f"there is no column text, only {', '.join(columns)}: give another set")
        at = at._replace(config=builder.config.name)
        if name.is_clone:
            at = at._replace(revision=_digest(builder.config.data_files[name.split]))
        stated = (builder.info.splits or {}).get(name.split)
        parts = rows.num_shards
        size = stated.num_bytes // parts if stated is not None and stated.num_bytes else None
        return tuple(HubPart(str(at), named=at, part=part, parts=parts, text_size=size) for part in range(parts))

    return _asked(field, text, looked_up)


def _builder(name: HubName) -> Any:
    import datasets

    revision = None if name.is_clone else name.revision
    return datasets.load_dataset_builder(name.path, name.config or None, revision=revision)


def _commit(name: HubName) -> str:
    if _COMMIT.fullmatch(name.revision):
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
        way_out = f"no answer ({reason_of(error)}); check {_FORM} and the network, or give files of the set in a folder"
        raise ConfigError(field, text, way_out) from error
