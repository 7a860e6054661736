"""URIs: as they may be shown, and the file systems that they name.

No error, log line, tag or table of ours carries a password.

>>> masked("postgresql://ann:s3/c r@t@db.example/mlflow")
'postgresql://***@db.example/mlflow'
"""

import os
import re
from pathlib import Path
from typing import Any

from t5core.errors import ConfigError, did_you_mean

_DATABASE = r"\b(?:postgres(?:ql)?|mysql|mariadb|mssql|oracle|cockroachdb|rediss?|mongodb)(?:\+\w+)?://"
# up to the last @, since a password may hold any sign, also where it ought to be written otherwise. In an address that
# has a path, an @ may belong to that: only where a colon stands before the first slash is it taken for a password's end
_USER_INFO = re.compile(rf"({_DATABASE})([^\n]*)@|(://)([^/:\n]*:[^\n]*|[^/\n]*)@", re.I)
_TO_WRITE_OTHERWISE = {" ": "%20", "@": "%40", "/": "%2F", "?": "%3F", "#": "%23"}
_SECRET_PARAMETER = re.compile(
    r"([?&;#](?:password|passwd|passphrase|pwd|secret|sig|signature|auth|authorization|credentials?|"
    r"(?:(?:access|api|auth|bearer|client|deploy|id|job|oauth|private|refresh|sas|session|user)[_-]?)?token|"
    r"(?:(?:access|account|api|app|auth|client|private|secret|storage|subscription)[_-]?)?key|"
    r"(?:access|api|app|auth|client|consumer|oauth)[_-]?secret|secret[_-]?access[_-]?key|(?:aws)?access[_-]?key[_-]?id|"
    r"x-(?:amz|goog)-(?:signature|credential|security-token))=)[^&;\s]*",
    re.I,
)


def masked(text: str) -> str:
    """Returns ``text``, a URI or a message that holds some, with user, password and secret parameters as ``***``."""
    return _SECRET_PARAMETER.sub(r"\1***", _USER_INFO.sub(lambda match: f"{match[1] or match[3]}***@", text))


def without_user(uri: str) -> str:
    """Returns a URI without user and password: what may be written down where others read it, and still works.

    >>> without_user("s3://ann:secret@bucket/results")
    's3://bucket/results'
    """
    return _USER_INFO.sub(lambda match: match[1] or match[3], uri)


def check_user_info(uri: str, field: str) -> None:
    """Looks whether user and password of a URI are written as they have to be.

    Raises:
        ConfigError: in ``field``: they hold a sign that ends them for whoever reads the URI.
    """
    match = _USER_INFO.search(uri)
    given = (match[2] or match[4] or "") if match else ""
    wrong = [sign for sign in _TO_WRITE_OTHERWISE if sign in given]
    if wrong:
        written = ", ".join(f"{sign!r} as {_TO_WRITE_OTHERWISE[sign]}" for sign in wrong)
        raise ConfigError(field, masked(uri), f"in a user or password, write {written}")


def local_path(given: "str | os.PathLike[str]", field: str) -> Path:
    """Returns a path that a user typed, with ``~`` and ``~name`` as the folders that they stand for.

    Raises:
        ConfigError: in ``field``: nobody of that name has a home here.
    """
    try:
        return Path(given).expanduser()
    except RuntimeError:
        raise ConfigError(field, os.fspath(given), "nobody of that name has a home here: give the whole path") from None


def file_system(uri: str, field: str, instead: str) -> tuple[Any, str]:
    """Returns fsspec's file system for a URI, and the URI's path in it.

    Args:
        uri: like s3://bucket/folder.
        field: the setting that it comes from, for messages.
        instead: of an unknown kind of URI, what to do: "name a folder".

    Raises:
        ConfigError: no file system of that kind, or its package is not installed.
    """
    import fsspec
    from fsspec.core import url_to_fs

    scheme = uri.partition("://")[0]
    try:
        fs, path = url_to_fs(uri, use_listings_cache=False)
    except ImportError as error:
        raise ConfigError(field, masked(uri), f"{error}, with pip, to use {scheme}:// stores") from None
    except ValueError:
        hint = did_you_mean(scheme, fsspec.available_protocols())
        way_out = f"no store of kind {scheme!r}; {instead} or an s3:// or gs:// address{hint}"
        raise ConfigError(field, masked(uri), way_out) from None
    return fs, str(path)
