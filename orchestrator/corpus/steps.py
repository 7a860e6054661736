"""What a worker does for a corpus: one part of one step of ``t5core.corpora.c4.stages``, whole or not at all.

    pages     some input files     ->  pages/PARTITION/SEGMENT
    settled   one partition        ->  settled/PARTITION, spans/BUCKET/PARTITION
    lost      one bucket           ->  lost/PARTITION/BUCKET
    shards    one partition        ->  a shard in the output

A try writes into a folder of its own below ``attempts``, named after its host and process; moves its files to where
the next step looks for them, each at once; and last of all its marker, with its counts, to ``done``. A part without a
marker is done again and gives the same files under the same names, so it does not matter where a try was killed, nor
whether one that was thought dead comes to life.
"""

import hashlib
import json
import os
import resource
import shutil
import socket
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from t5core.corpora.c4.build import file_content
from t5core.corpora.c4.output import Output
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.c4.shards import shard_name, write_shard
from t5core.corpora.c4.stages import Work, clean_files, settle_spans, settle_urls, shard_rows
from t5core.corpora.c4.tally import Tally
from t5core.corpora.places import Place
from t5core.errors import ConfigError

ATTEMPTS, DONE, PLAN = "attempts", "done", "plan.json"


def contents_of(places: Sequence[Place]) -> list[str]:
    """Returns what stands for each file, see ``file_content``.

    Raises:
        ConfigError: one that cannot be read here.
    """
    return [file_content(place) for place in places]


def do_part(settings: dict[str, Any], step: str, part: int, places: Sequence[Place]) -> dict[str, Any]:
    """Does one part of a step and leaves its marker.

    Args:
        settings: plain values: ``out`` and ``work`` folders, ``recipe``, ``plan`` (its digest), ``rules``,
            ``partitions``, ``form``, ``listed_parts`` (parts of "pages" below it are no books).
        step: "pages", "settled", "lost" or "shards".
        part: its number.
        places: input files, for "pages".

    Returns:
        What is in the marker: ``tally``, ``shard`` for the manifest, None for an empty one, and the most memory that
        this worker ever had, ``peak_bytes``.

    Raises:
        ConfigError: this node does not see the folder or a file.
        OSError: something cannot be written.
    """
    folder = Path(settings["work"])
    _check_seen(folder, settings, places)
    attempt = folder / ATTEMPTS / f"{step}-{part:06d}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
    attempt.mkdir(parents=True)
    work = Work(folder, Rules.from_dict(settings["rules"]), settings["partitions"])
    result = _do(replace(work, target=attempt / "files"), step, part, places, settings, attempt)
    for path in _files_below(attempt / "files"):
        place = folder / path.relative_to(attempt / "files")
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
    draft = attempt / "marker.json"
    draft.write_text(json.dumps(result), encoding="utf-8")
    marker = marker_of(folder, step, part)
    marker.parent.mkdir(parents=True, exist_ok=True)
    draft.replace(marker)
    shutil.rmtree(attempt, ignore_errors=True)
    return result


def marker_of(folder: Path, step: str, part: int) -> Path:
    """Returns the place of a part's marker."""
    return folder / DONE / f"{step}-{part:06d}.json"


def found_result(settings: dict[str, Any], step: str, part: int) -> dict[str, Any] | None:
    """Returns the result of a part that was done before, None for one that is to be done."""
    marker = marker_of(Path(settings["work"]), step, part)
    try:
        result: dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # the latter after a power cut
        return None
    shard = result["shard"]
    if shard is not None and not _is_whole(Output(settings["out"]), shard):
        return None
    return result


def _is_whole(out: Output, shard: dict[str, Any]) -> bool:
    if out.size(shard["name"]) != shard["bytes"]:
        return False
    if out.folder is None:  # a store has whole objects or none
        return True
    with (out.folder / shard["name"]).open("rb") as file:
        return bool(hashlib.file_digest(file, "sha256").hexdigest() == shard["sha256"])


def _do(
    work: Work, step: str, part: int, places: Sequence[Place], settings: dict[str, Any], attempt: Path
) -> dict[str, Any]:
    shard = None
    if step == "pages":
        tally = clean_files(work, places, f"{part:06d}", listed=part < settings["listed_parts"])
    elif step == "settled":
        tally = settle_urls(work, part)
    elif step == "lost":
        tally = Tally()
        settle_spans(work, part)
    else:
        tally = Tally()
        name = shard_name(settings["recipe"], part, work.partitions, settings["form"])
        shard = write_shard(shard_rows(work, part, tally), attempt / name, settings["form"])
        if shard is None:
            Output(settings["out"]).remove(name)
        else:
            Output(settings["out"]).put(attempt / name, name)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"tally": tally.to_dict(), "shard": shard, "peak_bytes": kilobytes << 10}


def _files_below(folder: Path) -> Iterator[Path]:
    yield from [path for path in folder.rglob("*") if path.is_file()]


def _check_seen(folder: Path, settings: dict[str, Any], places: Sequence[Place]) -> None:
    """Whether this node sees the same folders as the driver."""
    plan = folder / PLAN
    if not plan.is_file() or json.loads(plan.read_text(encoding="utf-8"))["plan"] != settings["plan"]:
        way_out = f"the node {socket.gethostname()} does not see it: give a folder that all nodes share"
        raise ConfigError("out", settings["out"], way_out)
    for place in places:
        if not place.is_there():
            way_out = f"the node {socket.gethostname()} does not see it: give files that all nodes share"
            raise ConfigError("files", str(place), way_out)
