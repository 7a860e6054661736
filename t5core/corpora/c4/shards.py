"""A cleaned corpus on disk: shards named after their recipe, and a manifest that is written last.

    c4-1f0a33c2-00000-of-00004.parquet ...    text, url, timestamp, source; in the order of a hash
    manifest.json                             recipe, config, counts, and each shard with its checksum

The eight hex digits are the recipe's: the config, the input's bytes and the form of the output. So a folder tells by
names alone whose shards it holds, and two recipes never mix.
"""

import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from t5core.corpora.c4.output import Output
from t5core.errors import ConfigError, DataError

MANIFEST = "manifest.json"
Format = Literal["parquet", "jsonl"]
_ENDINGS: dict[str, str] = {"parquet": ".parquet", "jsonl": ".jsonl.gz"}
_SHARD = re.compile(r"c4-([0-9a-f]{8})-\d{5}-of-\d{5}(\.parquet|\.jsonl\.gz)(\.part)?")
_COLUMNS = ("text", "url", "timestamp", "source")
_GROUP_BYTES = 16 << 20


def check_output(out: Output, recipe: str) -> dict[str, Any] | None:
    """Returns the manifest of an output that holds this recipe's corpus, None where it is to be made, or made whole.

    Raises:
        ConfigError: it holds another recipe's shards or a manifest that is not this recipe's; or a store gives no
            answer.
        DataError: its manifest cannot be read.
    """
    names = out.names()
    for name in names:
        match = _SHARD.fullmatch(name)
        if match and match[1] != recipe:
            way_out = f"it holds another recipe's shards ({name}, this one is {recipe}): give another folder"
            raise ConfigError("out", out.shown, way_out)
    manifest = out.read(MANIFEST)
    if manifest is None:
        return None
    try:
        found = json.loads(manifest.decode())
        there, _ = found["recipe"], [shard["name"] for shard in found["shards"]]
    except (ValueError, KeyError, TypeError) as error:
        where = f"{out.shown}/{MANIFEST}"
        raise DataError("out", where, "this is no manifest of a cleaned corpus: give another folder") from error
    if there != recipe:
        way_out = f"it holds another recipe's corpus ({there}, this one is {recipe}): give another folder"
        raise ConfigError("out", out.shown, way_out)
    gone = {str(shard["name"]) for shard in found["shards"]}.difference(names)
    return None if gone else dict(found)


def leftovers(out: Output, recipe: str) -> list[str]:
    """Returns the names of what an interrupted writer of this recipe's shards left."""
    matches = {name: _SHARD.fullmatch(name) for name in out.names()}
    return [name for name, match in matches.items() if match and match[1] == recipe and match[3]]


def is_shard(name: str) -> bool:
    """Says by its name whether a file is a whole shard of a cleaned corpus."""
    match = _SHARD.fullmatch(name)
    return match is not None and match[3] is None


def shard_name(recipe: str, number: int, shards: int, form: Format) -> str:
    """Returns the file name of a shard."""
    return f"c4-{recipe}-{number:05d}-of-{shards:05d}{_ENDINGS[form]}"


def write_shard(rows: Iterator[dict[str, str]], path: Path, form: Format) -> dict[str, Any] | None:
    """Writes a shard, whole or not at all.

    Returns:
        Its name, documents, bytes and SHA-256 for the manifest; None, and no file, when there are no rows.
    """
    first = next(rows, None)
    if first is None:
        path.unlink(missing_ok=True)
        return None
    part = path.with_name(f"{path.name}.part")
    write = _write_parquet if form == "parquet" else _write_json_lines
    documents = write(chain([first], rows), part)
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    part.replace(path)
    return {"name": path.name, "documents": documents, "bytes": path.stat().st_size, "sha256": digest}


def write_manifest(out: Output, content: dict[str, Any], scratch: Path) -> None:
    """Writes the manifest, whole or not at all, by way of a local folder."""
    draft = scratch / MANIFEST
    draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    out.put(draft, MANIFEST)


def _write_parquet(rows: Iterable[dict[str, str]], path: Path) -> int:
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    schema = pyarrow.schema([(name, pyarrow.string()) for name in _COLUMNS])
    documents = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(pyarrow.Table.from_pylist(group, schema))
            documents += len(group)
    return documents


def _write_json_lines(rows: Iterable[dict[str, str]], path: Path) -> int:
    documents = 0
    # neither name nor time in the header: the same rows give the same bytes
    with path.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed:
        text = io.TextIOWrapper(packed, encoding="utf-8", newline="\n")
        for row in rows:
            text.write(json.dumps({name: row[name] for name in _COLUMNS} | {"cleaned_by": "C4 rules"}) + "\n")
            documents += 1
        text.flush()
        text.detach()
    return documents


def _groups(rows: Iterable[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    group: list[dict[str, str]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row["text"])
        if size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
