"""Ensembles: several models of one row, whose logits are averaged when they answer (section 3.6 of the paper).

    "pretrained"   members are pre-trained and fine-tuned apart, with the row's seed and those behind it
    "finetuned"    one pre-training, with the row's seed, and fine-tunings with that seed and those behind it

A member is what a row without an ensemble is with that seed: the same stages, which run once for both. Members of rows
with several seeds coincide likewise, so the runs of such a row are not independent (docs/significance.md):

    seed 0    members 0 1 2 3
    seed 1      members 1 2 3 4
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from t5core.config import Config, ModelConfig
from t5core.errors import ConfigError

EnsembleKind = Literal["pretrained", "finetuned"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig(Config):
    """What a row's ensemble is made of.

    Attributes:
        members: how many.
        kind: what members have of their own.
        models: of the members, where they are not all the row's own; they may differ in size, no more.
    """

    members: int = 4
    kind: EnsembleKind = "pretrained"
    models: tuple[ModelConfig, ...] = ()

    def __post_init__(self) -> None:
        self._one_of("kind")
        if isinstance(self.members, bool) or not isinstance(self.members, int) or self.members < 2:
            raise ConfigError("members", self.members, "give 2 or more: an ensemble averages several models")
        if self.models and len(self.models) != self.members:
            raise ConfigError("models", len(self.models), f"give one for each of the {self.members} members, or none")
        if self.models and self.kind == "finetuned":
            raise ConfigError("models", len(self.models), "members of one pre-training have its model: leave them out")

    def model_of(self, member: int, own: ModelConfig) -> ModelConfig:
        """Returns the model of a member, counted from 0; ``own`` is the row's."""
        return self.models[member] if self.models else own


def check_alike(models: Sequence[ModelConfig]) -> None:
    """Raises ConfigError for models whose logits cannot be averaged: of several vocabularies, or architectures."""
    if len({model.vocab_size for model in models}) > 1:
        sizes = ", ".join(f"{model.vocab_size:,}" for model in models)
        raise ConfigError("ensemble", sizes, "logits are averaged piece by piece: give models of one vocabulary")
    if len({model.architecture for model in models}) > 1:
        kinds = ", ".join(model.architecture for model in models)
        raise ConfigError("ensemble", kinds, "its members differ in more than size: give models of one architecture")


def member_role(role: str, member: int) -> str:
    """Returns the role of a member's stage in its row, members counted from 0: the first one's is any row's."""
    return role if member == 0 else f"{role}:member{member + 1}"


def member_name(name: str, member: int) -> str:
    """Returns the name of a member's stages, likewise; one that another row shares may have that one's."""
    return name if member == 0 else f"{name}-member{member + 1}"


def trained_role(member: int) -> str:
    """Returns the role in which a stage reads a trained member: "trained", "trained2", ..."""
    return "trained" if member == 0 else f"trained{member + 1}"


def trained_of(inputs: Mapping[str, T]) -> list[T]:
    """Returns what a stage reads as trained models, each member's in turn."""
    return [inputs[trained_role(member)] for member in range(len(inputs)) if trained_role(member) in inputs]
