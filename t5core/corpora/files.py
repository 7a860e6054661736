"""A user's own text: files, folders and globs.

``.jsonl`` (also ``.gz``) holds one document per line under ``text``. ``.txt`` and ``.md`` (also ``.gz``) are one
document per file, or, where they are long, one for about every 2,000 characters, cut between paragraphs: a book is a
corpus. A folder stands for all such files below it. The identity of such a corpus is the digest of the files' bytes and
kinds, so that moving or renaming them changes nothing as long as they keep their endings.
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
_LONG_CHARS = 2_000
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
    """Returns 16 hex digits that stand for the files' bytes and kinds, whatever their names and order.

    Raises:
        ConfigError: as ``find_files``; or a file that cannot be read; or nothing but white space.
    """
    digests = []
    text_seen = False
    for path in find_files(paths):
        try:
            with path.open("rb") as file:
                text_seen = text_seen or any(block.strip() for block in iter(lambda: file.read(1 << 20), b""))
                file.seek(0)
                digests.append(f"{_kind(path)}:{hashlib.file_digest(file, 'sha256').hexdigest()}")
        except OSError as error:
            raise ConfigError("corpus", str(path), f"cannot be read: {error.strerror}") from error
    if not text_seen:
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
        kind = _kind(path)
        if kind == "json":
            texts = ((document["text"], str(document["source"])) for document in read_documents(path))
            clean = clean_text
        else:
            with open_text(path) as file:
                texts = [(file.read(), path.name)]
            clean = clean_readme if kind == "markdown" else clean_text
        for raw, source in texts:
            text = clean(raw)
            for piece in [text] if kind == "json" else _pieces(text):
                if len(piece) >= min_chars:
                    yield SourceDocument(text=piece, source=source)


def _kind(path: Path) -> str:
    """How a file is read and cleaned."""
    if path.name.endswith(_JSON_ENDINGS):
        return "json"
    return "markdown" if ".md" in path.suffixes else "text"


def _pieces(text: str) -> Iterator[str]:
    """A long text in documents of about _LONG_CHARS, cut where a paragraph (a line, after cleaning) ends."""
    held: list[str] = []
    for line in text.split("\n"):
        if held and sum(map(len, held)) + len(line) > _LONG_CHARS:
            yield "\n".join(held).strip()
            held = []
        held.append(line)
    yield "\n".join(held).strip()


def _is_text(path: Path) -> bool:
    return path.name.endswith(_JSON_ENDINGS + _TEXT_ENDINGS) and path.is_file()
