"""A user's own text: files, folders and globs.

``.jsonl`` (also ``.gz``) holds one document per line under ``text``, ``.parquet`` in a column of that name: text is
taken as it is, in any language. Captures (``.warc``, ``.wet``, also ``.gz``), ``.json.gz``, sets saved by ``datasets``
(``.arrow``) and sets on the hub (``hf:NAME``) are read as ``t5core clean`` reads them: text as found, what is damaged
skipped and counted.
``.txt`` and ``.md`` (also ``.gz``) are one document per file, or, where they are long, one for about every 2,000
characters, cut at blank lines: a book is a corpus. Paragraphs above that length, and texts without blank lines, are cut
at line ends. What a person wrapped becomes paragraphs, and Markdown loses its markup (``t5core.corpora.plain``); what
is left out of it is counted, and so are documents too short for the corpus.
A folder stands for all such files below it. The identity of such a corpus is the digest of the files' bytes and kinds,
so that moving or renaming them changes nothing as long as they keep their endings. Files with nothing but white space
do not count.
"""

import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from t5core.corpora.captures import EMPTY, HUB, kind_of, read_pages, without_surrogates
from t5core.corpora.columns import WRONG_ENCODING
from t5core.corpora.documents import SourceDocument, check_encoding, open_text, read_documents, read_parquet
from t5core.corpora.finding import find_places
from t5core.corpora.places import Place
from t5core.corpora.plain import markdown_text, plain_text
from t5core.errors import ConfigError
from t5core.uris import masked

_JSON_ENDINGS = (".jsonl", ".jsonl.gz")
_CAPTURES = (".warc", ".warc.gz", ".wet", ".wet.gz", ".json.gz", ".arrow")
_PARQUET = ".parquet"
_TEXT_ENDINGS = (".txt", ".txt.gz", ".md", ".md.gz")
_LONG_CHARS = 2_000
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
TOO_SHORT = "skipped:too_short"
"""Counts documents with fewer characters than the corpus asks for."""

_WAY_OUT = "give .jsonl or .parquet (with text), .txt, .md, .warc or .wet files, a folder or a glob of them, or hf:NAME"


def find_files(paths: Sequence[str]) -> tuple[Place, ...]:
    """Returns the text files that ``paths`` (files, folders, globs, URIs, hub sets) stand for, sorted, each once.

    Raises:
        ConfigError: a path that matches nothing, or no file of a known kind; a cleaned corpus that is not finished.
    """
    return find_places(paths, _is_text, "corpus", "text", _WAY_OUT, finished=True)


def content_digest(paths: Sequence[str]) -> str:
    """Returns 16 hex digits that stand for the files' bytes and kinds, whatever their names and order.

    Raises:
        ConfigError: as ``find_files``; or a file that cannot be read; or nothing but white space.
    """
    digests = []
    for path in find_files(paths):
        try:
            if not _has_text(path):
                continue
            digests.append(f"{_kind(path)}:{path.content()}")
        except (OSError, EOFError, zlib.error) as error:  # the last two: a broken .gz
            reason = getattr(error, "strerror", None) or error
            raise ConfigError("corpus", str(path), f"cannot be read: {reason}") from error
    if not digests:
        raise ConfigError("corpus", masked(", ".join(paths)), f"no text there, the files are empty: {_WAY_OUT}")
    return hashlib.sha256("\n".join(sorted(set(digests))).encode()).hexdigest()[:16]


def has_document(paths: Sequence[str], min_chars: int) -> bool:
    """Says whether some document has ``min_chars`` characters; what would have to be fetched is taken for granted.

    Raises:
        ConfigError, DataError: as ``read_files``, up to the first such document.
    """
    if not all(place.is_local for place in find_files(paths)):
        return True
    return any(True for _ in read_files(paths, min_chars))


def read_files(paths: Sequence[str], min_chars: int, counts: "Counter[str] | None" = None) -> Iterator[SourceDocument]:
    """Yields the documents of the files that have at least ``min_chars`` characters.

    Args:
        paths: as ``find_files`` takes them.
        min_chars: shorter documents are left out.
        counts: gets what was skipped and why: TOO_SHORT, EMPTY, what ``plain.markdown_text`` leaves out of Markdown,
            and of captures as ``captures.read_pages`` counts it.

    Raises:
        ConfigError: as ``find_files``.
        DataError: a line of a ``.jsonl`` file that is not an object with ``text``; a ``.parquet`` file without it.
    """
    counts = Counter() if counts is None else counts
    for path in find_files(paths):
        for document in _documents(path, counts):
            if len(document.text) >= min_chars:
                yield _encodable(document, counts)
            else:
                counts[TOO_SHORT if document.text.strip() else EMPTY] += 1


def _encodable(document: SourceDocument, counts: "Counter[str]") -> SourceDocument:
    """The document without half surrogates, which JSON and names of files may have and no vocabulary takes."""
    parts = {name: getattr(document, name) for name in ("text", "source", "url", "timestamp")}
    written = {name: without_surrogates(part) for name, part in parts.items()}
    if written == parts:
        return document
    counts[WRONG_ENCODING] += written["text"] != parts["text"]
    return replace(document, **written)


def _documents(path: Place, counts: "Counter[str]") -> Iterator[SourceDocument]:
    kind = _kind(path)
    if kind in (*_CAPTURES, HUB):
        for page in read_pages(path, counts):
            yield SourceDocument(text=page.text, source=page.source, url=page.url, timestamp=page.timestamp)
    elif kind in ("json", "parquet"):
        for row in read_documents(path) if kind == "json" else read_parquet(path):
            if kind == "json":
                check_encoding(row["text"], f"{path}: {row['source']}", counts)
            yield SourceDocument(
                text=row["text"],
                source=str(row["source"]),
                url=str(row.get("url") or ""),
                timestamp=str(row.get("timestamp") or ""),
            )
    else:
        for text in _pieces(path, counts):
            yield SourceDocument(text=text, source=path.name)


def _kind(path: Place) -> str:
    """How a file is read and cleaned."""
    if kind_of(path) == HUB:
        return HUB
    name = path.name.lower()
    if name.endswith(_PARQUET):
        return "parquet"
    if name.endswith(_JSON_ENDINGS):
        return "json"
    if name.endswith(_CAPTURES):
        return kind_of(path)
    return "markdown" if name.endswith((".md", ".md.gz")) else "text"


def _has_text(path: Place) -> bool:
    """Whether there is anything but white space, also inside a ``.gz``; reads up to the first of it.

    Of a remote file it is taken for granted: it would have to be fetched.
    """
    if not path.is_local:
        return True
    if _kind(path) == "parquet":
        return any(row["text"].strip() for row in read_parquet(path))
    if _kind(path) in _CAPTURES:
        return any(True for _ in read_pages(path, Counter()))
    with open_text(path) as file:
        return any(block.strip() for block in iter(lambda: file.read(1 << 16), ""))


def _pieces(path: Place, counts: "Counter[str]") -> Iterator[str]:
    """The text of a file in paragraphs; a long one in documents of about _LONG_CHARS."""
    with open_text(path) as file:
        raw = file.read().strip()
    check_encoding(raw, str(path), counts)
    if _kind(path) == "markdown":
        raw = markdown_text(raw, counts)
    if not _BLANK_LINE.search(raw):
        # cut before the lines of what looks like one wrapped paragraph are joined
        yield from map(plain_text, _gathered(raw.split("\n"), "\n"))
        return
    paragraphs: list[str] = []
    for paragraph in plain_text(raw).split("\n\n"):
        long = len(paragraph) > _LONG_CHARS
        paragraphs += _gathered(paragraph.split("\n"), "\n") if long else [paragraph]
    yield from _gathered(paragraphs, "\n\n")


def _gathered(parts: Sequence[str], separator: str) -> list[str]:
    """Parts joined to about _LONG_CHARS each; nothing short (a title, the last lines) is left by itself."""
    gathered: list[str] = []
    held: list[str] = []
    size = 0
    for part in parts:
        if size >= _LONG_CHARS // 2 and size + len(part) > _LONG_CHARS:
            gathered.append(separator.join(held))
            held, size = [], 0
        held.append(part)
        size += len(part) + len(separator)
    rest = separator.join(held)
    if gathered and size < _LONG_CHARS // 4:
        gathered[-1] += separator + rest
    else:
        gathered.append(rest)
    return gathered


def _is_text(name: str) -> bool:
    return name.lower().endswith((*_JSON_ENDINGS, _PARQUET, *_TEXT_ENDINGS, *_CAPTURES))
