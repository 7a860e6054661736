"""Whether a cleaned corpus that a user gives by its folder is all there.

``t5core clean`` and ``t5grid corpus`` write shards as ``t5core.corpora.c4.shards`` names them, and a manifest last of
all. What a killed one leaves looks like a corpus, and is a part of one.
"""

import json
from collections.abc import Iterable
from contextlib import suppress

from t5core.corpora.c4.shards import MANIFEST, is_shard
from t5core.corpora.places import Place


def why_unfinished(places: Iterable[Place]) -> str:
    """Returns what is missing and the way out, "" where nothing is.

    Args:
        places: all that lies in the folders.
    """
    folders: dict[str, dict[str, Place]] = {}
    for place in places:
        if is_shard(place.name) or place.name == MANIFEST:
            folders.setdefault(place.address.rpartition("/")[0], {})[place.name] = place
    for _, found in sorted(folders.items()):
        shards = {name for name in found if is_shard(name)}
        if not shards:
            continue
        where = found[min(shards)].shown.rpartition("/")[0]
        listed = _listed(found.get(MANIFEST))
        if listed is None:
            return (
                f"the corpus in {where} is not finished, there is no {MANIFEST}: run the same command again to finish "
                f"it, or give its {len(shards):,} shards as files ({where}/c4-*)"
            )
        missing = sorted(listed - shards)
        if missing:
            return (
                f"{len(missing):,} of {len(listed):,} shards are gone from the corpus in {where} ({missing[0]}): "
                f"run the same command again to make them, or give those left as files ({where}/c4-*)"
            )
    return ""


def _listed(manifest: Place | None) -> set[str] | None:
    """The shards that a manifest lists, None where it is no manifest of a cleaned corpus."""
    if manifest is None:
        return None
    with manifest.open() as file, suppress(ValueError, KeyError, TypeError):
        return {str(shard["name"]) for shard in json.load(file)["shards"]}
    return None
