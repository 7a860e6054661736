"""How far does it go? Tables 14 and 15 of the paper: five sizes with all that was found out, and what of it is scale.

The recipe of section 3.7: spans of 3, multi-task pre-training, fine-tuning on each task apart (8 sequences a step for
those of GLUE and SuperGLUE), the best of several checkpoints for each task, beam search with 4 beams and a length
penalty of 0.6 for translation and summaries.

    baseline       the studies' own: single tokens masked, pre-trained on text alone, its tasks in groups
    baseline-1t    the same with 32 times the text: a larger batch for about twice the steps
    small ... 11B  the recipe in five sizes; "base" against the two above is Table 15: what is the recipe, what is data

At `paper` pre-training is 1,000,000 steps of 2^11 sequences, and the unlabeled text counts in the mixture with the
paper's artificial size, which grows with the model; English to German and to French count as a million examples.

At other scales the five models keep the order and shapes of the paper's (twice the layers of the scale's, wider
feed-forward networks for the two largest), in ratios that fit the time; the mixture is that of Table 12, the batch
stays as it is and the steps are twice the scale's. What is shown there is that the recipe runs, not what it is worth.
At `tiny` the study has an eighth of the scale's steps and 100 examples of each task to be judged by: every row of the
recipe fine-tunes six times and answers ten times.

The baselines stay the other studies' own, with their last checkpoints: the table says that the choice flatters the
recipe against them.

Paper columns of the five sizes are of the test sets (Table 14), ours of the validation sets; "base" has the validation
scores of Table 15.

    python studies/limits.py --scale tiny --rows 'small,base'
    python studies/limits.py --scale paper --plan
"""

import sys
from collections.abc import Mapping
from typing import Any

from orchestrator.commands.study import main
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.parts import PartConfig
from orchestrator.plan.study import Row, Study
from studies.mixing import fixed_mixtures
from studies.multitask import LIMIT
from studies.paper import baseline_standard_deviation, paper_table, published
from studies.scales import SCALES, part_of_tiny
from t5core.config import MixtureConfig, ModelConfig, ObjectiveConfig, TaskWeight
from t5core.mixing import PAPER_SIZES, UNSUPERVISED, share_rte
from t5core.model import preset
from t5core.tasks import tasks_of
from t5core.tasks.known import GROUPS

STEPS, BATCH_SIZE = 1_000_000, 2**11
"""Of pre-training at the paper's scale: 2^40 tokens, about a trillion."""
UNLABELED_SIZES: Mapping[str, float] = {"small": 0.71e6, "base": 2.62e6, "large": 8.66e6, "3B": 33.5e6, "11B": 133e6}
"""What the unlabeled text counts with in the mixture of a size (section 3.7)."""
MOST_EXAMPLES = 1e6
"""With what the two largest sets of translation count."""
CHECKPOINTS = 10
"""Of a fine-tuning, for each task to choose from."""
LONG_ANSWERS = ("cnn_dailymail", "wmt_en_de", "wmt_en_fr", "wmt_en_ro", "doc_summary")
"""Tasks whose answers beams are searched for."""
TINY_BASIS, TINY_EXAMPLES = 8, 100
"""At `tiny`: the study's steps are the scale's over this, and so many examples judge a task."""
SMALL_SCALES: Mapping[str, tuple[int, int]] = {
    "small": (1, 1),
    "base": (2, 1),
    "large": (4, 1),
    "3B": (4, 4),
    "11B": (4, 16),
}
"""Below the paper's scale: times as many layers as the scale's, times as wide feed-forward networks."""
COLUMNS = {
    "GLUE avg": "GLUE",
    "CNNDM ROUGE-2": "CNNDM",
    "SQuAD EM": "SQuAD",
    "SGLUE avg": "SGLUE",
    "EnDe BLEU": "EnDe",
    "EnFr BLEU": "EnFr",
    "EnRo BLEU": "EnRo",
}
"""Table 14's columns of those that other tables have."""


def study() -> Study:
    """Returns the baseline, the same with much more text, and the recipe in five sizes, with the published scores."""
    return Study(
        name="limits",
        title="All together, in five sizes (Tables 14 and 15)",
        baseline="baseline",
        baseline_sd=baseline_standard_deviation(),
        defaults=_basis,
        changes={"objective": ObjectiveConfig()},
        rows=(
            Row(name="baseline", label="Baseline", **published(15, "Baseline")),
            Row(name="baseline-1t", label="Baseline, 32x the text", changes=_longer, **published(15, "Baseline-1T")),
            _sized("small"),
            Row(name="base", label="T5-Base", changes=_recipe("base"), **published(15, "T5-Base")),
            *(_sized(size) for size in ("large", "3B", "11B")),
        ),
    )


def _basis(scale: Experiment) -> Mapping[str, Any]:
    phases = part_of_tiny(scale, TINY_BASIS)
    return {**phases, "tasks": scale.tasks.replace(validation_examples=TINY_EXAMPLES)} if phases else {}


def _sized(size: str) -> Row:
    name = f"T5-{size[0].upper()}{size[1:]}"
    row = paper_table(14).row(name)
    scores = {column: row.scores[name] for name, column in COLUMNS.items() if name in row.scores}
    return Row(
        name=size, label=name, changes=_recipe(size), paper=scores, paper_cell=f"Table 14, {name} (of the test sets)"
    )


def _longer(baseline: Experiment) -> Mapping[str, Any]:
    if _is_papers(baseline):
        return {"pretrain": baseline.pretrain.replace(steps=STEPS, batch_size=BATCH_SIZE)}
    return {"pretrain": baseline.pretrain.replace(steps=2 * baseline.pretrain.steps)}


def _recipe(size: str) -> Any:
    def changes(baseline: Experiment) -> Mapping[str, Any]:
        beams = baseline.decode.replace(num_beams=4, length_penalty=0.6)
        parts = (PartConfig(tasks=LONG_ANSWERS, decode=beams),)
        if _is_papers(baseline):
            parts += (PartConfig(tasks=(*GROUPS["glue"], *GROUPS["super_glue"]), batch_size=8),)
        finetune = baseline.finetune
        kept = min(CHECKPOINTS, finetune.steps)
        return {
            **_longer(baseline),
            "objective": ObjectiveConfig(mean_noise_span_length=3.0),
            "model": _model(baseline.model, size),
            "multitask": _mixture(baseline, size),
            "then_finetune": True,
            "finetuning": "apart",
            "part_configs": parts,
            "finetune": finetune.replace(keep_last=kept, keep_every=finetune.steps // kept),
            "checkpoint": "best",
        }

    return changes


def _model(model: ModelConfig, size: str) -> ModelConfig:
    if model == preset("base", vocab_size=model.vocab_size):
        return preset(size, vocab_size=model.vocab_size)
    layers, wider = SMALL_SCALES[size]
    return model.replace(
        num_encoder_layers=layers * model.num_encoder_layers,
        num_decoder_layers=layers * model.num_decoder_layers,
        d_ff=wider * model.d_ff,
    )


def _mixture(baseline: Experiment, size: str) -> MixtureConfig:
    trained = [name for name, task in tasks_of(baseline.tasks).items() if "train" in task.splits]
    if not _is_papers(baseline) or not set(trained) <= set(PAPER_SIZES):  # of other tasks it has no sizes
        return next(fixed.mixture for fixed in fixed_mixtures(baseline) if fixed.name == LIMIT)
    most = min(MOST_EXAMPLES, baseline.tasks.train_examples)
    weights = {name: min(n, most) for name, n in share_rte({name: PAPER_SIZES[name] for name in trained}).items()}
    weights[UNSUPERVISED] = UNLABELED_SIZES[size]
    return MixtureConfig(
        kind="weights",
        weights=tuple(TaskWeight(name=name, weight=weight) for name, weight in weights.items()),
        unsupervised=UNLABELED_SIZES[size],
    )


def _is_papers(baseline: Experiment) -> bool:
    return baseline.model == preset("base", vocab_size=baseline.model.vocab_size)


if __name__ == "__main__":
    sys.exit(main(study(), SCALES))
