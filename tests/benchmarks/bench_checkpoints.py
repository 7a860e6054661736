"""What noise within runs is worth when the truth is known: the figures of docs/significance.md.

    python -m tests.benchmarks.bench_checkpoints                  # half a minute
    python -m tests.benchmarks.bench_checkpoints --studies 50     # sooner, and rougher
    python -m tests.benchmarks.bench_checkpoints --seeds 8        # also of models that are trained, minutes more

First how many tables of equal rows have an arrow, by what moves the runs, through the code that makes the tables. Then
a model of training that is as simple as can be, steps with noise down a bowl that is steep in some directions and flat
in others, from one start: how far its last five checkpoints lie apart, over how far the means of other runs do. With
``--seeds`` the same of real ones: the model of the tests, on their tasks, from random weights of its own in each run.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from orchestrator.engine.inline import run_locally
from orchestrator.plan.study import Row, Scale, Study, plan_of
from orchestrator.results.rows import row_results
from orchestrator.results.samples import bits_per_byte
from orchestrator.store import open_store
from t5core.corpora import identify
from t5core.tables import Column, print_table
from tests.orchestrator import micro_study
from tests.orchestrator.results.test_simulated import false_within_runs

CHECKPOINTS = 5
STEPS, RUNS, DIRECTIONS, RATE, NOISE = 700, 400, 200, 0.1, 0.3
SCHEDULES = {
    "constant": lambda step: 1.0,
    "inverse square root, from a tenth of the run on": lambda step: min(1.0, (STEPS / 10 / (step + 1)) ** 0.5),
    "linear to 0": lambda step: 1 - step / STEPS,
}


def within_over_between(rate):
    """Returns the ratio of runs of the simple model at a learning rate."""
    rng = np.random.default_rng(0)
    steepness_D = np.logspace(-3, 0, DIRECTIONS)
    slope_D = rng.normal(size=DIRECTIONS) / np.sqrt(DIRECTIONS)
    judged = {STEPS - 1 - STEPS // 20 * back for back in range(CHECKPOINTS)}
    place_RD, seen = np.ones((RUNS, DIRECTIONS)), []
    for step in range(STEPS):
        place_RD -= RATE * rate(step) * (steepness_D * place_RD + NOISE * rng.normal(size=place_RD.shape))
        if step in judged:
            seen.append(0.5 * (steepness_D * place_RD**2).sum(axis=1) + place_RD @ slope_D)
    return ratio(np.array(seen))


def ratio(numbers_CR):
    """Returns the deviation between checkpoints C of runs R, what all do at a step left out, over that of means."""
    checkpoints, runs = numbers_CR.shape
    around_CR = numbers_CR - numbers_CR.mean(axis=1, keepdims=True)
    around_CR = around_CR - around_CR.mean(axis=0)
    within = np.sqrt((around_CR**2).sum() / ((checkpoints - 1) * (runs - 1)))
    return within / numbers_CR.mean(axis=0).std(ddof=1)


def trained(seeds, folder, steps=300):
    """Yields schedule, task, and the ratio of so many fine-tunings from random weights."""
    e = micro_study.experiment(micro_study.write_documents(folder / "text.jsonl", 600))
    constant = e.finetune.replace(steps=steps, keep_last=CHECKPOINTS, keep_every=steps // 20)
    linear = constant.replace(schedule=constant.schedule.replace(kind="linear"))
    tasks = e.tasks.replace(train_examples=2_000, validation_examples=100)
    e = e.replace(corpus=identify(e.corpus), objective=None, finetune=constant, tasks=tasks)
    rows = [Row(name=t.schedule.kind, label="", changes={"finetune": t}) for t in (constant, linear)]
    study = Study(name="schedules", title="", baseline="constant", rows=tuple(rows))
    plan = plan_of(study, Scale(name="micro", purpose="", baseline=e), seeds)
    store = open_store(folder / "store")
    results = row_results(plan, run_locally(plan, store), store)
    for row in rows:
        for task in micro_study.TASK_NAMES:
            runs = [r.checkpoints.likelihoods.values() for r in results if r.name == row.name]
            yield row.name, task, ratio(np.array([[float(bits_per_byte(at[task])) for at in run] for run in runs]).T)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="for each figure (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=0, help="of the models that are trained (default: none is)")
    arguments = parser.parse_args()
    studies = arguments.studies
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
    if arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            real = [(rate, task, f"{found:.2f}") for rate, task, found in trained(arguments.seeds, Path(folder))]
        columns = [Column(head="learning rate", kind="text"), Column(head="task", kind="text"), Column(head="ratio")]
        print_table(columns, real, title=f"the same of {arguments.seeds} trained models", see_all="| cat")
    return 0


if __name__ == "__main__":
    sys.exit(main())
