import os
import threading

import numpy as np
import pytest

from t5core.config import VocabularyConfig
from t5core.errors import ConfigError, DataError
from t5core.feeds import TokenStore, permuted, tokenise
from t5core.feeds.shuffle import Limits
from t5core.feeds.tokenise import CHUNK_CHARS, usable_cores
from t5core.vocabulary import train_vocabulary

WORDS = ("the", "feed", "reads", "stored", "tokens", "and", "gives", "batch", "of", "inputs", "for", "every", "index")
TEXTS = [" ".join(np.random.default_rng(i).choice(WORDS, 5 + i % 20)) + f" number {i}." for i in range(300)]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    config = VocabularyConfig(num_pieces=300, num_sentinels=20, character_coverage=1.0)
    return train_vocabulary(TEXTS, config, tmp_path_factory.mktemp("vocabulary"))


def documents(folder, split="train"):
    return [ids.tolist() for ids in TokenStore.open(folder, split)]


def test_every_document_is_stored_once_in_another_order(vocabulary, tmp_path):
    total = tokenise(TEXTS, vocabulary, tmp_path, "train", seed=0)
    stored, given = documents(tmp_path), vocabulary.encode_batch(TEXTS)
    assert sorted(stored) == sorted(given) and stored != given
    assert total == len(TokenStore.open(tmp_path, "train").tokens) == sum(map(len, given))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.offsets.npy", "train.tokens.npy"]


def test_where_a_document_stands_is_computed_from_its_number_and_the_seed(vocabulary, tmp_path):
    tokenise(TEXTS, vocabulary, tmp_path, "train", seed=3)
    store = TokenStore.open(tmp_path, "train")
    places = permuted(np.arange(len(TEXTS)), len(TEXTS), 3)
    for text, place in zip(TEXTS, places.tolist(), strict=True):
        assert store[place].tolist() == vocabulary.encode(text)


def test_neither_threads_nor_limits_of_memory_change_a_bit(vocabulary, tmp_path):
    texts = [*TEXTS * 10, "a long document " * (CHUNK_CHARS // 10), "<extra_id_0> and half of a pair \ud800"]
    ways = {
        "one": {"threads": 1},
        "three": {"threads": 3},
        "small": {"threads": 2, "limits": Limits(chunk_bytes=1000, chunk_documents=50)},
    }
    for name, how in ways.items():
        assert tokenise(texts, vocabulary, tmp_path / name, "train", seed=1, **how) > 100_000
    for part in ("tokens", "offsets"):
        assert len({(tmp_path / name / f"train.{part}.npy").read_bytes() for name in ways}) == 1
    assert vocabulary.encode(texts[-1]) in documents(tmp_path / "one")


def test_the_order_follows_from_the_seed(vocabulary, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tokenise(iter(TEXTS), vocabulary, tmp_path / name, "train", seed=seed)
    assert documents(tmp_path / "a") == documents(tmp_path / "b") != documents(tmp_path / "c")
    bytes_of = [(tmp_path / name / "train.tokens.npy").read_bytes() for name in "ab"]
    assert bytes_of[0] == bytes_of[1]


def test_ids_take_two_bytes_and_stay_on_disk(vocabulary, tmp_path):
    tokenise(TEXTS, vocabulary, tmp_path, "validation", seed=0)
    store = TokenStore.open(tmp_path, "validation")
    assert store.tokens.dtype == np.uint16 and isinstance(store.tokens, np.memmap) and store.offsets.dtype == np.int64
    assert 1 not in store.tokens  # no EOS between documents


def test_a_large_vocabulary_takes_four_bytes(tmp_path):
    class Large:
        size = (1 << 16) + 1

        def encode_flat(self, texts, threads):
            return np.array([[1 << 16, int(text)] for text in texts], np.int32).ravel(), np.full(len(texts), 2)

    tokenise([str(i + 3) for i in range(5000)], Large(), tmp_path, "train", seed=0)
    store = TokenStore.open(tmp_path, "train")
    tokens = store.tokens
    assert tokens.dtype == np.uint32 and len(store) == 5000
    assert sorted(tokens[1::2].tolist()) == list(range(3, 5003)) and (tokens[::2] == 1 << 16).all()


def test_documents_without_a_token_are_left_out(vocabulary, tmp_path):
    tokenise(["", "the feed", "  "], vocabulary, tmp_path, "train", seed=0)
    assert len(documents(tmp_path)) == 1


def test_no_text_at_all_is_an_error_and_leaves_no_file(vocabulary, tmp_path):
    with pytest.raises(DataError, match="no text to tokenise for train"):
        tokenise([], vocabulary, tmp_path, "train", seed=0)
    assert list(tmp_path.iterdir()) == []


def test_a_negative_seed_is_refused(vocabulary, tmp_path):
    with pytest.raises(ConfigError, match="seed=-1"):
        tokenise(TEXTS, vocabulary, tmp_path, "train", seed=-1)


def test_threads_below_one_are_refused(vocabulary, tmp_path):
    with pytest.raises(ConfigError, match="threads=0"):
        tokenise(TEXTS, vocabulary, tmp_path, "train", seed=0, threads=0)


def test_an_error_while_reading_leaves_no_file_and_no_thread_that_goes_on(vocabulary, tmp_path):
    def broken():
        yield from TEXTS * 30
        raise DataError("documents", "x", "cannot be read")

    with pytest.raises(DataError, match="cannot be read"):
        tokenise(broken(), vocabulary, tmp_path, "train", seed=0)
    assert list(tmp_path.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tokenise")]


def test_an_error_of_the_vocabulary_comes_through_and_leaves_an_earlier_store_alone(vocabulary, tmp_path):
    class Broken:
        size = 100

        def encode_flat(self, texts, threads):
            raise RuntimeError("no memory")

    tokenise(TEXTS, vocabulary, tmp_path, "train", seed=0)
    before = documents(tmp_path)
    with pytest.raises(RuntimeError, match="no memory"):
        tokenise(TEXTS, Broken(), tmp_path, "train", seed=0)
    assert documents(tmp_path) == before and len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_no_more_cores_are_used_than_the_process_may():
    allowed = os.sched_getaffinity(0)
    assert usable_cores() == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
