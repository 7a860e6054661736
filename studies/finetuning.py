"""How much of a model has to be trained for a new task? Table 10 of the paper.

All rows start from one pre-training. What varies is which parameters fine-tuning changes:

    all parameters        the baseline
    adapter layers        networks of inner width d at the end of each block, and the norms; all else as pre-trained
    gradual unfreezing    the top layer of both stacks first, then one more from the top in each of equal episodes

The paper's d are 32, 128, 512 and 2,048 in a model that is 768 wide; at the other scales they are the same fractions of
the model's width. There are as many episodes as layers, the paper's 12 at `paper`; `tiny` has two layers here, one more
than in other studies, so that there is something to unfreeze.

Beside the scores stands what a task costs to keep: the parameters that fine-tuning has changed by its end, and their
bytes in float32, of which each task needs its own copy; the rest is kept once for all tasks.

    python studies/finetuning.py --scale tiny
    python studies/finetuning.py --scale tiny --rows 'adapters*'
"""

import sys
from collections.abc import Mapping
from typing import Any

from orchestrator.commands.study import main
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.study import Row, Study
from studies.architectures import two_layers_at_least
from studies.paper import baseline_standard_deviation, published
from studies.scales import SCALES
from t5core.arithmetic import num_trained
from t5core.config import ModelConfig, ObjectiveConfig

PAPER_WIDTH = 768
"""d_model of the paper's Base, which its widths of adapters belong to."""
ADAPTER_SIZES = (32, 128, 512, 2_048)
"""Inner widths d in Table 10."""
FLOAT32_BYTES = 4


def study() -> Study:
    """Returns full fine-tuning, four sizes of adapters and gradual unfreezing, with the published scores."""
    return Study(
        name="finetuning",
        title="Fine-tuning some of the parameters (Table 10)",
        baseline="all",
        baseline_sd=baseline_standard_deviation(),
        changes=lambda scale: {"objective": ObjectiveConfig(), "model": two_layers_at_least(scale.model)},
        facts=kept_per_task,
        rows=(
            Row(name="all", label="All parameters", **published(10, "All parameters")),
            *(_adapters(size) for size in ADAPTER_SIZES),
            Row(
                name="gradual",
                label="Gradual unfreezing",
                changes=_gradual,
                **published(10, "Gradual unfreezing"),
            ),
        ),
    )


def kept_per_task(experiment: Experiment) -> Mapping[str, int | None]:
    """Returns the width of the adapters, what fine-tuning trains by its end, and its bytes in float32."""
    trained = num_trained(experiment.model, experiment.finetune)
    return {
        "d": experiment.model.adapter_size,
        "trained_parameters": trained,
        "bytes_per_task": FLOAT32_BYTES * trained,
    }


def adapter_size(model: ModelConfig, paper_size: int) -> int:
    """Returns the inner width that is the same fraction of the model's width as the paper's is of Base's."""
    return max(1, round(paper_size * model.d_model / PAPER_WIDTH))


def _adapters(paper_size: int) -> Row:
    def changes(baseline: Experiment) -> Mapping[str, Any]:
        return {
            "model": baseline.model.replace(adapter_size=adapter_size(baseline.model, paper_size)),
            "finetune": baseline.finetune.replace(trainable="adapters_and_norms"),
        }

    label = f"Adapter layers, d={paper_size} of {PAPER_WIDTH}"
    return Row(
        name=f"adapters-{paper_size}",
        label=label,
        changes=changes,
        **published(10, f"Adapter layers, d={paper_size}"),
    )


def _gradual(baseline: Experiment) -> Mapping[str, Any]:
    layers = max(baseline.model.num_encoder_layers, baseline.model.num_decoder_layers)
    return {"finetune": baseline.finetune.replace(trainable="gradual", unfreezing_episodes=layers)}


if __name__ == "__main__":
    sys.exit(main(study(), SCALES))
