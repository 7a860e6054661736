"""Greedy decoding with small on the CPU against transformers' ``generate``: batch 16, the same weights and inputs.

    python -m tests.benchmarks.bench_decode

Ours is the public ``t5core.decoding.generate`` with an attention mask, as transformers is called. The marks, of
transformers in float32 with the faster of its attentions:

    tokens: inputs, new     float32, ids equal     bfloat16, where the processor has units for it
    64, 64                  1.8                    2.5
    512, 64                 1.2                    2.0
    512, 32                 1.2                    2.0

Leaves with exit code 1 below a mark.
"""

import sys

from t5core.bench import BenchSettings, decode
from t5core.devices.precision import matrix_unit, processor_name

MARKS = {(64, 64): (1.8, 2.5), (512, 64): (1.2, 2.0), (512, 32): (1.2, 2.0)}


def main() -> int:
    lines = []
    for precision in ("float32", "bfloat16") if matrix_unit() else ("float32",):
        for (length, new), marks in MARKS.items():
            settings = BenchSettings(
                what="decode",
                device="cpu",
                precision=precision,
                against="transformers",
                inputs_length=length,
                targets_length=new,
            )
            mark = marks[precision == "bfloat16"]
            lines.append((f"decode_small_cpu_{precision}_{length}_{new}", decode.measure(settings)["ratio"], mark))
    print(processor_name())
    for name, ratio, mark in lines:
        print(f"{name} {ratio:.2f} mark {mark}: {'met' if ratio >= mark else 'missed'}")
    return int(any(ratio < mark for _, ratio, mark in lines))


if __name__ == "__main__":
    sys.exit(main())
