"""URIs that users give: whether they are written well, and the paths and file systems that they name."""

import os
from pathlib import Path
from typing import Any

from t5core.errors import ConfigError, did_you_mean
from t5core.masking import masked, masked_address, user_info, without_user

__all__ = ["check_user_info", "file_system", "local_path", "masked", "masked_address", "without_user"]

_TO_WRITE_OTHERWISE = {" ": "%20", "@": "%40", "/": "%2F", "?": "%3F", "#": "%23"}


def check_user_info(uri: str, field: str) -> None:
    """Looks whether user and password of a URI are written as they have to be.

    Raises:
        ConfigError: in ``field``: they hold a sign that ends them for whoever reads the URI.
    """
    given = user_info(uri) or ""
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
