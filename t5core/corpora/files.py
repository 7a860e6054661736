"""A user's own text: files, folders and globs.

``.jsonl`` (also ``.gz``) holds one document per line under ``text``; ``.txt`` and ``.md`` (also ``.gz``) are one
document per file. A folder stands for all such files below it. The identity of such a corpus is the digest of the
files' bytes, so that moving or renaming them changes nothing.
"""

import glob
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from t5core.corpora.cleaning import clean_readme, clean_text
from t5core.corpora.documents import SourceDocument, open_text, read_documents
from t5core.errors import ConfigError

_JSON_ENDINGS = (".jsonl", ".jsonl.gz")
_TEXT_ENDINGS = (".txt", ".txt.gz", ".md", ".md.gz")
_WAY_OUT = "give .jsonl (with text), .txt or .md files, a folder or a glob of them"


def find_files(paths: Sequence[str]) -> tuple[Path, ...]:
    """Returns the text files that ``paths`` (files, folders, globs) stand for, sorted, each once.

    Raises:
        ConfigError: a path that matches nothing, or no file of a known kind.
    """
    found: set[Path] = set()
    for pattern in paths:
        expanded = Path(pattern).expanduser()
        if expanded.is_dir():
            files = [path for path in expanded.rglob("*") if _is_text(path)]
        elif expanded.is_file():
            files = [expanded] if _is_text(expanded) else []
        else:
            # Path.glob takes no absolute pattern
            matches = [Path(match) for match in glob.glob(str(expanded), recursive=True)]  # noqa: PTH207
            if not matches:
                raise ConfigError("corpus", pattern, f"no such file or folder: {_WAY_OUT}")
            files = [path for path in matches if _is_text(path)]
        if not files:
            raise ConfigError("corpus", pattern, f"no text there: {_WAY_OUT}")
        found.update(path.resolve() for path in files)
    return tuple(sorted(found))


def content_digest(paths: Sequence[str]) -> str:
    """Returns 16 hex digits that stand for the files' bytes, whatever their names and order.

    Raises:
        ConfigError: as ``find_files``; or a file that cannot be read; or nothing but empty files.
    """
    digests = []
    for path in find_files(paths):
        try:
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            raise ConfigError("corpus", str(path), f"cannot be read: {error.strerror}") from error
    empty = hashlib.sha256(b"").hexdigest()
    if all(digest == empty for digest in digests):
        raise ConfigError("corpus", ", ".join(paths), f"no text there, the files are empty: {_WAY_OUT}")
    return hashlib.sha256("\n".join(sorted(set(digests))).encode()).hexdigest()[:16]


def read_files(paths: Sequence[str], min_chars: int) -> Iterator[SourceDocument]:
    """Yields the cleaned documents of the files that have at least ``min_chars`` characters.

    Raises:
        ConfigError: as ``find_files``.
        DataError: a line of a ``.jsonl`` file that is not an object with ``text``.
    """
    for path in find_files(paths):
        texts: Iterable[tuple[str, str]]
        if path.name.endswith(_JSON_ENDINGS):
            texts = ((document["text"], str(document["source"])) for document in read_documents(path))
            clean = clean_text
        else:
            with open_text(path) as file:
                texts = [(file.read(), path.name)]
            clean = clean_readme if ".md" in path.suffixes else clean_text
        for raw, source in texts:
            text = clean(raw)
            if len(text) >= min_chars:
                yield SourceDocument(text=text, source=source)


def _is_text(path: Path) -> bool:
    return path.name.endswith(_JSON_ENDINGS + _TEXT_ENDINGS) and path.is_file()
