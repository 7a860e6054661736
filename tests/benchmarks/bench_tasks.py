"""How many GLUE examples a core turns into text per second, and how long ROUGE of CNN/Daily Mail takes.

    python -m tests.benchmarks.bench_tasks

Rendering: 20,000 made-up examples of every GLUE task, one thread, from objects in memory to pairs of text; mark:
50,000 examples per second for the slowest task. It is of CPU time, which is what a core does when nothing else runs
on it. ROUGE: 13,368 made-up pairs of the lengths of CNN/Daily Mail's
validation set (about 55 words to a reference, 60 to an output), in as many processes as there are cores; mark: two
minutes of wall time on two cores. Leaves with exit code 1 below either mark.
"""

import os
import random
import resource
import sys
import time

from t5core.metrics import Rouge, Summaries
from t5core.tasks.glue import TASKS

EXAMPLES, ROUNDS = 20_000, 3
FLOOR = 50_000  # examples per second
PAIRS, LIMIT_S = 13_368, 120.0

WORD_TEXT = """
    police said the man who was found in his car near town on friday had been missing for two weeks and that there is
    no sign of anything but an accident while his family asks all people with any news about him to call at once
"""
WORDS = WORD_TEXT.split()


def sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def examples_of(task, rng: random.Random) -> list[dict]:
    fields = [name for name, kind in task.source.columns.items() if kind == "text"]
    is_number = task.source.columns["label"] == "number"
    return [
        {name: sentence(rng, 20) for name in fields}
        | {"label": rng.random() * 5 if is_number else rng.randrange(2), "idx": i}
        for i in range(EXAMPLES)
    ]


def rendering() -> float:
    """Examples per second of CPU time of the slowest GLUE task."""
    rng = random.Random(0)
    slowest = float("inf")
    for task in TASKS:
        examples = examples_of(task, rng)
        speeds = []
        for _ in range(ROUNDS):
            started = time.process_time()
            for example in examples:
                task.to_text(example)
            speeds.append(EXAMPLES / (time.process_time() - started))
        print(f"{task.name:<24}{max(speeds):>12,.0f} examples/s", flush=True)
        slowest = min(slowest, max(speeds))
    return slowest


def summary(rng: random.Random, words: int) -> str:
    per_line = words // 4
    return "\n".join(f"{sentence(rng, per_line)} ." for _ in range(4))


def rouge_seconds() -> float:
    rng = random.Random(1)
    targets = [summary(rng, 55) for _ in range(PAIRS)]
    predictions = [summary(rng, 60) for _ in range(PAIRS)]
    used = {who: resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)}
    started = time.perf_counter()
    rows_N3 = Summaries()(targets, predictions)
    scores = {name: Rouge(name).aggregate(rows_N3) for name in ("rouge1", "rouge2", "rougeLsum")}
    seconds = time.perf_counter() - started
    cpu = sum(resource.getrusage(who).ru_utime - before for who, before in used.items())
    cores = len(os.sched_getaffinity(0))
    shown = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
    print(f"ROUGE of {PAIRS:,} pairs on {cores} cores: {seconds:.1f} s, {cpu:.1f} s of CPU time ({shown})")
    return seconds


def main() -> int:
    print("tasks: text forms on one core, scoring on all")
    speed = rendering()
    seconds = rouge_seconds()
    print(f"tasks_glue_examples_per_s {speed:.0f} ratio_to_mark {speed / FLOOR:.1f}")
    print(f"tasks_rouge_s {seconds:.1f} ratio_to_mark {LIMIT_S / seconds:.1f}")
    if speed < FLOOR:
        print(f"tasks: {speed:.0f} examples/s is below {FLOOR}", file=sys.stderr)
    if seconds > LIMIT_S:
        print(f"tasks: ROUGE took {seconds:.0f} s, more than {LIMIT_S:.0f}", file=sys.stderr)
    return int(speed < FLOOR or seconds > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
