"""How many tokens per second all cores make of text, beside SentencePiece's own batch call.

    python -m tests.benchmarks.bench_tokenise

Prose of the installed packages' docstrings and a vocabulary trained on it, in one process, in turns. SentencePiece gets
all documents in one call with as many threads as there are cores to use, and gives Python lists. Ours goes from text to
the store's two files: ids of two bytes in the order of the keyed permutation. Leaves with exit code 1 when ours stays
below SentencePiece's speed.
"""

import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import sentencepiece

from t5core.config import VocabularyConfig
from t5core.corpora import embedded
from t5core.feeds import TokenStore, permuted, tokenise
from t5core.feeds.tokenise import usable_cores
from t5core.vocabulary import MODEL_FILE, train_vocabulary

DOCUMENTS, MIN_CHARS = 20_000, 400
NUM_PIECES, TRAIN_CHARS = 8_000, 2_000_000
ROUNDS, ROUNDS_BEFORE = 9, 1
MARK = 1.0


def main() -> int:
    cores = usable_cores()
    texts = [document.text for document in itertools.islice(embedded.harvest(MIN_CHARS), DOCUMENTS)]
    print(f"{len(texts):,} documents, {sum(map(len, texts)) / 1e6:.1f} million characters, {cores} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = VocabularyConfig(num_pieces=NUM_PIECES, train_chars=TRAIN_CHARS)
        vocabulary = train_vocabulary(texts, config, folder)
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / MODEL_FILE))
        contestants = {
            "sentencepiece": lambda: pieces.encode(texts, num_threads=cores),
            "t5core": lambda: tokenise(texts, vocabulary, folder, "train", seed=0),
        }
        seconds: dict[str, list[float]] = {what: [] for what in contestants}
        for _ in range(ROUNDS_BEFORE + ROUNDS):
            for what, contestant in contestants.items():
                started = time.perf_counter()
                result = contestant()
                seconds[what].append(time.perf_counter() - started)
                del result  # giving lists back takes time that is not part of making them
        store = TokenStore.open(folder, "train")
        total = len(store.tokens)
        rounds = {what: spent[ROUNDS_BEFORE:] for what, spent in seconds.items()}
        for what, spent in rounds.items():
            print(f"{what:14} {total / statistics.median(spent) / 1e6:>7.2f} million tokens/s")
        ratios = [
            theirs / ours for theirs, ours in zip(rounds["sentencepiece"], rounds["t5core"], strict=True)
        ]  # of neighbours in time
        ratio = statistics.median(ratios)
        print(f"{ratio:.2f}x of sentencepiece, {min(ratios):.2f} to {max(ratios):.2f} (mark: {MARK:g}x)")
        # the same ids, at the places that the permutation says
        ids = [row for row in pieces.encode(texts) if row]
        places = permuted(np.arange(len(ids)), len(ids), 0).tolist()
        same = sum(store[place].tolist() == row for place, row in zip(places, ids, strict=True))
        print(f"same ids in {same:,} of {len(ids):,} documents")
    return int(ratio < MARK or same < len(ids))


if __name__ == "__main__":
    sys.exit(main())
