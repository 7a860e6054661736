"""The default corpus: the prose that comes with the installed Python packages.

Every machine that can run this project holds tens of megabytes of edited English: the docstrings of the installed
distributions and the READMEs in their metadata. They are read from the files, nothing is imported or downloaded, so
the harvest is a pure function of what is installed: same versions, same text.

A regular expression finds the docstrings: a triple-quoted string on its own line after a line that ends with a colon,
or at the top of a file. Parsing 300 MB of sources takes minutes, this takes seconds, and the few strings that are
wrongly taken are cleaned like any other. One document is one docstring, named ``dist:module.path:name``; all of one
source file share its group, so that a class and its methods, which repeat each other, fall into the same split.
"""

import hashlib
import importlib.metadata
import re
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

from t5core.corpora.cleaning import clean_docstring, clean_readme, is_english
from t5core.corpora.documents import SourceDocument

# Raise it when the harvest or the cleaning changes, so that old corpora are not taken for new ones.
HARVEST_VERSION = 1
_OWN_NAME = "t5grid"

_DOCSTRING = re.compile(r':[ \t]*(?:#[^\n]*)?\n[ \t\n]*([rRuU]?)("""|\'\'\')(.*?)\2', re.S)
_MODULE_DOCSTRING = re.compile(r'(?:[ \t]*(?:#[^\n]*)?\n)*([rRuU]?)("""|\'\'\')(.*?)\2', re.S)
_NAME = re.compile(r"\w+")
_TESTS = re.compile(r"(?:^|/)(?:tests?|testing|_tests?|test_[^/]*|[^/]*_tests?\.py|conftest\.py)(?:/|$)")


_FIRST_PYTHON = (3, 11)


def content_digest() -> str:
    """Returns 16 hex digits that stand for what is installed: Python, names and versions of packages, harvest version.

    Wheels of one version differ by Python. 3.11, which was the only one once, is not told, so that its digests stay.
    """
    installed = sorted(f"{name}=={distribution.version}" for name, distribution in _distributions())
    python = sys.version_info[:2]
    told = [] if python == _FIRST_PYTHON else ["python {}.{}".format(*python)]
    return hashlib.sha256("\n".join([f"harvest {HARVEST_VERSION}", *told, *installed]).encode()).hexdigest()[:16]


def harvest(min_chars: int, report: Callable[[dict[str, object]], None] | None = None) -> Iterator[SourceDocument]:
    """Yields cleaned docstrings and READMEs, distribution by distribution in the order of their names.

    Args:
        min_chars: shorter texts are skipped.
        report: called with ``{"distribution": name}`` as each one begins.
    """
    seen_paths: set[Path] = set()
    seen_texts: set[bytes] = set()
    for name, distribution in _distributions():
        if report is not None:
            report({"distribution": name})
        for raw, source, group, clean in _raw_documents(name, distribution, seen_paths):
            if len(raw) < min_chars:
                continue
            digest = hashlib.blake2b(raw.encode("utf-8", "replace"), digest_size=12).digest()
            if digest in seen_texts:  # vendored copies and inherited docstrings, before they cost anything
                continue
            seen_texts.add(digest)
            text = clean(raw)
            if len(text) >= min_chars and is_english(text):
                yield SourceDocument(text=text, source=source, group=group)


def _distributions() -> list[tuple[str, importlib.metadata.Distribution]]:
    """The installed distributions by name, the first on the path where one is installed twice, without our own.

    Only the interpreter's own folders of packages count: ``sys.path`` also holds what a process adds to it
    (Ray brings a folder with its own copies), and two processes of one machine have to see the same text.
    """
    found: dict[str, importlib.metadata.Distribution] = {}
    paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        paths.append(site.getusersitepackages())
    for distribution in importlib.metadata.distributions(path=list(dict.fromkeys(paths))):
        name = distribution.metadata["Name"]
        if name and name.lower() != _OWN_NAME:
            found.setdefault(name, distribution)
    return sorted(found.items())


def _raw_documents(
    name: str, distribution: importlib.metadata.Distribution, seen_paths: set[Path]
) -> Iterator[tuple[str, str, str, Callable[[str], str]]]:
    """Yields (raw text, source, group, cleaner)."""
    metadata = distribution.metadata
    readme = metadata.get_payload() or metadata["Description"]  # type: ignore[attr-defined]
    if isinstance(readme, str) and readme.strip():
        yield readme, f"{name}:README", f"{name}:README", clean_readme
    for relative in _python_files(distribution):
        path = Path(str(distribution.locate_file(relative)))
        if path in seen_paths:  # some distributions list the files of another
            continue
        seen_paths.add(path)
        try:
            code = path.read_text(encoding="utf-8", errors="replace")
        except OSError:  # listed, but not there: a wheel trimmed after its installation
            continue
        module = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for raw, member in find_docstrings(code):
            yield raw, f"{name}:{module}:{member}", f"{name}:{module}", clean_docstring


def _python_files(distribution: importlib.metadata.Distribution) -> list[str]:
    """Relative paths of the Python files; from RECORD where there is one, which is 50 times faster than ``files``."""
    record = distribution.read_text("RECORD")
    if record is None:
        names = [str(file) for file in distribution.files or ()]
    else:
        names = [line.split(",", 1)[0].strip('"') for line in record.splitlines()]
    return sorted(n for n in names if n.endswith(".py") and not n.startswith((".", "/")) and not _TESTS.search(n))


def find_docstrings(code: str) -> Iterator[tuple[str, str]]:
    """Yields (docstring as written, name) for each docstring of a source file; the module's own is named "".

    The name is that of the function or class above it, without those around it.
    """
    if '"""' not in code and "'''" not in code:
        return
    top = _MODULE_DOCSTRING.match(code)
    if top:
        yield _unescaped(top[3], top[1]), ""
    for match in _DOCSTRING.finditer(code, top.end() if top else 0):
        start = match.start()
        at = max(code.rfind("def ", 0, start) + 4, code.rfind("class ", 0, start) + 6)
        name = _NAME.match(code, at)
        yield _unescaped(match[3], match[1]), name[0] if name else ""


def _unescaped(text: str, prefix: str) -> str:
    if "\\" not in text or prefix in ("r", "R"):
        return text
    return text.replace("\\\n", "").replace("\\\\", "\\").replace('\\"', '"')
