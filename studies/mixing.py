"""How should tasks be mixed? Table 11 of the paper.

One model is trained on the unlabeled text and on all tasks at once, from random weights and without fine-tuning, for
the steps of pre-training and fine-tuning together. What varies is how often each task is drawn:

    equal                    every task alike
    examples-proportional    by its number of examples, which count up to a limit K
    temperature-scaled       rates to the power 1/T, at the largest K

The baseline pre-trains and then fine-tunes. The unlabeled text counts as larger than any limit.

The paper's limits, 2^16 to 2^21, belong to its sets. For sets whose sizes are not known before they are made, as those
of the embedded tasks, the six limits are set evenly, on a logarithmic scale, between the smallest set and the largest.

    python studies/mixing.py --scale tiny
    python studies/mixing.py --scale tiny --tasks glue,squad --data-dir data/
"""

import sys
from collections.abc import Mapping
from math import log
from typing import Any

from orchestrator.commands.study import main
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.study import Row, Study
from orchestrator.search.space import Fixed
from studies.paper import baseline_standard_deviation, published
from studies.scales import SCALES
from t5core.config import MixtureConfig, ObjectiveConfig, TasksConfig
from t5core.mixing import PAPER_MAXIMUMS, PAPER_TEMPERATURES

UNSUPERVISED_SIZE = 2.0**40
"""What the unlabeled text counts with: more than any limit, so that the limit is its size."""
PARTS = 3
"""Training is cut into so many stages, after each of which a search may look at the scores."""
ALL_EXAMPLES = 2**17
"""Of each task at the small scales, so that their sizes differ as they do by themselves."""


def study() -> Study:
    """Returns the baseline and ten fixed mixtures, with the published scores."""
    return Study(
        name="mixing",
        title="Mixing tasks (Table 11)",
        baseline="baseline",
        baseline_sd=baseline_standard_deviation(),
        defaults=lambda scale: {"tasks": as_many_as_there_are(scale.tasks)},
        changes=lambda scale: {"objective": ObjectiveConfig(), "parts": parts_at(scale)},
        rows=(
            Row(
                name="baseline",
                label="Pre-training, then fine-tuning",
                **published(11, "Baseline (pre-train/fine-tune)"),
            ),
            _row("equal", "Equal", "Equal"),
            *(_row(f"K-2^{p}", f"Examples-proportional, K=2^{p}", f"Proportional, K = 2^{p}") for p in range(16, 22)),
            *(_row(f"T-{t:g}", f"Temperature-scaled, T={t:g}", f"Temperature {t:g}") for t in PAPER_TEMPERATURES),
        ),
    )


def parts_at(scale: Experiment) -> int:
    """Returns how many stages multi-task training is cut into: from a checkpoint it may have a schedule that is one."""
    whole = scale.init is not None and not scale.further and scale.finetune.schedule.over_the_run
    return 1 if whole else PARTS


def fixed_mixtures(experiment: Experiment) -> tuple[Fixed, ...]:
    """Returns the paper's fixed mixtures for an experiment's tasks: equal, six limits, three temperatures."""
    limits = [_limit(experiment.tasks, i) for i in range(len(PAPER_MAXIMUMS))]
    places = [_place(experiment.tasks, i) for i in range(len(PAPER_MAXIMUMS))]
    equal = MixtureConfig(kind="equal", unsupervised=UNSUPERVISED_SIZE)
    return (
        Fixed(name="equal", label="Equal", mixture=equal, place=0.0),
        *(
            Fixed(
                name=f"K-2^{16 + i}",
                label=f"Proportional, K = 2^{16 + i}",
                mixture=MixtureConfig(**limit, unsupervised=UNSUPERVISED_SIZE),
                place=places[i],
            )
            for i, limit in enumerate(limits)
        ),
        *(
            Fixed(
                name=f"T-{t:g}",
                label=f"Temperature {t:g}",
                mixture=MixtureConfig(**limits[-1], temperature=t, unsupervised=UNSUPERVISED_SIZE),
                place=places[-1],
            )
            for t in PAPER_TEMPERATURES
        ),
    )


def as_many_as_there_are(tasks: TasksConfig) -> TasksConfig:
    """Small scales take few examples of each task, and so as many of all: there would be nothing to mix."""
    return tasks.replace(train_examples=max(tasks.train_examples, ALL_EXAMPLES))


def _known_sizes(tasks: TasksConfig) -> list[int]:
    """Training examples of every task, if all of them are known before anything runs, as far as they are used."""
    counts = [min(c.train_examples, tasks.train_examples) for c in tasks.content if c.train_examples]
    judged_only = sum(c.train_examples == 0 for c in tasks.content)
    return counts if counts and len(counts) + judged_only == len(tasks.names) else []


def _limit(tasks: TasksConfig, i: int) -> dict[str, float]:
    """The ``i``-th limit: the paper's own where it lies between the sets' sizes, else a place between these."""
    sizes = _known_sizes(tasks)
    if sizes and min(sizes) <= PAPER_MAXIMUMS[0] and max(sizes) >= PAPER_MAXIMUMS[-1]:
        return {"maximum": float(PAPER_MAXIMUMS[i])}
    return {"maximum_between": _between(i)}


def _place(tasks: TasksConfig, i: int) -> float:
    """Where the ``i``-th limit lies between the smallest set (0) and the largest (1), on a logarithmic scale."""
    limit, sizes = _limit(tasks, i), _known_sizes(tasks)
    if "maximum_between" in limit:
        return limit["maximum_between"]
    return log(limit["maximum"] / min(sizes)) / log(max(sizes) / min(sizes))


def _between(i: int) -> float:
    return (i + 0.5) / len(PAPER_MAXIMUMS)


def _row(name: str, paper_name: str, label: str) -> Row:
    def changes(baseline: Experiment) -> Mapping[str, Any]:
        mixture = next(fixed.mixture for fixed in fixed_mixtures(baseline) if fixed.name == name)
        return {"multitask": mixture}

    return Row(name=name, label=label, changes=changes, **published(11, paper_name))


if __name__ == "__main__":
    sys.exit(main(study(), SCALES))
