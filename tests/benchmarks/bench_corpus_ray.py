"""How much faster two workers clean a corpus than one: the whole pipeline of ``t5grid corpus`` on a Ray of its own.

    python -m tests.benchmarks.bench_corpus_ray [MEGABYTES]

The documents are those of ``bench_clean``, again and again with other words in each round, so that neither URLs nor
spans are copies, in 16 JSON Lines files, cleaned into 8 shards, languages by resiliparse. In turns, after a first run
of each that does not count; Ray's start is left out, its tasks' is not. Needs two idle cores. Leaves with exit code 1
when two workers stay below 1.7x of one, or give other shards.
"""

import itertools
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from orchestrator.corpus.run import CorpusRequest, run_corpus
from orchestrator.engine.on_ray.connect import connected
from t5core.corpora.c4 import C4Config
from t5core.corpora.c4.bad_words import digest, published_words
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.captures import find_captures
from tests.benchmarks.bench_clean import documents

MEGABYTES, FILES, SHARDS = 60, 16, 8
ROUNDS = 2
MARK = 1.7


def write_input(folder, megabytes):
    """Writes the files; returns how many bytes of text are in them."""
    texts = documents()
    files = [(folder / f"{number:02d}.jsonl").open("w") for number in range(FILES)]
    size = 0
    for number in itertools.count():
        if size >= megabytes * 1e6:
            break
        again, index = divmod(number, len(texts))
        text = texts[index] if not again else texts[index].replace(". ", f" number{again}. ")
        files[number % FILES].write(json.dumps({"text": text, "url": f"http://page{number}.org/"}) + "\n")
        size += len(text.encode())
    for file in files:
        file.close()
    return size


def main(argv):
    megabytes = float(argv[0]) if argv else MEGABYTES
    words = published_words("en")
    config = C4Config(bad_words=digest(words), identifier="resiliparse")
    request = CorpusRequest(rules=Rules(config=config, words=words), shards=SHARDS)
    with tempfile.TemporaryDirectory(prefix="t5grid-bench-") as scratch, connected(num_cpus=2):
        folder = Path(scratch)
        (folder / "in").mkdir()
        size = write_input(folder / "in", megabytes)
        paths = find_captures([str(folder / "in")])
        print(
            f"{size / 1e6:.1f} MB of text in {FILES} files, {SHARDS} shards; load {os.getloadavg()[0]:.1f}", flush=True
        )
        seconds = {1: [], 2: []}
        shards = []
        for turn in range(ROUNDS + 1):
            for workers, spent in seconds.items():
                result = run_corpus(paths, folder / f"{workers}-{turn}", request, workers=workers)
                shards.append(result.manifest["shards"])
                if turn:
                    spent.append(result.seconds)
    medians = {workers: statistics.median(spent) for workers, spent in seconds.items()}
    for workers, spent in medians.items():
        print(f"{workers} worker{'s' * (workers > 1)}: {spent:.1f} s, {size / spent / 1e6:.2f} MB/s")
    ratio = medians[1] / medians[2]
    same = all(found == shards[0] for found in shards)
    print(f"{ratio:.2f}x (mark: {MARK:g}x on two idle cores), {'the same' if same else 'OTHER'} shards")
    return int(ratio < MARK or not same)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
