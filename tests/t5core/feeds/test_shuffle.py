"""Order on disk: the keyed permutation's, whatever the chunks, in memory that the documents' number does not change."""

import tracemalloc

import numpy as np
import pytest

from t5core.feeds import permuted
from t5core.feeds.shuffle import Limits, write_shuffled


def shuffled(folder, sizes, *, dtype="uint16", seed=0, limits=None):
    """Returns tokens and offsets that come of documents 0, 1, ..., each of which repeats its own number."""
    sizes = np.asarray(sizes, np.int64)
    folder.mkdir(exist_ok=True)
    np.repeat(np.arange(len(sizes)), sizes).astype(dtype).tofile(folder / "tokens")
    sizes.tofile(folder / "sizes")
    into = folder / "tokens.npy", folder / "offsets.npy"
    write_shuffled(folder / "tokens", folder / "sizes", into, np.dtype(dtype), seed, limits)
    assert sorted(path.name for path in folder.iterdir()) == ["offsets.npy", "sizes", "tokens", "tokens.npy"]
    return np.load(into[0]), np.load(into[1])


LIMITS = [
    None,
    Limits(chunk_bytes=1),  # every document by itself
    Limits(chunk_bytes=64, chunk_documents=5),
    Limits(chunk_documents=7),
    Limits(chunk_bytes=500),
]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
@pytest.mark.parametrize("documents", [1, 2, 3, 100, 257])
def test_each_document_stands_where_the_permutation_says(tmp_path, documents, dtype, limits):
    sizes = np.random.default_rng(documents).integers(1, 30, documents)
    sizes[documents // 2] = 400
    tokens, offsets = shuffled(tmp_path, sizes, dtype=dtype, seed=9, limits=limits)
    assert tokens.dtype == dtype and offsets.dtype == np.int64
    assert offsets[0] == 0 and offsets[-1] == len(tokens) == sizes.sum()
    for document, place in enumerate(permuted(np.arange(documents), documents, 9).tolist()):
        assert tokens[offsets[place] : offsets[place + 1]].tolist() == [document] * sizes[document]


def test_another_seed_gives_another_order(tmp_path):
    sizes = np.full(100, 3)
    orders = [shuffled(tmp_path / str(seed), sizes, seed=seed)[0].tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2] and sorted(orders[0]) == sorted(orders[2])


def test_memory_follows_the_limits_and_not_the_number_of_documents(tmp_path):
    limits = Limits(chunk_bytes=100_000, chunk_documents=5_000)
    peaks = []
    for documents in (20_000, 160_000):
        folder = tmp_path / str(documents)
        folder.mkdir()
        sizes = np.full(documents, 8)
        np.zeros(sizes.sum(), np.uint16).tofile(folder / "tokens")
        sizes.tofile(folder / "sizes")
        into = folder / "tokens.npy", folder / "offsets.npy"
        tracemalloc.start()
        write_shuffled(folder / "tokens", folder / "sizes", into, np.dtype(np.uint16), 0, limits)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0] < 5e6
