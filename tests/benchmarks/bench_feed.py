"""How many raw tokens per second one core corrupts and assembles into batches.

    python -m tests.benchmarks.bench_feed

Span corruption at 512 input tokens (568 raw ones), 15 %, mean span 3, batches of 128, read from memory-mapped
tokens; every other objective; and, in the same process, span corruption one example at a time: as the collators in
common use do it, and as lean as a loop in numpy gets. Nothing here uses a second thread, so tokens per second of CPU
time are what a core does when nothing else runs on it; on a quiet machine both columns agree. Then how full packed
rows get. Leaves with exit code 1 when span corruption stays below 5 million tokens per second of CPU time.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from t5core.config import ObjectiveConfig
from t5core.feeds import ExampleFeed, PretrainFeed, pack

BATCH_SIZE, INPUTS_LENGTH = 128, 512
VOCAB_SIZE, NUM_SENTINELS = 32_100, 100
CORPUS_TOKENS, CORPUS_DOCUMENTS = 8_000_000, 16_000
ROUNDS, ROUND_S = 5, 0.3
FLOOR = 5e6  # tokens per second of one core
RATIO_MARK = 20.0

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
    "lm": ObjectiveConfig(kind="lm"),
}

# examples for packing: median lengths of inputs and targets, and their spread as the logarithm's deviation
PACKED = {
    "short pairs": ((50, 0.6), (3, 0.3), (512, 84)),
    "questions": ((170, 0.4), (4, 0.6), (512, 97)),
    "translation": ((30, 0.6), (34, 0.6), (512, 512)),
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


def ratio_in_turns(make_batch, others) -> list[tuple[float, float, float]]:
    """How many times as fast, by CPU time, ``make_batch`` is as each of ``others``: lowest, median and highest round.

    All take turns in every round, so that whatever else the machine does falls on all of them.
    """
    number, ratios = 0, []
    for _ in range(ROUNDS):
        seconds = []
        for make in (make_batch, *others):
            first, started, started_cpu = number, time.perf_counter(), time.process_time()
            while time.perf_counter() - started < ROUND_S:
                number += 1
                make(number)
            seconds.append((time.process_time() - started_cpu) / (number - first))
        ratios.append([other / seconds[0] for other in seconds[1:]])
    return [(min(of_one), statistics.median(of_one), max(of_one)) for of_one in zip(*ratios, strict=True)]


def lean_loop(feed: PretrainFeed, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Span corruption example by example, with as few small array calls as a loop can do with."""
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


def common_collator(examples: list[dict[str, list[int]]]) -> dict[str, np.ndarray]:
    """What the T5 collators in common use do with a batch, with the same calls in the same order.

    Examples come as lists of ids, as a data set gives them, and are made one array; a mask is drawn for one example
    after another (shuffle a row of flags, number the segments, count them with ``np.unique``); then sentinels are
    numbered and both sides filtered for the whole batch, and the decoder's input is shifted. The models for this are
    the T5 span collator of transformers' Flax examples in its later form, and nanoT5's.
    """
    ids_BL = np.array([example["input_ids"] for example in examples])
    noise_BL = np.asarray([_collator_mask(ids_BL.shape[1]) for _ in range(len(ids_BL))])
    inputs = _collator_side(ids_BL, noise_BL.astype(np.int8))
    labels = _collator_side(ids_BL, (~noise_BL).astype(np.int8))
    shifted = np.zeros_like(labels)
    shifted[:, 1:] = labels[:, :-1]
    return {"input_ids": inputs, "labels": labels, "decoder_input_ids": np.where(shifted == -100, 0, shifted)}


def _collator_mask(length: int) -> np.ndarray:
    noise = min(max(int(np.round(length * 0.15)), 1), length - 1)
    spans = max(int(np.round(noise / 3.0)), 1)

    def segment_lengths(items: int, segments: int) -> np.ndarray:
        flags = np.arange(items - 1) < (segments - 1)
        np.random.shuffle(flags)
        numbers = np.cumsum(np.pad(flags, [[1, 0]]))
        return np.unique(numbers, return_counts=True)[1]

    noise_lengths = segment_lengths(noise, spans)
    kept_lengths = segment_lengths(length - noise, spans)
    in_turns = np.reshape(np.stack([kept_lengths, noise_lengths], axis=1), [spans * 2])
    starts = np.zeros((length,), dtype=np.int8)
    starts[np.cumsum(in_turns)[:-1]] = True
    return np.equal(np.cumsum(starts) % 2, 1)[:length]


def _collator_side(ids_BL: np.ndarray, hidden_BL: np.ndarray) -> np.ndarray:
    starts_BL = hidden_BL - np.roll(hidden_BL, 1, axis=-1) * hidden_BL
    starts_BL[:, 0] = hidden_BL[:, 0]
    sentinels_BL = np.where(starts_BL != 0, np.cumsum(starts_BL, axis=-1), starts_BL)
    sentinels_BL = np.where(sentinels_BL != 0, VOCAB_SIZE - sentinels_BL, 0)
    sentinels_BL -= hidden_BL - starts_BL  # -1 where a token is dropped
    full_BL = np.where(sentinels_BL != 0, sentinels_BL, ids_BL)
    kept = full_BL[full_BL > 0].reshape((len(ids_BL), -1))
    return np.concatenate([kept, np.full((len(ids_BL), 1), 1, dtype=np.int32)], axis=-1)


def _print_packing() -> None:
    """How much of the columns packed batches use, against the order and algorithm of the released pipeline."""
    print(f"{'packed':<14}{'a row':>7}{'inputs':>9}{'targets':>9}   one open row, in order: inputs  targets")
    for name, (inputs, targets, columns) in PACKED.items():
        rng = np.random.default_rng(0)
        sizes = [
            np.clip(rng.lognormal(np.log(median), spread, 20_000), 2, width).astype(int)
            for (median, spread), width in zip((inputs, targets), columns, strict=True)
        ]
        pairs = [([3] * (n - 1), [3] * (m - 1)) for n, m in zip(*sizes, strict=True)]
        feed = ExampleFeed(
            {name: pairs}, batch_size=BATCH_SIZE, inputs_length=columns[0], targets_length=columns[1], packed=True
        )
        lengths = dict(zip(("inputs", "targets"), columns, strict=True))
        rows = len(pack(({"inputs": [3] * n, "targets": [3] * m} for n, m in zip(*sizes, strict=True)), lengths))
        used = [size.sum() / (rows * width) for size, width in zip(sizes, columns, strict=True)]
        mine = feed.fill()
        print(
            f"{name:<14}{feed.examples_per_row:>7.1f}{mine['inputs']:>9.1%}{mine['targets']:>9.1%}"
            f"{used[0]:>33.1%}{used[1]:>9.1%}"
        )


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
        of_batch = lambda i: feed.raw_tokens_per_batch  # noqa: E731
        lean = tokens_per_second(lambda i: lean_loop(feed, i), of_batch)
        stored = [[{"input_ids": row.tolist()} for row in feed.raw(i)[0]] for i in range(8)]  # made before the clock
        common = tokens_per_second(lambda i: common_collator(stored[i % 8]), of_batch)
        arrays = [[{"input_ids": np.array(e["input_ids"])} for e in examples] for examples in stored]
        spared = tokens_per_second(lambda i: common_collator(arrays[i % 8]), of_batch)
        peers = {
            "collator": lambda i: common_collator(stored[i % 8]),
            "collator_with_arrays": lambda i: common_collator(arrays[i % 8]),
            "lean_loop": lambda i: lean_loop(feed, i),
        }
        ratios = dict(zip(peers, ratio_in_turns(feed.batch, peers.values()), strict=True))
    span, span_cpu = speeds["span 3"]
    print(f"{'collator':<14}{568:>5}{114:>9}{_row(*common)}   (span 3, a loop over examples as in common collators)")
    print(f"{'collator':<14}{568:>5}{114:>9}{_row(*spared)}   (the same, spared the lists: examples come as arrays)")
    print(f"{'lean loop':<14}{568:>5}{114:>9}{_row(*lean)}   (span 3, a loop over examples with few calls)")
    print(f"feed_span_tokens_per_s {span:.0f} per_cpu_s {span_cpu:.0f}")
    for name, (lowest, median, highest) in ratios.items():
        print(f"feed_span_ratio_to_{name} {median:.1f} (of {ROUNDS} rounds in turns: {lowest:.1f} to {highest:.1f})")
    verdict = "met" if ratios["collator"][1] >= RATIO_MARK else "missed"
    print(f"feed_span_ratio_to_collator mark {RATIO_MARK:.0f} {verdict}")
    _print_packing()
    if span_cpu < FLOOR:
        print(f"feed: {span_cpu:.0f} tokens/s is below {FLOOR:.0f}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
