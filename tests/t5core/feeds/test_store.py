"""The store: documents by index, shared pages, and files that are not what they should be."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from t5core.errors import DataError
from t5core.feeds import TokenStore

SMAPS = Path("/proc/self/smaps")


def write(folder, tokens, offsets):
    np.save(folder / "train.tokens.npy", tokens)
    np.save(folder / "train.offsets.npy", offsets)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, np.arange(10, dtype=np.uint16), np.array([0, 4, 6, 10]))
    return tmp_path


def test_documents_are_views_reached_by_index(folder):
    store = TokenStore.open(folder, "train")
    assert len(store) == 3 and [ids.tolist() for ids in store] == [[0, 1, 2, 3], [4, 5], [6, 7, 8, 9]]
    assert np.shares_memory(store[1], store.tokens)
    for document in (3, -1):
        with pytest.raises(IndexError, match="there are 3"):
            store[document]


def test_tokens_and_offsets_stay_on_disk_and_cannot_be_changed(folder):
    store = TokenStore.open(folder, "train")
    for array in (store.tokens, store.offsets, store[0]):
        assert isinstance(array, np.memmap) and not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_the_first_tokens_end_in_the_middle_of_a_document(folder):
    store = TokenStore.open(folder, "train")
    assert [ids.tolist() for ids in store.first(5)] == [[0, 1, 2, 3], [4]]
    assert [ids.tolist() for ids in store.first(6)] == [[0, 1, 2, 3], [4, 5]]
    assert np.shares_memory(store.first(5).tokens, store.tokens)
    with pytest.raises(DataError, match="unlabeled_tokens=10: the corpus has 10 tokens"):
        store.first(10)


def test_a_missing_split_is_named(folder):
    with pytest.raises(DataError, match=r"split='test': .*test.tokens.npy is missing"):
        TokenStore.open(folder, "test")
    (folder / "train.offsets.npy").unlink()
    with pytest.raises(DataError, match=r"train.offsets.npy is missing: tokenise the corpus first"):
        TokenStore.open(folder, "train")


@pytest.mark.parametrize(
    ("tokens", "offsets", "reason"),
    [
        (np.arange(9, dtype=np.uint16), np.array([0, 4, 10]), "does not match its offsets"),
        (np.arange(10, dtype=np.uint16), np.array([1, 4, 10]), "does not match its offsets"),
        (np.arange(0, dtype=np.uint16), np.array([0]), "does not match its offsets"),
        (np.arange(10.0), np.array([0, 10]), "float64 with 1 dimensions in place of uint16 or uint32"),
        (np.zeros((5, 2), np.uint16), np.array([0, 10]), "uint16 with 2 dimensions"),
        (np.arange(10, dtype=np.uint16), np.array([0.0, 10.0]), "float64 with 1 dimensions in place of int64"),
        (np.array([None]), np.array([0, 1]), "train.tokens.npy is cut or no array"),
    ],
)
def test_files_that_are_no_store_are_refused(tmp_path, tokens, offsets, reason):
    write(tmp_path, tokens, offsets)
    with pytest.raises(DataError, match=reason):
        TokenStore.open(tmp_path, "train")


@pytest.mark.parametrize("kept", [0, 5, 64, 135])
@pytest.mark.parametrize("part", ["tokens", "offsets"])
def test_a_cut_file_is_refused(folder, part, kept):
    path = folder / f"train.{part}.npy"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=rf"train.{part}.npy is cut or no array .*tokenise the corpus again"):
        TokenStore.open(folder, "train")


def test_an_archive_is_refused(folder):
    with (folder / "train.tokens.npy").open("wb") as file:
        np.savez(file, a=np.arange(3))
    with pytest.raises(DataError, match="is no array"):
        TokenStore.open(folder, "train")


READER = """
import re, sys
from pathlib import Path
from t5core.feeds import TokenStore
store = TokenStore.open(Path(sys.argv[1]), "train")
print(int(store.tokens.sum()), flush=True)  # every page is in memory now
sys.stdin.readline()  # and in the other process's as well
mapped = Path("/proc/self/smaps").read_text().split("train.tokens.npy\\n")[1]
print(*(re.search(rf"^{name}: +(\\d+) kB", mapped, re.M)[1] for name in ("Rss", "Pss", "Private_Dirty")), flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(not SMAPS.exists(), reason="needs /proc/self/smaps")
def test_two_processes_share_the_pages_of_one_store(tmp_path):
    write(tmp_path, np.ones(8_000_000, np.uint16), np.array([0, 8_000_000]))
    command = [sys.executable, "-c", READER, str(tmp_path)]
    readers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        assert [int(reader.stdout.readline()) for reader in readers] == [8_000_000] * 2
        for reader in readers:
            print(file=reader.stdin, flush=True)
        shares = [[int(kb) for kb in reader.stdout.readline().split()] for reader in readers]
    finally:
        for reader in readers:
            reader.communicate("\n")
    for resident_kb, share_kb, own_kb in shares:
        assert resident_kb > 15_000 and share_kb < 0.6 * resident_kb and own_kb == 0
