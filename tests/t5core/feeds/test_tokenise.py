import itertools

import numpy as np
import pytest

from t5core.config import VocabularyConfig
from t5core.errors import ConfigError, DataError
from t5core.feeds import first_tokens, load_tokens, tokenise
from t5core.vocabulary import train_vocabulary

WORDS = ("the", "feed", "reads", "stored", "tokens", "and", "gives", "batch", "of", "inputs", "for", "every", "index")
TEXTS = [" ".join(np.random.default_rng(i).choice(WORDS, 5 + i % 20)) + f" number {i}." for i in range(300)]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    config = VocabularyConfig(num_pieces=300, num_sentinels=20, character_coverage=1.0)
    return train_vocabulary(TEXTS, config, tmp_path_factory.mktemp("vocabulary"))


def documents(folder, split="train"):
    tokens, offsets = load_tokens(folder, split)
    return [tokens[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def test_every_document_is_stored_once_in_another_order(vocabulary, tmp_path):
    total = tokenise(TEXTS, vocabulary, tmp_path, "train", seed=0)
    stored, given = documents(tmp_path), vocabulary.encode_batch(TEXTS)
    assert sorted(stored) == sorted(given) and stored != given
    assert total == len(load_tokens(tmp_path, "train")[0]) == sum(map(len, given))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.offsets.npy", "train.tokens.npy"]


def test_the_order_follows_from_the_seed(vocabulary, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tokenise(iter(TEXTS), vocabulary, tmp_path / name, "train", seed=seed)
    assert documents(tmp_path / "a") == documents(tmp_path / "b") != documents(tmp_path / "c")
    bytes_of = [(tmp_path / name / "train.tokens.npy").read_bytes() for name in "ab"]
    assert bytes_of[0] == bytes_of[1]


def test_ids_take_two_bytes_and_stay_on_disk(vocabulary, tmp_path):
    tokenise(TEXTS, vocabulary, tmp_path, "validation", seed=0)
    tokens, offsets = load_tokens(tmp_path, "validation")
    assert tokens.dtype == np.uint16 and isinstance(tokens, np.memmap) and offsets.dtype == np.int64
    assert 1 not in tokens  # no EOS between documents


def test_a_large_vocabulary_takes_four_bytes(tmp_path):
    class Large:
        size = (1 << 16) + 1

        def encode_batch(self, texts):
            return [[1 << 16, int(text)] for text in texts]

    tokenise([str(i + 3) for i in range(5000)], Large(), tmp_path, "train", seed=0)
    tokens, offsets = load_tokens(tmp_path, "train")
    assert tokens.dtype == np.uint32 and len(offsets) == 5001
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


def test_a_missing_split_is_named(vocabulary, tmp_path):
    with pytest.raises(DataError, match=r"split='test': .*test.tokens.npy is missing"):
        load_tokens(tmp_path, "test")


def test_tokens_that_do_not_match_their_offsets_are_refused(vocabulary, tmp_path):
    tokenise(TEXTS, vocabulary, tmp_path, "train", seed=0)
    tokens = np.load(tmp_path / "train.tokens.npy")
    np.save(tmp_path / "train.tokens.npy", tokens[:-1])
    with pytest.raises(DataError, match="does not match its offsets"):
        load_tokens(tmp_path, "train")


def test_the_first_tokens_end_in_the_middle_of_a_document():
    tokens, offsets = np.arange(10, dtype=np.uint16), np.array([0, 4, 6, 10])
    cut, bounds = first_tokens(tokens, offsets, 5)
    assert cut.tolist() == [0, 1, 2, 3, 4] and bounds.tolist() == [0, 4, 5]
    cut, bounds = first_tokens(tokens, offsets, 6)
    assert cut.tolist() == list(range(6)) and bounds.tolist() == [0, 4, 6]
    with pytest.raises(DataError, match="unlabeled_tokens=10: the corpus has 10 tokens"):
        first_tokens(tokens, offsets, 10)
