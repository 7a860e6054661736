"""What would you do with four times the computation? Table 13 of the paper.

    4x-steps                 the same model, pre-trained and fine-tuned four times as long
    4x-batch                 as long, with four times as many sequences a step
    2x-size-2x-steps         a model twice as large, twice as long
    4x-size                  a model four times as large, as long as the baseline
    4x-ensembled             four models that are pre-trained and fine-tuned apart, whose logits are averaged
    4x-ensembled-finetuned   the same of four fine-tunings of one pre-training, which costs less than four times

Steps and batches are those of both phases. An ensemble has four members, of the row's seed and the three behind it,
whatever `--seeds` says; a member is the baseline of that seed, and runs once for all that need it.

At `paper` the models are the paper's: d_model 1,024 with 16 + 16 and 32 + 32 layers, 2.4 and 4.7 times the baseline's
parameters beside the embedding. At other scales they have twice and four times the layers, as wide: exactly twice and
four times these parameters, which is where most of the computation goes at the paper's scale. At small scales the
softmax over the vocabulary takes its part whatever the size, so larger models cost less than twice and four times.

At `tiny` the whole study stands on a quarter of the scale's steps (325 and 200), so that it takes minutes: its row of
four times the steps is the scale's baseline, as the other studies train it. A quarter of them ends before the plateau
is left that docs/tiny.md tells of, so what more steps gain there is more than it would be later on.

    python studies/scaling.py --scale tiny
    python studies/scaling.py --scale tiny --rows '4x-ensembled*'
    python studies/scaling.py --scale paper --plan
"""

import sys
from collections.abc import Mapping
from typing import Any

from orchestrator.commands.study import main
from orchestrator.plan.ensembles import EnsembleConfig
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.study import Row, Study
from studies.paper import baseline_standard_deviation, published
from studies.scales import SCALES, part_of_tiny
from t5core.config import ModelConfig, ObjectiveConfig
from t5core.model import preset

TINY_BASIS = 4
"""At `tiny` the study's steps are the scale's over this."""


def study() -> Study:
    """Returns the baseline and six ways to use four times its computation, with the published scores."""
    return Study(
        name="scaling",
        title="Four times the computation (Table 13)",
        baseline="baseline",
        baseline_sd=baseline_standard_deviation(),
        defaults=lambda scale: part_of_tiny(scale, TINY_BASIS),
        changes={"objective": ObjectiveConfig()},
        rows=(
            Row(name="baseline", label="Baseline", **published(13, "Baseline")),
            Row(
                name="4x-steps",
                label="1x size, 4x training steps",
                changes=lambda baseline: _longer(baseline, 4),
                **published(13, "1x size, 4x training steps"),
            ),
            Row(
                name="4x-batch",
                label="1x size, 4x batch size",
                changes=lambda baseline: _wider(baseline, 4),
                **published(13, "1x size, 4x batch size"),
            ),
            Row(
                name="2x-size-2x-steps",
                label="2x size, 2x training steps",
                changes=lambda baseline: {"model": larger(baseline.model, 2), **_longer(baseline, 2)},
                **published(13, "2x size, 2x training steps"),
            ),
            Row(
                name="4x-size",
                label="4x size, 1x training steps",
                changes=lambda baseline: {"model": larger(baseline.model, 4)},
                **published(13, "4x size, 1x training steps"),
            ),
            Row(
                name="4x-ensembled",
                label="4x ensembled",
                changes={"ensemble": EnsembleConfig()},
                **published(13, "4x ensembled"),
            ),
            Row(
                name="4x-ensembled-finetuned",
                label="4x ensembled, fine-tune only",
                changes={"ensemble": EnsembleConfig(kind="finetuned")},
                **published(13, "4x ensembled, fine-tune only"),
            ),
        ),
    )


def larger(model: ModelConfig, factor: int) -> ModelConfig:
    """Returns the model of so many times the size: the paper's of its baseline, else one with so many more layers."""
    if model == preset("base", vocab_size=model.vocab_size):
        return preset(f"{factor}x", vocab_size=model.vocab_size)
    return model.replace(
        num_encoder_layers=factor * model.num_encoder_layers, num_decoder_layers=factor * model.num_decoder_layers
    )


def _longer(baseline: Experiment, factor: int) -> Mapping[str, Any]:
    return {
        phase: train.replace(steps=factor * train.steps)
        for phase, train in (("pretrain", baseline.pretrain), ("finetune", baseline.finetune))
    }


def _wider(baseline: Experiment, factor: int) -> Mapping[str, Any]:
    return {
        phase: train.replace(batch_size=factor * train.batch_size)
        for phase, train in (("pretrain", baseline.pretrain), ("finetune", baseline.finetune))
    }


if __name__ == "__main__":
    sys.exit(main(study(), SCALES))
