"""Which pre-training objective is best? Tables 4 to 7 of the paper, and its row without pre-training.

The paper narrows the choice down in four steps, each table starting from the winner of the one before:

    Table 4   three ways to make a task of plain text: prefix LM, BERT-style, deshuffling
    Table 5   what to do with the corrupted tokens: mask them, replace them by a sentinel, drop them
    Table 6   how many to corrupt: 10, 15, 25, 50 %
    Table 7   in which lengths: single tokens, or spans of 2, 3, 5, 10 on average

Rows that stand in two tables are one run here. The baseline replaces i.i.d. 15 % by sentinels.

    python studies/objectives.py --scale tiny
    python studies/objectives.py --scale tiny --rows 'span*'
    python studies/objectives.py --scale paper --plan
"""

import sys

from orchestrator.commands.study import main
from orchestrator.plan.study import Row, Study
from studies.paper import baseline_standard_deviation, published
from studies.scales import SCALES
from t5core.config import ObjectiveConfig


def study() -> Study:
    """Returns the thirteen objectives and the row without pre-training, with the published scores."""
    return Study(
        name="objectives",
        title="Pre-training objectives (Tables 4 to 7)",
        baseline="replace-spans",
        baseline_sd=baseline_standard_deviation(),
        rows=(
            _row("replace-spans", "Replace corrupted spans", 5, "Replace corrupted spans", ObjectiveConfig()),
            _row("prefix-lm", "Prefix language modeling", 4, "Prefix language modeling", _kind("prefix_lm")),
            _row("bert", "BERT-style", 4, "BERT-style (Devlin et al., 2018)", _kind("bert_style")),
            _row("deshuffle", "Deshuffling", 4, "Deshuffling", _kind("deshuffling")),
            _row("mass", "MASS-style", 5, "MASS-style (Song et al., 2019)", _kind("mass_style")),
            _row("drop", "Drop corrupted tokens", 5, "Drop corrupted tokens", _kind("drop_tokens")),
            _row("rate-10", "Corruption rate 10%", 6, "10%", ObjectiveConfig(noise_density=0.10)),
            _row("rate-25", "Corruption rate 25%", 6, "25%", ObjectiveConfig(noise_density=0.25)),
            _row("rate-50", "Corruption rate 50%", 6, "50%", ObjectiveConfig(noise_density=0.50)),
            _row("span-2", "Spans of 2", 7, "2", ObjectiveConfig(mean_noise_span_length=2.0)),
            _row("span-3", "Spans of 3", 7, "3", ObjectiveConfig(mean_noise_span_length=3.0)),
            _row("span-5", "Spans of 5", 7, "5", ObjectiveConfig(mean_noise_span_length=5.0)),
            _row("span-10", "Spans of 10", 7, "10", ObjectiveConfig(mean_noise_span_length=10.0)),
            _row("no-pretraining", "No pre-training", 1, "No pre-training", None),
        ),
    )


def _kind(kind: str) -> ObjectiveConfig:
    return ObjectiveConfig(kind=kind)


def _row(name: str, label: str, table: int, paper_name: str, objective: ObjectiveConfig | None) -> Row:
    return Row(name=name, label=label, changes={"objective": objective}, **published(table, paper_name))


if __name__ == "__main__":
    sys.exit(main(study(), SCALES))
