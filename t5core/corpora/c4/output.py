"""Where a cleaned corpus goes: a folder, or an address in an object store by fsspec.

Object stores write an object whole or not at all, and so does ``put`` into a folder. A corpus is there when its
manifest is, which is written last.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from t5core.errors import ConfigError
from t5core.uris import file_system, local_path, masked

_FIELD = "out"

T = TypeVar("T")


@dataclass(frozen=True)
class Output:
    """A place for shards. It can be sent to other processes and hosts.

    Attributes:
        address: an absolute path or a URI with ``://``.
    """

    address: str

    @classmethod
    def of(cls, given: "str | os.PathLike[str]") -> "Output":
        """Returns the output that a user names; raises ConfigError for a file or an unknown home."""
        text = os.fspath(given)
        if text.lower().startswith("file://"):
            text = text[len("file://") :]
        if "://" in text:
            return cls(text.rstrip("/"))
        folder = local_path(text, _FIELD).absolute()
        if folder.exists() and not folder.is_dir():
            raise ConfigError(_FIELD, text, "this is a file: give a folder")
        return cls(str(folder))

    @property
    def folder(self) -> Path | None:
        """The local folder, None for an object store."""
        return None if "://" in self.address else Path(self.address)

    @property
    def shown(self) -> str:
        """The address for people, without passwords."""
        return masked(self.address)

    def names(self) -> list[str]:
        """Returns the names of what lies there, sorted."""
        if self.folder is not None:
            return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []
        fs, root = self._store()

        def listed() -> list[str]:
            try:
                return sorted(str(path).rstrip("/").rpartition("/")[2] for path in fs.ls(root, detail=False))
            except FileNotFoundError:
                return []

        return self._asked(listed)

    def read(self, name: str) -> bytes | None:
        """Returns the bytes of a name, None where it is not."""
        if self.folder is not None:
            path = self.folder / name
            return path.read_bytes() if path.is_file() else None
        fs, root = self._store()

        def content() -> bytes | None:
            try:
                return bytes(fs.cat_file(f"{root}/{name}"))
            except FileNotFoundError:
                return None

        return self._asked(content)

    def size(self, name: str) -> int | None:
        """Returns how many bytes a name has, None where it is not."""
        if self.folder is not None:
            path = self.folder / name
            return path.stat().st_size if path.is_file() else None
        fs, root = self._store()

        def asked() -> int | None:
            try:
                return int(fs.info(f"{root}/{name}")["size"])
            except FileNotFoundError:
                return None

        return self._asked(asked)

    def put(self, source: Path, name: str) -> None:
        """Moves a local file there, whole or not at all."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            _moved(source, self.folder / name)
            return
        fs, root = self._store()

        def sent() -> None:
            fs.makedirs(root, exist_ok=True)
            fs.put_file(str(source), f"{root}/{name}")

        self._asked(sent)
        source.unlink()

    def remove(self, name: str) -> None:
        """Removes a name where it is."""
        if self.folder is not None:
            (self.folder / name).unlink(missing_ok=True)
        elif self.size(name) is not None:
            fs, root = self._store()
            self._asked(lambda: fs.rm_file(f"{root}/{name}"))

    def _store(self) -> tuple[Any, str]:
        fs, root = self._asked(lambda: file_system(self.address, _FIELD, "name a folder"))
        return fs, root.rstrip("/")

    def _asked(self, question: Callable[[], T]) -> T:
        """What the store answers; whatever it or the network raises becomes one line."""
        try:
            return question()
        except ConfigError:
            raise
        except Exception as error:  # each store's client raises its own
            reason = (masked(str(error)).strip().splitlines() or [type(error).__name__])[0][:300]
            raise ConfigError(_FIELD, self.shown, f"no answer of the store: {reason}") from error


def _moved(source: Path, target: Path) -> None:
    """Moves a file, also from another file system, so that its name is only ever that of a whole one."""
    try:
        source.replace(target)
    except OSError:
        part = target.with_name(f"{target.name}.part")
        shutil.copyfile(source, part)
        part.replace(target)
        source.unlink()
