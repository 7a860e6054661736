"""Pages of web captures: WARC responses as a crawler wrote them, WET conversions as Common Crawl extracted them.

FastWARC reads the records, in its lenient mode, which finds the next record behind bytes that are none. HTML becomes
text by Resiliparse, from the same house: what a browser would show, block elements on lines of their own, without
scripts, styles and the texts that stand in for pictures. Text encodings are found as a browser finds them, and bodies
are unpacked (``t5core.corpora.bodies``). ARC, the format before WARC, is not read; tools like warcio convert it.

Not pages, and not counted: requests, metadata, revisits and the like. Skipped and counted: answers other than 2xx,
media types that are no text, bodies packed in a way that is not undone here, records without a length, the last record
before a gap or a sudden end of the file, and records so wrongly long that they swallow the next one.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from t5core.corpora.bodies import sent_body
from t5core.corpora.captures import MAX_PAGE_BYTES, NOT_TEXT, TOO_LARGE, Page, decoded
from t5core.corpora.columns import DAMAGED
from t5core.corpora.places import Place
from t5core.corpora.streams import Stretches

NOT_FOUND = "skipped:status"
PACKED = "skipped:packed"
_HTML = ("text/html", "application/xhtml+xml")
_PLAIN = "text/plain"
_SWALLOWED = re.compile(rb"\r\n\r\nWARC/[01]\.\d\r\n[A-Za-z-]+:")


def read_records(path: Place, counts: "Counter[str]") -> Iterator[Page]:
    """Yields the pages of a WARC or WET file; ``counts`` gets what was skipped."""
    number = 0
    with Stretches(path) as stretch:
        while True:
            last: list[Page] = []  # held back until its record is known to have ended
            for record in _records(stretch, counts):
                yield from last
                number += 1
                last = list(_page(record, f"{path.name}:{number}", counts))
            whole = not stretch.tail.strip(b"\r\n")[-1:] or stretch.tail.endswith(b"\n")
            if whole:
                yield from last
            else:
                counts[DAMAGED] += len(last)
            gaps = stretch.damaged
            if not stretch.resume():
                break
        if not number and not gaps:
            counts[DAMAGED] += 1  # bytes, and no record among them
        counts[DAMAGED] += gaps


def _records(stretch: Stretches, counts: "Counter[str]") -> Iterator[Any]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    kinds = WarcRecordType.conversion | WarcRecordType.response | WarcRecordType.resource
    records = iter(ArchiveIterator(stretch, parse_http=False, quirks_mode=True, stream_detect=False))
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except (OSError, ValueError):
            counts[DAMAGED] += 1
            return
        if record.record_type & kinds:
            yield record


def _page(record: Any, source: str, counts: "Counter[str]") -> Iterator[Page]:
    from fastwarc.warc import WarcRecordType

    length = record.headers.get("Content-Length")
    if length is None or not length.strip().isdecimal():
        counts[DAMAGED] += 1
        return
    if int(length) > MAX_PAGE_BYTES:
        counts[TOO_LARGE] += 1
        return
    url = (record.headers.get("WARC-Target-URI") or "").strip().strip("<>")
    timestamp = (record.headers.get("WARC-Date") or "").strip()
    media = (record.headers.get("Content-Type") or _PLAIN).partition(";")[0].strip().lower()
    charset = None
    try:
        if record.record_type == WarcRecordType.response:
            record.parse_http(auto_decode="none")
            if record.http_headers is None or not record.is_http_parsed:
                counts[NOT_TEXT] += 1
                return
            if not 200 <= (record.http_headers.status_code or 0) < 300:
                counts[NOT_FOUND] += 1
                return
            media, charset = (record.http_content_type or _HTML[0]).strip().lower(), record.http_charset
        if media not in (*_HTML, _PLAIN):
            counts[NOT_TEXT] += 1
            return
        data = record.reader.read()
        if record.http_headers is not None:
            data = sent_body(data, dict(record.http_headers.asdict()), MAX_PAGE_BYTES + 1, charset)
            if data is None:
                counts[PACKED] += 1
                return
    except (OSError, ValueError):
        counts[DAMAGED] += 1
        return
    if len(data) > MAX_PAGE_BYTES:  # what is packed may be larger than it looks
        counts[TOO_LARGE] += 1
    elif _SWALLOWED.search(data):
        counts[DAMAGED] += 1
    elif media in _HTML:
        yield Page(html_text(data, charset), url, timestamp, source)
    elif record.record_type == WarcRecordType.conversion:
        yield Page(decoded(data, counts), url, timestamp, source)
    else:
        yield Page(_unicode(data, charset), url, timestamp, source)


def html_text(data: bytes, charset: str | None = None) -> str:
    """Returns the visible text of an HTML page; "" for what no parser takes.

    Args:
        data: as it was sent, unpacked.
        charset: that its HTTP header names, if any.
    """
    from resiliparse.extract.html2text import extract_plain_text

    try:
        text: str = extract_plain_text(
            _unicode(data, charset), preserve_formatting=True, list_bullets=False, alt_texts=False
        )
    except (ValueError, RuntimeError):
        return ""
    return text


def _unicode(data: bytes, charset: str | None) -> str:
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    encoding = charset or detect_encoding(data)
    try:
        text: str = bytes_to_str(data, encoding or "utf-8", errors="replace")
    except (LookupError, ValueError):
        text = data.decode("utf-8", "replace")
    return text
