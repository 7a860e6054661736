"""Checkpoints: every row's likelihoods at the last few of its training, since one alone moves by chance.

    --checkpoints 5         the last five, a twentieth of the fine-tuning apart
    --checkpoints 5:50      50 steps apart

Bits per byte are then the mean over them. Trainings that keep them are other ones to the store than those that do not
(these have not got the weights); pre-training keeps none, and stays what it is.
"""

import re
from dataclasses import dataclass

from t5core.config import TrainConfig
from t5core.errors import ConfigError

PARTS = 20
"""Of a fine-tuning: how far apart its checkpoints are, where nothing else is said."""
_FORM = re.compile(r"[0-9]+(:[0-9]+)?")
_WAY_OUT = "give how many of the last checkpoints, 2 or more, and how many steps apart, like 5 or 5:50"


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """What ``--checkpoints`` says.

    Attributes:
        last: how many, the end of the training counted.
        every: steps between them; None: a part of the fine-tuning.
    """

    last: int
    every: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Checkpoints":
        """Reads ``5`` or ``5:50``; raises ConfigError for anything else."""
        last, _, every = text.partition(":")
        if not _FORM.fullmatch(text) or int(last) < 2 or (every and int(every) < 1):
            raise ConfigError("checkpoints", text, _WAY_OUT)
        return cls(last=int(last), every=int(every) if every else None)

    def steps_apart(self, finetune: TrainConfig) -> int:
        """Returns how many steps lie between two of them."""
        return max(1, finetune.steps // PARTS) if self.every is None else self.every

    def kept_by(self, finetune: TrainConfig) -> TrainConfig:
        """Returns a fine-tuning that keeps them; raises ConfigError where it has not so many, or leaves a mean."""
        every = self.steps_apart(finetune)
        there = (finetune.steps - 1) // every + 1
        if self.last > there:
            shown = f"{self.last}:{every}"
            way_out = f"{every} steps apart, a fine-tuning of {finetune.steps} steps has {there}: give fewer, or nearer"
            raise ConfigError("checkpoints", shown, way_out)
        if finetune.average_last is not None:
            raise ConfigError("checkpoints", self.last, "the fine-tuning leaves the mean of its weights: leave it out")
        return finetune.replace(keep_last=self.last, keep_every=every)


def said_of_checkpoints(finetune: TrainConfig) -> str:
    """Returns the words for what a fine-tuning keeps; "" for the end alone."""
    if finetune.keep_last is None:
        return ""
    return f", each judged at its last {finetune.keep_last} checkpoints ({finetune.keep_every} steps apart)"
