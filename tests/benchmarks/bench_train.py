"""A training step of small on the CPU against transformers' T5: 4 x (512, 114), dropout 0.1.

    python -m tests.benchmarks.bench_train

All on the same weights and batch in one process, the whole step, forward, backward and optimizer. The marks, of
transformers with the faster of its attentions:

    float32                                            1.5 of float32
    bfloat16, where the processor has units for it     3.5 of float32, 2.5 of its own bfloat16 (autocast)

Dropout 0 is measured for information. Leaves with exit code 1 below a mark.
"""

import sys

from t5core.bench import BenchSettings, train
from t5core.devices.precision import matrix_unit, processor_name

MARK = 1.5
LOW_MARKS = {"float32_ratio": 3.5, "ratio": 2.5}


def main() -> int:
    exact = train.measure(BenchSettings(device="cpu", against="transformers"))
    train.measure(BenchSettings(device="cpu", against="transformers", dropout=0.0, rounds=3))
    lines = [("train_small_cpu_float32", exact["ratio"], MARK)]
    if matrix_unit():
        low = train.measure(BenchSettings(device="cpu", against="transformers", precision="bfloat16"))
        lines += [(f"train_small_cpu_bfloat16_{name}", low[name], mark) for name, mark in LOW_MARKS.items()]
    print(processor_name())
    for name, ratio, mark in lines:
        print(f"{name} {ratio:.2f} mark {mark}: {'met' if ratio >= mark else 'missed'}")
    return int(any(ratio < mark for _, ratio, mark in lines))


if __name__ == "__main__":
    sys.exit(main())
