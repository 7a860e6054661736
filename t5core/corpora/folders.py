"""What lies in a folder of this machine. One that cannot be looked into is an error: what is in it would be missing.

``glob`` and ``Path.rglob`` pass over such folders without a word, so a corpus would be smaller and nobody would know.
"""

import glob
import os
from collections.abc import Iterator
from pathlib import Path


def files_below(folder: Path) -> Iterator[Path]:
    """Yields all files below a folder, also hidden ones; links to folders are not followed.

    Raises:
        OSError: a folder that cannot be looked into, by its ``filename``.
    """
    for where, _, names in os.walk(folder, onerror=_stop):
        yield from (Path(where) / name for name in names)


def matching(pattern: Path) -> list[Path]:
    """Returns what a glob stands for; ``**`` is any number of folders.

    Raises:
        OSError: a folder that cannot be looked into, by its ``filename``.
    """
    parts = pattern.parts
    signs = [number for number, part in enumerate(parts) if glob.has_magic(part)]
    for number in range(min(signs, default=len(parts)), len(parts)):
        for folder in _globbed(Path(*parts[:number])):
            if not folder.is_dir():
                continue
            if parts[number] == "**":
                list(files_below(folder))
            elif number in signs:
                os.scandir(folder).close()
            else:
                os.stat(os.path.join(folder, "."))  # noqa: PTH116, PTH118 - a Path would lose the dot
        if parts[number] == "**":
            break  # all below is seen
    return _globbed(pattern)


def _globbed(pattern: Path) -> list[Path]:
    # Path.glob takes no absolute pattern
    return [Path(name) for name in glob.glob(str(pattern), recursive=True)]  # noqa: PTH207


def _stop(error: OSError) -> None:
    raise error
