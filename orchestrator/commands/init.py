"""What ``--init`` and ``--further`` make of an experiment: it starts from a checkpoint that is there already.

--init FOLDER            in place of pre-training; also a Hugging Face folder, or hf:NAME
--init FOLDER --further  every row's pre-training goes on from there, beside a row with the checkpoint as it is
"""

from orchestrator.plan.experiment import Experiment
from t5core.config import ScheduleConfig
from t5core.errors import ConfigError
from t5core.uris import masked

PUBLISHED = ScheduleConfig(kind="constant", learning_rate=0.001)
"""For checkpoints without moments, at every scale: the rate of the paper's fine-tuning, and the one that its
pre-training stood at after a million steps. What small scales train at suits models of a thousand steps."""


def check_init(init: str | None, *, further: bool, **others: object) -> None:
    """Raises ConfigError for flags that do not go together.

    Args:
        init: the checkpoint.
        further: pre-training goes on from it.
        others: flag -> value, of what a checkpoint brings with it, or takes the place of; None or empty if not given.
    """
    if init is None:
        if further:
            raise ConfigError("further", True, "there is no checkpoint to pre-train further from: give --init")
        return
    for name, value in others.items():
        if not value or (name == "pretrain_steps" and further):
            continue
        why = "it takes the place of pre-training" if name == "pretrain_steps" else "it has its own vocabulary"
        more = ", or add --further" if name == "pretrain_steps" else ""
        raise ConfigError(name, value, f"does not go with --init: {why}; leave it out{more}")


def from_checkpoint(baseline: Experiment, given: str, *, further: bool) -> Experiment:
    """Returns an experiment that starts from a checkpoint; raises ConfigError for one that it cannot start from."""
    from t5core.start import identify_start  # it imports torch, which takes seconds that others need not wait for

    init = identify_start(given)
    pretrain, finetune = baseline.pretrain, baseline.finetune
    if not init.total_step:
        pretrain, finetune = (train.replace(schedule=PUBLISHED) for train in (pretrain, finetune))
    model = init.model.replace(adapter_size=baseline.model.adapter_size)
    return baseline.replace(init=init, further=further, model=model, pretrain=pretrain, finetune=finetune)


def said_of_init(baseline: Experiment) -> dict[str, str]:
    """Returns what an experiment starts from, in words, where it is a checkpoint."""
    init = baseline.init
    if init is None:
        return {}
    from t5core.model import num_parameters

    what = f"{num_parameters(init.model):,} parameters, {init.vocabulary.num_pieces:,} pieces, {init.content[:12]}"
    how = "pre-trained further" if baseline.further else "in place of pre-training"
    rate = "" if init.total_step else f"; no moments, so trained at a constant {PUBLISHED.learning_rate:g}"
    return {"init": f"{masked(init.source)} ({what}), {how}{rate}"}
