"""A training run: its optimizer, its learning rate, its batches and its length."""

from dataclasses import dataclass
from typing import Literal

from t5core.config.base import Config, added, unhashed
from t5core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Config):
    """AdaFactor with the official code's settings (Mesh TensorFlow ``optimize.AdafactorOptimizer``)."""

    decay_exponent: float = 0.8
    clipping_threshold: float = 1.0
    epsilon1: float = 1e-30
    epsilon2: float = 1e-3
    multiply_by_parameter_scale: bool = True
    min_dim_size_to_factor: int = 128


ScheduleKind = Literal["inverse_sqrt", "constant", "triangular", "linear"]


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(Config):
    """The learning rate as a function of the step (paper section 3.1.2).

    Attributes:
        kind: "inverse_sqrt": ``learning_rate * sqrt(warmup_steps) / sqrt(max(step, warmup_steps))``, which with the
            defaults is the paper's ``1 / sqrt(max(step, 10^4))``; "constant"; "triangular"; "linear": from the rate
            at the run's first step down to 0 when its steps are over.
        learning_rate: the rate during warm-up (inverse_sqrt), always (constant), at the top (triangular) or at the
            first step (linear).
        warmup_steps: inverse_sqrt only.
        cut_fraction, ratio: triangular only.
    """

    kind: ScheduleKind = "inverse_sqrt"
    learning_rate: float = 0.01
    warmup_steps: int = 10_000
    cut_fraction: float = 0.1
    ratio: float = 32.0

    def __post_init__(self) -> None:
        self._one_of("kind")
        self._positive("learning_rate", "warmup_steps", "ratio")

    @property
    def over_the_run(self) -> bool:
        """Whether it is laid over one run's own steps; others go on with the counter after an earlier run."""
        return self.kind in ("triangular", "linear")

    def kept_up(self, begin: int, steps: int) -> bool:
        """Whether a run of so many steps from the counter's ``begin`` ends at half its first rate or more."""
        if self.over_the_run:
            return False
        if self.kind == "constant":
            return True
        return max(begin + steps, self.warmup_steps) <= 4 * max(begin, self.warmup_steps)  # by the root of it


TrainableKind = Literal["all", "adapters_and_norms", "adapters", "gradual"]
LossDenominator = Literal["targets", "tokens"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Config):
    """One training run, pre-training or fine-tuning.

    Attributes:
        steps: optimizer steps of this run.
        batch_size: sequences in a global batch.
        inputs_length, targets_length: static shapes in tokens, EOS included. ``targets_length`` None: what the
            objective needs for ``inputs_length``.
        dropout_rate: 0.1 in the paper; the released code shares each mask over a sequence's positions.
        z_loss: weight of ``log(Z)^2``, 1e-4 in the released code.
        loss_denominator: "targets" divides by the full target tensor as the released code does, "tokens" by the
            target tokens that are not padding. Reported losses are always per token.
        packed: fine-tuning: several examples in a row, each seeing itself only, as the released code trains.
        microbatch: rows that a process computes at a time, forward and backward; their gradients are added up. None:
            all that it has. Activations take memory for so many; losses and gradients differ by rounding only.
        trainable: "all"; "adapters_and_norms" (the paper's adapters), "adapters" (the released code's filter);
            "gradual": more layers from the top in each of ``unfreezing_episodes`` (see ``t5core.training.trainable``).
        unfreezing_episodes: equal parts of the run, for "gradual"; 12 in the paper.
        fresh_moments: fine-tuning: AdaFactor begins anew instead of going on with the pre-training's moments, as the
            released code does; its decay then counts this run's steps alone, since moments of 0 would be kept
            otherwise, while schedule and dropout go on from the pre-training's steps as ever.
        average_last, average_every: the run leaves the mean of the weights behind so many of its steps, the last one
            and others before it, so many steps apart (see ``t5core.training.average``); None: the last weights, as in
            the paper. Moments are those of the last step.
        keep_last, keep_every: the run leaves, beside its last weights, those behind so many of its last steps, the last
            one counted, so many steps apart (see ``t5core.training.kept``); None: its last ones alone. What is trained
            is the same; where it is asked for it counts, since a run that was stored without them has not got them.
        seed: of initialisation, feed order, noise and dropout.
        log_every, checkpoint_every: in steps; do not count towards the identity of the run.
        profile_steps: write a trace of so many steps behind the first ones (``t5core.training.profiling``); None: of
            none. Does not count either.
    """

    steps: int = 524_288
    batch_size: int = 128
    inputs_length: int = 512
    targets_length: int | None = None
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    dropout_rate: float = 0.1
    z_loss: float = 1e-4
    loss_denominator: LossDenominator = "targets"
    packed: bool = False
    microbatch: int | None = added(None)
    trainable: TrainableKind = "all"
    unfreezing_episodes: int = 12
    fresh_moments: bool = added(False)
    average_last: int | None = added(None)
    average_every: int | None = added(None)
    keep_last: int | None = added(None)
    keep_every: int | None = added(None)
    seed: int = 0
    log_every: int = unhashed(20)
    checkpoint_every: int = unhashed(5_000)
    profile_steps: int | None = unhashed(None)

    def __post_init__(self) -> None:
        self._positive("steps", "batch_size", "inputs_length", "targets_length", "log_every", "checkpoint_every")
        self._positive("unfreezing_episodes", "average_last", "average_every", "profile_steps", "microbatch")
        self._positive("keep_last", "keep_every")
        self._one_of("loss_denominator", "trainable")
        if not 0 <= self.dropout_rate < 1:
            raise ConfigError("dropout_rate", self.dropout_rate, "give a rate from 0 up to, not including, 1")
        if self.microbatch is not None and self.batch_size % self.microbatch:
            way_out = f"give a number that divides {self.batch_size}, the batch_size"
            raise ConfigError("microbatch", self.microbatch, way_out)
        self._check_last("average")
        self._check_last("keep")
        if self.keep_last is not None and self.average_last is not None:
            way_out = "the run leaves a mean, which is no checkpoint like those before it: keep some or average them"
            raise ConfigError("keep_last", self.keep_last, way_out)

    @property
    def kept_steps(self) -> tuple[int, ...]:
        """The steps behind which weights are kept, counted from 1, ascending, without the run's last one."""
        if self.keep_last is None or self.keep_every is None:
            return ()
        return tuple(self.steps - back * self.keep_every for back in reversed(range(1, self.keep_last)))

    def _check_last(self, what: str) -> None:
        """Checks how many last weights are averaged, or kept, and how far apart they are."""
        names = (f"{what}_last", f"{what}_every")
        last, every = (getattr(self, name) for name in names)
        if last is None or every is None:
            for name in names:
                if last != every and getattr(self, name) is None:
                    raise ConfigError(name, None, "how many weights and how many steps apart: give both or neither")
            return
        if last < 2:
            raise ConfigError(names[0], last, "give 2 or more, or None for the last weights alone")
        if (last - 1) * every >= self.steps:
            way_out = f"weights {every} steps apart: a run of {self.steps} steps has {(self.steps - 1) // every + 1}"
            raise ConfigError(names[0], last, way_out)
