"""ROUGE of many pairs, by several processes.

A pair takes some milliseconds, CNN/Daily Mail's validation set therefore more than a minute. The pairs are dealt out to
processes that are this very module run by the same Python (``python -m t5core.metrics.rouge_rows``), which read JSON
lines and write JSON lines. They are no children of ``multiprocessing``: nothing is forked, the caller's main module is
not imported again, and it works inside daemons and Ray's workers.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from t5core.scripts import tokens_of

KINDS = ("rouge1", "rouge2", "rougeLsum")
PAIRS_PER_PROCESS = 1_500
"""Fewer pairs are not worth starting a process for: importing rouge-score's stemmer takes some seconds."""


def rouge_rows(
    pairs: Sequence[tuple[str, str]],
    *,
    stemmed: bool = False,
    any_script: bool = False,
    processes: int | None = None,
    at_least: int = PAIRS_PER_PROCESS,
) -> npt.NDArray[np.float64]:
    """Returns the F-measures [N, 3] of ``KINDS`` for pairs of (target, prediction).

    Args:
        pairs: the texts.
        stemmed: take words by their Porter stems.
        any_script: take words of any script, not of ASCII letters and digits only.
        processes: at most so many, this one included; None: one for each core that this process may use.
        at_least: pairs for each process.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = max(1, min(processes or cores, len(pairs) // at_least))
    share = -(-len(pairs) // count)
    # dealt out like cards: long texts stand together in some sets
    hands = [pairs[first::count] for first in range(count)] if share else []
    out = np.zeros((len(pairs), len(KINDS)))
    with ThreadPoolExecutor(max_workers=count) as pool:
        elsewhere = [pool.submit(_elsewhere, hand, stemmed, any_script) for hand in hands[1:]]
        for first, rows in enumerate([_here(hand, stemmed, any_script) for hand in hands[:1]]):
            out[first::count] = rows
        for first, future in enumerate(elsewhere, start=1):
            out[first::count] = future.result()
    return out


def _here(pairs: Sequence[tuple[str, str]], stemmed: bool, any_script: bool) -> list[list[float]]:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(KINDS), use_stemmer=stemmed, tokenizer=_AnyScript() if any_script else None)
    scores = (scorer.score(_in_lines(target), _in_lines(prediction)) for target, prediction in pairs)
    return [[score[kind].fmeasure for kind in KINDS] for score in scores]


class _AnyScript:
    """What rouge-score takes for a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return tokens_of(text)


def _in_lines(summary: str) -> str:
    return summary.replace(" . ", " .\n")


def _elsewhere(pairs: Sequence[tuple[str, str]], stemmed: bool, any_script: bool) -> list[list[float]]:
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "t5core.metrics.rouge_rows"],
        input=json.dumps({"stemmed": stemmed, "any_script": any_script, "pairs": pairs}),
        capture_output=True,
        encoding="ascii",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"a process that reads ROUGE ended with code {done.returncode}: {last}")
    rows: list[list[float]] = json.loads(done.stdout)
    return rows


def main() -> int:
    """Reads one JSON object from standard input and writes the rows to standard output."""
    given = json.load(sys.stdin)
    json.dump(_here(given["pairs"], given["stemmed"], given["any_script"]), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
