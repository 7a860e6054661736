"""A source split in two, so that nothing that is held out is trained on; in bounded memory, however long the source.

    1 Gathering.add   documents         by the hash of their text               -> documents/, by partition
    2 _settle         one partition     equal ones once; split; lines hashed    -> settled/; lines/, by bucket
    3 _compare        one bucket        which lines are known                   -> lost/, by partition
    4 Split.read      one partition     documents without those lines

Partitions follow the order of the hash, so one after another they give all documents in hash order, the same however
they were listed. A document is held out by the hash of its group (the source file) or of its text; where that leaves
one side of a small source empty, the first document of the other moves there. The same text at two URLs is two
documents only in training text that is not kept once: a variant may take one of the two pages.

Held-out text comes first and wins. A line of 40 characters or more is *known*, and goes, where the same stood in
held-out text before; a training line also where it holds a sentence of held-out text. Where repeated lines are kept
once, a training line that stood in training text before is known too. Lines and sentences are compared without case
and punctuation, and the lines kept before and after one that goes stay.

In memory: of a partition the hashes and places of its documents, of a bucket 29 bytes for each line and sentence.
"""

import hashlib
import json
import re
import shutil
import struct
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from t5core.corpora.cleaning import is_entry
from t5core.corpora.documents import SourceDocument
from t5core.corpora.spill import Spill, bucket_array, bucket_of, extents
from t5core.scripts import sentences_of, without_punctuation

Side = Literal["validation", "train"]
SIDES: tuple[Side, Side] = ("validation", "train")

_MIN_CHARS = 40  # of a line or sentence that is compared; shorter ones ("axis : int, optional") rightly come often
_MIN_COMPARED = 32  # the same without its punctuation
_ORDER_BYTES, _URL_BYTES, _KEY_BYTES = 12, 8, 16
_HEX = slice(2, 2 + 2 * (_ORDER_BYTES + _URL_BYTES))  # where a record, a list in JSON, has its digest

_LINE, _SENTENCE = 0, 1
_RECORD = struct.Struct("<16sQIB")
_RECORD_TYPE = np.dtype([("high", "<u8"), ("low", "<u8"), ("place", "<u8"), ("line", "<u4"), ("kind", "u1")])
_LOST_TYPE = np.dtype([("row", "<u4"), ("line", "<u4")])
_TRAINING = np.uint64(1 << 63)

Report = Callable[[dict[str, object]], None]


class Gathering:
    """Takes the documents of a source, in any order, and splits them when all are there.

    Args:
        folder: for the files between the steps; what is in it already is taken for an earlier try's and overwritten.
        validation_fraction: share of the documents that is held out.
        partitions: about one for 64 MB of text; their number changes no result.

    Attributes:
        read: documents that were given.
    """

    def __init__(self, folder: Path, validation_fraction: float, partitions: int) -> None:
        self._folder, self._fraction, self._partitions = folder, validation_fraction, partitions
        self._spill = Spill(folder / "documents", "all", partitions)
        self.read = 0

    def __enter__(self) -> Self:
        """Begins."""
        self._spill.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        """Writes what is held back."""
        self._spill.__exit__(*failure)

    def add(self, document: SourceDocument, *, training_only: bool = False) -> None:
        """Takes a document, which is never held out where it is for ``training_only``; these come after all others."""
        self.read += 1
        order = _digest(document.text, _ORDER_BYTES)
        key = _digest(f"group\n{document.group}", _ORDER_BYTES) if document.group else order
        held_out = not training_only and int.from_bytes(key[:8], "big") / 2**64 < self._fraction
        values = [document.text, document.source, document.group, document.url, document.timestamp]
        url = _digest(document.url, _URL_BYTES)
        record = json.dumps([(order + url).hex(), training_only, held_out, *values])
        self._spill.add(bucket_of(order, self._partitions), record.encode() + b"\n")

    def split(self, *, once: bool, report: Report | None = None) -> "Split":
        """Returns the two sides of what was given, once all is there (behind the ``with``).

        Args:
            once: whether training text that stood in training text before goes: documents at other URLs, and lines.
            report: called with ``{"partition": ...}`` now and then.
        """
        documents, first = self._settled(None, once, report)
        if sum(documents.values()) > 1 and len(first) == 1:  # a small source: one document makes the difference
            documents, _ = self._settled(next(iter(first.values())), once, report)
        shutil.rmtree(self._folder / "documents", ignore_errors=True)
        for bucket in range(self._partitions):
            _compare(self._folder, bucket, self._partitions, once)
        return Split(self._folder, self._partitions, documents["validation"], documents["train"])

    def _settled(self, moved: str | None, once: bool, report: Report | None) -> tuple[dict[Side, int], dict[Side, str]]:
        """Settles all partitions; returns the documents of each side and the first digest of its own of the source."""
        documents: dict[Side, int] = dict.fromkeys(SIDES, 0)
        first: dict[Side, str] = {}
        for partition in range(self._partitions):
            for side, digest in self._settle(partition, moved, once):
                documents[side] += 1
                if digest is not None:
                    first.setdefault(side, digest)
            if report is not None:
                report({"partition": partition + 1, "partitions": self._partitions})
        return documents, first

    def _settle(self, partition: int, moved: str | None, once: bool) -> Iterator[tuple[Side, str | None]]:
        """Step 2; yields the side of each document and its digest, None where it is for training only."""
        rows: dict[Side, int] = dict.fromkeys(SIDES, 0)
        outs = {side: _side_file(self._folder, side, partition) for side in SIDES}
        outs["train"].parent.mkdir(exist_ok=True)
        with (
            Spill(self._folder / "lines", str(partition), self._partitions) as spill,
            outs["validation"].open("wb") as validation,
            outs["train"].open("wb") as train,
        ):
            digest = ""
            for record in self._in_order(partition):
                key, training_only, held_out, *values = json.loads(record)
                digest, before = key[: 2 * _ORDER_BYTES], digest
                side: Side = "validation" if held_out != (digest == moved) else "train"
                if digest == before and (once or side == "validation"):
                    continue
                place = int(side == "train") << 63 | partition << 32 | rows[side]
                for key, number, kind in _compared(values[0]):
                    spill.add(bucket_of(key, self._partitions), _RECORD.pack(key, place, number, kind))
                (train if side == "train" else validation).write(json.dumps(values).encode() + b"\n")
                rows[side] += 1
                yield side, None if training_only else digest

    def _in_order(self, partition: int) -> Iterator[bytes]:
        """A partition's records by digest of text and URL, the first of equal ones."""
        index: dict[bytes, tuple[Path, int]] = {}
        for extent in extents(self._folder / "documents", partition):
            for start, line in extent.lines():
                index.setdefault(line[_HEX], (extent.path, start))
        with ExitStack() as stack:
            paths = {path for path, _ in index.values()}
            files = {path: stack.enter_context(path.open("rb")) for path in paths}
            for _, (path, start) in sorted(index.items()):
                files[path].seek(start)
                yield files[path].readline()


@dataclass(frozen=True)
class Split:
    """The two sides of a source.

    Attributes:
        folder: of the files between the steps.
        partitions: of documents.
        validation_documents: held out, whole.
        train_documents: the others, whole.
    """

    folder: Path
    partitions: int
    validation_documents: int
    train_documents: int

    @cached_property
    def dropped_lines(self) -> int:
        """How many lines are known, of both sides."""
        places = [(side, partition) for side in SIDES for partition in range(self.partitions)]
        return sum(len(_lost_lines(self.folder, *place)) for place in places)

    def read(self, side: Side) -> Iterator[SourceDocument]:
        """Yields the documents of a side in hash order without their known lines; "" where nothing is left."""
        for partition in range(self.partitions):
            lost = _lost_lines(self.folder, side, partition)
            at = 0
            with _side_file(self.folder, side, partition).open("rb") as file:
                for row, line in enumerate(file):
                    text, source, group, url, timestamp = json.loads(line)
                    gone = set()
                    while at < len(lost) and lost["row"][at] == row:
                        gone.add(int(lost["line"][at]))
                        at += 1
                    text = _without(text, gone)
                    yield SourceDocument(text=text, source=source, group=group, url=url, timestamp=timestamp)


def _compare(folder: Path, bucket: int, partitions: int, once: bool) -> None:
    """Finds the known lines among those of one bucket and tells their documents' partitions."""
    records = bucket_array(folder / "lines", bucket, _RECORD_TYPE)
    keys = ("high", "low", "kind")
    records = records[np.lexsort(tuple(records[name] for name in ("line", "place", *keys)))]
    begins = np.ones(len(records), bool)
    begins[1:] = np.logical_or.reduce([records[name][1:] != records[name][:-1] for name in keys])
    first_place = records["place"][begins][np.cumsum(begins) - 1]
    in_training = records["place"] >= _TRAINING
    repeats = ~begins & (~in_training | once) & (records["kind"] == _LINE)
    known = records[in_training & (first_place < _TRAINING) | repeats]
    lost = np.empty(len(known), _LOST_TYPE)
    lost["row"], lost["line"] = known["place"] & np.uint64(0xFFFFFFFF), known["line"]
    partition = (known["place"] >> np.uint64(32)) & np.uint64(0x7FFFFFFF)
    place = partition * np.uint64(len(SIDES)) + (known["place"] >> np.uint64(63))
    with Spill(folder / "lost", str(bucket), partitions * len(SIDES)) as spill:
        for number in np.unique(place).tolist():
            spill.add(number, lost[place == number].tobytes())


def _lost_lines(folder: Path, side: Side, partition: int) -> npt.NDArray[Any]:
    """The known lines of one partition's side: row and line, in order, each once."""
    return np.unique(bucket_array(folder / "lost", partition * len(SIDES) + SIDES.index(side), _LOST_TYPE))


def _side_file(folder: Path, side: Side, partition: int) -> Path:
    return folder / "settled" / f"{side}-{partition}"


def _compared(text: str) -> Iterator[tuple[bytes, int, int]]:
    """Yields what lines are compared by: digest, number of the line, whether it is the line's or one sentence's."""
    for number, line in enumerate(text.split("\n")):
        if len(line) >= _MIN_CHARS and not is_entry(line):
            sentences = [_plain(sentence) for sentence in sentences_of(line)]
            yield _digest(" ".join(sentences), _KEY_BYTES), number, _LINE
            for sentence in sentences:
                for part in _parts(sentence):
                    yield _digest(part, _KEY_BYTES), number, _SENTENCE


def _parts(sentence: str) -> Iterator[str]:
    """A plain sentence, and what follows a colon in it: in ``name: What it means.`` the meaning."""
    while len(sentence) >= _MIN_COMPARED:
        yield sentence
        sentence = sentence.partition(": ")[2]


def _without(text: str, gone: Container[int]) -> str:
    kept = "\n".join(line for number, line in enumerate(text.split("\n")) if number not in gone)
    return re.sub(r"\n{3,}", "\n\n", kept).strip()


def _plain(text: str) -> str:
    return without_punctuation(text.lower()).strip()  # colons stay, since they part a name from its description


def _digest(text: str, size: int) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=size).digest()
