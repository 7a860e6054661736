"""One model, or several whose logits are averaged before the softmax (paper section 3.6).

Decoding sees an ensemble as a model: ``start`` gives a state, ``step`` logits. Its members may differ in size and
architecture; they share a vocabulary.

Shapes: B batch, S source positions, R = B · copies rows, V vocab_size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from t5core.errors import ConfigError
from t5core.model import T5
from t5core.model.incremental import DecoderState


@dataclass(frozen=True, eq=False)
class EnsembleState:
    """The states of all members."""

    members: tuple[DecoderState, ...]

    def select(self, examples_N: Tensor) -> "EnsembleState":
        """Returns the state of some examples, with all their rows."""
        return EnsembleState(tuple(state.select(examples_N) for state in self.members))

    def reorder(self, rows_R: Tensor, reached: int | None) -> None:
        """Puts in place of each row the one given, of the same example; ``reached`` as in ``DecoderState``."""
        for state in self.members:
            state.reorder(rows_R, reached)


class Ensemble:
    """Averages the logits of its members.

    Args:
        models: one or more, on one device.

    Raises:
        ConfigError: for no models, or models of different vocabularies.
    """

    def __init__(self, models: T5 | Sequence[T5]) -> None:
        self.models = (models,) if isinstance(models, T5) else tuple(models)
        if not self.models:
            raise ConfigError("models", (), "give at least one")
        sizes = [model.config.vocab_size for model in self.models]
        if len(set(sizes)) > 1:
            raise ConfigError("models", tuple(sizes), "give models that share a vocabulary; these sizes differ")
        self.vocab_size = sizes[0]

    def start(
        self, inputs_BS: Tensor, max_length: int, visible_BS: Tensor | None, copies: int = 1, *, padded: bool = True
    ) -> EnsembleState:
        """Returns the state for decoding up to ``max_length`` tokens, ``copies`` rows for each example."""
        starts = (m.start(inputs_BS, max_length, visible_BS, copies, padded=padded) for m in self.models)
        return EnsembleState(tuple(starts))

    def step(self, previous_R1: Tensor, position: Tensor | int, state: EnsembleState) -> Tensor:
        """Returns the average logits ``[R, V]`` for the token after ``previous``."""
        members = zip(self.models, state.members, strict=True)
        logits = [model.step(previous_R1, position, member) for model, member in members]
        total_RV = logits[0]
        for more_RV in logits[1:]:
            total_RV = total_RV + more_RV
        return total_RV if len(logits) == 1 else total_RV / len(logits)
