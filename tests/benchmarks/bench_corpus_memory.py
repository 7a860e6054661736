"""What memory a worker of ``t5grid corpus`` takes, at 100 MB of input and at 1 GB.

    python -m tests.benchmarks.bench_corpus_memory [MEGABYTES MEGABYTES]

The input of ``bench_corpus_ray`` in as many files, each size on a Ray of its own with two workers, so that what the
system says of a worker is of that size alone. Leaves with exit code 1 when a worker takes more than 1 GB, or at the
larger size more than 1.5 times as much as at the smaller.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.corpus.run import CorpusRequest, run_corpus
from t5core.corpora.c4 import C4Config
from t5core.corpora.c4.bad_words import digest, published_words
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.captures import find_captures
from tests.benchmarks.bench_corpus_ray import write_input

SIZES = (100.0, 1_000.0)
MARK_BYTES, MARK_GROWTH = 1e9, 1.5


def peak_bytes(megabytes: float) -> int:
    """Makes the corpus; returns the most memory that a worker had."""
    words = published_words("en")
    config = C4Config(bad_words=digest(words), identifier="resiliparse")
    with tempfile.TemporaryDirectory(prefix="t5grid-bench-") as scratch:
        (Path(scratch) / "in").mkdir()
        size = write_input(Path(scratch) / "in", megabytes)
        paths = find_captures([f"{scratch}/in"])
        request = CorpusRequest(rules=Rules(config=config, words=words))
        result = run_corpus(paths, Path(scratch) / "out", request, workers=2)
        print(
            f"{size / 1e6:>7,.0f} MB of text: at most {result.peak_bytes / 1e6:,.0f} MB a worker,"
            f" {len(result.manifest['shards'])} shards, {result.seconds:.0f} s",
            flush=True,
        )
    return result.peak_bytes


def main(argv: list[str]) -> int:
    if len(argv) == 1:  # a process for each size: a driver starts one Ray
        peak = peak_bytes(float(argv[0]))
        print(peak)
        return 0
    sizes = tuple(map(float, argv)) or SIZES
    peaks = []
    for size in sizes:
        command = [sys.executable, "-m", "tests.benchmarks.bench_corpus_memory", str(size)]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        print(*lines[:-1], sep="\n", flush=True)
        peaks.append(int(lines[-1]))
    growth = peaks[-1] / peaks[0]
    print(f"{growth:.2f}x (mark: {MARK_GROWTH:g}x, and {MARK_BYTES / 1e6:,.0f} MB a worker)")
    return int(max(peaks) > MARK_BYTES or growth > MARK_GROWTH)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
