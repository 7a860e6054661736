"""Which places a user's paths stand for: files, folders and globs, here or in a store that fsspec knows, and hub sets.

Below a folder that ``datasets`` saved a set to (``save_to_disk``), its ``state.json`` says which ``.arrow`` files are
the set's; others are left from earlier work on it and are passed over.
"""

import glob
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from t5core.corpora.hub import find_parts
from t5core.corpora.places import HUB_PREFIX, Place, is_uri, reason_of, without_file_scheme
from t5core.errors import ConfigError
from t5core.uris import file_system, masked

_STATE, _ARROW = "state.json", ".arrow"
_WEB = ("http://", "https://")


def find_places(
    paths: Sequence[str], takes: Callable[[str], bool], field: str, what: str, way_out: str
) -> tuple[Place, ...]:
    """Returns the places that ``paths`` stand for, sorted, each once.

    Args:
        paths: files, folders or globs: paths or URIs. A folder stands for all that is taken below it. Or sets on the
            hub, as ``hub.hub_name`` takes them.
        takes: says by its name whether a file is taken.
        field: the setting, for messages.
        what: the files hold, for messages: "pages".
        way_out: what to give instead, for messages.

    Raises:
        ConfigError: a path that matches nothing, or nothing that is taken; a store that does not answer.
    """
    found: set[Place] = set()
    for given in paths:
        pattern = without_file_scheme(given)
        if pattern.startswith(HUB_PREFIX) and not pattern.startswith(f"{HUB_PREFIX}//"):
            found.update(find_parts(pattern, field))
            continue
        remote = is_uri(pattern)
        matches = _remote(pattern, takes, field) if remote else list(_local(pattern))
        if not matches:
            raise ConfigError(field, masked(given), f"no such file or folder: {way_out}")
        files = _without_strays(matches, [place for place in matches if takes(place.name) and place.is_there()])
        if not files:
            raise ConfigError(field, masked(given), f"no {what} there: {way_out}")
        found.update(files)
    return tuple(sorted(found, key=lambda place: (place.address.split("/"), place.name)))


def _without_strays(matches: Iterable[Place], files: list[Place]) -> list[Place]:
    """Files without what lies beside a saved set's own."""
    own: dict[str, set[str]] = {}
    for place in matches:
        if place.name == _STATE and any(file.name.endswith(_ARROW) for file in files):
            with place.open() as file, suppress(ValueError, KeyError, TypeError):
                own[_folder(place)] = {data["filename"] for data in json.load(file)["_data_files"]}
    return [f for f in files if not f.name.endswith(_ARROW) or f.name in own.get(_folder(f), {f.name})]


def _folder(place: Place) -> str:
    return place.address.rpartition("/")[0]


def _local(pattern: str) -> Iterable[Place]:
    expanded = Path(pattern).expanduser()
    if expanded.is_dir():
        matches: Iterable[Path] = [expanded, *expanded.rglob("*")]
    elif expanded.is_file():
        matches = [expanded]
    else:
        # Path.glob takes no absolute pattern
        matches = map(Path, glob.glob(str(expanded), recursive=True))  # noqa: PTH207
    return (Place(str(path.resolve())) for path in matches)


def _remote(pattern: str, takes: Callable[[str], bool], field: str) -> list[Place]:
    """What is listed below a URI; a web page's address that ends like a file is one, without asking."""
    web = pattern.lower().startswith(_WEB)
    if "::" in pattern:
        raise ConfigError(field, masked(pattern), "chained URIs are not read: give the address of the files themselves")
    fs, path = file_system(pattern, field, "give a path")
    if web and "*" not in pattern and takes(Place(pattern).name):
        return [Place(pattern)]
    try:
        listed = _listed(fs, path, is_glob=any(sign in path for sign in ("*" if web else "*?[")))
    except FileNotFoundError:
        return []
    except Exception as error:  # every fsspec package raises its own
        reason = f"cannot be listed ({reason_of(error)}); check the address, network and credentials"
        raise ConfigError(field, masked(pattern), reason) from None
    return [Place(str(fs.unstrip_protocol(name)), info) for name, info in listed.items() if info["type"] == "file"]


def _listed(fs: Any, path: str, *, is_glob: bool) -> Mapping[str, Mapping[str, Any]]:
    if is_glob:
        return dict(fs.glob(path, detail=True))
    info = fs.info(path)
    if info["type"] == "file" and not fs.isdir(path):  # on the web, a page that lists files is both
        return {str(info["name"]): info}
    return dict(fs.find(path, detail=True))
