"""What noise within runs is worth when the truth is known: the figures of docs/significance.md.

    python -m tests.benchmarks.bench_checkpoints                  # half a minute
    python -m tests.benchmarks.bench_checkpoints --studies 50     # sooner, and rougher

First how many tables of equal rows have an arrow, by what moves the runs, through the code that makes the tables. Then
a model of training that is as simple as can be, steps with noise down a bowl that is steep in some directions and flat
in others, from one start: how far its last five checkpoints lie apart, over how far the means of other runs do.
"""

import argparse
import sys

import numpy as np

from t5core.tables import Column, print_table
from tests.orchestrator.results.test_simulated import false_within_runs

CHECKPOINTS = 5
STEPS, RUNS, DIRECTIONS, RATE, NOISE = 700, 400, 200, 0.1, 0.3
SCHEDULES = {
    "constant": lambda step: 1.0,
    "inverse square root, from a tenth of the run on": lambda step: min(1.0, (STEPS / 10 / (step + 1)) ** 0.5),
    "linear to 0": lambda step: 1 - step / STEPS,
}


def within_over_between(rate):
    """Returns the deviation between a run's checkpoints, what all runs do at a step left out, over that of means."""
    rng = np.random.default_rng(0)
    steepness_D = np.logspace(-3, 0, DIRECTIONS)
    slope_D = rng.normal(size=DIRECTIONS) / np.sqrt(DIRECTIONS)
    judged = {STEPS - 1 - STEPS // 20 * back for back in range(CHECKPOINTS)}
    place_RD, seen = np.ones((RUNS, DIRECTIONS)), []
    for step in range(STEPS):
        place_RD -= RATE * rate(step) * (steepness_D * place_RD + NOISE * rng.normal(size=place_RD.shape))
        if step in judged:
            seen.append(0.5 * (steepness_D * place_RD**2).sum(axis=1) + place_RD @ slope_D)
    loss_CR = np.array(seen)
    around_CR = loss_CR - loss_CR.mean(axis=1, keepdims=True)
    return np.sqrt(np.var(around_CR, axis=0, ddof=1).mean()) / loss_CR.mean(axis=0).std(ddof=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="for each figure (default: %(default)s)")
    studies = parser.parse_args().studies
    rows = []
    for correlation in (0.0, 0.5, 0.9):
        for persistent in (0.0, 1.0, 4.0):
            false = [
                false_within_runs(studies, divided, persistent=persistent, correlation=correlation)
                for divided in (1, CHECKPOINTS)
            ]
            rows.append((f"{correlation:g}", f"{persistent:g}", *(f"{100 * share:.0f} %" for share in false)))
    heads = ("correlation", "other runs", "as it is", f"divided by {CHECKPOINTS}")
    print_table(
        [Column(head=head) for head in heads], rows, title="tables of equal rows with an arrow", see_all="| cat"
    )
    ratios = [(name, f"{within_over_between(rate):.2f}") for name, rate in SCHEDULES.items()]
    columns = [Column(head="learning rate", kind="text"), Column(head="ratio")]
    print_table(columns, ratios, title="deviation within a run over that of other runs' means", see_all="| cat")
    return 0


if __name__ == "__main__":
    sys.exit(main())
