"""How many raw tokens per second one core corrupts and assembles into batches.

    python -m tests.benchmarks.bench_feed

Span corruption at 512 input tokens (568 raw ones), 15 %, mean span 3, batches of 128, read from memory-mapped
tokens; every other objective; and, in the same process, span corruption in the way most collators do it, one
example at a time. Nothing here uses a second thread, so tokens per second of CPU time are what a core does when
nothing else runs on it; on a quiet machine both columns agree. Leaves with exit code 1 when span corruption stays
below a million tokens per second of wall time.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from t5core.config import ObjectiveConfig
from t5core.feeds import PretrainFeed

BATCH_SIZE, INPUTS_LENGTH = 128, 512
VOCAB_SIZE, NUM_SENTINELS = 32_100, 100
CORPUS_TOKENS, CORPUS_DOCUMENTS = 8_000_000, 16_000
ROUNDS, ROUND_S = 5, 0.3
FLOOR = 1e6  # tokens per second

OBJECTIVES = {
    "span 3": ObjectiveConfig(mean_noise_span_length=3.0),
    "span 10": ObjectiveConfig(mean_noise_span_length=10.0),
    "iid 15 %": ObjectiveConfig(),
    "iid 50 %": ObjectiveConfig(noise_density=0.5),
    "bert_style": ObjectiveConfig(kind="bert_style"),
    "mass_style": ObjectiveConfig(kind="mass_style"),
    "drop_tokens": ObjectiveConfig(kind="drop_tokens"),
    "deshuffling": ObjectiveConfig(kind="deshuffling"),
    "prefix_lm": ObjectiveConfig(kind="prefix_lm"),
}


def stored_corpus(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Random ids in random documents, memory-mapped like a real corpus."""
    rng = np.random.default_rng(0)
    np.save(folder / "tokens.npy", rng.integers(3, 32_000, CORPUS_TOKENS).astype(np.uint16))
    cuts = np.sort(rng.choice(np.arange(1, CORPUS_TOKENS), CORPUS_DOCUMENTS - 1, replace=False))
    return np.load(folder / "tokens.npy", mmap_mode="r"), np.concatenate([[0], cuts, [CORPUS_TOKENS]])


def feed_of(objective: ObjectiveConfig, tokens: np.ndarray, offsets: np.ndarray) -> PretrainFeed:
    return PretrainFeed(
        tokens,
        offsets,
        objective,
        vocab_size=VOCAB_SIZE,
        num_sentinels=NUM_SENTINELS,
        batch_size=BATCH_SIZE,
        inputs_length=INPUTS_LENGTH,
    )


def tokens_per_second(make_batch, tokens_of_batch) -> tuple[float, float]:
    """Medians over rounds, by wall and by CPU time; batch numbers go on, so that no batch is made twice."""
    number, wall, cpu = 0, [], []
    make_batch(number)
    for _ in range(ROUNDS):
        first, started, started_cpu = number + 1, time.perf_counter(), time.process_time()
        while time.perf_counter() - started < ROUND_S:
            number += 1
            make_batch(number)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
        tokens = sum(tokens_of_batch(i) for i in range(first, number + 1))
        wall.append(tokens / seconds)
        cpu.append(tokens / cpu_seconds)
    return statistics.median(wall), statistics.median(cpu)


def one_by_one(feed: PretrainFeed, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Span corruption in the usual collator style: a loop over examples, several small array calls for each."""
    rng = np.random.default_rng([feed.seed, i])
    tokens_BL, _ = feed.raw(i)
    inputs = np.zeros((BATCH_SIZE, feed.lengths.inputs), dtype=np.int32)
    targets = np.zeros((BATCH_SIZE, feed.lengths.targets), dtype=np.int32)
    for row, tokens in enumerate(tokens_BL):
        length = len(tokens)
        noise = max(1, min(round(length * 0.15), length - 1))
        spans = max(1, round(noise / 3.0))

        def parts(items: int, count: int) -> np.ndarray:
            starts = np.arange(items - 1) < count - 1
            rng.shuffle(starts)
            return np.bincount(np.concatenate([[0], np.cumsum(starts)]), minlength=count)

        in_turns = np.stack([parts(length - noise, spans), parts(noise, spans)], axis=1).reshape(-1)
        is_start = np.zeros(length, dtype=np.int8)
        is_start[np.cumsum(in_turns)[:-1]] = 1
        mask = np.cumsum(is_start) % 2 == 1
        for hidden, out in ((mask, inputs), (~mask, targets)):
            first = hidden & ~np.concatenate([[False], hidden[:-1]])
            ids = np.where(first, VOCAB_SIZE - np.cumsum(first), tokens)
            ids = np.concatenate([ids[~hidden | first], [1]])
            out[row, : len(ids)] = ids
    return inputs, targets


def _row(wall: float, cpu: float) -> str:
    return f"{wall / 1e6:>12.1f}{cpu / 1e6:>11.1f}"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        tokens, offsets = stored_corpus(Path(folder))
        print(f"feed: batches of {BATCH_SIZE} at {INPUTS_LENGTH} input tokens, one core, numpy {np.__version__}")
        print(f"{'objective':<14}{'raw':>5}{'targets':>9}{'M tokens/s':>12}{'per CPU-s':>11}")
        speeds = {}
        for name, objective in OBJECTIVES.items():
            feed = feed_of(objective, tokens, offsets)
            speeds[name] = tokens_per_second(feed.batch, lambda i, feed=feed: int(feed.raw(i)[1].sum()))
            size = feed.lengths
            print(f"{name:<14}{size.raw_tokens:>5}{size.targets:>9}{_row(*speeds[name])}", flush=True)
        feed = feed_of(OBJECTIVES["span 3"], tokens, offsets)
        loop = tokens_per_second(lambda i: one_by_one(feed, i), lambda i: feed.raw_tokens_per_batch)
    span, span_cpu = speeds["span 3"]
    print(f"{'one by one':<14}{568:>5}{114:>9}{_row(*loop)}   (span 3, a loop over examples)")
    print(f"feed_span_tokens_per_s {span:.0f} per_cpu_s {span_cpu:.0f} ratio_to_one_by_one {span_cpu / loop[1]:.1f}")
    if span < FLOOR:
        print(f"feed: {span:.0f} tokens/s is below {FLOOR:.0f}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
