"""Which places a user's paths stand for: files, folders and globs, here or in a store that fsspec knows, and hub sets.

Below a folder that ``datasets`` saved a set to (``save_to_disk``), its ``state.json`` says which ``.arrow`` files are
the set's; others are left from earlier work on it and are passed over.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from t5core.corpora.c4.shards import is_shard
from t5core.corpora.finished import why_unfinished
from t5core.corpora.folders import files_below, matching
from t5core.corpora.hub import find_parts
from t5core.corpora.places import HUB_PREFIX, Place, is_uri, reason_of, without_file_scheme
from t5core.errors import ConfigError
from t5core.uris import file_system, local_path, masked

_STATE, _ARROW = "state.json", ".arrow"
_WEB = ("http://", "https://")


def find_places(
    paths: Sequence[str], takes: Callable[[str], bool], field: str, what: str, way_out: str, *, finished: bool = False
) -> tuple[Place, ...]:
    """Returns the places that ``paths`` stand for, sorted, each once.

    Args:
        paths: files, folders or globs: paths or URIs. A folder stands for all that is taken below it. Or sets on the
            hub, as ``hub.hub_name`` takes them.
        takes: says by its name, which may be that of a link, whether a file is taken.
        field: the setting, for messages.
        what: the files hold, for messages: "pages".
        way_out: what to give instead, for messages.
        finished: a cleaned corpus that is given by its folder has to be whole.

    Raises:
        ConfigError: a path that matches nothing, or nothing that is taken; a folder that cannot be looked into; a
            store that does not answer; a cleaned corpus that is not whole.
    """
    found: list[Place] = []
    for given in paths:
        pattern = without_file_scheme(given)
        if pattern.startswith(HUB_PREFIX) and not pattern.startswith(f"{HUB_PREFIX}//"):
            found += find_parts(pattern, field)
            continue
        try:
            matches = _remote(pattern, takes, field) if is_uri(pattern) else list(_local(pattern, field))
            if not matches:
                raise ConfigError(field, masked(given), f"no such file or folder: {way_out}")
            files = _without_strays(matches, [place for place in matches if takes(place.name) and place.is_there()])
            unfinished = why_unfinished(matches) if finished and not _names_files(pattern) else ""
        except (OSError, RuntimeError) as error:  # the second one: links in a ring
            where = str(getattr(error, "filename", None) or given)
            reason = (
                f"cannot be looked into ({getattr(error, 'strerror', None) or error}): get the right, or leave it out"
            )
            raise ConfigError(field, masked(given), reason if where == given else f"{where} {reason}") from error
        if not files:
            raise ConfigError(field, masked(given), f"no {what} there: {way_out}")
        if unfinished:
            raise ConfigError(field, masked(given), unfinished)
        found += files
    return tuple(sorted(_once(found), key=lambda place: (place.address.split("/"), place.name)))


def _once(places: Iterable[Place]) -> Iterable[Place]:
    """Each file once, whatever links lead to it; by its own name where that is among them."""
    once: dict[object, Place] = {}
    for place in sorted(places, key=lambda place: place.address):
        own = str(Path(place).resolve()) if place.is_local else place
        if own not in once or place.address == own:
            once[own] = place
    return once.values()


def _names_files(pattern: str) -> bool:
    """Whether a person chose among a folder's files."""
    is_glob = any(sign in pattern for sign in "*?[") and not (not is_uri(pattern) and Path(pattern).is_dir())
    return is_glob or is_shard(pattern.rpartition("/")[2])


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


def _local(pattern: str, field: str) -> Iterator[Place]:
    """Files by their own names, or those of links to them, in folders by the names that those have without links."""
    given = local_path(pattern, field)
    if given.is_dir():
        yield Place(str(given.resolve()))
        yield from (Place(str(path)) for path in files_below(given.resolve()))
        return
    for path in [given] if given.is_file() else matching(given):
        yield Place(str(path.parent.resolve() / path.name))


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
