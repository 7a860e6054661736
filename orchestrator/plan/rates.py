"""Learning rates: every row at several multiples of its own, since one rate for all of them may reverse their order.

    --rates 0.5x,1x,2x      each row three times, and ranked at its best (``orchestrator.results.rates``)

Two rows may like different rates, and then the one that the scale's rate suits looks better than it is
(arXiv 2512.24503). What is multiplied is the rate of the training that begins from random weights:

    pre-training             in rows that have one; their fine-tuning keeps its rate
    multi-task training      which goes by the schedule of pre-training
    fine-tuning              in rows without pre-training: it is all the training that they have; also where a
                             checkpoint takes the place of pre-training, which multi-task training then goes by too

So every row has as many tries at what it learns from nothing, and none at what all rows do alike. At 1x a row is what
it is without any of this, to the same keys.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from t5core.config import TrainConfig
from t5core.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.plan.experiment import Experiment

OWN = 1.0
"""The multiple at which a row is what its study says."""

_FORM = re.compile(r"[0-9]+(\.[0-9]+)?x")
_DIGITS = 12
"""Of a multiple and of a multiplied rate: 3 times 0.1 is 0.3 and has the key of 0.3."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What ``--rates`` says.

    Attributes:
        multiples: of each row's own learning rate, ascending, 1 among them.
    """

    multiples: tuple[float, ...] = (OWN,)

    @classmethod
    def parse(cls, text: str) -> "Rates":
        """Reads ``0.5x,1x,2x``; raises ConfigError for anything else.

        The row's own rate has to be among them: its runs are those of a study without other rates, which are shared,
        and the order at it is what is checked.
        """
        found: list[float] = []
        for part in (part.strip() for part in text.split(",")):
            multiple = _rounded(float(part.removesuffix("x"))) if _FORM.fullmatch(part) else 0.0
            if not 0 < multiple < math.inf:
                raise ConfigError("rates", part, "give multiples of the row's own rate, like 0.5x,1x,2x")
            if multiple in found:
                raise ConfigError("rates", part, "it is there twice: name each rate once")
            found.append(multiple)
        if OWN not in found:
            raise ConfigError("rates", text, "give 1x, the row's own rate, among them")
        if len(found) < 2:
            raise ConfigError("rates", text, "one rate is what a study has by itself: give others too, like 0.5x,1x,2x")
        return cls(multiples=tuple(sorted(found)))

    @property
    def several(self) -> bool:
        """Whether rows are trained at more than their own rate."""
        return len(self.multiples) > 1

    def said(self) -> str:
        """Returns the words for it."""
        return f", each at {len(self.multiples)} learning rates ({said(self.multiples)})" if self.several else ""


OWN_RATE = Rates()
"""What a study has by itself."""


def shown(multiple: float) -> str:
    """Returns a multiple as it is typed: ``0.5x``."""
    return f"{multiple:.{_DIGITS}g}x"


def said(multiples: Sequence[float]) -> str:
    """Returns some of them in a row."""
    return ", ".join(map(shown, multiples))


def at_rate(experiment: "Experiment", multiple: float) -> "Experiment":
    """Returns an experiment at a multiple of its rate, which is that of its training from random weights."""
    if multiple == OWN:
        return experiment
    if experiment.objective is None or experiment.in_place:
        return experiment.replace(finetune=_scaled(experiment.finetune, multiple))
    return experiment.replace(pretrain=_scaled(experiment.pretrain, multiple))


def _scaled(train: TrainConfig, multiple: float) -> TrainConfig:
    rate = _rounded(train.schedule.learning_rate * multiple)
    if not 0 < rate < math.inf:
        way_out = f"times {train.schedule.learning_rate:g} it is no learning rate: give multiples like 0.5x,1x,2x"
        raise ConfigError("rates", shown(multiple), way_out)
    return train.replace(schedule=train.schedule.replace(learning_rate=rate))


def _rounded(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")
