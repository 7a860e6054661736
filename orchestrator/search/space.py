"""What a search over mixtures varies, and the paper's fixed mixtures as points of it (section 3.5.2).

    maximum       the limit K, as a place between the smallest set (0) and the largest (1)
    temperature   T, at the largest K of the fixed mixtures
    mixture       both
    rates         a weight for every task and the unlabeled text, from 1/100 to 1, of which only the ratios count

A fixed mixture is run as it is, not as the point that stands for it, so that it is the same stages as the study's row.
What the sampler learns from it is the point.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from t5core.config import MixtureConfig, TaskWeight
from t5core.errors import ConfigError
from t5core.mixing import UNSUPERVISED, mixture_rates

if TYPE_CHECKING:
    import optuna

SPACES = ("mixture", "maximum", "temperature", "rates")
TEMPERATURES = (1.0, 8.0)
LEAST_WEIGHT = 0.01


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """A mixture that is tried before any other.

    Attributes:
        name: short: "equal", "K-2^16".
        label: as a table words it.
        mixture: with unlabeled text, as the study's row has it.
        place: of its limit, as ``MixtureConfig.maximum_between`` has it; 0 for equal rates.
    """

    name: str
    label: str
    mixture: MixtureConfig
    place: float


@dataclass(frozen=True, kw_only=True)
class Space:
    """What is varied.

    Attributes:
        name: one of SPACES.
        fixed: tried first; those that the space has no point for are left out.
        unsupervised: the artificial size of the unlabeled text.
        tasks: names of the tasks that are trained on; for "rates".
        sizes: training examples of each; for "rates".
    """

    name: str
    fixed: tuple[Fixed, ...]
    unsupervised: float
    tasks: tuple[str, ...] = ()
    sizes: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if self.name not in SPACES:
            raise ConfigError("space", self.name, f"choose one of {', '.join(SPACES)}", choices=SPACES)

    def starts(self) -> list[tuple[Fixed, dict[str, float]]]:
        """Returns the fixed mixtures that are tried first, each with the point that stands for it."""
        return [(fixed, point) for fixed in self.fixed if (point := self._point(fixed)) is not None]

    def suggest(self, trial: "optuna.Trial") -> MixtureConfig:
        """Returns a mixture of the sampler's choice."""
        if self.name == "rates":
            names = (*self.tasks, UNSUPERVISED)
            weights = {n: trial.suggest_float(f"weight.{n}", LEAST_WEIGHT, 1.0, log=True) for n in names}
            total = sum(weights.values())
            rates = tuple(TaskWeight(name=n, weight=weight / total) for n, weight in weights.items())
            return MixtureConfig(kind="weights", weights=rates, unsupervised=self.unsupervised)
        place, temperature = self._top, 1.0
        if self.name in ("mixture", "maximum"):
            place = trial.suggest_float("maximum_between", 0.0, 1.0)
        if self.name in ("mixture", "temperature"):
            temperature = trial.suggest_float("temperature", *TEMPERATURES, log=True)
        return MixtureConfig(maximum_between=place, temperature=temperature, unsupervised=self.unsupervised)

    @property
    def _top(self) -> float:
        """The largest limit among the fixed mixtures: the paper tries its temperatures there."""
        return max((fixed.place for fixed in self.fixed), default=1.0)

    def _point(self, fixed: Fixed) -> dict[str, float] | None:
        temperature = fixed.mixture.temperature
        if self.name == "rates":
            if self.sizes is None:
                return None
            rates = mixture_rates(fixed.mixture, self.sizes)
            largest = max(rates.values())
            return {f"weight.{n}": max(LEAST_WEIGHT, rate / largest) for n, rate in rates.items()}
        if self.name == "maximum":
            return None if temperature != 1.0 else {"maximum_between": fixed.place}
        if self.name == "temperature":
            on_top = fixed.mixture.kind == "proportional" and fixed.place == self._top
            return {"temperature": temperature} if on_top else None
        return {"maximum_between": fixed.place, "temperature": temperature}
