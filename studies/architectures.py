"""Which architecture is best, and with which objective? Table 2 of the paper.

Five models, each pre-trained twice: by denoising (the baseline's corrupted spans) and by language modelling, which for
models with a way to read an input is prefix language modelling.

    encoder-decoder         two stacks
    shared encoder-decoder  two stacks, one set of weights
    half depth              two stacks of half the layers
    language model          one causal stack that reads input and target joined
    prefix LM               the same, but the input sees itself in both directions

The second to the last have about half the parameters of the first; all but the half-deep one cost about as much.

    python studies/architectures.py --scale tiny
    python studies/architectures.py --scale tiny --rows 'prefix*'
"""

import sys
from collections.abc import Mapping
from typing import Any

from orchestrator.commands.study import main
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.study import Row, Study
from studies.paper import baseline_standard_deviation, published
from studies.scales import SCALES
from t5core.config import ModelConfig, ObjectiveConfig

_DENOISING = ObjectiveConfig()
_PREFIX = ObjectiveConfig(kind="prefix_lm")
_PLAIN = ObjectiveConfig(kind="lm")


def study() -> Study:
    """Returns five architectures with two objectives each, with the published scores."""
    return Study(
        name="architectures",
        title="Architectures (Table 2)",
        baseline="encoder-decoder",
        baseline_sd=baseline_standard_deviation(),
        changes=lambda scale: {"model": two_layers_at_least(scale.model)},
        rows=(
            _row("encoder-decoder", "Encoder-decoder", "encoder_decoder", _DENOISING),
            _row("shared", "Enc-dec, shared", "shared_encoder_decoder", _DENOISING),
            _row("half-depth", "Enc-dec, 6 layers", "half", _DENOISING),
            _row("lm", "Language model", "language_model", _DENOISING),
            _row("prefix-lm", "Prefix LM", "prefix_lm", _DENOISING),
            _row("encoder-decoder-lm", "Encoder-decoder", "encoder_decoder", _PREFIX),
            _row("shared-lm", "Enc-dec, shared", "shared_encoder_decoder", _PREFIX),
            _row("half-depth-lm", "Enc-dec, 6 layers", "half", _PREFIX),
            _row("lm-lm", "Language model", "language_model", _PLAIN),
            _row("prefix-lm-lm", "Prefix LM", "prefix_lm", _PREFIX),
        ),
    )


def variant(model: ModelConfig, architecture: str) -> ModelConfig:
    """Returns a model of another architecture, as deep and wide; "half" is the half-deep encoder-decoder."""
    if architecture == "half":
        return model.replace(
            num_encoder_layers=model.num_encoder_layers // 2, num_decoder_layers=model.num_decoder_layers // 2
        )
    if architecture in ("language_model", "prefix_lm"):
        return model.replace(architecture=architecture, num_encoder_layers=0)
    return model.replace(architecture=architecture)


def two_layers_at_least(model: ModelConfig) -> ModelConfig:
    """Returns a model of which there is something to halve: one of one layer a stack gets a second one."""
    return model.replace(
        num_encoder_layers=max(2, model.num_encoder_layers), num_decoder_layers=max(2, model.num_decoder_layers)
    )


def _row(name: str, paper_name: str, architecture: str, objective: ObjectiveConfig) -> Row:
    objective_name = "Denoising" if objective is _DENOISING else "LM"

    def changes(baseline: Experiment) -> Mapping[str, Any]:
        return {"model": variant(baseline.model, architecture), "objective": objective}

    label = paper_name.replace(", 6 layers", ", half depth")
    label = f"{label}, {'denoising' if objective is _DENOISING else 'language modelling'}"
    return Row(name=name, label=label, changes=changes, **published(2, f"{paper_name} / {objective_name}"))


if __name__ == "__main__":
    sys.exit(main(study(), SCALES))
