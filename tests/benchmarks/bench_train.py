"""A training step of small on the CPU against transformers' T5: 4 x (512, 114), float32, dropout 0.1.

    python -m tests.benchmarks.bench_train

The mark is 1.5 times transformers' speed for the whole step, forward, backward and optimizer, with the faster of its
attentions, on the same weights and batch in one process. Dropout 0 is measured for information. Leaves with exit code
1 below the mark.
"""

import sys

from t5core.bench import BenchSettings, train

MARK = 1.5


def main() -> int:
    ratio = train.measure(BenchSettings(device="cpu", against="transformers"))["ratio"]
    train.measure(BenchSettings(device="cpu", against="transformers", dropout=0.0, rounds=3))
    print(f"train_small_cpu_ratio {ratio:.2f} mark {MARK}")
    if ratio < MARK:
        print(f"train: {ratio:.2f} times transformers' speed is below {MARK}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
