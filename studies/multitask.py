"""Can one training learn text and tasks at once? Table 12 of the paper.

    pre-training on text, then fine-tuning       the baseline
    multi-task training                          text and tasks mixed, for the steps of both, no fine-tuning
    multi-task pre-training, then fine-tuning    the same for the steps of pre-training, then fine-tuning
    leave-one-out multi-task training            likewise, but without what is fine-tuned on next: is it of use for new
                                                 tasks? One training of each; GLUE and SuperGLUE are one each
    supervised multi-task pre-training           the mixture without text, then fine-tuning

All mixtures are examples-proportional with the paper's limit K = 2^19 (``studies.mixing`` says what stands in for it
where the sets' sizes are others), in which the unlabeled text counts as larger than any limit.

With leave-one-out every task or benchmark has a training of its own, as long as a pre-training: the row costs as much
as the others together, and more tasks make it longer.

    python studies/multitask.py --scale tiny
    python studies/multitask.py --scale tiny --rows 'multitask*'
"""

import sys
from collections.abc import Mapping
from typing import Any

from orchestrator.commands.study import main
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.study import Changes, Row, Study
from studies.mixing import as_many_as_there_are, fixed_mixtures, parts_at
from studies.paper import baseline_standard_deviation, published
from studies.scales import SCALES
from t5core.config import MixtureConfig, ObjectiveConfig

LIMIT = "K-2^19"
"""The paper's choice among the mixtures of Table 11."""


def study() -> Study:
    """Returns the baseline and four ways to train on tasks earlier, with the published scores."""
    return Study(
        name="multitask",
        title="Multi-task training (Table 12)",
        baseline="pretrain-finetune",
        baseline_sd=baseline_standard_deviation(),
        defaults=lambda scale: {"tasks": as_many_as_there_are(scale.tasks)},
        changes={"objective": ObjectiveConfig()},
        rows=(
            _row("pretrain-finetune", "Unsupervised pre-training + fine-tuning", {}),
            # in parts, as Table 11 has it: one run for both tables
            _row("multitask", "Multi-task training", _in_parts),
            _row("multitask-finetune", "Multi-task pre-training + fine-tuning", _at_once(then_finetune=True)),
            _row(
                "leave-one-out",
                "Leave-one-out multi-task training",
                _at_once(then_finetune=True, leave_one_out=True),
            ),
            _row("supervised", "Supervised multi-task pre-training", _supervised),
        ),
    )


def _in_parts(baseline: Experiment) -> Mapping[str, Any]:
    return {"multitask": _mixture(baseline), "parts": parts_at(baseline)}


def _at_once(**more: bool) -> Changes:
    def changes(baseline: Experiment) -> Mapping[str, Any]:
        return {"multitask": _mixture(baseline), **more}

    return changes


def _supervised(baseline: Experiment) -> Mapping[str, Any]:
    mixture = _mixture(baseline).replace(unsupervised=None)
    return {"objective": None, "multitask": mixture, "then_finetune": True}


def _mixture(baseline: Experiment) -> MixtureConfig:
    return next(fixed.mixture for fixed in fixed_mixtures(baseline) if fixed.name == LIMIT)


def _row(name: str, paper_name: str, changes: Changes) -> Row:
    return Row(name=name, label=paper_name, changes=changes, **published(12, paper_name))


if __name__ == "__main__":
    sys.exit(main(study(), SCALES))
