"""Where a task's examples come from: a set on the Hugging Face hub, or a folder with the same fields.

    DataSet(hub=Hub(path="nyu-mll/glue", config="cola", revision="bcdc..."), folders=("cola",), columns={...})
    .open(None)                 the hub, at that commit, streaming
    .open(Path("data"))         data/cola/train.jsonl.gz, data/cola/validation.parquet, ...

A split is one file or several (``train-00000-of-00002.parquet``), of the kinds in ``t5core.tasks.files``. Examples are
read one by one, so that a set may be larger than memory. What was read can be named: ``count`` and ``fingerprint``
are of the files' bytes, or of the hub's commit.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from t5core.errors import DataError
from t5core.tasks.files import READERS, Rows, located

__all__ = ["DataSet", "Folder", "Hub", "OpenedSet", "located"]

T = TypeVar("T")
SPLITS = ("train", "validation", "test")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ALIASES = {"validation": ("validation", "dev")}


class OpenedSet(Protocol):
    """A set that examples can be read from."""

    def rows(self, split: str) -> Rows:
        """Yields ``(where, example)`` in order.

        Raises:
            DataError: no such split; a file that cannot be read.
        """

    def count(self, split: str) -> int:
        """Returns the number of examples of a split."""

    def fingerprint(self, split: str) -> str:
        """Returns 16 hex digits that stand for what a split holds."""

    def commit(self) -> str:
        """Returns the commit at which a set on the hub is read, "" for a folder.

        Raises:
            DataError: a branch is to be looked up, and the hub does not answer.
        """


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A set on the hub.

    Attributes:
        path: "nyu-mll/glue".
        revision: a commit; a branch is looked up when it is read.
        config: "cola".
        splits: our names of the splits to the hub's.
    """

    path: str
    revision: str
    config: str = ""
    splits: Mapping[str, str] = field(default_factory=dict)

    def of(self, config: str, splits: Mapping[str, str]) -> "Hub":
        """Returns another set of the same repository."""
        return replace(self, config=config, splits=splits)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A set of examples, and the two places where it may lie.

    Attributes:
        hub: on the hub; None: in folders only.
        folders: names under a data directory that it is looked for by, in this order.
        folder: a place of its own, for a user's task; then neither hub nor data directory is needed.
        columns: the fields and how a cell of a CSV file is read: "text", "label", "integer", "number" or
            "json".
        sorted_lists: fields whose items come in no order of their own: they are sorted, each once.
        also: other names of fields, as in a benchmark's own files: taken where the field itself is not there.
        files: folder -> split -> what its files are called there, in place of the split's name: MNLI's sets lie in one.
    """

    hub: Hub | None = None
    folders: tuple[str, ...] = ()
    folder: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    sorted_lists: tuple[str, ...] = ()
    also: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def open(self, data_dir: Path | None = None) -> OpenedSet:
        """Returns the set as it lies in a data directory, in its own folder, or on the hub.

        Raises:
            DataError: the data directory has no such folder, or two; or there is none and no hub: which layout would
                serve.
        """
        if self.folder is not None:
            return Folder(self.folder, self)
        if data_dir is not None:
            for name in self.folders:
                if (found := _folder(data_dir, name)) is not None:
                    return Folder(found, self, self.files.get(name, {}))
            raise DataError("data_dir", str(data_dir), f"no such set there: put {self.layout()}")
        if self.hub is None:
            raise DataError("data_dir", None, f"this set is on no hub: give a data directory with {self.layout()}")
        return _OnHub(self.hub, self)

    def published(self, split: str) -> str:
        """Returns 16 hex digits that stand for a split of the set on the hub, by name and revision alone.

        The hub is not asked: where the revision is a commit they are its ``fingerprint``.
        """
        assert self.hub is not None
        names = (self.hub.path, self.hub.config, self.hub.revision, self.hub.splits[split])
        return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]

    def layout(self) -> str:
        """Returns which files would serve in place of the hub, for messages."""
        splits = ",".join(self.hub.splits if self.hub is not None else SPLITS)
        kinds = ", ".join(kind for kind in READERS if not kind.endswith(".gz"))
        fields = ", ".join(self.columns)
        name = self.folders[0] if self.folders else ""
        return f"{name}/{{{splits}}} as {kinds} (or .gz) with fields {fields}"

    def tidy(self, example: dict[str, Any]) -> dict[str, Any]:
        """Returns an example with its fields called by their names, and its lists in order."""
        for other, name in self.also.items():
            if other in example and name not in example:
                example[name] = example[other]
        for name in self.sorted_lists:
            if isinstance(example.get(name), list) and all(isinstance(item, str) for item in example[name]):
                example[name] = sorted(set(example[name]))
        return example


@dataclass(frozen=True)
class Folder:
    """A set in a folder.

    Attributes:
        path: of the folder.
        declared: the set.
        called: split -> what its files are called here, where that is not the split's name (or "dev").
    """

    path: Path
    declared: DataSet
    called: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def files(self, split: str) -> tuple[Path, ...]:
        """Returns the files of a split, all of one name and kind, sorted.

        Raises:
            DataError: there is none, or there are two names or kinds.
        """
        names = self.called.get(split, ()) or _ALIASES.get(split, (split,))
        found: dict[tuple[str, str], list[Path]] = {}
        for path in sorted(self.path.glob("*")) if self.path.is_dir() else ():
            ending = _ending(path)
            if ending and (name := _named(path.name.removesuffix(ending), names)):
                found.setdefault((name, ending), []).append(path)
        if not found:
            way_out = f"no file {names[0]}.jsonl ({', '.join(READERS)}) in {self.path}"
            raise DataError("split", split, f"{way_out}; it has {', '.join(self._there()) or 'nothing of the kind'}")
        if len(found) > 1:
            twice = " and ".join(f"{name}{ending}" for name, ending in found)
            raise DataError("split", split, f"{self.path} has it twice, as {twice}: keep one of them")
        return tuple(next(iter(found.values())))

    def rows(self, split: str) -> Rows:
        """Yields ``(file:line, example)``."""
        declared = self.declared.columns
        columns = {**declared, **{other: declared[name] for other, name in self.declared.also.items()}}
        for path in self.files(split):
            for where, example in READERS[_ending(path)](path, columns):
                yield where, self.declared.tidy(example)

    def count(self, split: str) -> int:
        """Returns the number of examples; reads all of them, but for Parquet."""
        files = self.files(split)
        if all(path.suffix == ".parquet" for path in files):
            from pyarrow import parquet  # type: ignore[import-untyped]

            return sum(int(parquet.read_metadata(path).num_rows) for path in files)
        return sum(1 for _ in self.rows(split))

    def commit(self) -> str:
        """Returns "": a folder is known by its files."""
        return ""

    def fingerprint(self, split: str) -> str:
        """Returns 16 hex digits of the files' bytes and kinds, whatever their place and time."""
        digest = hashlib.sha256()
        for path in self.files(split):
            with path.open("rb") as file:
                digest.update(f"{_ending(path)}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
        return digest.hexdigest()[:16]

    def _there(self) -> list[str]:
        found = sorted(self.path.glob("*")) if self.path.is_dir() else ()
        return [path.name for path in found if _ending(path)]


@dataclass(frozen=True)
class _OnHub:
    """A set on the hub, read through ``datasets``."""

    hub: Hub
    declared: DataSet

    def rows(self, split: str) -> Rows:
        name = self._split(split)

        def stream() -> Iterator[dict[str, Any]]:
            import datasets

            loaded = datasets.load_dataset(
                self.hub.path, self.hub.config or None, revision=self.hub.revision, split=name, streaming=True
            )
            return iter(loaded)

        examples = self._asked(stream)
        number = 0
        while True:
            example = self._asked(lambda: next(examples, None))
            if example is None:
                return
            number += 1
            yield f"{self.hub.path}/{self.hub.config} {name}:{number}", self.declared.tidy(example)

    def count(self, split: str) -> int:
        name = self._split(split)

        def known() -> int:
            import datasets

            builder = datasets.load_dataset_builder(self.hub.path, self.hub.config or None, revision=self.hub.revision)
            return int(builder.info.splits[name].num_examples)

        return self._asked(known)

    def fingerprint(self, split: str) -> str:
        names = (self.hub.path, self.hub.config, self.commit(), self._split(split))
        return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]

    def commit(self) -> str:
        if _COMMIT.fullmatch(self.hub.revision):
            return self.hub.revision

        def looked_up() -> str:
            import huggingface_hub

            return str(huggingface_hub.HfApi().dataset_info(self.hub.path, revision=self.hub.revision).sha)

        return self._asked(looked_up)

    def _split(self, split: str) -> str:
        if split not in self.hub.splits:
            raise DataError("split", split, f"{self.hub.path}/{self.hub.config} has {', '.join(self.hub.splits)}")
        return self.hub.splits[split]

    def _asked(self, question: Callable[[], T]) -> T:
        """What the hub answers; whatever it, its client or the network raises becomes one line with a way out."""
        try:
            return question()
        except DataError:
            raise
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            where = f"{self.hub.path}/{self.hub.config}@{self.hub.revision[:12]}"
            way_out = f"give a data directory (--data-dir) with {self.declared.layout()}"
            raise DataError("hub", where, f"no answer ({reason}); {way_out}") from error


def _ending(path: Path) -> str:
    """The ending that says how a file is read; "" for others."""
    return max((ending for ending in READERS if path.name.endswith(ending)), key=len, default="")


def _named(stem: str, names: Sequence[str]) -> str:
    """By which of the names a file is called: "train", "train-00000-of-00002", "dev-v1" for "dev"; "" for none."""
    return next((name for name in names if stem == name or stem.startswith(f"{name}-")), "")


def _folder(place: Path, name: str) -> Path | None:
    """The folder of that name, or one whose name differs in case and dashes only: GLUE's are CoLA, SST-2, STS-B, ..."""
    if (place / name).is_dir():
        return place / name
    found = [path for path in sorted(place.glob("*")) if _plain(path.name) == _plain(name) and path.is_dir()]
    if len(found) > 1:
        twice = " and ".join(path.name for path in found)
        raise DataError("data_dir", str(place), f"it has {name} twice, as {twice}: keep one of them")
    return found[0] if found else None


def _plain(name: str) -> str:
    return name.lower().replace("-", "")
