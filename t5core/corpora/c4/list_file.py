"""A list that a user gives: a text file, here or in a store that fsspec knows."""

from t5core.corpora.places import place_of, without_file_scheme
from t5core.errors import ConfigError
from t5core.uris import local_path, masked


def list_bytes(field: str, given: str) -> bytes:
    """Returns what lies at a path or URI.

    Args:
        field: what the user calls the list.
        given: the path or URI.

    Raises:
        ConfigError: it cannot be read.
    """
    path = without_file_scheme(given)
    place = place_of(path if "://" in path else local_path(path, field))
    try:
        with place.open() as file:
            return file.read()
    except OSError as error:
        raise ConfigError(field, masked(given), f"cannot be read: {error.strerror or error}") from error
    except ConfigError as error:  # of a store; it speaks of files of pages
        reason = str(error).removeprefix(f"{error.field}={error.value!r}: ")
        raise ConfigError(field, masked(given), reason) from None
