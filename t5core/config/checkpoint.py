"""A checkpoint that training starts from, known by what it holds."""

from dataclasses import dataclass

from t5core.config.base import Config, unhashed
from t5core.config.model import ModelConfig


@dataclass(frozen=True, kw_only=True)
class GivenVocabulary(Config):
    """The vocabulary of a checkpoint, which takes the place of one that would be trained.

    Attributes:
        source, rows: where the checkpoint lies, and the rows of its embedding, which may say how many sentinels there
            are. They do not count.
        content: sha256 over pieces, number of sentinels and added tokens, whatever files they lie in.
        num_pieces: of the SentencePiece model, without sentinels.
        num_sentinels: that objectives can use; 0 where there are none, or in another order than they need.
    """

    content: str
    num_pieces: int
    num_sentinels: int
    source: str = unhashed("")
    rows: int = unhashed(0)


@dataclass(frozen=True, kw_only=True)
class InitConfig(Config):
    """A checkpoint, ours or a Hugging Face folder; filled in by ``t5core.start.identify_start``.

    Attributes:
        source: an absolute path, or ``hf:NAME@COMMIT``. Does not count; ``content`` does.
        content: sha256 over weights, moments, config and vocabulary.
        model: what it holds.
        vocabulary: what it was trained with.
        total_step: steps that AdaFactor's moments come from; 0 where it has none, as in Hugging Face folders.
    """

    content: str
    model: ModelConfig
    vocabulary: GivenVocabulary
    total_step: int = 0
    source: str = unhashed("")
