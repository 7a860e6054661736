"""Greedy decoding with small on the CPU against transformers' ``generate``: batch 16, 64 new tokens, ids equal.

    python -m tests.benchmarks.bench_decode

The mark is 3 times transformers' speed, with the faster of its attentions, on the same weights and inputs in one
process; it is held to inputs of 64 tokens, and inputs of 512, where the encoder's share is larger, are measured for
information. Leaves with exit code 1 below the mark.
"""

import sys

from t5core.bench import BenchSettings, decode

MARK = 3.0
INPUTS = (64, 512)


def main() -> int:
    ratios = {}
    for length in INPUTS:
        settings = BenchSettings(what="decode", device="cpu", against="transformers", inputs_length=length)
        ratios[length] = decode.measure(settings)["ratio"]
    told = " ".join(f"inputs_{length} {ratio:.2f}" for length, ratio in ratios.items())
    print(f"decode_small_cpu_ratio {told} mark {MARK}")
    if ratios[INPUTS[0]] < MARK:
        print(f"decode: {ratios[INPUTS[0]]:.2f} times transformers' speed is below {MARK}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
