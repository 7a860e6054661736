"""Benchmarks of t5core, alone or against transformers' T5: the same weights, the same batch, one process.

    t5core bench --what train --device cpu --against transformers
    t5core bench --what decode --device cpu --against transformers
    t5core bench --device cuda --against transformers

In: settings. Out: figures, printed and returned; ``tests/benchmarks`` holds some of them to marks. Never: other code
for another device, or a ratio between two that compute different things.
"""

from t5core.bench import decode, train
from t5core.bench.settings import BenchSettings
from t5core.bench.timing import Figures, interleaved, matrix_rate

__all__ = ["BenchSettings", "Figures", "decode", "interleaved", "matrix_rate", "train"]
