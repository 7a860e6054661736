"""Which studies there are, in the paper's order: what ``t5grid run all`` and ``python studies/all.py`` run."""

from orchestrator.commands.grid import Listed
from studies import (
    architectures,
    baseline,
    corpora,
    data_size,
    finetuning,
    limits,
    mixing,
    multitask,
    objectives,
    scaling,
)

CATALOGUE: tuple[Listed, ...] = (
    Listed.of(baseline.study()),  # Table 1
    Listed.of(architectures.study()),  # Table 2
    Listed.of(objectives.study()),  # Tables 4 to 7
    Listed(name="corpora", study=corpora.study_of, flags=corpora.flags),  # Table 8
    Listed.of(data_size.study()),  # Table 9
    Listed.of(finetuning.study()),  # Table 10
    Listed.of(mixing.study()),  # Table 11
    Listed.of(multitask.study()),  # Table 12
    Listed.of(scaling.study()),  # Table 13
    Listed.of(limits.study()),  # Tables 14 and 15
)
