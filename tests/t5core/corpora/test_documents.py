"""Text of one's own that is damaged: an error of one line, which names the file and where in it."""

import gzip
import json

import pyarrow
import pytest
from pyarrow import parquet

from t5core.corpora.documents import read_documents, read_parquet
from t5core.errors import DataError


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": %s}' % ("[" * 100_000), "recursion"),
        ('{"text": %s}' % ("1" * 5_000), "digits"),
        ("{half", "Expecting property name"),
    ],
    ids=["nested", "long number", "cut"],
)
def test_a_line_that_is_no_json_is_named(tmp_path, line, reason):
    path = tmp_path / "x.jsonl"
    path.write_text(f'{{"text": "One."}}\n{line}\n')
    with pytest.raises(DataError, match=rf"x.jsonl:2': this line is not JSON \(.*{reason}") as caught:
        list(read_documents(path))
    assert "\n" not in str(caught.value)


def test_the_mark_that_editors_begin_files_with_is_no_text(tmp_path):
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(json.dumps({"text": "One."}).encode("utf-8-sig")))
    assert [document["text"] for document in read_documents(tmp_path / "x.jsonl.gz")] == ["One."]


def test_a_row_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    texts = pyarrow.array([b"Page \xff." if n == 300 else b"Page." for n in range(1_000)]).view("string")
    parquet.write_table(pyarrow.table({"text": texts}), path)
    with pytest.raises(DataError, match=r"x.parquet': row 301 cannot be read \(the text is not UTF-8\): give"):
        list(read_parquet(path))
    rows = [{"text": f"Page {n} has some words."} for n in range(1_000)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=500, use_dictionary=False)
    chunk = parquet.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    data[chunk.data_page_offset + 40 : chunk.data_page_offset + 400] = b"\xff" * 360
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"x.parquet': row 501 cannot be read \(.*\): give") as caught:
        list(read_parquet(path))
    assert "\n" not in str(caught.value)
    path.write_bytes(b"PAR1" + bytes(50) + b"PAR1")
    with pytest.raises(DataError, match="this is no Parquet file"):
        list(read_parquet(path))


def test_a_time_that_no_calendar_has_costs_no_text(tmp_path):
    times = pyarrow.array([0, 2**62, 0], pyarrow.timestamp("us"))
    parquet.write_table(pyarrow.table({"text": ["a", "b", "c"], "timestamp": times}), tmp_path / "x.parquet")
    rows = list(read_parquet(tmp_path / "x.parquet"))
    assert [row["text"] for row in rows] == ["a", "b", "c"] and rows[1]["timestamp"] is None
