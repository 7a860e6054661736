"""What is measured."""

from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from t5core.devices import resolve_device_name, resolve_precision
from t5core.errors import ConfigError
from t5core.model import PRESETS

What = Literal["train", "decode"]
Peer = Literal["none", "transformers"]


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """One measurement; what is None gets a value by ``resolved``.

    Attributes:
        what: "train" (training steps) or "decode" (greedy decoding).
        device: a name of ``t5core.devices``.
        precision: of t5core's activations, as ``open_device`` takes it; None: the device's own.
        size: one of ``t5core.model.PRESETS``; None: base on accelerators, small elsewhere.
        batch: sequences; None: training 128 on accelerators and 4 elsewhere, decoding 16.
        inputs_length: tokens.
        targets_length: tokens of a target; decoding: new tokens. None: training 114, decoding 64.
        dropout: rate, in [0, 1); training only.
        against: "none" or "transformers".
        rounds: how often each contestant is timed, behind a warm-up; None: 20 on accelerators, 5 elsewhere.
    """

    what: What = "train"
    device: str = "auto"
    precision: str | None = None
    size: str | None = None
    batch: int | None = None
    inputs_length: int = 512
    targets_length: int | None = None
    dropout: float = 0.1
    against: Peer = "none"
    rounds: int | None = None

    def __post_init__(self) -> None:
        for name, kind in (("what", What), ("against", Peer)):
            choices = get_args(kind)
            if getattr(self, name) not in choices:
                raise ConfigError(name, getattr(self, name), f"choose one of {', '.join(choices)}", choices=choices)
        for name in ("batch", "inputs_length", "targets_length", "rounds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(name, value, "give a whole number from 1 up")
        if self.precision is not None:
            resolve_precision(self.precision, "cpu")
        if not 0 <= self.dropout < 1:
            raise ConfigError("dropout", self.dropout, "give a rate from 0 up to, not including, 1")
        if self.size is not None and self.size not in PRESETS:
            raise ConfigError("size", self.size, f"choose one of {', '.join(PRESETS)}", choices=PRESETS)

    def resolved(self) -> Self:
        """Returns the settings with nothing left open.

        Raises:
            ConfigError: for a device that is not there, and for transformers on XLA.
        """
        device = resolve_device_name(self.device)
        if device == "xla" and self.against == "transformers":
            raise ConfigError("against", self.against, "transformers is measured on cpu and cuda; leave it out on xla")
        large = device != "cpu"
        training = self.what == "train"
        return replace(
            self,
            device=device,
            size=self.size or ("base" if large else "small"),
            batch=self.batch or ((128 if large else 4) if training else 16),
            targets_length=self.targets_length or (114 if training else 64),
            rounds=self.rounds or (20 if large else 5),
        )
