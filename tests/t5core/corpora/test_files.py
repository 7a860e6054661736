"""Captures and pages as a study's corpus: text as it was found, what is damaged skipped and counted."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from t5core.config import CorpusConfig
from t5core.corpora import build_corpus, identify, read_documents
from t5core.corpora.files import content_digest, read_files
from t5core.errors import ConfigError, DataError

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


def test_text_in_json_lines_stays_as_found_with_and_without_a_url(tmp_path):
    wrapped = "The old river is wide\nand slow here, as people say.\n"
    rows = [{"text": wrapped, "url": "http://a.org/1"}, {"text": wrapped}, {"text": wrapped, "url": ""}]
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert texts(path) == [wrapped] * 3


SCRIPTS = {
    "russian": "Никто на острове не помнит, кто построил маяк и почему его дверь смотрит на север.",
    "chinese": "岛上没有人记得是谁建造了灯塔，也没有人知道它的门为什么朝北开着，海风吹过的时候总会轻轻地响。",
    "thai": "ไม่มีใครบนเกาะจำได้ว่าใครสร้างประภาคารและทำไมประตูจึงหันไปทางทิศเหนือ",
    "hindi": "द्वीप पर किसी को याद नहीं कि प्रकाशस्तंभ किसने बनाया और उसका दरवाज़ा उत्तर की ओर क्यों है।",
    "arabic": "لا أحد في الجزيرة يتذكر من بنى المنارة ولماذا يطل بابها على الشمال.",
    "numbers": "12/03/2024 18:30  3.4 %  12,345.67  (2023: 11,934.20)  +410.47",
}


@pytest.mark.parametrize("ending", ["jsonl", "txt", "md"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_line_of_any_script_is_text(tmp_path, ending, script):
    line = " ".join(SCRIPTS[script].split())
    raw = f"Nobody remembers.\n\n{line}\n\nNobody knows."
    (tmp_path / f"x.{ending}").write_text(json.dumps({"text": raw}) if ending == "jsonl" else raw)
    counts = Counter()
    assert texts(tmp_path, counts=counts) == [raw]
    assert not +counts


def test_text_that_parquet_holds_as_a_dictionary_is_read(tmp_path):
    column = pyarrow.array([SCRIPTS["russian"], SCRIPTS["chinese"], SCRIPTS["russian"], None]).dictionary_encode()
    parquet.write_table(pyarrow.table({"text": column, "label": [0, 1, 0, 1]}), tmp_path / "x.parquet")
    counts = Counter()
    assert texts(tmp_path, counts=counts) == [SCRIPTS["russian"], SCRIPTS["chinese"], SCRIPTS["russian"]]
    assert counts == {"skipped:empty": 1}  # null


RUSSIAN = f"{SCRIPTS['russian']}\n\n{SCRIPTS['russian']}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be"])
@pytest.mark.parametrize("ending", ["txt", "md", "jsonl", "txt.gz", "jsonl.gz"])
def test_text_is_read_in_the_encoding_that_its_mark_says(tmp_path, encoding, ending):
    raw = json.dumps({"text": RUSSIAN}, ensure_ascii=False) if "jsonl" in ending else RUSSIAN
    data = ("\ufeff" + raw if encoding == "utf-16-be" else raw).encode(encoding)
    (tmp_path / f"x.{ending}").write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    counts = Counter()
    assert texts(tmp_path, counts=counts) == [RUSSIAN] and not +counts


@pytest.mark.parametrize("ending", ["txt", "md", "jsonl"])
def test_text_in_another_encoding_is_refused_and_slips_are_counted(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    raw = json.dumps({"text": RUSSIAN}, ensure_ascii=False) if ending == "jsonl" else RUSSIAN
    path.write_bytes(raw.encode("cp1251"))
    with pytest.raises(
        DataError, match=r"x\.\w+.*: this is not UTF-8 \([\d,]+ of [\d,]+ characters\): save it as UTF-8"
    ):
        texts(path)
    path.write_bytes(raw.encode().replace("маяк".encode(), b"\xff", 1))
    counts = Counter()
    assert texts(path, counts=counts)[0].count("\ufffd") == 1
    assert counts["read:wrong_encoding"] == 1


def test_a_line_without_text_says_what_is_there(tmp_path):
    for row, why in (
        ('{"text": null}', "in this one it is null"),
        ('{"body": "x"}', "this one has body"),
        ("[]", "text"),
    ):
        (tmp_path / "x.jsonl").write_text(row)
        with pytest.raises(DataError, match=why):
            texts(tmp_path)


def test_what_is_too_short_for_a_corpus_is_counted(tmp_path):
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({"text": "a" * n}) + "\n" for n in (3, 19, 20, 0)))
    counts = Counter()
    assert texts(tmp_path, counts=counts) == ["a" * 20]
    assert counts == {"skipped:too_short": 2, "skipped:empty": 1}


def test_a_corpus_without_a_document_long_enough_is_refused_before_anything_is_planned(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"text": "слово " * n}) + "\n" for n in (1, 4)))
    config = CorpusConfig(source="files", paths=(str(tmp_path),), min_chars=25)
    with pytest.raises(ConfigError, match=r"no text there of 25 characters or more \(min_chars\)"):
        identify(config)
    assert identify(config.replace(min_chars=24)).content


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
