"""Captures and pages as a study's corpus: text as it was found, what is damaged skipped and counted."""

import gzip
import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from t5core.config import CorpusConfig
from t5core.corpora import build_corpus, identify, read_documents
from t5core.corpora.files import content_digest, read_files
from t5core.errors import ConfigError

RAW = "Menu   Home\nThe old river of page {n} is wide and slow here.\nSo people of page {n} cross it by a small boat.\n"


def wet(*bodies):
    """A WET file: one gzip member for each record."""
    members = []
    for number, body in enumerate(bodies):
        head = f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://a.org/{number}\r\n"
        head += "WARC-Date: 2020-01-01T00:00:00Z\r\nContent-Type: text/plain\r\n"
        members.append(gzip.compress(f"{head}Content-Length: {len(body)}\r\n\r\n{body}\r\n\r\n".encode()))
    return b"".join(members)


def texts(path, **changes):
    return [document.text for document in read_files([str(path)], 20, **changes)]


def test_captures_are_read_as_found_with_url_and_time(tmp_path):
    raw = RAW.format(n=1)
    (tmp_path / "a.wet.gz").write_bytes(wet(raw, "short"))
    (document,) = read_files([str(tmp_path)], 20)
    assert (document.text, document.url, document.source) == (raw, "http://a.org/0", "a.wet.gz:1")
    assert document.timestamp == "2020-01-01T00:00:00Z"


def test_damaged_records_of_captures_are_counted_and_the_rest_is_a_corpus(tmp_path):
    data = wet(*(RAW.format(n=n) for n in range(40)))
    (tmp_path / "cut.wet.gz").write_bytes(data[:-30])
    rows = [json.dumps({"text": RAW.format(n=n), "url": f"http://b.org/{n}"}) for n in range(50, 60)]
    (tmp_path / "c4.json.gz").write_bytes(gzip.compress("\n".join([*rows, '{"text": 3}', "{half"]).encode()))
    counts = Counter()
    assert len(texts(tmp_path, counts=counts)) == 49
    assert (counts["pages"], counts["skipped:damaged"]) == (49, 4)  # a gap and the record before it; two lines
    config = identify(CorpusConfig(source="files", paths=(str(tmp_path),), min_chars=20, validation_fraction=0.2))
    assert build_corpus(config, tmp_path / "out")["documents"] == 49
    assert all("Menu   Home" in d["text"] for d in list(read_documents(tmp_path / "out/train.jsonl"))[1:2])


def test_pages_in_json_lines_stay_as_found_and_other_lines_are_cleaned(tmp_path):
    wrapped = "The old river is wide\nand slow here, as people say.\n"
    rows = [{"text": wrapped, "url": "http://a.org/1"}, {"text": wrapped}, {"text": wrapped, "url": ""}]
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    joined = "The old river is wide and slow here, as people say."
    assert texts(path) == [wrapped, joined, joined]


def test_only_json_lines_with_pages_have_another_identity_than_before(tmp_path):
    path = tmp_path / "x.jsonl"

    def kind(**row):
        path.write_text(json.dumps({"text": RAW, **row}) + "\n")
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        kinds = {hashlib.sha256(f"{k}:{content}".encode()).hexdigest()[:16]: k for k in ("json", "pages")}
        return kinds[content_digest([str(path)])]

    assert kind() == kind(url="", note='"url": "x"') == kind(url="http://a.org", cleaned_by="C4 rules") == "json"
    assert kind(url="http://a.org") == "pages"


def test_half_surrogates_reach_no_vocabulary(tmp_path):
    rows = [{"text": f"{RAW} \ud800", "url": f"http://a.org/{n}", "source": "\udc00"} for n in range(3)]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path(os.fsdecode(bytes(tmp_path) + b"/b\xff.txt")).write_text(RAW)
    counts = Counter()
    documents = list(read_files([str(tmp_path)], 20, counts))
    assert [document.source for document in documents] == ["b\ufffd.txt", *["\ufffd"] * 3]
    assert documents[-1].text == f"{RAW} \ufffd" and counts["read:wrong_encoding"] == 3


def test_a_capture_without_a_page_is_no_text(tmp_path):
    (tmp_path / "a.warc").write_bytes(b"no record")
    (tmp_path / "b.wet.gz").write_bytes(wet(" \n"))
    with pytest.raises(ConfigError, match="no text there, the files are empty"):
        content_digest([str(tmp_path)])
