import gzip
import json
import os
import random
import zlib
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from t5core.corpora.bodies import sent_body
from t5core.corpora.captures import MAX_PAGE_BYTES, find_captures, read_pages
from t5core.corpora.streams import Stretches
from t5core.corpora.urls import normalized_url
from t5core.corpora.warc import html_text
from t5core.errors import ConfigError

DATE = "2020-01-01T00:00:00Z"


def record(body, number=1, kind="conversion", media="text/plain", length=None, **headers):
    """A WARC record; ``length`` overrides the true one, "" leaves it out."""
    body = body.encode() if isinstance(body, str) else body
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: http://example.org/{number}",
        f"WARC-Date: {DATE}",
        f"Content-Type: {media}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if length != "":
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body + b"\r\n\r\n"


def response(html, number=1, status="200 OK", media="text/html; charset=utf-8", **headers):
    head = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {media}",
        *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
    ]
    body = "\r\n".join([*head, "", ""]).encode() + (html.encode() if isinstance(html, str) else html)
    return record(body, number, kind="response", media="application/http; msgtype=response")


def zstd(data):
    return pyarrow.compress(data, "zstd", asbytes=True)


def packed(*records):
    return b"".join(gzip.compress(part, mtime=0) for part in records)


def read(path):
    counts = Counter()
    pages = list(read_pages(path, counts))
    return pages, {name: count for name, count in counts.items() if count}


def texts(tmp_path, data, name="x.warc.gz"):
    (tmp_path / name).write_bytes(data)
    pages, counts = read(tmp_path / name)
    return [page.text for page in pages], counts


def test_wet_records_are_pages_with_their_origin(tmp_path):
    path = tmp_path / "crawl.wet.gz"
    path.write_bytes(packed(record("about", kind="warcinfo"), record("One.\nTwo.", 7), record(" \n", 8)))
    pages, counts = read(path)
    assert [(p.text, p.url, p.timestamp, p.source) for p in pages] == [
        ("One.\nTwo.", "http://example.org/7", DATE, "crawl.wet.gz:1")
    ]
    assert counts == {"pages": 1, "skipped:empty": 1}
    for name, data in (("plain.wet", record("One.")), ("whole.warc.gz", gzip.compress(record("One.") * 3, mtime=0))):
        assert set(texts(tmp_path, data, name)[0]) == {"One."}


def test_responses_become_the_text_that_a_browser_shows(tmp_path):
    html = "<title>T</title><script>var x={}</script><p>A <b>bold</b> word.<br>Next line.</p><ul><li>One<li>Two</ul>"
    found, counts = texts(tmp_path, packed(response(html), response("<p>gone", 2, status="404 Not Found")))
    assert [line.strip() for line in found[0].splitlines() if line.strip()] == [
        "A bold word.",
        "Next line.",
        "One",
        "Two",
    ]
    assert counts == {"pages": 1, "skipped:status": 1}
    found, counts = texts(
        tmp_path, packed(response("{}", media="application/json"), response("Plain.", media="text/plain"))
    )
    assert (found, counts) == (["Plain."], {"pages": 1, "skipped:not_text": 1})


@pytest.mark.parametrize(
    "sent",
    [
        response(gzip.compress(b"<p>Packed.", mtime=0), Content_Encoding="gzip"),
        response("<p>Packed.", Content_Encoding="gzip"),
        response("<p>Packed.", Content_Encoding="br"),
        response(zstd(b"<p>Packed."), Content_Encoding="zstd"),
        response(gzip.compress(zstd(b"<p>Packed."), mtime=0), Content_Encoding="zstd, x-gzip"),
        response(zlib.compress(b"<p>Packed.")[2:-4], Content_Encoding="deflate"),
        response("<p>Packed.", Content_Encoding="utf-8"),
        response(b"5\r\n<p>Pa\r\n5;x=y\r\ncked.\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
        response("<p>Packed.", Transfer_Encoding="chunked"),
        response("<p>Packed.".encode("utf-16"), media="text/html; charset=utf-16"),
        response("<p>Packed.", media="text/html; charset=nonsense"),
    ],
    ids=[
        "gzip",
        "says gzip",
        "says br",
        "zstd",
        "both",
        "deflate",
        "says utf-8",
        "chunked",
        "says chunked",
        "utf-16",
        "unknown charset",
    ],
)
def test_bodies_are_read_whether_or_not_they_are_what_their_headers_say(tmp_path, sent):
    assert texts(tmp_path, packed(sent))[0] == ["Packed."]


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (gzip.compress(b"<p>Packed.", mtime=0), {}),
        (zstd(b"<p>Packed."), {}),
        (gzip.compress(b"<p>Pa", mtime=0) + gzip.compress(b"cked.", mtime=0), {"Content-Encoding": "gzip"}),
        (gzip.compress(b"<p>Packed.", mtime=0), {"Content-Encoding": '"gzip";q=1'}),
        (gzip.compress(b"<p>Packed.", mtime=0), {"Transfer-Encoding": "gzip"}),
        (zlib.compress(b"<p>Packed."), {"Transfer-Encoding": "deflate, chunked"}),
    ],
)
def test_bodies_are_unpacked_however_it_is_said(data, headers):
    assert sent_body(data, headers, 100) == b"<p>Packed."


def test_what_is_said_to_be_utf_16_and_is_none_is_no_page():
    noise = random.Random(0).randbytes(4_000)
    headers = {"Content-Encoding": "dcb"}
    assert sent_body(noise, headers, 1000, "utf-16") is None and sent_body(noise, {}, 1000) is None
    assert sent_body("Слово".encode("utf-16"), headers, 1000, "utf-16") == "Слово".encode("utf-16")


@pytest.mark.parametrize("encoding", ["zstd", "gzip", "br", "deflate", "compress", "dcb"])
def test_bodies_that_nobody_unpacks_are_no_pages(tmp_path, encoding):
    noise = bytes((n * n * 7 + n // 3) % 256 for n in range(400))
    found, counts = texts(tmp_path, packed(response(noise, Content_Encoding=encoding), response("<p>Good.")))
    assert (found, counts) == (["Good."], {"pages": 1, "skipped:packed": 1})


def test_zstd_is_unpacked_up_to_a_limit():
    data = zstd(b"a" * 1_000)
    assert sent_body(data, {"Content-Encoding": "zstd"}, 2_000) == b"a" * 1_000
    assert sent_body(data, {"Content-Encoding": "zstd"}, 500) == b"a" * 500


def test_brotli_is_unpacked_up_to_a_limit():
    import brotli

    data = brotli.compress(b"a" * 1_000)
    assert sent_body(data, {"Content-Encoding": "br"}, 2_000) == b"a" * 1_000
    assert len(sent_body(gzip.compress(b"a" * 100_000, mtime=0), {"content-encoding": "gzip"}, 500)) == 500


GOOD = [record(f"Page {n}.", n) for n in range(4)]
BROKEN = bytearray(gzip.compress(GOOD[1] * 50, mtime=0))
BROKEN[40:60] = bytes(20)


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (packed(*GOOD)[:-30], [0, 1, 2]),
        (packed(GOOD[0]) + bytes(BROKEN) + packed(*GOOD[2:]), [0, 2, 3]),
        (packed(GOOD[0]) + b"garbage" * 9 + packed(*GOOD[2:]), [0, 2, 3]),
        (GOOD[0] + record("Page 9.", 9, length="") + GOOD[1] + GOOD[2], [0, 1, 2]),
        (GOOD[0] + record("Page 9.", 9, length="-5") + GOOD[1] + GOOD[2], [0, 1, 2]),
        (GOOD[0] + record("Page 9.", 9, length=len(GOOD[1]) + 7) + GOOD[1] + GOOD[2], [0, 2]),
        (b"".join(GOOD)[:-8], [0, 1, 2]),
        (b"no capture at all", []),
    ],
    ids=["cut gzip", "altered gzip", "between", "no length", "odd length", "too long", "cut", "nothing"],
)
def test_what_is_damaged_is_skipped_and_counted_and_the_rest_is_read(tmp_path, data, kept):
    found, counts = texts(tmp_path, data)
    assert found == [f"Page {n}." for n in kept]
    assert counts["skipped:damaged"] >= 1


def test_json_lines_and_parquet_rows_are_pages(tmp_path):
    rows = [{"text": "One.", "url": "http://a.b/", "timestamp": DATE}, {"text": "Two."}]
    lines = [json.dumps(row).encode() for row in rows] + [b'{"text": 1}', b"{", b"[]", b'{"text": "\xff \\ud800"}', b""]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines), mtime=0))
    pages, counts = read(tmp_path / "a.jsonl.gz")
    assert [(p.text, p.url, p.timestamp) for p in pages[:2]] == [("One.", "http://a.b/", DATE), ("Two.", "", "")]
    assert pages[2].text == "\ufffd \ufffd"
    assert counts == {"pages": 3, "skipped:damaged": 3, "read:wrong_encoding": 2}
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines[:2] * 5_000), mtime=0)[:-9])
    assert read(tmp_path / "cut.jsonl.gz")[1]["skipped:damaged"] >= 1

    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert [(p.text, p.url) for p in read(tmp_path / "a.parquet")[0]] == [("One.", "http://a.b/"), ("Two.", "")]
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(data[:40])
    assert read(tmp_path / "b.parquet") == ([], {"skipped:damaged": 1})
    parquet.write_table(pyarrow.table({"body": ["no text"]}), tmp_path / "c.parquet")
    assert read(tmp_path / "c.parquet") == ([], {"skipped:damaged": 1})


def test_one_bad_row_costs_no_other(tmp_path):
    texts = pyarrow.array([b"Page %d \xff." % n if n == 300 else b"Page %d." % n for n in range(1_000)]).view("string")
    times = pyarrow.array([2**62 if n == 7 else 0 for n in range(1_000)], pyarrow.timestamp("us"))
    table = pyarrow.table({"text": texts, "timestamp": times})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pyarrow.ipc.new_stream(tmp_path / "a.arrow", table.schema) as stream:
        stream.write_table(table)
    for name in ("a.parquet", "a.arrow"):
        pages, counts = read(tmp_path / name)
        assert counts == {"pages": 1_000, "read:wrong_encoding": 1, "read:wrong_timestamp": 1}
        assert (pages[300].text, pages[300].source) == ("Page 300 \ufffd.", f"{name}:301")
        assert [pages[n].timestamp for n in (6, 7, 8)] == ["1970-01-01 00:00:00", "", "1970-01-01 00:00:00"]


def test_behind_a_broken_group_of_rows_the_next_one_is_read(tmp_path):
    rows = [{"text": f"Page {n} has some words."} for n in range(5_000)]
    parquet.write_table(
        pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=500, use_dictionary=False
    )
    chunk = parquet.ParquetFile(tmp_path / "a.parquet").metadata.row_group(4).column(0)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[chunk.data_page_offset + 40 : chunk.data_page_offset + 400] = b"\xff" * 360
    (tmp_path / "a.parquet").write_bytes(data)
    pages, counts = read(tmp_path / "a.parquet")
    assert counts["pages"] + counts["skipped:damaged"] == 5_000 and counts["skipped:damaged"] <= 500
    assert (pages[-1].text, pages[-1].source) == (rows[-1]["text"], "a.parquet:5000")


def test_places_outside_the_bytes_of_arrow_are_damage(tmp_path):
    offsets = pyarrow.array([0, 3, 1 << 30, 9], pyarrow.int32()).buffers()[1]
    wild = pyarrow.StringArray.from_buffers(3, offsets, pyarrow.py_buffer(b"onetwosix"))
    with pyarrow.ipc.new_stream(tmp_path / "a.arrow", pyarrow.schema([("text", "string")])) as stream:
        stream.write_batch(pyarrow.RecordBatch.from_arrays([wild], ["text"]))
    pages, counts = read(tmp_path / "a.arrow")
    assert [page.text for page in pages] == ["one"] and counts == {"pages": 1, "skipped:damaged": 2}


def test_half_surrogates_reach_no_shard(tmp_path):
    (tmp_path / "a.warc").write_bytes(response(b"+2AA- here.", media="text/plain; charset=utf-7"))
    (tmp_path / "b.warc").write_bytes(response(b"\\ud800 here.", media="text/plain; charset=unicode_escape"))
    (tmp_path / "a.jsonl").write_text('{"text": "One.", "timestamp": "\\ud800", "url": "http://a/\\udc00"}\n')
    (name := Path(os.fsdecode(bytes(tmp_path) + b"/b\xff.txt"))).write_text("One.")
    for path, count in ((tmp_path / "a.warc", 1), (tmp_path / "b.warc", 1), (tmp_path / "a.jsonl", 2), (name, 0)):
        (page,), counts = read(path)
        assert counts.get("read:wrong_encoding", 0) == count
        for part in (page.text, page.url, page.timestamp, page.source):
            part.encode()
        parquet.write_table(pyarrow.Table.from_pylist([asdict(page)]), tmp_path / "shard")
    assert page.source == "b\ufffd.txt"


def test_a_text_file_is_one_page_in_whatever_encoding(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfOne.\r\n\xe9t\xc3\xa9")
    pages, counts = read(tmp_path / "a.txt")
    assert pages[0].text == "One.\r\n\ufffdté"
    assert counts == {"pages": 1, "read:wrong_encoding": 1}


def test_pages_on_one_endless_line_are_passed_over(tmp_path):
    with (tmp_path / "a.jsonl").open("wb") as file:
        file.write(b'{"text": "One."}\n{"text": "')
        for _ in range(100):
            file.write(b"word " * 200_000)
        file.write(b'"}\n{"text": "Two."}\n')
    pages, counts = read(tmp_path / "a.jsonl")
    assert [page.text for page in pages] == ["One.", "Two."]
    assert counts == {"pages": 2, "skipped:too_large": 1}
    (tmp_path / "a.jsonl").unlink()
    large = b"word " * (MAX_PAGE_BYTES // 5 + 1)
    found, counts = texts(tmp_path, packed(record("One."), record(large), response(large), record("Two.")))
    assert (found, counts) == (["One.", "Two."], {"pages": 2, "skipped:too_large": 2})
    (tmp_path / "a.txt").write_bytes(large)
    assert read(tmp_path / "a.txt") == ([], {"skipped:too_large": 1})


def test_files_are_found_by_kind_and_what_is_not_there_is_named(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("b.warc.gz", "a.JSONL", "readme.md", "x.warc.wat.gz", "x.arc.gz"):
        (tmp_path / "in" / name).touch()
    assert [path.name for path in find_captures([str(tmp_path), f"{tmp_path}/in/b.*"])] == ["a.JSONL", "b.warc.gz"]
    (tmp_path / "empty").mkdir()
    for name in ("empty", "none", "in/readme.md"):
        with pytest.raises(ConfigError, match=f"files='.*{name}'"):
            find_captures([str(tmp_path / name)])
    with pytest.raises(ConfigError, match="no known kind"):
        list(read_pages(tmp_path / "in" / "readme.md", Counter()))


def test_urls_that_name_the_same_page_are_one():
    same = ("http://a.org/b", "https://www.a.org/b/", "https://a.org/b?utm_source=x&y=1", "http://a.org/b?ref=c")
    assert {normalized_url(url) for url in same} == {"a.org/b"}


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "latin-1", "utf-16", "what"]))
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_some_html(data, charset):
    assert isinstance(html_text(data, charset), str)


@given(st.lists(st.binary(max_size=40), max_size=5), st.data())
@settings(deadline=None, max_examples=200)
def test_stretches_are_the_files_bytes_and_end_whatever_is_damaged(tmp_path_factory, parts, data):
    path = tmp_path_factory.mktemp("stretch") / "x.gz"
    whole = packed(*parts)
    path.write_bytes(whole)
    with Stretches(path) as stretch:
        assert stretch.read(-1) == b"".join(parts)
        assert not stretch.resume()
    at = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=5)) + whole[at + data.draw(st.integers(0, 9)) :])
    with Stretches(path) as stretch:
        stretch.read(-1)
        while stretch.resume():
            stretch.read(-1)


def test_whatever_bytes_a_url_holds_the_page_can_be_written_as_utf_8(tmp_path):
    data = record("One.").replace(b"example.org/1", b"example.org/\xff\xe9\xed\xa0\x80")
    (tmp_path / "x.wet").write_bytes(data)
    (page,) = read(tmp_path / "x.wet")[0]
    page.url.encode()


def test_what_could_not_be_opened_closes_without_a_word(tmp_path):
    """Python closes it when it goes, from 3.13 on telling what is raised there."""
    with pytest.raises(FileNotFoundError):
        Stretches(tmp_path / "nothing.warc")
    unopened = Stretches.__new__(Stretches)
    unopened.close()
    assert unopened.closed
