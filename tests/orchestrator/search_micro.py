"""The micro experiment's search as a command, for tests that kill it: ``python search_micro.py CORPUS FLAGS...``."""

import sys
from collections.abc import Sequence
from pathlib import Path

import micro_study

from orchestrator.commands.search import main
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.study import Row, Study
from orchestrator.search.space import Fixed
from t5core.config import MixtureConfig, ObjectiveConfig

SIZE = 2.0**40


def fixed(_: Experiment) -> Sequence[Fixed]:
    """Equal rates and two limits."""
    equal = Fixed(name="equal", label="Equal", mixture=MixtureConfig(kind="equal", unsupervised=SIZE), place=0.0)
    limits = [
        Fixed(
            name=f"K{place}",
            label=f"K at {place}",
            mixture=MixtureConfig(maximum_between=place, unsupervised=SIZE),
            place=place,
        )
        for place in (0.3, 0.9)
    ]
    return (equal, *limits)


if __name__ == "__main__":
    scale = micro_study.scale(Path(sys.argv[1]))
    study = Study(
        name="trial",
        title="A trial",
        baseline="spans",
        rows=(Row(name="spans", label="Spans"),),
        changes={"objective": ObjectiveConfig(), "parts": 2},
    )
    sys.exit(main(study, fixed, {"micro": scale}, sys.argv[2:], unsupervised=SIZE))
