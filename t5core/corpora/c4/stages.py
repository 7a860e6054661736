"""Cleaning a corpus in four steps that can run anywhere, in any order within a step, in bounded memory.

    1 clean_files    some input files      pages through the rules that need one page   -> pages/SEGMENT, by partition
    2 settle_urls    one partition         one page a URL; hashes of its spans          -> settled/; spans/, by bucket
    3 settle_spans   one bucket of hashes  which copies of a span go                    -> lost/, by partition
    4 shard_rows     one partition         the pages without them                       -> rows for a shard

Pages are spread over partitions by the hash of their URL (of their text, where they have none), spans over as many
buckets by theirs. All files lie below one folder. A step reads what the steps before it wrote and overwrites what an
interrupted try of itself left. Within a partition pages stand in the order of their hash, so partition and place
together order all pages of the corpus, the same whoever did the work and when; the first page in that order keeps a
span. That is a drawing by hash, which favours no site.

In memory: of step 2 the hashes and places of a partition's pages, of step 3 a bucket of 28 bytes a span.
"""

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from t5core.corpora.c4.bad_words import finder
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.c4.sentences import has_sentences
from t5core.corpora.c4.spans import span_hashes, without_spans
from t5core.corpora.c4.tally import (
    COPIED_SPAN,
    NOT_LISTED,
    OLDER_COPY,
    TOO_FEW_LEFT,
    TOO_LONG_PAGE,
    Tally,
    added,
    amount_of,
    judged_page,
    size_of,
)
from t5core.corpora.captures import Page, read_pages
from t5core.corpora.places import Place
from t5core.corpora.spill import Spill, bucket_array, bucket_of, extents
from t5core.corpora.urls import normalized_url

_SPAN = struct.Struct("<16sQI")
_SPAN_TYPE = np.dtype([("high", "<u8"), ("low", "<u8"), ("page", "<u8"), ("window", "<u4")])
_LOST_TYPE = np.dtype([("row", "<u4"), ("window", "<u4")])


@dataclass(frozen=True)
class Work:
    """What all steps share.

    Attributes:
        folder: for the files between the steps.
        rules: and their lists.
        partitions: of pages, and buckets of spans; it decides how much one step holds.
        target: where a step writes, under the same names; None for ``folder``. Whoever gives another one moves the
            files there once the step is done, so that a second try at the same time does no harm.
    """

    folder: Path
    rules: Rules
    partitions: int
    target: Path | None = None

    @property
    def written_to(self) -> Path:
        """Where steps write."""
        return self.folder if self.target is None else self.target


def clean_files(work: Work, paths: Iterable[Path | Place], segment: str, *, listed: bool = True) -> Tally:
    """Step 1 for the pages of files; ``clean_pages`` says what it does, and the tally tells what reading skipped."""
    tally = Tally()
    clean_pages(work, (page for path in paths for page in read_pages(path, tally.read)), segment, tally, listed=listed)
    return tally


def clean_pages(work: Work, pages: Iterable[Page], segment: str, tally: Tally, *, listed: bool = True) -> None:
    """Step 1: judges pages one by one.

    Args:
        work: what all steps share.
        pages: as they were found.
        segment: name of this part of the work, another for each part.
        tally: gets the counts. What is removed from a page counts once it is the one page of its URL: in step 2.
        listed: whether only pages of the listing are taken; books are text from elsewhere and have no URL.
    """
    config = work.rules.config
    bad_words = finder(work.rules.words, config.language)
    with Spill(work.written_to / "pages", segment, work.partitions) as spill:
        for page in pages:
            amount = amount_of(page.text)
            tally.pages = added(tally.pages, amount)
            if len(page.text) > config.max_page_chars:
                tally.remove(TOO_LONG_PAGE, amount)
                continue
            if listed and not work.rules.listing.takes(page.url):
                tally.remove(NOT_LISTED, amount)
                continue
            judgement = judged_page(page.text, config, bad_words)
            text_digest = _digest(page.text)
            url = normalized_url(page.url)
            key = _digest(url) if url else text_digest
            record = {
                "order": [key.hex(), page.timestamp, text_digest.hex(), page.source],
                "has_url": bool(url),
                "amount": amount,
                "removed": judgement.removed,
                "row": _row(page, judgement.text),
            }
            spill.add(bucket_of(key, work.partitions), json.dumps(record).encode() + b"\n")


def settle_urls(work: Work, partition: int) -> Tally:
    """Step 2: puts a partition's pages in order, keeps the newest of each URL and spreads the hashes of their spans."""
    tally = Tally()
    size = work.rules.config.span_sentences
    settled = work.written_to / "settled" / str(partition)
    settled.parent.mkdir(parents=True, exist_ok=True)
    place = 0
    spans = Spill(work.written_to / "spans", str(partition), work.partitions)
    with spans as spill, settled.open("wb") as out:
        for record, is_newest in _in_order(work, partition):
            if not is_newest:
                tally.remove(OLDER_COPY, tuple(record["amount"]))
                continue
            for rule, amount in record["removed"].items():
                tally.remove(rule, tuple(amount))
            row = record["row"]
            if row["text"] is None:
                continue
            out.write(json.dumps(row).encode() + b"\n")
            hashes = span_hashes(row["text"], size, work.rules.config.end_marks) if size else ()
            for window, span in enumerate(hashes):
                spill.add(bucket_of(span, work.partitions), _SPAN.pack(span, partition << 32 | place, window))
            place += 1
    return tally


def settle_spans(work: Work, bucket: int) -> None:
    """Step 3: finds the copies among the spans of one bucket and tells their partitions; the first one stays."""
    spans = bucket_array(work.folder / "spans", bucket, _SPAN_TYPE)
    spans = spans[np.lexsort((spans["window"], spans["page"], spans["low"], spans["high"]))]
    is_copy = (spans["high"][1:] == spans["high"][:-1]) & (spans["low"][1:] == spans["low"][:-1])
    copies = spans[1:][is_copy]
    partition_of_copy = copies["page"] >> np.uint64(32)
    with Spill(work.written_to / "lost", str(bucket), work.partitions) as spill:
        for partition in np.unique(partition_of_copy).tolist():
            mine = copies[partition_of_copy == partition]
            lost = np.empty(len(mine), _LOST_TYPE)
            lost["row"], lost["window"] = mine["page"] & np.uint64(0xFFFFFFFF), mine["window"]
            spill.add(partition, lost.tobytes())


def shard_rows(work: Work, partition: int, tally: Tally) -> Iterator[dict[str, str]]:
    """Step 4: yields a partition's pages without the copies: text, url, timestamp, source.

    Args:
        work: what all steps share.
        partition: whose.
        tally: gets what the copies' rules removed, and what is kept.
    """
    config = work.rules.config
    lost = np.sort(bucket_array(work.folder / "lost", partition, _LOST_TYPE), order="row")
    at = 0
    with (work.folder / "settled" / str(partition)).open("rb") as file:
        for place, line in enumerate(file):
            row: dict[str, str] = json.loads(line)
            windows = []
            while at < len(lost) and lost["row"][at] == place:
                windows.append(int(lost["window"][at]))
                at += 1
            if windows:
                left = without_spans(row["text"], frozenset(windows), config.span_sentences, config.end_marks)
                bytes_gone = size_of(row["text"]) - size_of(left.text)
                tally.remove(COPIED_SPAN, (0, left.lines, bytes_gone))
                row["text"] = left.text
                lines = [line for line in left.text.split("\n") if line]
                if not has_sentences(lines, config.min_sentences, config.end_marks):
                    tally.remove(TOO_FEW_LEFT, amount_of(left.text))
                    continue
            tally.kept = added(tally.kept, amount_of(row["text"]))
            yield row


def _in_order(work: Work, partition: int) -> Iterator[tuple[dict[str, Any], bool]]:
    """A partition's pages by key, time and text, each with whether it is the one that its URL keeps."""
    found = extents(work.folder / "pages", partition)
    paths = sorted({extent.path for extent in found})
    numbers = {path: number for number, path in enumerate(paths)}
    index: list[tuple[bytes, str, bytes, str, bool, int, int]] = []
    for extent in found:
        for start, line in extent.lines():
            record = json.loads(line)
            key, timestamp, text, source = record["order"]
            place = record["has_url"], numbers[extent.path], start
            index.append((bytes.fromhex(key), timestamp, bytes.fromhex(text), source, *place))
    index.sort()
    newest: dict[bytes, tuple[str, int]] = {}
    if work.rules.config.one_copy_per_url:
        for i, (key, timestamp, _, _, has_url, _, _) in enumerate(index):
            if has_url and (key not in newest or timestamp > newest[key][0]):
                newest[key] = timestamp, i
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in paths]
        for i, (key, _, _, _, _, number, start) in enumerate(index):
            files[number].seek(start)
            yield json.loads(files[number].readline()), newest.get(key, ("", i))[1] == i


def _row(page: Page, text: str | None) -> dict[str, str | None]:
    return {"text": text, "url": page.url, "timestamp": page.timestamp, "source": page.source}


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
