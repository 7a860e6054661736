"""How much unlabeled text does it take? Table 9 of the paper.

Pre-training always reads as many tokens; what varies is how many of them are different. The paper's baseline reads
2^35 tokens and none twice; its other rows read the first 2^29, 2^27, 2^25 and 2^23 of them 64, 256, 1,024 and 4,096
times. At the other scales these are the same fractions of what pre-training reads.

At `tiny` the embedded corpus holds more than pre-training reads, so the baseline repeats nothing there either.

    python studies/data_size.py --scale tiny
    python studies/data_size.py --scale tiny --rows 'repeat-64'
"""

import sys
from collections.abc import Mapping
from typing import Any

from orchestrator.commands.study import main
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.study import Row, Study
from studies.paper import baseline_standard_deviation, published
from studies.scales import SCALES
from t5core.config import ObjectiveConfig
from t5core.errors import ConfigError
from t5core.objectives import lengths

REPEATS = {"2^29": 64, "2^27": 256, "2^25": 1_024, "2^23": 4_096}
"""The paper's rows and how often each reads its tokens."""


def study() -> Study:
    """Returns the whole corpus and four parts of it, with the published scores."""
    return Study(
        name="data_size",
        title="Repeating the pre-training text (Table 9)",
        baseline="full",
        baseline_sd=baseline_standard_deviation(),
        changes={"objective": ObjectiveConfig()},
        rows=(
            Row(name="full", label="All of it", **published(9, "Full data set")),
            *(_row(name, repeats) for name, repeats in REPEATS.items()),
        ),
    )


def tokens_read(experiment: Experiment) -> int:
    """Returns how many tokens of text pre-training reads."""
    assert experiment.objective is not None
    train = experiment.pretrain
    return train.steps * train.batch_size * lengths(experiment.objective, train.inputs_length).raw_tokens


def _row(paper_name: str, repeats: int) -> Row:
    def changes(baseline: Experiment) -> Mapping[str, Any]:
        tokens = tokens_read(baseline) // repeats
        least = lengths(ObjectiveConfig(), baseline.pretrain.inputs_length).raw_tokens
        if tokens < least:
            way_out = f"{repeats} repeats leave {tokens} tokens, less than one sequence: take more steps"
            raise ConfigError("pretrain_steps", baseline.pretrain.steps, way_out)
        return {"unlabeled_tokens": tokens}

    return Row(name=f"repeat-{repeats}", label=f"Read {repeats:,} times", changes=changes, **published(9, paper_name))


if __name__ == "__main__":
    sys.exit(main(study(), SCALES))
