"""How far do runs of the baseline lie apart, and what is pre-training worth? Table 1 of the paper.

The paper trained its baseline ten times from scratch, with other random weights and another order of the data each
time, and everything else once. The standard deviation of the ten is the noise by which it reads all its tables.

    baseline          pre-trained by replacing spans, then fine-tuned; over ten seeds
    no-pretraining    fine-tuned from random weights, for the steps of fine-tuning

At `tiny` three seeds stand in for the ten, so that the study takes minutes; `--seeds 10` trains both rows ten times.
The deviation of the baseline's runs stands under the table with its interval, beside the paper's.

These are the same runs as the baselines of the other studies: what one has trained no other trains again. (Table 8
makes its corpora itself; Table 11 takes more examples at the small scales, and Tables 2 and 10 two layers at `tiny`.)

    python studies/baseline.py --scale tiny
    python studies/baseline.py --scale paper --plan
"""

import sys

from orchestrator.commands.study import main
from orchestrator.plan.study import Row, Scale, Study
from studies.paper import baseline_standard_deviation, published
from studies.scales import SCALES
from t5core.config import ObjectiveConfig

RUNS = 10
"""Of the baseline, in the paper."""
FEWER_RUNS = {"tiny": 3}
"""By scale: ten of them would take more than ten minutes there."""


def study() -> Study:
    """Returns the baseline, ten times, and the row without pre-training, with the published scores."""
    return Study(
        name="baseline",
        title="The baseline and its noise (Table 1)",
        baseline="baseline",
        baseline_sd=baseline_standard_deviation(),
        changes={"objective": ObjectiveConfig()},
        rows=(
            Row(name="baseline", label="Baseline", seeds=runs, **published(1, "Baseline average")),
            Row(
                name="no-pretraining",
                label="No pre-training",
                changes={"objective": None},
                **published(1, "No pre-training"),
            ),
        ),
    )


def runs(scale: Scale) -> int:
    """Returns how often the baseline is trained at a scale."""
    return FEWER_RUNS.get(scale.name, RUNS)


if __name__ == "__main__":
    sys.exit(main(study(), SCALES))
